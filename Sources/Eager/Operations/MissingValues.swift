import DuetRuntime

// Reductions that leave out what is not a number, and other ways to get rid of it.
extension Tensor {
  /// The sum of the elements that are numbers: of none 0. Integers and booleans add up as `int64`.
  public func nanSum(axis: Int? = nil, keepDims: Bool = false) -> Tensor {
    withoutNaN().sum(axis: axis, keepDims: keepDims)
  }

  /// The sum of the elements that are numbers over several axes: of none 0. Integers and booleans add up as `int64`.
  public func nanSum(axes: [Int], keepDims: Bool = false) -> Tensor {
    withoutNaN().sum(axes: axes, keepDims: keepDims)
  }

  /// The mean of the elements that are numbers; of none not-a-number. Floating point.
  public func nanMean(axis: Int? = nil, keepDims: Bool = false) -> Tensor {
    nanMean(axis.map { [$0] }, keepDims)
  }

  /// The mean of the elements that are numbers over several axes; of none not-a-number. Floating point.
  public func nanMean(axes: [Int], keepDims: Bool = false) -> Tensor { nanMean(axes, keepDims) }

  private func nanMean(_ axes: [Int]?, _ keepDims: Bool) -> Tensor {
    guard let set = checkedAxes(axes, "nanMean"), requireFloatingPoint("nanMean") else {
      return .failed
    }
    // Of 16 bits in float32, whose sums do not overflow.
    let x = widened()
    let sum = apply(.reduce(.sum, axes: set, keepDims: keepDims), x.withoutNaN())
    let isNumber = withoutGradient.isNaN().logicalNot()
    let count = apply(.reduce(.sum, axes: set, keepDims: keepDims), isNumber)
    return (sum / count.asType(x.dtype)).asType(dtype)
  }

  private func withoutNaN() -> Tensor {
    dtype.isFloatingPoint ? which(withoutGradient.isNaN(), 0, self) : self
  }

  /// With other values in the place of not-a-number and the infinities.
  ///
  /// - Parameters:
  ///   - nan: Stands for not-a-number.
  ///   - posInf: Stands for infinity; nil: the largest number of the dtype.
  ///   - negInf: Stands for -infinity; nil: the smallest number of the dtype.
  public func nanToNum(nan: Double = 0, posInf: Double? = nil, negInf: Double? = nil) -> Tensor {
    guard !isFailed, let largest = dtype.greatestFinite else { return self }
    let x = withoutGradient
    let numbers = which(x.isNaN(), nan, self)
    let below = which(x .== Double.infinity, posInf ?? largest, numbers)
    return which(x .== -Double.infinity, negInf ?? -largest, below)
  }
}

extension DType {
  /// The largest finite number; nil for what is not floating point.
  fileprivate var greatestFinite: Double? {
    switch self {
    case .float16: 65504
    case .bfloat16: 0x1.FEp127
    case .float32: Double(Float.greatestFiniteMagnitude)
    case .float64: .greatestFiniteMagnitude
    case .bool, .uint8, .int8, .int16, .int32, .int64: nil
    }
  }
}

/// The sum of the elements that are numbers: of none 0. Integers and booleans add up as `int64`.
public func nanSum(_ x: Tensor, axis: Int? = nil, keepDims: Bool = false) -> Tensor {
  x.nanSum(axis: axis, keepDims: keepDims)
}

/// The sum of the elements that are numbers over several axes: of none 0. Integers and booleans add up as `int64`.
public func nanSum(_ x: Tensor, axes: [Int], keepDims: Bool = false) -> Tensor {
  x.nanSum(axes: axes, keepDims: keepDims)
}

/// The mean of the elements that are numbers; of none not-a-number. Floating point.
public func nanMean(_ x: Tensor, axis: Int? = nil, keepDims: Bool = false) -> Tensor {
  x.nanMean(axis: axis, keepDims: keepDims)
}

/// The mean of the elements that are numbers over several axes; of none not-a-number. Floating point.
public func nanMean(_ x: Tensor, axes: [Int], keepDims: Bool = false) -> Tensor {
  x.nanMean(axes: axes, keepDims: keepDims)
}

/// With other values in the place of not-a-number and the infinities: 0 and the dtype's largest and smallest numbers, if
/// nothing else is given.
public func nanToNum(
  _ x: Tensor, nan: Double = 0, posInf: Double? = nil, negInf: Double? = nil
) -> Tensor {
  x.nanToNum(nan: nan, posInf: posInf, negInf: negInf)
}
