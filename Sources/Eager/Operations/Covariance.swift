import DuetRuntime

/// How variables vary together: `[variables, observations]` gives `[variables, variables]`, and one variable
/// `[observations]` a scalar. Floating point.
///
/// - Parameter ddof: What is taken off the number of observations: 1 gives the unbiased estimate.
public func cov(_ x: Tensor, ddof: Int = 1) -> Tensor {
  covariance(x, ddof, "cov").asType(x.dtype)
}

/// Pearson's correlation coefficients of variables, from -1 to 1: `[variables, observations]` gives
/// `[variables, variables]`, and one variable `[observations]` a scalar. Floating point.
public func corrcoef(_ x: Tensor) -> Tensor {
  let c = covariance(x, 1, "corrcoef")
  if c.isFailed { return c }
  if c.ndim == 0 { return (c / c).asType(x.dtype) }
  let deviations = c.diagonal().sqrt()
  let coefficients = c / deviations.expandedDimensions(axis: 1) / deviations
  return clip(coefficients, min: -1, max: 1).asType(x.dtype)
}

/// In float32 where the tensor has 16 bits.
private func covariance(_ x: Tensor, _ ddof: Int, _ operation: String) -> Tensor {
  guard x.requireFloatingPoint(operation) else { return .failed }
  guard x.ndim == 1 || x.ndim == 2 else {
    return fail(OpError(operation, "needs [variables, observations], not shape \(x.shape)"))
  }
  let wide = x.widened()
  let rows = wide.ndim == 1 ? wide.expandedDimensions(axis: 0) : wide
  let centred = rows - rows.mean(axis: 1, keepDims: true)
  let divisor = Swift.max(Double(rows.dim(1)) - Double(ddof), 0)
  let c = matmul(centred, centred.T) / divisor
  return x.ndim == 1 ? c.reshaped([]) : c
}
