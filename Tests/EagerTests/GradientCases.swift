import DuetEager
import DuetRuntime
import Testing

/// A differentiable function at a point where it is smooth.
struct GradientCase: CustomTestStringConvertible, Sendable {
  let name: String
  let inputs: [Tensor]
  let f: @Sendable ([Tensor]) -> Tensor
  /// Whether its gradient is smooth, too.
  var isTwice = true

  init(
    _ name: String, _ inputs: [Tensor], isTwice: Bool = true,
    _ f: @escaping @Sendable ([Tensor]) -> Tensor
  ) {
    (self.name, self.inputs, self.f, self.isTwice) = (name, inputs, f, isTwice)
  }

  var testDescription: String { name }
}

extension GradientCase {
  /// One case at least for every operation of `Op`, and for the ways in which operands lie in
  /// memory.
  static var all: [GradientCase] {
    unary + binary + reductions + normalizations + contractions + windows + movement + indexing
      + composed
  }

  private static func op1(_ name: String, _ x: Tensor, _ op: Op) -> GradientCase {
    GradientCase(name, [x]) { apply(op, $0[0]) }
  }

  private static var unary: [GradientCase] {
    UnaryOp.allCases.filter { $0.gives(.float64) }.flatMap { op -> [GradientCase] in
      let (low, high): (Double, Double) =
        switch op {
        case .sqrt, .rsqrt, .reciprocal, .log, .log1p, .log2, .log10: (0.3, 2)
        case .asin, .acos: (-0.8, 0.8)
        default: (-1.9, 1.9)
        }
      let x = sample([2, 3], low, high, seed: 1)
      return [
        op1("\(op)", x, .unary(op)), op1("\(op) of a transposed", x.T, .unary(op)),
        op1("\(op) of a broadcast", x[0].broadcast(to: [2, 3]), .unary(op)),
      ]
    }
  }

  private static var binary: [GradientCase] {
    BinaryOp.allCases.filter { $0.gives(.float64) }.flatMap { op -> [GradientCase] in
      // Remainders are smooth between multiples of the divisor.
      let a = sample([2, 3], 0.3, 1.9, seed: 2)
      let b = sample([2, 3], 2.1, 3.4, seed: 3)
      func binary(_ name: String, _ a: Tensor, _ b: Tensor) -> GradientCase {
        GradientCase("\(op) \(name)", [a, b]) { apply(.binary(op), $0[0], $0[1]) }
      }
      return [
        binary("of equal shapes", a, b), binary("the other way round", b, a),
        binary("of a row", a, b[0]), binary("of a column", b[0..., 1..<2], a),
        binary("with a scalar", a, b[0, 0]), binary("of strided views", a.T, b[(0..<2).by(-1)].T),
      ]
    }
  }

  private static var reductions: [GradientCase] {
    let x = sample([2, 3, 4], 0.4, 1.6, seed: 4)
    let c = sample([2, 3, 4], seed: 14)
    var cases: [GradientCase] = []
    for op in [ReductionOp.sum, .mean, .product, .max, .min] {
      for axes in [[0], [1], [2], [0, 2], [0, 1, 2], []] {
        for keep in [false, true] {
          cases.append(
            op1("\(op) over \(axes)", x, .reduce(op, axes: AxisSet(axes), keepDims: keep)))
        }
      }
      cases.append(
        op1(
          "\(op) of a view", x.transposed(2, 0, 1),
          .reduce(op, axes: AxisSet([0, 2]), keepDims: false)))
    }
    for axis in 0..<3 {
      cases += [
        op1("softmax \(axis)", x, .softmax(axis: axis)),
        op1("logSoftmax \(axis)", x, .logSoftmax(axis: axis)),
        op1("cumsum \(axis)", x, .cumulative(.sum, axis: axis)),
        op1("cumprod \(axis)", x, .cumulative(.product, axis: axis)),
        op1("cummax \(axis)", x, .cumulative(.max, axis: axis)),
        op1("cummin \(axis)", x, .cumulative(.min, axis: axis)),
        GradientCase("the softmax's gradient \(axis)", [x, c]) {
          apply(.softmaxGradient(axis: axis), $0[0], $0[1])
        },
        GradientCase("the logarithm's gradient \(axis)", [x, c]) {
          apply(.logSoftmaxGradient(axis: axis), $0[0], $0[1])
        },
      ]
    }
    return cases
  }

  private static var contractions: [GradientCase] {
    func product(_ a: Tensor, _ b: Tensor) -> GradientCase {
      GradientCase("matmul \(a.shape) × \(b.shape)", [a, b]) { matmul($0[0], $0[1]) }
    }
    var cases = [
      product(sample([2, 3]), sample([3, 4], seed: 1)),
      product(sample([3, 2]).T, sample([4, 3], seed: 1).T),
      product(sample([3]), sample([3, 2], seed: 1)), product(sample([3]), sample([3], seed: 1)),
      product(sample([2, 1, 2, 3]), sample([3, 3, 2], seed: 1)),
      product(sample([2, 2, 3]), sample([3, 2], seed: 1)),
    ]
    for shape in [[3], [1, 3], [4, 3], [2, 1, 3], [2, 4, 3]] {
      let (x, weight, bias) = (sample(shape), sample([2, 3], seed: 1), sample([2], seed: 2))
      cases += [
        GradientCase("linear \(shape)", [x, weight]) { linear($0[0], $0[1]) },
        GradientCase("linear \(shape) with a bias", [x, weight, bias]) {
          linear($0[0], $0[1], $0[2])
        },
      ]
    }
    cases.append(
      GradientCase("linear of views", [sample([3, 4]), sample([3, 2], seed: 1)]) {
        linear($0[0].T, $0[1].T, $0[1][0])
      })
    let image = sample([2, 4, 5, 4], seed: 5)
    for (stride, padding, dilation, groups) in [
      (1, 0, 1, 1), (2, 1, 1, 2), (1, 2, 2, 1), (1, 1, 1, 4),
    ] {
      let weight = sample([4, 4 / groups, 2, 2], seed: 6)
      let c = Convolution(
        stride: Extent(stride, 1), padding: Extent(padding, padding), dilation: Extent(1, dilation),
        groups: groups)
      let y = apply(.conv2d(c), image, weight)
      let input = Op.conv2dInputGradient(c, inputSize: Extent(5, 4))
      let kernel = Op.conv2dWeightGradient(c, kernelSize: Extent(2, 2))
      cases += [
        GradientCase("conv2d \(c)", [image, weight]) { apply(.conv2d(c), $0[0], $0[1]) },
        GradientCase("conv2d's input gradient \(c)", [y, weight]) { apply(input, $0[0], $0[1]) },
        GradientCase("conv2d's weight gradient \(c)", [image, y]) { apply(kernel, $0[0], $0[1]) },
      ]
    }
    return cases
  }

  private static var windows: [GradientCase] {
    let x = sample([1, 2, 5, 4], seed: 7)
    var cases: [GradientCase] = []
    for (kernel, stride, padding, counts) in [(2, 2, 0, true), (3, 1, 1, true), (3, 2, 1, false)] {
      let p = Pooling(
        kernelSize: Extent(kernel, kernel), stride: Extent(stride, stride),
        padding: Extent(padding, padding), countsPadding: counts)
      let y = apply(.maxPool2d(p), x)
      let name = "of \(kernel) by \(stride)"
      cases += [
        op1("maxPool2d \(name)", x, .maxPool2d(p)),
        op1("averagePool2d \(name)", x, .averagePool2d(p)),
        op1(
          "averagePool2d's gradient \(name)", y, .averagePool2dGradient(p, inputSize: Extent(5, 4))),
        GradientCase("maxPool2d's selection \(name)", [sample([1, 2, 5, 4], seed: 8)]) {
          apply(.maxPool2dSelect(p), x, $0[0])
        },
        GradientCase("maxPool2d's gradient \(name)", [y]) {
          apply(.maxPool2dGradient(p), x, $0[0])
        },
      ]
    }
    return cases
  }

  private static var movement: [GradientCase] {
    let x = sample([2, 3, 4], seed: 9)
    let y = sample([2, 1, 4], seed: 10)
    return [
      GradientCase("reshape", [x]) { $0[0].reshaped(4, -1) },
      GradientCase("reshape of a view", [x]) { $0[0].T.reshaped(4, -1) },
      GradientCase("transpose", [x]) { $0[0].transposed(2, 0, 1) },
      GradientCase("broadcast", [y]) { $0[0].broadcast(to: [3, 2, 5, 4]) },
      GradientCase("slice", [x]) { $0[0][0..., (0..<3).by(-2), 1..<3] },
      GradientCase("copy", [x]) { apply(.copy, $0[0].T) },
      GradientCase("concatenate", [x, y]) { concatenated([$0[0], $0[1], $0[0]], axis: 1) },
      GradientCase("updateSlice", [x, y]) { x in
        var z = x[0]
        z[0..., 1..<2] = x[1]
        return z
      },
      GradientCase("cast", [x]) { $0[0].asType(.float64) * 2 },
      GradientCase("padded", [x]) { $0[0].padded(widths: [(0, 1), (2, 0), (1, 1)], value: 3) },
      GradientCase("tiled", [y]) { $0[0].tiled([2, 3, 1]) },
      GradientCase("repeated", [y]) { $0[0].repeated(count: 2, axis: 2) },
      GradientCase("rolled", [x]) { $0[0].rolled(1, axis: 2) },
      GradientCase("flipped", [x]) { $0[0].flipped() },
      GradientCase("diagonal", [x]) { $0[0].diagonal(axis1: 1, axis2: 2) },
    ]
  }

  private static var indexing: [GradientCase] {
    let x = sample([3, 4], seed: 11)
    return [
      GradientCase("select", [x, x[0]]) {
        which(Tensor([true, false, true, false]), $0[0], $0[1])
      },
      GradientCase("take", [x]) { $0[0].take(Tensor([[1, -1], [1, 0]]), axis: 1) },
      GradientCase("take of rows", [x.T]) { $0[0][Tensor([2, 2, 0])] },
      GradientCase("takeAlong", [x]) { $0[0].takeAlong(Tensor([[1], [0], [1]]), axis: 1) },
      GradientCase("scatterAdd", [x, sample([2, 4], seed: 12)]) {
        $0[0].scatterAdd(Tensor([1, 1]), $0[1])
      },
      GradientCase("scatterAddAlong", [x, sample([3, 2], seed: 12)]) {
        $0[0].scatterAddAlong(Tensor([[0, 0], [1, 2], [3, -1]]), $0[1], axis: 1)
      },
      GradientCase("scatterSet", [x, sample([3, 2], seed: 13)]) {
        $0[0].scatterSet(Tensor([1, 1]), $0[1], axis: 1)
      },
      GradientCase("two index tensors", [x]) { $0[0][Tensor([0, 2]), Tensor([1, -1])] },
      GradientCase("a mask", [x]) { $0[0][x .> 0] },
      GradientCase("setting a mask", [x]) { inputs in
        var y = inputs[0]
        y[x .> 0] = inputs[0][0, 0] * 2
        return y
      },
      GradientCase("sort", [x]) { $0[0].sort(axis: 1) },
      GradientCase("topK", [x]) { $0[0].topK(2, axis: 0).values },
    ]
  }

  private static var composed: [GradientCase] {
    let x = sample([3, 4], -1.9, 1.9, seed: 14)
    return [
      GradientCase("variance", [x]) { $0[0].variance(axis: 1, ddof: 1) },
      GradientCase("std", [x]) { $0[0].std(axis: 0, keepDims: true) },
      GradientCase("logSumExp", [x]) { $0[0].logSumExp(axis: 0) },
      GradientCase("norm", [x]) { $0[0].norm(axis: -1) },
      GradientCase("clip", [x]) { clip($0[0], min: -0.5, max: 0.6) },
      GradientCase("leakyRelu", [x]) { leakyRelu($0[0]) },
      GradientCase("elu", [x]) { elu($0[0]) },
      GradientCase("selu", [x]) { selu($0[0]) },
      GradientCase("mish", [x]) { mish($0[0]) },
      GradientCase("hardswish", [x]) { hardswish($0[0]) },
      GradientCase("softsign", [x]) { softsign($0[0]) },
      GradientCase("logSigmoid", [x]) { logSigmoid($0[0]) },
      GradientCase("einsum", [x, sample([4, 3, 2], seed: 15)]) { einsum("ij,jik->k", $0) },
      GradientCase("a product with a zero", [Tensor([2.0, 0, 3], dtype: .float64)]) {
        $0[0].prod()
      },
      GradientCase("running products with zeros", [Tensor([2.0, 0, 3, 0, 1], dtype: .float64)]) {
        $0[0].cumprod(axis: 0)
      },
      GradientCase("norm of order 3", [x]) { norm($0[0], order: 3, axis: 0) },
      GradientCase("matrix norm", [x]) { matrixNorm($0[0], .one) },
      GradientCase("distances", [x, sample([2, 4], 2, 3, seed: 16)]) { cdist($0[0], $0[1]) },
      GradientCase("quantile", [x]) { quantile($0[0], [0.2, 0.7], axis: 1) },
      GradientCase("cov", [x]) { cov($0[0]) },
      GradientCase("corrcoef", [x]) { corrcoef($0[0]).triu(k: 1) },
      GradientCase("cumulativeLogSumExp", [x]) { cumulativeLogSumExp($0[0]) },
      GradientCase("logAddExp", [x[0], x[1]]) { logAddExp($0[0], $0[1]) },
      GradientCase("xlogy", [x[0], sample([4], 0.5, 2, seed: 17)]) { xlogy($0[0], $0[1]) },
      GradientCase("lerp", [x[0], x[1], x[2]]) { lerp($0[0], $0[1], $0[2]) },
      GradientCase("sinc", [x]) { sinc($0[0]) },
      GradientCase("sinc near 0", [x * 1e-3]) { sinc($0[0]) },
      GradientCase("trapezoid", [x[0], x[1]]) { trapezoid($0[0], $0[1]) },
      GradientCase("cross", [x[0..., 0], x[0..., 1]]) { cross($0[0], $0[1]) },
      GradientCase("kron", [x[0], x[0..<2]]) { kron($0[0], $0[1]) },
      GradientCase("maskedSelect", [x]) { maskedSelect($0[0], $0[0] .> 0) },
      GradientCase("outer", [x[0], x[1]]) { outer($0[0], $0[1]) },
      GradientCase("tril", [x]) { tril($0[0]) },
      GradientCase("several uses", [x]) { $0[0] * $0[0].T.T + exp($0[0]) * $0[0].sum() },
    ]
  }
}

extension UnaryOp {
  /// Whether the operation is defined for a dtype and has that dtype.
  func gives(_ dtype: DType) -> Bool { (try? resultDType(for: dtype)) == dtype }
}

extension BinaryOp {
  func gives(_ dtype: DType) -> Bool {
    (try? resultType(for: TensorType(dtype, []), TensorType(dtype, [])))?.dtype == dtype
  }
}
