import Duet
import DuetRuntime
import DuetTestSupport
import Testing

/// Every kind of operation mapped over examples, against a loop over them.
@Suite struct VmapOperationTests {
  typealias Body = (Tensor, Tensor) -> [Tensor]

  struct Case: Sendable, CustomTestStringConvertible {
    let name: String
    let shapes: ([Int], [Int])
    var dtypes: [DType] = [.float32, .float64]
    /// Integers from 0 up to this, instead of the second argument's floating-point numbers.
    var indices: Int?
    var isDifferentiable = true
    var tolerance = 1e-5
    // Shared as tests share them: the closures have no state.
    nonisolated(unsafe) let body: Body

    var testDescription: String { name }

    init(
      _ name: String, _ a: [Int], _ b: [Int] = [], dtypes: [DType] = [.float32, .float64],
      indices: Int? = nil, isDifferentiable: Bool = true, tolerance: Double = 1e-5,
      _ body: @escaping Body
    ) {
      self.name = name
      shapes = (a, b)
      self.dtypes = dtypes
      self.indices = indices
      self.isDifferentiable = isDifferentiable
      self.tolerance = tolerance
      self.body = body
    }
  }

  static let axes: [(Int?, Int?)] = [(0, 0), (nil, 0), (0, nil), (-1, 0), (0, -1)]

  /// An argument with so many examples along an axis; without, what all share.
  static func argument(
    _ shape: [Int], _ axis: Int?, _ count: Int, _ dtype: DType, below bound: Int?, seed: Int
  ) -> Tensor {
    var shape = shape
    if let axis { shape.insert(count, at: axis < 0 ? shape.count + 1 + axis : axis) }
    let generator = Generator(seed: seed)
    if let bound { return Random.randInt(0..<bound, shape, generator: generator) }
    if dtype == .bool { return Random.bernoulli(0.5, shape, generator: generator) }
    if dtype.isInteger {
      return Random.randInt(1..<9, shape, dtype: dtype, generator: generator)
    }
    return Random.normal(shape, generator: generator).asType(dtype)
  }

  /// What a loop over the examples gives.
  static func looped(_ f: Body, _ x: Tensor, _ y: Tensor, _ axes: (Int?, Int?), _ out: Int)
    -> [Tensor]
  {
    let count = axes.0.map { x.dim($0) } ?? y.dim(axes.1!)
    let rows = (0..<count).map { i in
      f(
        axes.0.map { x.movedAxis(from: $0, to: 0)[i] } ?? x,
        axes.1.map { y.movedAxis(from: $0, to: 0)[i] } ?? y)
    }
    return rows[0].indices.map { r in
      stacked(rows.map { $0[r] }).movedAxis(from: 0, to: out)
    }
  }

  static func expectClose(
    _ a: Tensor, _ b: Tensor, _ tolerance: Double, _ what: String,
    sourceLocation: Testing.SourceLocation = #_sourceLocation
  ) {
    guard a.shape == b.shape && a.dtype == b.dtype else {
      Issue.record("\(what): \(a.type) instead of \(b.type)", sourceLocation: sourceLocation)
      return
    }
    for (i, (x, y)) in zip(a.asArray(Double.self), b.asArray(Double.self)).enumerated()
    where !(x == y || x.isNaN && y.isNaN || abs(x - y) <= tolerance * max(1, abs(y))) {
      Issue.record(
        "\(what): element \(i) is \(x) instead of \(y)", sourceLocation: sourceLocation)
      return
    }
  }

  /// A number made of all floating-point results, for gradients.
  static func total(_ results: [Tensor]) -> Tensor {
    var sum = Tensor(0.0).asType(.float64)
    for (i, result) in results.enumerated() where result.dtype.isFloatingPoint {
      // No random numbers: mapped, these would be others.
      let weights = cos(arange(result.size).asType(.float64) * 1.7 + Double(i))
        .reshaped(result.shape)
      sum = sum + (result.asType(.float64) * weights).sum()
    }
    return sum
  }

  @Test(arguments: elementwise + reductions + movement + indexing + products + images + norms)
  func equalsALoop(_ item: Case) throws {
    for dtype in item.dtypes {
      let tolerance =
        item.tolerance * (dtype.isHalf ? 4000 : dtype == .float32 ? 10 : 1e-3)
      for axes in Self.axes {
        let x = Self.argument(item.shapes.0, axes.0, 3, dtype, below: nil, seed: 1)
        let y = Self.argument(item.shapes.1, axes.1, 3, dtype, below: item.indices, seed: 2)
        let out = axes.0 == 0 ? 0 : -1
        let f = vmap(inAxes: axes, outAxes: out, item.body)
        let what = "\(item.name), \(dtype), \(axes)"
        let results = f(x, y)
        let expected = Self.looped(item.body, x, y, axes, out)
        #expect(results.count == expected.count)
        for (result, expected) in zip(results, expected) {
          Self.expectClose(result, expected, tolerance, what)
        }
        let program = traced { (x: Tensor, y: Tensor) in f(x, y) }
        for call in ["recorded", "replayed"] {
          expectSame(program(x, y), results, what + ", " + call)
        }
        expectSame(lazily { f(x, y) }, results, what + ", deferred")
        // Nobody to map, and the same form.
        let none = f(
          axes.0.map { x.movedAxis(from: $0, to: 0)[0..<0].movedAxis(from: 0, to: $0) } ?? x,
          axes.1.map { y.movedAxis(from: $0, to: 0)[0..<0].movedAxis(from: 0, to: $0) } ?? y)
        for (none, result) in zip(none, results) {
          var shape = result.shape
          shape[out < 0 ? shape.count - 1 : 0] = 0
          #expect(none.shape == shape && none.dtype == result.dtype, "\(what), without examples")
        }
        if item.isDifferentiable && dtype.isFloatingPoint {
          try expectGradients(item, x, y, axes, f, tolerance * 4, what)
        }
      }
    }
  }

  private func lazily(_ body: () -> [Tensor]) -> [Tensor] {
    executingEagerly = false
    defer { executingEagerly = true }
    return body()
  }

  private func expectGradients(
    _ item: Case, _ x: Tensor, _ y: Tensor, _ axes: (Int?, Int?), _ f: @escaping Body,
    _ tolerance: Double, _ what: String
  ) throws {
    let given = y.dtype.isFloatingPoint ? [x, y] : [x]
    let out = axes.0 == 0 ? 0 : -1
    let mapped = grad { (t: [Tensor]) in Self.total(f(t[0], t.count > 1 ? t[1] : y)) }
    let loop = grad { (t: [Tensor]) in
      Self.total(Self.looped(item.body, t[0], t.count > 1 ? t[1] : y, axes, out))
    }
    let gradients = mapped(given)
    for (a, b) in zip(gradients, loop(given)) {
      Self.expectClose(a, b, tolerance, what + ", gradient")
    }
    expectSame(traced(mapped)(given), gradients, what + ", traced gradient")
    guard axes == (0, 0) || axes == (0, nil) else { return }
    // A gradient for each example, and the gradient of that.
    let each = { (x: Tensor, y: Tensor) -> [Tensor] in
      [grad { (x: Tensor, y: Tensor) in Self.total(item.body(x, y)) }(x, y)]
    }
    let perExample = vmap(inAxes: axes, each)
    let slopes = perExample(x, y)
    for (a, b) in zip(slopes, Self.looped(each, x, y, axes, 0)) {
      Self.expectClose(a, b, tolerance, what + ", gradients of examples")
    }
    expectSame(
      traced { (x: Tensor, y: Tensor) in perExample(x, y) }(x, y), slopes,
      what + ", traced gradients of examples")
    let second = grad { (x: Tensor) in Self.total(perExample(x, y)) }(x)
    let expected = grad { (x: Tensor) in Self.total(Self.looped(each, x, y, axes, 0)) }(x)
    Self.expectClose(second, expected, tolerance * 30, what + ", second derivatives")
  }

  // MARK: What is mapped

  static let elementwise: [Case] = [
    Case("unequal ranks", [4], [2, 3, 4]) { x, y in [x * y + x, y - x, atan2(x, y)] },
    Case("equal shapes", [2, 3], [2, 3]) { x, y in [x * y, x / (y.square() + 1), maximum(x, y)] },
    Case("numbers", [], [3]) { x, y in [x * y, x + 1, 2 - y, hypot(x, y)] },
    Case("functions", [3, 2], [2]) { x, y in
      [x.exp(), y.tanh(), x.sigmoid(), gelu(y), silu(x), softplus(x), erf(x), abs(x)]
    },
    Case("activations", [5], [5]) { x, y in
      [hardswish(x), mish(y), elu(x), leakyRelu(y), clip(x, min: -0.5, max: 0.5)]
    },
    Case("halves", [3, 2], [2], dtypes: [.float16, .bfloat16]) { x, y in
      [x * y, x.exp(), mish(x + y), x.softmax()]
    },
    Case("integers", [3], [2, 3], dtypes: [.int32, .int64, .uint8], isDifferentiable: false) {
      x, y in [x * y, floorDivide(x, y), remainder(x, y), x .< y, x.asType(.float32)]
    },
    Case("bools", [3], [2, 3], dtypes: [.bool], isDifferentiable: false) { x, y in
      [logicalAnd(x, y), logicalNot(x), which(x, y, x), y.any(axis: 0), x.all()]
    },
    Case("choices", [3], [2, 3]) { x, y in [which(x .> 0, x * y, y), which(y .> x, 1, x)] },
    Case("casts and constants", [3], [3]) { x, y in
      [x.asType(.int32).asType(.float32), y + ones([3]), arange(3) * x, full([2], 3.0)]
    },
    Case("what is shared alone", [2], [2]) { x, y in [y * 2, Tensor(3.0), x] },
  ]

  static let reductions: [Case] = [
    Case("sums", [2, 3, 4], [3]) { x, y in
      [x.sum(), x.sum(axis: 1), x.mean(axes: [0, 2], keepDims: true), y.prod(), x.max(axis: -1)]
    },
    Case("places", [2, 5], [3], isDifferentiable: false) { x, y in
      [x.argMax(axis: 1), x.argMin(), y.argMax(keepDims: true), x.argSort(axis: 0)]
    },
    Case("statistics", [4, 3], [5]) { x, y in
      [x.variance(axis: 0), y.std(), x.logSumExp(axis: 1), x.norm()]
    },
    Case("softmax", [2, 4], [4]) { x, y in
      [x.softmax(axis: 0), y.logSoftmax(), (x * y).softmax(), x.logSoftmax(axis: 0)]
    },
    Case("running", [3, 4], [4]) { x, y in
      [x.cumsum(axis: 0), y.cumprod(axis: 0), x.cummax(axis: 1), y.cummin(axis: -1)]
    },
    Case("order", [3, 5], [6]) { x, y in
      [x.sort(axis: 0), y.sort(descending: true), x.topK(2).values, y.topK(3).values]
    },
    Case("places of the largest", [3, 5], [6], isDifferentiable: false) { x, y in
      [x.topK(2, axis: 1).indices, y.topK(3).indices]
    },
  ]

  static let movement: [Case] = [
    Case("shapes", [2, 6], [4]) { x, y in
      [x.reshaped(3, 4), x.transposed(1, 0), x.flattened(), y.reshaped(2, 1, 2).squeezed(), x.T]
    },
    Case("repetition", [3], [2, 1]) { x, y in
      [x.broadcast(to: [2, 3]), y.broadcast(to: [2, 2, 4]), x.tiled([2]), y.repeated(count: 2)]
    },
    Case("parts", [5, 4], [6]) { x, y in
      [x[1..<4], x[2], x[0..., 1], y[(1..<6).by(2)], x.flipped(axis: 0), y.rolled(2)]
    },
    Case("joining", [2, 3], [3]) { x, y in
      [
        concatenated([x, x * 2], axis: 1), stacked([y, y + 1], axis: 1),
        concatenated([x, y.reshaped(1, 3)]), x.padded(widths: [(1, 0), (0, 2)], value: 3),
      ]
    },
    Case("replacing parts", [4, 3], [3]) { x, y in
      var (a, b) = (x, y)
      a[1] = y
      b[0..<2] = x[0, 0..<2]
      var c = zeros([2, 3], dtype: x.dtype)
      c[0] = y * x[0]
      return [a, b, c]
    },
    Case("splitting", [4, 2], [4]) { x, y in x.split(parts: 2) + y.split(indices: [1, 3]) },
  ]

  static let indexing: [Case] = [
    Case("take", [4, 3], [2, 2], indices: 3) { x, i in [x.take(i, axis: 0), x.take(i, axis: 1)] },
    Case("take from the end", [4, 3], [2], indices: 3) { x, i in [x.take(i - 3, axis: 1)] },
    Case("take one", [4, 3], [], indices: 4) { x, i in [x.take(i, axis: 0), x[i]] },
    Case("take along", [4, 3], [2, 3], indices: 4) { x, i in [x.takeAlong(i, axis: 0)] },
    Case("add at places", [4, 2], [5], indices: 4) { x, i in
      [
        x.scatterAdd(i, ones([5, 2], dtype: x.dtype), axis: 0),
        zeros([4, 2], dtype: x.dtype).scatterAdd(i, x[0].broadcast(to: [5, 2])),
        zeros([2, 4], dtype: x.dtype).scatterAdd(
          i, x[0..., 0..<1].sum().broadcast(to: [2, 5]), axis: 1),
      ]
    },
    Case("add along", [4, 2], [3, 2], indices: 4) { x, i in
      [x.scatterAddAlong(i, x[0..<3] * 2, axis: 0)]
    },
    Case("put at places", [4, 2], [5], indices: 4) { x, i in
      [
        x.scatterSet(i, x[0].broadcast(to: [5, 2]) * 3, axis: 0),
        zeros([2, 4], dtype: x.dtype).scatterSet(
          i - 4, ones([2, 5], dtype: x.dtype) * x[0, 0], axis: 1),
      ]
    },
    Case("one-hot", [3], [4], indices: 3) { x, i in [oneHot(i, 3, dtype: x.dtype) * x] },
    Case("subscripts", [4, 3], [2], indices: 3) { x, i in [x[i], x[0..., i]] },
  ]

  static let products: [Case] = [
    Case("matrices", [2, 3], [3, 4]) { x, y in [x.matmul(y), y.T.matmul(x.T)] },
    Case("vectors", [3], [3, 2]) { x, y in [x.matmul(y), y.T.matmul(x), x.dot(x), outer(x, x)] },
    Case("a matrix and a vector", [2, 3], [3]) { x, y in [x.matmul(y)] },
    Case("batches of matrices", [2, 1, 2, 3], [3, 3, 2]) { x, y in [x.matmul(y)] },
    Case("unequal batches", [2, 3], [2, 3, 2]) { x, y in [x.matmul(y), y.matmul(x)] },
    Case("einsum", [2, 3], [3, 4]) { x, y in
      [einsum("ij,jk->ki", x, y), einsum("ij,jk->", x, y), einsum("ij->j", x)]
    },
    Case("integer products", [2, 3], [3, 2], dtypes: [.int8, .int32], isDifferentiable: false) {
      x, y in [x.matmul(y)] + (x.dtype == .int8 ? [matmul(x, y, dtype: .int32)] : [])
    },
    Case("wide products", [2, 3], [3, 2], dtypes: [.float16, .bfloat16]) { x, y in
      [matmul(x, y, dtype: .float32), x.matmul(y)]
    },
    Case("linear", [5, 3], [2, 3]) { x, w in [linear(x, w), linear(x, w, w[0..., 0])] },
    Case("linear of a vector", [3], [2, 3]) { x, w in
      [linear(x, w), linear(x, w, ones([2], dtype: x.dtype))]
    },
    Case("a bias for each", [4, 3], [2]) { x, b in
      [linear(x, ones([2, 3], dtype: x.dtype), b)]
    },
    Case("nothing to sum", [2, 0], [0, 3]) { x, y in [x.matmul(y)] },
  ]

  static let images: [Case] = [
    Case("convolution", [2, 4, 6, 5], [4, 4, 3, 3]) { x, w in
      [conv2d(x, w), conv2d(x, w, stride: 2, padding: 1)]
    },
    Case("grouped convolution", [2, 4, 5, 5], [6, 2, 2, 2]) { x, w in
      [conv2d(x, w, dilation: 2, groups: 2)]
    },
    Case("transposed convolution", [2, 4, 3, 3], [4, 2, 2, 2]) { x, w in
      [convTransposed2d(x, w, stride: 2)]
    },
    Case("vector convolution", [2, 3, 7], [4, 3, 3]) { x, w in [conv1d(x, w, padding: 1)] },
    Case("pooling", [2, 3, 6, 6], [1, 2, 4, 4]) { x, y in
      [
        maxPool2d(x, kernelSize: 2), avgPool2d(x, kernelSize: 3, stride: 2, padding: 1),
        maxPool2d(y, kernelSize: 3, stride: 1, padding: 1), avgPool2d(y, kernelSize: 2),
      ]
    },
  ]

  static let norms: [Case] = [
    Case("layer norm", [2, 3, 4], [4]) { x, y in
      [
        layerNorm(x, weight: y, bias: y * 2),
        layerNorm(x, weight: ones([4], dtype: x.dtype), bias: y),
        layerNorm(x, weight: ones([4], dtype: x.dtype), bias: zeros([4], dtype: x.dtype)),
      ]
    },
    Case("RMS norm", [3, 4], [4]) { x, y in [rmsNorm(x, weight: y)] },
    Case("batch norm", [4, 3, 2, 2], [3], tolerance: 1e-4) { x, y in
      [
        batchNorm(x, weight: y, bias: y),
        batchNorm(x, mean: y, variance: y.square() + 1, weight: y, bias: y),
      ]
    },
    Case("group norm", [2, 4, 3], [4], tolerance: 1e-4) { x, y in
      [groupNorm(x, groups: 2, weight: y, bias: y)]
    },
    Case("cross entropy", [5, 4], [5], indices: 4) { x, i in
      [
        crossEntropy(x, i), crossEntropy(x, i, reduction: .sum),
        crossEntropy(x, i, reduction: .none),
        crossEntropy(x, i, labelSmoothing: 0.1, ignoreIndex: 1),
        crossEntropy(x, i, weight: arange(4).asType(x.dtype) + 1),
      ]
    },
    Case("cross entropy of one", [4], [], indices: 4) { x, i in [crossEntropy(x, i)] },
    Case("cross entropy of images", [2, 3, 4], [2, 4], indices: 3) { x, i in
      [
        crossEntropy(x, i, reduction: .sum, weight: x[0, 0..., 0].exp().detached()),
        crossEntropy(x, i, weight: x[0, 0..., 0].exp().detached()),
      ]
    },
  ]
}
