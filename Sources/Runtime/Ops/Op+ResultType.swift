extension Op {
  /// The dtype and shape of the result for inputs of these types.
  ///
  /// Inputs of elementwise operations must have been promoted to one dtype; they broadcast here.
  /// - Throws: `OpError`, which says what does not fit.
  public func resultType(for inputs: [TensorType]) throws(OpError) -> TensorType {
    try inputs.withUnsafeBufferPointer { buffer in
      Result { () throws(OpError) in try resultType(for: buffer) }
    }.get()
  }

  /// As the form that takes an array, for inputs that lie elsewhere.
  package func resultType(
    for inputs: UnsafeBufferPointer<TensorType>
  ) throws(OpError) -> TensorType {
    try check(count: inputs.count)
    let type = try uncheckedResultType(inputs)
    guard type.shape.isRepresentable else {
      throw fail("a result of shape \(type.shape) has more elements than any memory")
    }
    return type
  }

  /// The result's type without a look at how many elements it has.
  private func uncheckedResultType(
    _ inputs: UnsafeBufferPointer<TensorType>
  ) throws(OpError) -> TensorType {
    switch self {
    case .unary(let op):
      return TensorType(try op.resultDType(for: inputs[0].dtype), inputs[0].shape)
    case .binary(let op):
      return try op.resultType(for: inputs[0], inputs[1])
    case .compare(let op):
      return try op.resultType(for: inputs[0], inputs[1])
    case .select:
      return try selectType(inputs)
    case .cast(let dtype):
      return TensorType(dtype, inputs[0].shape)
    case .fill(let type, _):
      try requireSizes(of: type)
      return type
    case .iota(let dtype, let count, _, _):
      guard count >= 0 else { throw fail("a negative count: \(count)") }
      return TensorType(dtype, [count])
    case .reduce(let op, let axes, let keepDims):
      return try op.resultType(for: inputs[0], axes: axes, keepDims: keepDims)
    case .softmax(let axis), .logSoftmax(let axis):
      try check(axis: axis, of: inputs[0])
      try requireFloatingPoint(inputs[0])
      return inputs[0]
    case .softmaxGradient(let axis), .logSoftmaxGradient(let axis):
      try check(axis: axis, of: inputs[0])
      try requireFloatingPoint(inputs[0])
      try requireEqualDTypes(inputs)
      try require(inputs[1].shape, is: inputs[0].shape, "cotangent")
      return inputs[0]
    case .cumulative(_, let axis):
      try check(axis: axis, of: inputs[0])
      guard inputs[0].dtype != .bool else { throw fail("bool has no arithmetic; cast it first") }
      return inputs[0]
    case .argSort(let axis, _):
      try check(axis: axis, of: inputs[0])
      return TensorType(.int64, inputs[0].shape)
    case .argTopK(let axis, let count):
      try check(axis: axis, of: inputs[0])
      var shape = inputs[0].shape
      guard count >= 0 && count <= shape[axis] else {
        throw fail("axis \(axis) of \(shape) does not have \(count) elements")
      }
      shape[axis] = count
      return TensorType(.int64, shape)
    case .rowNorm, .rowNormInputGradient, .rowNormParameterGradient, .channelMoments, .channelNorm,
      .channelNormParameterGradient, .channelNormInputGradient:
      return try normalizationType(inputs)
    case .crossEntropy, .crossEntropyGradient:
      return try crossEntropyType(inputs)
    case .matmul:
      return try matmulType(inputs[0], inputs[1])
    case .wideMatmul(let dtype):
      let narrow = inputs[0].dtype
      guard let sums = narrow.productSums, sums == dtype else {
        let others = narrow.productSums.map { "\($0)" } ?? "no wider dtype"
        throw fail("sums of \(narrow) products are kept in \(others), not \(dtype)")
      }
      return TensorType(dtype, try matmulType(inputs[0], inputs[1]).shape)
    case .linear:
      return try linearType(inputs)
    case .conv2d(let convolution):
      return try convolution.resultType(input: inputs[0], weight: inputs[1])
    case .conv2dInputGradient(let convolution, let size):
      return try convolution.inputGradientType(cotangent: inputs[0], weight: inputs[1], size: size)
    case .conv2dWeightGradient(let convolution, let size):
      return try convolution.weightGradientType(input: inputs[0], cotangent: inputs[1], size: size)
    case .maxPool2d(let pooling), .averagePool2d(let pooling):
      if case .averagePool2d = self { try requireFloatingPoint(inputs[0]) }
      return try pooling.resultType(for: inputs[0], name)
    case .maxPool2dSelect(let pooling):
      guard inputs[0].shape == inputs[1].shape else {
        throw fail("values \(inputs[1].shape) do not match the input \(inputs[0].shape)")
      }
      try requireEqualDTypes(inputs)
      guard inputs[0].dtype == inputs[1].dtype else {
        throw fail("dtypes differ: \(inputs[0].dtype) and \(inputs[1].dtype)")
      }
      return try pooling.resultType(for: inputs[0], name)
    case .maxPool2dGradient(let pooling):
      try requireFloatingPoint(inputs[0])
      try requireEqualDTypes(inputs)
      try require(inputs[1].shape, is: pooling.resultType(for: inputs[0], name).shape, "cotangent")
      return inputs[0]
    case .averagePool2dGradient(let pooling, let size):
      var input = inputs[0]
      guard input.shape.rank == 4 else {
        throw fail("a cotangent [N, C, H, W], not \(input.shape)")
      }
      input.shape[2] = size.height
      input.shape[3] = size.width
      try require(inputs[0].shape, is: pooling.resultType(for: input, name).shape, "cotangent")
      return input
    case .reshape, .transpose, .broadcast, .slice, .copy, .barrier, .concatenate, .updateSlice:
      return try movementType(inputs)
    case .take, .takeAlong, .scatterAdd, .scatterAddAlong, .scatterSet:
      return try indexingType(inputs)
    case .random(let distribution, let type):
      try requireState(inputs[0])
      try requireSizes(of: type)
      if case .integer(let low, let high) = distribution, low >= high {
        throw fail("there is no integer from \(low) up and below \(high)")
      }
      return type
    case .advanceRandom:
      try requireState(inputs[0])
      return inputs[0]
    case .region(let region):
      for (i, type) in region.inputTypes.enumerated() where inputs[i] != type {
        throw fail("input \(i) is \(inputs[i]) instead of \(type)")
      }
      return Region.type
    case .regionResult(_, let type):
      return type
    }
  }

  private func requireState(_ type: TensorType) throws(OpError) {
    guard type == TensorType(.int64, [2]) else {
      throw fail("a generator's state is int64[2], not \(type)")
    }
  }

  private func requireSizes(of type: TensorType) throws(OpError) {
    guard type.shape.allSatisfy({ $0 >= 0 }) else {
      throw fail("\(type.shape) is not a shape: sizes are from 0 up")
    }
  }

  /// How many inputs the operation takes; nil: one or more, or as its result type says.
  public var inputCount: Int? {
    switch self {
    case .fill, .iota: 0
    case .unary, .cast, .reduce, .softmax, .logSoftmax, .cumulative, .argSort, .argTopK, .maxPool2d,
      .averagePool2d, .averagePool2dGradient, .reshape, .transpose, .broadcast, .slice, .copy,
      .barrier, .random,
      .advanceRandom, .regionResult:
      1
    case .binary, .compare, .matmul, .wideMatmul, .conv2d, .conv2dInputGradient,
      .conv2dWeightGradient,
      .maxPool2dSelect, .maxPool2dGradient, .softmaxGradient, .logSoftmaxGradient, .updateSlice,
      .take, .takeAlong:
      2
    case .select, .scatterAdd, .scatterAddAlong, .scatterSet: 3
    case .concatenate, .linear: nil
    case .region(let region): region.inputTypes.count
    case .rowNorm(let norm): norm.kind == .layer ? 3 : 2
    case .rowNormInputGradient, .channelNormParameterGradient: 3
    case .rowNormParameterGradient: 2
    case .channelMoments: 1
    case .channelNorm: 4
    case .channelNormInputGradient: 5
    case .crossEntropy(let loss): loss.hasWeights ? 3 : 2
    case .crossEntropyGradient(let loss): loss.hasWeights ? 4 : 3
    }
  }

  func fail(_ reason: String) -> OpError { OpError(name, reason) }

  private func check(count: Int) throws(OpError) {
    if let expected = inputCount {
      guard count == expected else { throw fail("takes \(expected) inputs, not \(count)") }
    } else if count == 0 {
      throw fail("takes at least one input")
    }
  }

  func check(axis: Int, of input: TensorType) throws(OpError) {
    guard axis >= 0 && axis < input.shape.rank else {
      throw fail("axis \(axis) is out of range for shape \(input.shape)")
    }
  }

  func requireFloatingPoint(_ input: TensorType) throws(OpError) {
    guard input.dtype.isFloatingPoint else {
      throw fail("needs a floating-point tensor, not \(input.dtype)")
    }
  }

  private func requireEqualDTypes(_ inputs: UnsafeBufferPointer<TensorType>) throws(OpError) {
    guard inputs[0].dtype == inputs[1].dtype else {
      throw fail("dtypes differ: \(inputs[0].dtype) and \(inputs[1].dtype)")
    }
  }

  func require(_ shape: Shape, is expected: Shape, _ what: String) throws(OpError) {
    guard shape == expected else { throw fail("\(what) has shape \(shape), expected \(expected)") }
  }

  private func selectType(_ inputs: UnsafeBufferPointer<TensorType>) throws(OpError) -> TensorType {
    guard inputs[0].dtype == .bool else {
      throw fail("the condition must be bool, not \(inputs[0].dtype)")
    }
    guard inputs[1].dtype == inputs[2].dtype else {
      throw fail("the values' dtypes differ: \(inputs[1].dtype) and \(inputs[2].dtype)")
    }
    guard let values = Shape.broadcast(inputs[1].shape, inputs[2].shape),
      let shape = Shape.broadcast(inputs[0].shape, values)
    else {
      throw fail(
        "shapes \(inputs[0].shape), \(inputs[1].shape) and \(inputs[2].shape) do not broadcast")
    }
    return TensorType(inputs[1].dtype, shape)
  }

  private func matmulType(_ a: TensorType, _ b: TensorType) throws(OpError) -> TensorType {
    guard a.dtype == b.dtype else { throw fail("dtypes differ: \(a.dtype) and \(b.dtype)") }
    guard a.dtype != .bool else { throw fail("bool has no arithmetic; cast it first") }
    guard a.shape.rank >= 2 && b.shape.rank >= 2 else {
      throw fail("needs at least two axes: \(a.shape) × \(b.shape)")
    }
    let (m, k) = (a.shape[a.shape.rank - 2], a.shape[a.shape.rank - 1])
    let (k2, n) = (b.shape[b.shape.rank - 2], b.shape[b.shape.rank - 1])
    guard k == k2 else {
      throw fail("inner dimensions differ: \(a.shape) × \(b.shape) (\(k) ≠ \(k2))")
    }
    guard
      var shape = Shape.broadcast(
        Shape(a.shape.dropLast(2)), Shape(b.shape.dropLast(2)))
    else { throw fail("batch dimensions do not broadcast: \(a.shape) × \(b.shape)") }
    shape.append(m)
    shape.append(n)
    return TensorType(a.dtype, shape)
  }

  private func linearType(_ inputs: UnsafeBufferPointer<TensorType>) throws(OpError) -> TensorType {
    guard inputs.count == 2 || inputs.count == 3 else {
      throw fail("takes an input, a weight and perhaps a bias, not \(inputs.count) inputs")
    }
    let (x, weight) = (inputs[0], inputs[1])
    for other in inputs.dropFirst() where other.dtype != x.dtype {
      throw fail("dtypes differ: \(x.dtype) and \(other.dtype)")
    }
    guard x.dtype != .bool else { throw fail("bool has no arithmetic; cast it first") }
    guard weight.shape.rank == 2 else { throw fail("a weight [out, in], not \(weight.shape)") }
    guard x.shape.rank >= 1 else { throw fail("an input [..., in], not \(x.shape)") }
    let (n, k) = (weight.shape[0], weight.shape[1])
    var shape = x.shape
    guard shape[shape.rank - 1] == k else {
      throw fail(
        "the input's last axis and the weight's differ: \(x.shape) and \(weight.shape) "
          + "(\(shape[shape.rank - 1]) ≠ \(k))")
    }
    if inputs.count == 3 { try require(inputs[2].shape, is: [n], "bias") }
    shape[shape.rank - 1] = n
    return TensorType(x.dtype, shape)
  }
}

extension DType {
  /// What sums of products of this dtype fit into, where that is a wider dtype.
  public var productSums: DType? {
    switch self {
    case .int8, .uint8, .int16: .int32
    case .float16, .bfloat16: .float32
    case .bool, .int32, .int64, .float32, .float64: nil
    }
  }
}

extension UnaryOp {
  /// The result's dtype for an input of that dtype.
  @inlinable public func resultDType(for dtype: DType) throws(OpError) -> DType {
    switch self {
    case .negate, .absolute, .sign, .square, .relu:
      guard dtype != .bool else {
        throw OpError("\(self)", "bool has no arithmetic; cast it first")
      }
      return dtype
    case .floor, .ceil, .round, .truncate:
      guard dtype != .bool else {
        throw OpError("\(self)", "bool has no arithmetic; cast it first")
      }
      return dtype
    case .sqrt, .rsqrt, .reciprocal, .exp, .expm1, .log, .log1p, .log2, .log10, .sin, .cos, .tan,
      .asin,
      .acos, .atan, .sinh, .cosh, .tanh, .erf, .sigmoid, .gelu, .geluTanh, .silu, .softplus:
      guard dtype.isFloatingPoint else {
        throw OpError("\(self)", "needs a floating-point tensor, not \(dtype)")
      }
      return dtype
    case .logicalNot:
      guard !dtype.isFloatingPoint else {
        throw OpError("\(self)", "needs a bool or integer tensor, not \(dtype)")
      }
      return dtype
    case .isNaN, .isInfinite, .isFinite:
      return .bool
    }
  }
}

extension BinaryOp {
  /// The name by which programs ask for it.
  @inlinable var called: String {
    switch self {
    case .atLeast, .atMost: "clip"
    default: "\(self)"
    }
  }

  @inlinable func resultDType(_ a: DType, _ b: DType) throws(OpError) -> DType {
    guard a == b else { throw OpError(called, "dtypes differ: \(a) and \(b)") }
    switch self {
    case .add, .subtract, .multiply, .divide, .floorDivide, .remainder, .floorRemainder, .power:
      guard a != .bool else { throw OpError(called, "bool has no arithmetic; cast it first") }
    case .maximum, .minimum, .atLeast, .atMost: break
    case .atan2, .hypot:
      guard a.isFloatingPoint else {
        throw OpError(called, "needs floating-point tensors, not \(a)")
      }
    case .bitwiseAnd, .bitwiseOr, .bitwiseXor:
      guard !a.isFloatingPoint else {
        throw OpError(called, "needs bool or integer tensors, not \(a)")
      }
    case .shiftLeft, .shiftRight:
      guard a.isInteger else { throw OpError(called, "needs integer tensors, not \(a)") }
    }
    return a
  }

  /// The inputs' common shape, and their dtype, which must be one.
  /// - Throws: `OpError` where dtypes differ or do not suit the operation, or shapes do not broadcast.
  @inlinable public func resultType(for a: TensorType, _ b: TensorType) throws(OpError)
    -> TensorType
  {
    let dtype = try resultDType(a.dtype, b.dtype)
    guard let shape = Shape.broadcast(a.shape, b.shape) else {
      throw OpError(called, "shapes \(a.shape) and \(b.shape) do not broadcast")
    }
    return TensorType(dtype, shape)
  }
}

extension ComparisonOp {
  /// `bool` of the inputs' common shape.
  /// - Throws: `OpError` where dtypes differ or shapes do not broadcast.
  @inlinable public func resultType(for a: TensorType, _ b: TensorType) throws(OpError)
    -> TensorType
  {
    guard a.dtype == b.dtype else {
      throw OpError("\(self)", "dtypes differ: \(a.dtype) and \(b.dtype)")
    }
    guard let shape = Shape.broadcast(a.shape, b.shape) else {
      throw OpError("\(self)", "shapes \(a.shape) and \(b.shape) do not broadcast")
    }
    return TensorType(.bool, shape)
  }
}

extension ReductionOp {
  /// The result's dtype for an input of that dtype: sums and products of integers and bools are `int64`.
  public func resultDType(for dtype: DType) throws(OpError) -> DType {
    switch self {
    case .sum, .product: return dtype.isFloatingPoint ? dtype : .int64
    case .mean:
      guard dtype.isFloatingPoint else {
        throw OpError("mean", "needs a floating-point tensor, not \(dtype); cast it first")
      }
      return dtype
    case .max, .min: return dtype
    case .all, .any:
      guard dtype == .bool else { throw OpError("\(self)", "needs a bool tensor, not \(dtype)") }
      return .bool
    case .argMax, .argMin: return .int64
    }
  }

  func resultType(for input: TensorType, axes: AxisSet, keepDims: Bool) throws(OpError)
    -> TensorType
  {
    var shape = Shape()
    var reduced = 1
    guard AxisSet(allOf: input.shape.rank).bits | axes.bits == AxisSet(allOf: input.shape.rank).bits
    else { throw OpError("\(self)", "axes \(axes.axes) are out of range for shape \(input.shape)") }
    for axis in 0..<input.shape.rank {
      if axes.contains(axis) {
        reduced *= input.shape[axis]
        if keepDims { shape.append(1) }
      } else {
        shape.append(input.shape[axis])
      }
    }
    switch self {
    case .max, .min, .argMax, .argMin:
      guard reduced > 0 || shape.elementCount == 0 else {
        throw OpError("\(self)", "no elements to choose from in shape \(input.shape)")
      }
    case .sum, .mean, .product, .all, .any: break
    }
    return TensorType(try resultDType(for: input.dtype), shape)
  }
}
