import DuetRuntime

// The gradient of every operation, written with public operations: so gradients can be differentiated and
// traced like any other code. A rule gets the output's cotangent `dy` and gives one cotangent per input, nil
// where none is wanted or the operation is constant there.

extension GradientFunction {
  func rule(_ saved: Saved, wanted: [Bool]) -> GradientRule {
    GradientRule(
      inputs: saved.inputs, output: saved.output, inputTypes: inputTypes, wanted: wanted)
  }
}

struct GradientRule {
  let inputs: [Tensor?]
  let output: Tensor?
  let inputTypes: [TensorType]
  let wanted: [Bool]

  /// A saved input.
  func x(_ i: Int) -> Tensor { inputs[i]! }
  /// The saved output.
  var y: Tensor { output! }

  func gradients(of op: Op, _ dy: Tensor) -> [Tensor?] {
    switch op {
    case .unary, .binary, .select: return inOnePass(op, dy)
    case .cast: return [dy.asType(inputTypes[0].dtype)]
    case .reduce(let op, let axes, _): return [reduction(op, axes, dy)]
    case .softmax(let axis):
      return [apply(.softmaxGradient(axis: axis), y, dy)]
    case .logSoftmax(let axis):
      return [apply(.logSoftmaxGradient(axis: axis), y, dy)]
    case .softmaxGradient(let axis):
      // Of y (c - Σ y c), for the softmax y and its cotangent c. The Jacobian by c is symmetric.
      func slope() -> Tensor { dy * (x(1) - sum(x(0) * x(1), axis)) - x(1) * sum(dy * x(0), axis) }
      return [
        wanted[0] ? slope() : nil, wanted[1] ? apply(.softmaxGradient(axis: axis), x(0), dy) : nil,
      ]
    case .logSoftmaxGradient(let axis):
      // Of c - exp(y) Σ c.
      let softmax = apply(.exp, x(0))
      return [
        wanted[0] ? -(dy * softmax * sum(x(1), axis)) : nil,
        wanted[1] ? dy - sum(dy * softmax, axis) : nil,
      ]
    case .cumulative(.sum, let axis):
      return [reversed(apply(.cumulative(.sum, axis: axis), reversed(dy, axis)), axis)]
    case .cumulative(.product, let axis):
      return [runningProductGradient(axis, dy)]
    case .cumulative(.max, let axis), .cumulative(.min, let axis):
      return [runningExtremeGradient(axis, dy)]
    case .rowNorm, .rowNormInputGradient, .rowNormParameterGradient, .channelMoments, .channelNorm,
      .channelNormParameterGradient, .channelNormInputGradient, .crossEntropy,
      .crossEntropyGradient:
      return normalization(op, dy)
    case .matmul: return matmul(dy)
    case .wideMatmul: return wideMatmul(dy)
    case .linear: return linear(dy)
    case .conv2d, .conv2dInputGradient, .conv2dWeightGradient: return convolution(op, dy)
    case .maxPool2d(let pooling): return [apply(.maxPool2dGradient(pooling), x(0), dy)]
    case .maxPool2dSelect(let pooling):
      return [nil, wanted[1] ? apply(.maxPool2dGradient(pooling), x(0), dy) : nil]
    case .maxPool2dGradient(let pooling):
      return [nil, wanted[1] ? apply(.maxPool2dSelect(pooling), x(0), dy) : nil]
    case .averagePool2d(let pooling):
      let size = Extent(inputTypes[0].shape[2], inputTypes[0].shape[3])
      return [apply(.averagePool2dGradient(pooling, inputSize: size), dy)]
    case .averagePool2dGradient(let pooling, _):
      return [apply(.averagePool2d(pooling), dy)]
    case .reshape, .transpose, .broadcast, .slice, .copy, .barrier, .concatenate, .updateSlice:
      return movement(op, dy)
    case .take, .takeAlong, .scatterAdd, .scatterAddAlong, .scatterSet:
      return indexing(op, dy)
    case .compare, .fill, .iota, .argSort, .argTopK, .random, .advanceRandom, .region,
      .regionResult:
      // What reaches the results of a region goes through its own gradient; see `RegionGradient`.
      return wanted.map { _ in nil }
    }
  }

  // MARK: Elementwise

  /// The gradients of an elementwise operation: where its inputs have the shape of the cotangent, in one pass.
  private func inOnePass(_ op: Op, _ dy: Tensor) -> [Tensor?] {
    let shape = dy.body.layout.shape
    guard dy.body.count >= FusedPass.fewestForTwo, let code = op.fusedGradient(wanted),
      wanted.indices.allSatisfy({ !wanted[$0] || inputTypes[$0].shape == shape })
    else { return elementwise(op, dy) }
    return fused(code, inputs.compactMap { $0 } + (output.map { [$0] } ?? []) + [dy]) { tensors in
      var next = tensors.makeIterator()
      let inputs = inputs.map { $0.flatMap { _ in next.next() } }
      let output = output.flatMap { _ in next.next() }
      let dy = next.next()!
      // What is wanted has the shape of the cotangent. Where that repeats one number, a number stands for it.
      let whole = dy.body.count > 1 ? dy : tensors.first { $0.body.count > 1 } ?? dy
      let types = inputTypes.map { TensorType($0.dtype, whole.body.layout.shape) }
      let rule = GradientRule(inputs: inputs, output: output, inputTypes: types, wanted: wanted)
      return rule.elementwise(op, dy)
    }
  }

  /// What formulas make of 16-bit floats is rounded once: squares and the like would overflow in between.
  private func elementwise(_ op: Op, _ dy: Tensor) -> [Tensor?] {
    guard dy.dtype.isHalf, op.hasGradientFormula(wanted) else { return formula(op, dy) }
    let rule = GradientRule(
      inputs: inputs.map { $0?.asType(.float32) }, output: output?.asType(.float32),
      inputTypes: inputTypes.map { TensorType(.float32, $0.shape) }, wanted: wanted)
    return rule.formula(op, dy.asType(.float32)).map { $0?.asType(dy.dtype) }
  }

  private func formula(_ op: Op, _ dy: Tensor) -> [Tensor?] {
    switch op {
    case .unary(let op): return [unary(op, dy)]
    case .binary(let op): return binary(op, dy)
    case .select:
      let nothing = zero(dy.dtype)
      return [
        nil,
        wanted[1] ? unbroadcast(apply(.select, [x(0), dy, nothing]), 1) : nil,
        wanted[2] ? unbroadcast(apply(.select, [x(0), nothing, dy]), 2) : nil,
      ]
    default: preconditionFailure("\(op.name) is not elementwise")
    }
  }

  /// A zero that broadcasts.
  private func zero(_ dtype: DType) -> Tensor {
    apply(.fill(TensorType(dtype, []), Element(bits: 0)), [])
  }

  private func unary(_ op: UnaryOp, _ dy: Tensor) -> Tensor? {
    switch op {
    case .negate: return -dy
    case .absolute: return dy * apply(.sign, x(0))
    case .square: return dy * (x(0) * 2)
    case .sqrt: return dy / (y * 2)
    case .rsqrt: return dy * (y * y * y) * -0.5
    case .reciprocal: return -(dy * (y * y))
    case .exp: return dy * y
    case .expm1: return dy * (y + 1)
    case .log: return dy / x(0)
    case .log1p: return dy / (x(0) + 1)
    case .log2: return dy / (x(0) * 0.6931471805599453)
    case .log10: return dy / (x(0) * 2.302585092994046)
    case .sin: return dy * apply(.cos, x(0))
    case .cos: return -(dy * apply(.sin, x(0)))
    case .tan: return dy * (y * y + 1)
    case .asin: return dy * apply(.rsqrt, 1 - x(0) * x(0))
    case .acos: return -(dy * apply(.rsqrt, 1 - x(0) * x(0)))
    case .atan: return dy / (x(0) * x(0) + 1)
    case .sinh: return dy * apply(.cosh, x(0))
    case .cosh: return dy * apply(.sinh, x(0))
    case .tanh: return dy * (1 - y * y)
    case .erf: return dy * apply(.exp, -(x(0) * x(0))) * 1.1283791670955126
    case .sigmoid: return dy * (y * (1 - y))
    case .relu: return apply(.select, [y .> 0, dy, zero(dy.dtype)])
    case .gelu:
      // Φ(x) + x φ(x)
      let cdf = (apply(.erf, x(0) * 0.7071067811865476) + 1) * 0.5
      let pdf = apply(.exp, x(0) * x(0) * -0.5) * 0.3989422804014327
      return dy * (cdf + x(0) * pdf)
    case .geluTanh:
      // x σ(v) with v = √(8/π) (x + 0.044715 x³): σ + x σ (1 - σ) v'
      let squared = x(0) * x(0)
      let s = apply(.sigmoid, x(0) * (squared * 0.07135481627260025 + 1.5957691216057308))
      let slope = squared * 0.21406444881780073 + 1.5957691216057308
      return dy * (s + x(0) * (s * (1 - s)) * slope)
    case .silu:
      let s = apply(.sigmoid, x(0))
      return dy * (s * (x(0) * (1 - s) + 1))
    case .softplus: return dy * apply(.sigmoid, x(0))
    case .sign, .floor, .ceil, .round, .truncate: return zeros(like: dy)
    case .logicalNot, .isNaN, .isInfinite, .isFinite: return nil
    }
  }

  private func binary(_ op: BinaryOp, _ dy: Tensor) -> [Tensor?] {
    /// Evaluates only what is wanted, and sums over the axes along which the input was repeated.
    func both(_ a: () -> Tensor, _ b: () -> Tensor) -> [Tensor?] {
      [wanted[0] ? unbroadcast(a(), 0) : nil, wanted[1] ? unbroadcast(b(), 1) : nil]
    }
    /// The cotangent goes to where the condition holds; ties share it equally.
    func chosen(_ better: ComparisonOp) -> [Tensor?] {
      let nothing = zero(dy.dtype)
      let half = dy * 0.5
      let isTie = apply(.compare(.equal), x(0), x(1))
      func share(_ a: Tensor, _ b: Tensor) -> Tensor {
        apply(
          .select, [isTie, half, apply(.select, [apply(.compare(better), a, b), dy, nothing])])
      }
      return both({ share(x(0), x(1)) }, { share(x(1), x(0)) })
    }
    switch op {
    case .add: return both({ dy }, { dy })
    case .subtract: return both({ dy }, { -dy })
    case .multiply: return both({ dy * x(1) }, { dy * x(0) })
    case .divide:
      // The square of the divisor might overflow or vanish.
      return both({ dy / x(1) }, { -(dy * (x(0) / x(1) / x(1))) })
    case .power:
      return both(
        {
          // b a^(b - 1), and 0 where b is 0, whatever a is: a^-1, which has no slope at 0, is kept out of it.
          let isZero = x(1) .== 0
          let exponent = which(isZero, 1, x(1) - 1)
          let slope = x(1) * apply(.power, x(0), exponent)
          return dy * apply(.select, [isZero, zero(dy.dtype), slope])
        },
        {
          // a^b log a, and 0 for a = 0 with b >= 0, where a^b does not change.
          let isFlat = (x(0) .== 0) .& (x(1) .>= 0)
          return apply(
            .select, [isFlat, zero(dy.dtype), dy * y * apply(.log, x(0))])
        })
    case .atLeast, .atMost:
      // As in PyTorch, neither has a gradient where one is not a number.
      let (within, beyond): (ComparisonOp, ComparisonOp) =
        op == .atLeast ? (.greaterEqual, .less) : (.lessEqual, .greater)
      func share(_ condition: ComparisonOp) -> Tensor {
        apply(.select, [apply(.compare(condition), x(0), x(1)), dy, zero(dy.dtype)])
      }
      return both({ share(within) }, { share(beyond) })
    case .maximum: return chosen(.greater)
    case .minimum: return chosen(.less)
    case .atan2:
      // 0 at the origin, and so near to it that the squares vanish, as in PyTorch.
      let squares = x(0) * x(0) + x(1) * x(1)
      let isOrigin = squares .== 0
      let zero = zeros(like: squares)
      let d = apply(.select, [isOrigin, zero, dy])
      let divisor = apply(.select, [isOrigin, ones(like: squares), squares])
      return both({ d * x(1) / divisor }, { -(d * x(0)) / divisor })
    case .hypot: return both({ dy * x(0) / y }, { dy * x(1) / y })
    case .remainder:
      return both({ dy }, { -(dy * apply(.truncate, x(0) / x(1))) })
    case .floorRemainder:
      return both({ dy }, { -(dy * apply(.floorDivide, x(0), x(1))) })
    case .floorDivide: return both({ zeros(like: dy) }, { zeros(like: dy) })
    case .bitwiseAnd, .bitwiseOr, .bitwiseXor, .shiftLeft, .shiftRight: return [nil, nil]
    }
  }

  /// Sums a cotangent over the axes along which input i was repeated.
  func unbroadcast(_ gradient: Tensor, _ i: Int) -> Tensor {
    let shape = inputTypes[i].shape
    let full = gradient.body.layout.shape
    // One number may stand for a cotangent that repeats it: see `inOnePass`.
    if shape == full || full.rank < shape.rank { return gradient }
    let lead = full.rank - shape.rank
    let axes = (0..<full.rank).filter { $0 < lead || (shape[$0 - lead] == 1 && full[$0] != 1) }
    let sum = apply(.reduce(.sum, axes: AxisSet(axes), keepDims: false), gradient)
    return sum.body.layout.shape == shape ? sum : apply(.reshape(shape), sum)
  }

  // MARK: Reductions

  private func sum(_ tensor: Tensor, _ axis: Int) -> Tensor {
    apply(.reduce(.sum, axes: AxisSet(axis), keepDims: true), tensor)
  }

  private func reversed(_ tensor: Tensor, _ axis: Int) -> Tensor {
    var slice = Slice(all: tensor.body.layout.shape)
    guard slice.sizes[axis] > 0 else { return tensor }
    slice.starts[axis] = slice.sizes[axis] - 1
    slice.steps[axis] = -1
    return apply(.slice(slice), tensor)
  }

  /// A reduction's result or cotangent with the reduced axes put back as axes of one element.
  private func kept(_ tensor: Tensor, _ axes: AxisSet) -> Tensor {
    var shape = inputTypes[0].shape
    for axis in axes.axes { shape[axis] = 1 }
    return tensor.body.layout.shape == shape ? tensor : apply(.reshape(shape), tensor)
  }

  private func reduction(_ op: ReductionOp, _ axes: AxisSet, _ dy: Tensor) -> Tensor? {
    let shape = inputTypes[0].shape
    switch op {
    case .sum: return apply(.broadcast(shape), kept(dy, axes))
    case .mean:
      let count = axes.axes.reduce(1) { $0 * shape[$1] }
      return apply(.broadcast(shape), kept(dy, axes) / Double(count))
    case .max, .min:
      // Equal extremes share the cotangent.
      let isExtreme = apply(.compare(.equal), x(0), kept(y, axes)).asType(inputTypes[0].dtype)
      let count = apply(.reduce(.sum, axes: axes, keepDims: true), isExtreme)
      return isExtreme * (kept(dy, axes) / count)
    case .product: return productGradient(axes, dy)
    case .all, .any, .argMax, .argMin: return nil
    }
  }

  /// dxᵢ = pᵢ sᵢ with the product pᵢ of the elements before i, and sᵢ = dyᵢ + xᵢ₊₁ sᵢ₊₁. The recurrence is
  /// solved by doubling (Kogge and Stone, 1973), without a division: zeros do no harm.
  private func runningProductGradient(_ axis: Int, _ dy: Tensor) -> Tensor {
    let shape = inputTypes[0].shape
    let count = shape[axis]
    func filled(_ value: Double, _ count: Int) -> Tensor {
      var part = shape
      part[axis] = count
      return apply(.fill(TensorType(dy.dtype, part), Element(value, dy.dtype)), [])
    }
    func shifted(_ tensor: Tensor, _ distance: Int) -> Tensor {
      let rest = tensor.part(along: axis, distance, count - distance)
      return apply(.concatenate(axis: axis), [rest, filled(0, distance)])
    }
    if count < 2 { return dy }
    let before = apply(
      .concatenate(axis: axis), [filled(1, 1), x(0).part(along: axis, 0, count - 1)])
    var factor = shifted(x(0), 1)
    var sum = dy
    var distance = 1
    while distance < count {
      sum = sum + factor * shifted(sum, distance)
      factor = factor * shifted(factor, distance)
      distance *= 2
    }
    return apply(.cumulative(.product, axis: axis), before) * sum
  }

  /// Each place's cotangent goes to the extreme that stands there: the last of equals, the last
  /// not-a-number.
  private func runningExtremeGradient(_ axis: Int, _ dy: Tensor) -> Tensor {
    let shape = inputTypes[0].shape
    var along = Shape(repeating: 1, rank: shape.rank)
    along[axis] = shape[axis]
    let places = apply(
      .broadcast(shape),
      apply(
        .reshape(along), apply(.iota(.int64, count: shape[axis], start: 0, step: 1), [])))
    let isExtreme = apply(.compare(.equal), x(0), y) .| apply(.isNaN, x(0))
    let found = apply(.select, [isExtreme, places, zeros(like: places)])
    let last = apply(.cumulative(.max, axis: axis), found)
    return apply(.scatterAddAlong(axis: axis), onto: zeros(like: dy), last, dy)
  }

  /// The product of all other elements: from the running products before and behind each, so that zeros
  /// do no harm.
  private func productGradient(_ axes: AxisSet, _ dy: Tensor) -> Tensor {
    let shape = inputTypes[0].shape
    let keptAxes = (0..<shape.rank).filter { !axes.contains($0) }
    let permutation = keptAxes + axes.axes
    let moved = apply(.transpose(Shape(permutation)), x(0))
    let count = axes.axes.reduce(1) { $0 * shape[$1] }
    let rows = keptAxes.reduce(1) { $0 * shape[$1] }
    if count == 0 || rows == 0 { return zeros(like: x(0)) }
    let flat = apply(.reshape([rows, count]), moved)
    let one = apply(.fill(TensorType(flat.dtype, [rows, 1]), Element(1, flat.dtype)), [])
    func before(_ tensor: Tensor) -> Tensor {
      var slice = Slice(all: [rows, count])
      slice.sizes[1] = count - 1
      let shifted = apply(.concatenate(axis: 1), [one, apply(.slice(slice), tensor)])
      return apply(.cumulative(.product, axis: 1), shifted)
    }
    let others = before(flat) * reversed(before(reversed(flat, 1)), 1)
    let cotangent = apply(.reshape([rows, 1]), apply(.copy, kept(dy, axes)))
    var inverse = Shape(repeating: 0, rank: shape.rank)
    for (position, axis) in permutation.enumerated() { inverse[axis] = position }
    let result = apply(.reshape(moved.body.layout.shape), others * cotangent)
    return apply(.transpose(inverse), result)
  }

  // MARK: Contractions

  private func swapped(_ tensor: Tensor) -> Tensor {
    var permutation = Shape(0..<tensor.ndim)
    permutation[tensor.ndim - 1] = tensor.ndim - 2
    permutation[tensor.ndim - 2] = tensor.ndim - 1
    return apply(.transpose(permutation), tensor)
  }

  private func matmul(_ dy: Tensor) -> [Tensor?] {
    [
      wanted[0] ? unbroadcast(apply(.matmul, dy, swapped(x(1))), 0) : nil,
      wanted[1] ? rightFactor(dy) : nil,
    ]
  }

  private func rightFactor(_ dy: Tensor) -> Tensor {
    if let product = productForMatrix(of: .matmul, dy) {
      var sum = GradientSum(inputTypes[1])
      sum.add(product)
      return sum.take()
    }
    return unbroadcast(apply(.matmul, swapped(x(0)), dy), 1)
  }

  /// The cotangent of the second argument, if it is a matrix that all rows of the first are multiplied by: a
  /// product over all of them.
  func productForMatrix(of op: Op, _ dy: Tensor) -> GradientSum.Product? {
    switch op {
    case .matmul where inputTypes[1].shape.rank == 2:
      GradientSum.Product(left: rows(x(0)), right: rows(dy))
    case .linear: GradientSum.Product(left: rows(dy), right: rows(x(0)))
    default: nil
    }
  }

  /// All rows of a tensor, as a matrix.
  private func rows(_ tensor: Tensor) -> Tensor {
    let shape = tensor.body.layout.shape
    if shape.rank == 2 { return tensor }
    return apply(.reshape([shape.dropLast().reduce(1, *), shape[shape.rank - 1]]), tensor)
  }

  /// The cotangent has the dtype of the sums; so do the products with it, before they are rounded.
  private func wideMatmul(_ dy: Tensor) -> [Tensor?] {
    func narrowed(_ gradient: Tensor, _ i: Int) -> Tensor {
      unbroadcast(gradient, i).asType(inputTypes[i].dtype)
    }
    return [
      wanted[0] ? narrowed(apply(.matmul, dy, swapped(x(1).asType(dy.dtype))), 0) : nil,
      wanted[1] ? narrowed(apply(.matmul, swapped(x(0).asType(dy.dtype)), dy), 1) : nil,
    ]
  }

  /// With Y = X Wᵀ + b over all rows: dX = dY W, dW = dYᵀ X, db the sum of dY's rows.
  private func linear(_ dy: Tensor) -> [Tensor?] {
    var gradients: [Tensor?] = [nil, nil]
    if wanted[0] {
      let dx = apply(.matmul, rows(dy), x(1))
      gradients[0] =
        inputTypes[0].shape.rank == 2 ? dx : apply(.reshape(inputTypes[0].shape), dx)
    }
    if wanted[1] {
      var sum = GradientSum(inputTypes[1])
      sum.add(productForMatrix(of: .linear, dy)!)
      gradients[1] = sum.take()
    }
    if wanted.count == 3 { gradients.append(wanted[2] ? unbroadcast(dy, 2) : nil) }
    return gradients
  }

  private func convolution(_ op: Op, _ d: Tensor) -> [Tensor?] {
    func size(_ i: Int) -> Extent { Extent(inputTypes[i].shape[2], inputTypes[i].shape[3]) }
    switch op {
    case .conv2d(let c):
      return [
        wanted[0] ? apply(.conv2dInputGradient(c, inputSize: size(0)), d, x(1)) : nil,
        wanted[1] ? apply(.conv2dWeightGradient(c, kernelSize: size(1)), x(0), d) : nil,
      ]
    case .conv2dInputGradient(let c, _):  // of (dy, w); d has the input's shape
      return [
        wanted[0] ? apply(.conv2d(c), d, x(1)) : nil,
        wanted[1] ? apply(.conv2dWeightGradient(c, kernelSize: size(1)), d, x(0)) : nil,
      ]
    case .conv2dWeightGradient(let c, _):  // of (x, dy); d has the weight's shape
      return [
        wanted[0] ? apply(.conv2dInputGradient(c, inputSize: size(0)), x(1), d) : nil,
        wanted[1] ? apply(.conv2d(c), x(0), d) : nil,
      ]
    default: preconditionFailure("\(op.name) is not a convolution")
    }
  }

  // MARK: Movement and indexing

  private func movement(_ op: Op, _ dy: Tensor) -> [Tensor?] {
    switch op {
    case .reshape: return [apply(.reshape(inputTypes[0].shape), dy)]
    case .transpose(let permutation):
      var inverse = permutation
      for (position, axis) in permutation.enumerated() { inverse[axis] = position }
      return [apply(.transpose(inverse), dy)]
    case .broadcast: return [unbroadcast(dy, 0)]
    case .slice(let slice):
      var sum = GradientSum(inputTypes[0])
      sum.add(dy, slice)
      return [sum.take()]
    case .copy, .barrier: return [dy]
    case .concatenate(let axis):
      var slice = Slice(all: dy.body.layout.shape)
      return inputTypes.enumerated().map { i, type in
        slice.sizes[axis] = type.shape[axis]
        defer { slice.starts[axis] += type.shape[axis] }
        return wanted[i] ? apply(.slice(slice), dy) : nil
      }
    case .updateSlice(let slice):
      let zero = apply(.fill(inputTypes[1], Element(bits: 0)), [])
      return [
        wanted[0] ? apply(.updateSlice(slice), dy, zero) : nil,
        wanted[1] ? apply(.slice(slice), dy) : nil,
      ]
    default: preconditionFailure("\(op.name) is not a movement operation")
    }
  }

  private func indexing(_ op: Op, _ dy: Tensor) -> [Tensor?] {
    switch op {
    case .take(let axis):
      let base = apply(.fill(inputTypes[0], Element(bits: 0)), [])
      // One vector of indices, and updates with one axis in its place.
      let indices = apply(.reshape([x(1).size]), x(1))
      var shape = inputTypes[0].shape
      shape[axis] = x(1).size
      return [apply(.scatterAdd(axis: axis), onto: base, indices, apply(.reshape(shape), dy)), nil]
    case .takeAlong(let axis):
      let base = apply(.fill(inputTypes[0], Element(bits: 0)), [])
      return [apply(.scatterAddAlong(axis: axis), onto: base, x(1), dy), nil]
    case .scatterAdd(let axis):
      return [dy, nil, wanted[2] ? apply(.take(axis: axis), dy, x(1)) : nil]
    case .scatterAddAlong(let axis):
      return [dy, nil, wanted[2] ? apply(.takeAlong(axis: axis), dy, x(1)) : nil]
    case .scatterSet(let axis):
      let updates = TensorType(inputTypes[2].dtype, inputTypes[2].shape)
      let zero = apply(.fill(updates, Element(bits: 0)), [])
      // Of equal indices the last one stays, and it alone gets the cotangent.
      return [
        wanted[0] ? apply(.scatterSet(axis: axis), [dy, x(1), zero]) : nil, nil,
        wanted[2] ? lastOfEqual(axis, dy) : nil,
      ]
    default: preconditionFailure("\(op.name) is not an indexing operation")
    }
  }

  /// The cotangents of a scatter's values, 0 for those that a later equal index overwrote.
  private func lastOfEqual(_ axis: Int, _ dy: Tensor) -> Tensor {
    let count = x(1).size
    let size = inputTypes[0].shape[axis]
    let places = apply(.iota(.int64, count: count, start: 0, step: 1), [])
    let base = apply(.fill(TensorType(.int64, [size]), Element(integer: -1, .int64)), [])
    let winners = apply(.scatterSet(axis: 0), onto: base, x(1), places)
    let isLast = apply(.compare(.equal), apply(.take(axis: 0), winners, x(1)), places)
    var shape = Shape(repeating: 1, rank: inputTypes[0].shape.rank)
    shape[axis] = count
    let taken = apply(.take(axis: axis), dy, x(1))
    return apply(.select, [apply(.reshape(shape), isLast), taken, zeros(like: taken)])
  }
}

extension Op {
  /// Whether the gradient takes more than one operation that rounds.
  fileprivate func hasGradientFormula(_ wanted: [Bool]) -> Bool {
    switch self {
    case .unary(let op):
      switch op {
      case .negate, .absolute, .exp, .log, .relu, .sign, .floor, .ceil, .round, .truncate,
        .logicalNot, .isNaN, .isInfinite, .isFinite:
        false
      default: true
      }
    case .binary(let op):
      switch op {
      case .divide: wanted[1]
      case .power, .atan2, .hypot, .remainder, .floorRemainder: true
      default: false
      }
    default: false
    }
  }

  /// Names the gradient for `fused`; nil where it is one operation at most.
  fileprivate func fusedGradient(_ wanted: [Bool]) -> FusedCode? {
    switch self {
    case .unary(let op):
      switch op {
      case .negate, .exp, .log, .sign, .floor, .ceil, .round, .truncate, .logicalNot, .isNaN,
        .isInfinite, .isFinite:
        nil
      default: FusedCode(gradientOf: 1, op.rawValue, wanted: wanted)
      }
    case .binary(let op):
      switch op {
      case .add, .subtract, .floorDivide, .bitwiseAnd, .bitwiseOr, .bitwiseXor, .shiftLeft,
        .shiftRight:
        nil
      case .multiply where !wanted.allSatisfy { $0 }, .divide where !wanted[1]: nil
      default: FusedCode(gradientOf: 2, op.rawValue, wanted: wanted)
      }
    case .select where wanted[1] && wanted[2]: FusedCode(gradientOf: 3, 0, wanted: wanted)
    default: nil
    }
  }
}
