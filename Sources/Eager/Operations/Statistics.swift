import DuetRuntime

// Reductions that are made of others.
extension Tensor {
  /// The mean squared distance from the mean. Floating point.
  ///
  /// - Parameter ddof: What is taken off the number of elements: 1 gives the unbiased estimate.
  public func variance(axis: Int? = nil, keepDims: Bool = false, ddof: Int = 0) -> Tensor {
    variance(axis.map { [$0] }, keepDims, ddof, "variance").asType(dtype)
  }

  /// The mean squared distance from the mean over several axes. Floating point.
  public func variance(axes: [Int], keepDims: Bool = false, ddof: Int = 0) -> Tensor {
    variance(axes, keepDims, ddof, "variance").asType(dtype)
  }

  /// The standard deviation: the root of the variance. Floating point.
  public func std(axis: Int? = nil, keepDims: Bool = false, ddof: Int = 0) -> Tensor {
    variance(axis.map { [$0] }, keepDims, ddof, "std").rootFlatAtZero().asType(dtype)
  }

  /// The standard deviation over several axes. Floating point.
  public func std(axes: [Int], keepDims: Bool = false, ddof: Int = 0) -> Tensor {
    variance(axes, keepDims, ddof, "std").rootFlatAtZero().asType(dtype)
  }

  /// In float32 where the tensor has 16 bits.
  private func variance(
    _ axes: [Int]?, _ keepDims: Bool, _ ddof: Int, _ operation: String
  ) -> Tensor {
    guard let set = checkedAxes(axes, operation), requireFloatingPoint(operation) else {
      return .failed
    }
    let x = widened()
    let mean = apply(.reduce(.mean, axes: set, keepDims: true), x)
    let squares = apply(.square, x - mean)
    if ddof == 0 { return apply(.reduce(.mean, axes: set, keepDims: keepDims), squares) }
    let count = set.axes.reduce(1) { $0 * body.layout.shape[$1] }
    let divisor = Swift.max(Double(count) - Double(ddof), 0)
    return apply(.reduce(.sum, axes: set, keepDims: keepDims), squares) / divisor
  }

  /// What has 16 bits in float32: squares would overflow or vanish, and what is made of them is rounded once.
  func widened() -> Tensor { dtype.isHalf ? asType(.float32) : self }

  /// The logarithm of the sum of the elements' exponentials, safe from overflow. Floating point.
  public func logSumExp(axis: Int? = nil, keepDims: Bool = false) -> Tensor {
    logSumExp(axis.map { [$0] }, keepDims)
  }

  /// The logarithm of the sum of the elements' exponentials over several axes. Floating point.
  public func logSumExp(axes: [Int], keepDims: Bool = false) -> Tensor { logSumExp(axes, keepDims) }

  private func logSumExp(_ axes: [Int]?, _ keepDims: Bool) -> Tensor {
    guard let set = checkedAxes(axes, "logSumExp"), requireFloatingPoint("logSumExp") else {
      return .failed
    }
    let x = widened()
    // Of nothing that is -∞.
    if set.axes.contains(where: { body.layout.shape[$0] == 0 }) {
      return apply(.reduce(.sum, axes: set, keepDims: keepDims), x.exp()).log().asType(dtype)
    }
    // log Σ eˣ = m + log Σ eˣ⁻ᵐ for any m; an infinite maximum would give ∞ - ∞.
    let largest = apply(.reduce(.max, axes: set, keepDims: true), x.detached())
    let m = apply(.select, [largest.isFinite(), largest, zeros(like: largest)])
    let sum = apply(.reduce(.sum, axes: set, keepDims: keepDims), (x - m).exp())
    return (sum.log() + (keepDims ? m : apply(.reshape(sum.body.layout.shape), m))).asType(dtype)
  }

  /// The Euclidean norm: the root of the sum of the elements' squares. Floating point.
  public func norm(axis: Int? = nil, keepDims: Bool = false) -> Tensor {
    norm(axis.map { [$0] }, keepDims)
  }

  /// The Euclidean norm over several axes. Floating point.
  public func norm(axes: [Int], keepDims: Bool = false) -> Tensor { norm(axes, keepDims) }

  private func norm(_ axes: [Int]?, _ keepDims: Bool) -> Tensor {
    widenedNorm(axes, keepDims).asType(dtype)
  }

  /// The norm in float32 where the tensor has 16 bits.
  package func widenedNorm(_ axes: [Int]? = nil, _ keepDims: Bool = false) -> Tensor {
    guard let set = checkedAxes(axes, "norm"), requireFloatingPoint("norm") else { return .failed }
    let squares = fusedReduction(.sum, axes: set, keepDims: keepDims, FusedCode(.square), [self]) {
      $0[0].widened().square()
    }
    return squares.rootFlatAtZero()
  }

  /// The square root, whose gradient at 0 counts as 0: behind a square the true one would give 0 · ∞.
  func rootFlatAtZero() -> Tensor {
    guard requiresGrad, isGradEnabled else { return sqrt() }
    let isZero = self .== 0
    return which(isZero, 0, which(isZero, 1, self).sqrt())
  }

  /// Whether the elements are floating-point numbers; notes the mistake if not.
  func requireFloatingPoint(_ operation: String) -> Bool {
    if isFailed { return false }
    if !dtype.isFloatingPoint {
      note(OpError(operation, "needs a floating-point tensor, not \(dtype); cast it first"))
    }
    return dtype.isFloatingPoint
  }
}
