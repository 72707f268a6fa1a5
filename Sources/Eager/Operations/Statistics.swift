import DuetRuntime

// Reductions that are made of others.
extension Tensor {
  /// The mean squared distance from the mean. Floating point.
  ///
  /// - Parameter ddof: What is taken off the number of elements: 1 gives the unbiased estimate.
  public func variance(axis: Int? = nil, keepDims: Bool = false, ddof: Int = 0) -> Tensor {
    variance(axis.map { [$0] }, keepDims, ddof, "variance")
  }

  /// The mean squared distance from the mean over several axes. Floating point.
  public func variance(axes: [Int], keepDims: Bool = false, ddof: Int = 0) -> Tensor {
    variance(axes, keepDims, ddof, "variance")
  }

  /// The standard deviation: the root of the variance. Floating point.
  public func std(axis: Int? = nil, keepDims: Bool = false, ddof: Int = 0) -> Tensor {
    variance(axis.map { [$0] }, keepDims, ddof, "std").rootFlatAtZero()
  }

  /// The standard deviation over several axes. Floating point.
  public func std(axes: [Int], keepDims: Bool = false, ddof: Int = 0) -> Tensor {
    variance(axes, keepDims, ddof, "std").rootFlatAtZero()
  }

  private func variance(
    _ axes: [Int]?, _ keepDims: Bool, _ ddof: Int, _ operation: String
  ) -> Tensor {
    guard let set = checkedAxes(axes, operation), requireFloatingPoint(operation) else {
      return .failed
    }
    let mean = apply(.reduce(.mean, axes: set, keepDims: true), self)
    let squares = apply(.square, self - mean)
    if ddof == 0 { return apply(.reduce(.mean, axes: set, keepDims: keepDims), squares) }
    let count = set.axes.reduce(1) { $0 * body.layout.shape[$1] }
    return apply(.reduce(.sum, axes: set, keepDims: keepDims), squares) / Double(count - ddof)
  }

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
    // log Σ eˣ = m + log Σ eˣ⁻ᵐ for any m; an infinite maximum would give ∞ - ∞.
    let largest = apply(.reduce(.max, axes: set, keepDims: true), detached())
    let m = apply(.select, [largest.isFinite(), largest, zeros(like: largest)])
    let sum = apply(.reduce(.sum, axes: set, keepDims: keepDims), (self - m).exp())
    return sum.log() + (keepDims ? m : apply(.reshape(sum.body.layout.shape), m))
  }

  /// The Euclidean norm: the root of the sum of the elements' squares. Floating point.
  public func norm(axis: Int? = nil, keepDims: Bool = false) -> Tensor {
    norm(axis.map { [$0] }, keepDims)
  }

  /// The Euclidean norm over several axes. Floating point.
  public func norm(axes: [Int], keepDims: Bool = false) -> Tensor { norm(axes, keepDims) }

  private func norm(_ axes: [Int]?, _ keepDims: Bool) -> Tensor {
    guard let set = checkedAxes(axes, "norm"), requireFloatingPoint("norm") else { return .failed }
    let squares = fusedReduction(.sum, axes: set, keepDims: keepDims, FusedCode(.square), [self]) {
      $0[0].square()
    }
    return squares.rootFlatAtZero()
  }

  /// The square root, whose gradient at 0 counts as 0: behind a square the true one would give 0 · ∞.
  private func rootFlatAtZero() -> Tensor {
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
