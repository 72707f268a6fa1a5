extension Op {
  func normalizationType(_ inputs: UnsafeBufferPointer<TensorType>) throws(OpError) -> TensorType {
    let x = inputs[0]
    try requireFloatingPoint(x)
    switch self {
    case .rowNorm(let norm):
      try requireParameters(inputs, 1..., norm.rowShape(of: x, self))
      return x
    case .rowNormInputGradient(let norm):
      try requireParameters(inputs, 1..<2, norm.rowShape(of: x, self))
      try require(inputs[2], is: x, "cotangent")
      return x
    case .rowNormParameterGradient(let norm):
      try require(inputs[1], is: x, "cotangent")
      let columns = try norm.rowShape(of: x, self).elementCount
      return TensorType(x.dtype, [norm.kind == .layer ? 2 : 1, columns])
    case .channelMoments:
      return try momentsType(x)
    case .channelNorm:
      try require(inputs[1], is: momentsType(x), "moments")
      try requireParameters(inputs, 2..., [x.shape[1]])
      return x
    case .channelNormParameterGradient:
      let moments = try momentsType(x)
      try require(inputs[1], is: moments, "moments")
      try require(inputs[2], is: x, "cotangent")
      return moments
    case .channelNormInputGradient:
      let moments = try momentsType(x)
      try require(inputs[1], is: moments, "moments")
      try requireParameters(inputs, 2..<3, [x.shape[1]])
      try require(inputs[3], is: moments, "sums")
      try require(inputs[4], is: x, "cotangent")
      return x
    default: preconditionFailure("\(name) is not a normalisation")
    }
  }

  func crossEntropyType(_ inputs: UnsafeBufferPointer<TensorType>) throws(OpError) -> TensorType {
    let (scores, labels) = (inputs[0], inputs[1])
    try requireFloatingPoint(scores)
    guard scores.shape.rank > 0 else { throw fail("needs scores of shape [N, C] or [C]") }
    let axis = CrossEntropy.axis(of: scores.shape)
    let expected = scores.shape.removing(axis: axis)
    guard labels.dtype == .int32 || labels.dtype == .int64, labels.shape == expected else {
      throw fail(
        "scores \(scores) need labels int64\(expected) or int32\(expected), not \(labels)")
    }
    guard scores.shape[axis] > 0 || labels.shape.elementCount == 0 else {
      throw fail("there are no classes in scores of shape \(scores.shape)")
    }
    func check(_ loss: CrossEntropy, weights: Int) throws(OpError) {
      guard loss.hasWeights else { return }
      try require(
        inputs[weights], is: TensorType(scores.dtype, [scores.shape[axis]]), "the weight")
    }
    switch self {
    case .crossEntropy(let loss):
      try check(loss, weights: 2)
      return TensorType(scores.dtype, loss.reduction == .each ? labels.shape : [])
    case .crossEntropyGradient(let loss):
      let result = TensorType(scores.dtype, loss.reduction == .each ? labels.shape : [])
      try require(inputs[2], is: result, "cotangent")
      try check(loss, weights: 3)
      return scores
    default: preconditionFailure("\(name) is not a cross entropy")
    }
  }

  private func require(_ type: TensorType, is expected: TensorType, _ what: String) throws(OpError)
  {
    guard type == expected else { throw fail("\(what) is \(type), expected \(expected)") }
  }

  /// Scale and offset.
  private func requireParameters(
    _ inputs: UnsafeBufferPointer<TensorType>, _ range: some RangeExpression<Int>, _ shape: Shape
  ) throws(OpError) {
    for i in range.relative(to: inputs) {
      try require(
        inputs[i], is: TensorType(inputs[0].dtype, shape),
        i == range.relative(to: inputs).lowerBound ? "scale" : "offset")
    }
  }

  private func momentsType(_ x: TensorType) throws(OpError) -> TensorType {
    guard x.shape.rank >= 2 else { throw fail("needs channels [N, C, ...], not \(x.shape)") }
    return TensorType(x.dtype.statisticsDType, [2, x.shape[1]])
  }
}

extension RowNorm {
  /// The last axes of a shape, which make a row.
  func rowShape(of x: TensorType, _ op: Op) throws(OpError) -> Shape {
    guard axes >= 0 && axes <= x.shape.rank else {
      throw op.fail("cannot be over \(axes) axes of shape \(x.shape)")
    }
    return Shape(x.shape.dropFirst(x.shape.rank - axes))
  }
}
