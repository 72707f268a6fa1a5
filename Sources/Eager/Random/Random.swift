import DuetRuntime

/// Tensors of random numbers.
///
/// Every function draws from `Generator.global`, which starts with the seed 0, or from a generator
/// of its own.
public enum Random {
  /// Sets the global generator to the start of a seed's numbers.
  public static func seed(_ seed: Int) { Generator.global.seed(seed) }

  /// Normally distributed numbers. Floating point.
  public static func normal(
    _ shape: [Int] = [], mean: Double = 0, std: Double = 1, dtype: DType = .float32,
    generator: Generator? = nil
  ) -> Tensor {
    guard let type = floatingType(dtype, shape, "Random.normal") else { return .failed }
    var values = draw(.normal, type, generator)
    if std != 1 { values = values * std }
    return mean == 0 ? values : values + mean
  }

  /// Numbers from `low` up to but not including `high`, all equally likely. Floating point.
  public static func uniform(
    low: Double = 0, high: Double = 1, _ shape: [Int] = [], dtype: DType = .float32,
    generator: Generator? = nil
  ) -> Tensor {
    guard let type = floatingType(dtype, shape, "Random.uniform") else { return .failed }
    let values = draw(.uniform, type, generator)
    if low == 0 && high == 1 { return values }
    // The sum may round up to `high`.
    let scaled = values * (high - low) + low
    let last = Element(high, dtype).before(dtype)
    return low < high && last >= low && high.isFinite ? promoting(.atMost, scaled, last) : scaled
  }

  /// Whole numbers of a range, all equally likely.
  public static func randInt(
    _ range: Range<Int>, _ shape: [Int] = [], dtype: DType = .int64, generator: Generator? = nil
  ) -> Tensor {
    guard dtype.isInteger else {
      return fail(OpError("Random.randInt", "needs an integer dtype, not \(dtype)"))
    }
    guard !range.isEmpty else {
      return fail(OpError("Random.randInt", "the range \(range) is empty"))
    }
    guard let shape = checked(shape, "Random.randInt") else { return .failed }
    guard dtype.holds(range.lowerBound), dtype.holds(range.upperBound - 1) else {
      return fail(OpError("Random.randInt", "\(dtype) does not hold all of the range \(range)"))
    }
    let bounds = Distribution.integer(low: range.lowerBound, high: range.upperBound)
    return draw(bounds, TensorType(dtype, shape), generator)
  }

  /// The numbers 0 ..< count in random order, as `int64`.
  public static func permutation(_ count: Int, generator: Generator? = nil) -> Tensor {
    guard let shape = checked([count], "Random.permutation") else { return .failed }
    return draw(.permutation, TensorType(.int64, shape), generator)
  }

  /// The parts along an axis in random order.
  public static func permutation(
    _ x: Tensor, axis: Int = 0, generator: Generator? = nil
  ) -> Tensor {
    guard let axis = x.checkedAxis(axis, "Random.permutation") else { return .failed }
    return x.take(permutation(x.dim(axis), generator: generator), axis: axis)
  }

  /// `true` with probability `p`, as `bool`.
  public static func bernoulli(
    _ p: Double = 0.5, _ shape: [Int] = [], generator: Generator? = nil
  ) -> Tensor {
    guard p >= 0 && p <= 1 else {
      return fail(OpError("Random.bernoulli", "\(p) is not a probability"))
    }
    guard let type = floatingType(.float32, shape, "Random.bernoulli") else { return .failed }
    return draw(.uniform, type, generator) .< p
  }

  /// `true` with the probability that each element of `p` gives, as `bool`.
  public static func bernoulli(_ p: Tensor, generator: Generator? = nil) -> Tensor {
    if p.isFailed { return p }
    guard p.requireFloatingPoint("Random.bernoulli") else { return .failed }
    let p = p.dtype.isHalf ? p.asType(.float32) : p
    return draw(.uniform, p.type, generator) .< p
  }

  /// A class for each row of unnormalised log-probabilities `[..., classes]`, as `int64` `[...]`.
  public static func categorical(_ logits: Tensor, generator: Generator? = nil) -> Tensor {
    guard let axis = logits.checkedAxis(-1, "Random.categorical"),
      logits.requireFloatingPoint("Random.categorical")
    else { return .failed }
    guard logits.dim(axis) > 0 else {
      return fail(OpError("Random.categorical", "there are no classes in \(logits.type)"))
    }
    // The largest of logits with Gumbel noise (Gumbel, 1954): less the logarithms of exponentially distributed numbers.
    // Uniform ones are below 1, but may be 0; infinite noise would draw what has no probability.
    let logits = logits.dtype.isHalf ? logits.asType(.float32) : logits
    let u = draw(.uniform, logits.type, generator)
    let least = logits.dtype == .float64 ? 0x1p-54 : 0x1p-25
    let exponential = promoting(.atLeast, -(1 - u).log(), least)
    return (logits - exponential.log()).argMax(axis: axis)
  }

  private static func draw(
    _ distribution: Distribution, _ type: TensorType, _ generator: Generator?
  ) -> Tensor {
    (generator ?? .global).draw(distribution, type)
  }

  private static func floatingType(
    _ dtype: DType, _ shape: [Int], _ operation: String
  ) -> TensorType? {
    guard dtype.isFloatingPoint else {
      note(OpError(operation, "needs a floating-point dtype, not \(dtype)"))
      return nil
    }
    return checked(shape, operation).map { TensorType(dtype, $0) }
  }

  private static func checked(_ shape: [Int], _ operation: String) -> Shape? {
    if let shape = Shape(checking: shape, for: operation) { return shape }
    _ = fail(shape, operation)
    return nil
  }
}

extension Element {
  /// The greatest number below a finite floating-point one.
  fileprivate func before(_ dtype: DType) -> Double {
    let sign = UInt64(1) << UInt64(dtype.size * 8 - 1)
    if bits & ~sign == 0 { return Element(bits: sign | 1).value(dtype) }
    return Element(bits: bits & sign == 0 ? bits - 1 : bits + 1).value(dtype)
  }
}

extension DType {
  /// Whether this integer dtype has that number.
  fileprivate func holds(_ value: Int) -> Bool {
    switch self {
    case .uint8: UInt8(exactly: value) != nil
    case .int8: Int8(exactly: value) != nil
    case .int16: Int16(exactly: value) != nil
    case .int32: Int32(exactly: value) != nil
    case .int64, .bool, .float16, .bfloat16, .float32, .float64: true
    }
  }
}
