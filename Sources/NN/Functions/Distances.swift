import DuetEager
import DuetRuntime

/// The cosine of the angle between vectors along an axis: Σ a b / (max(‖a‖, eps) max(‖b‖, eps)), as in PyTorch.
///
/// - Parameters:
///   - a: Floating point; `a` and `b` broadcast.
///   - eps: Lengths count at least that much.
/// - Returns: Without the axis.
public func cosineSimilarity(_ a: Tensor, _ b: Tensor, axis: Int = 1, eps: Double = 1e-8) -> Tensor
{
  cosineSimilarity("cosineSimilarity", a, b, axis: axis, eps: eps)
}

func cosineSimilarity(
  _ operation: String, _ a: Tensor, _ b: Tensor, axis: Int, eps: Double
) -> Tensor {
  if let failed = firstFailed(a, b) { return failed }
  if let failed = mistake(operation, a, "vectors") ?? mistake(operation, b, "vectors") {
    return failed
  }
  guard let axis = resolved(axis, of: a.ndim >= b.ndim ? a : b, in: operation) else {
    return .failed
  }
  func length(_ x: Tensor) -> Tensor {
    // The root of a sum that is never 0 has a slope.
    sqrt(maximum(x.square().sum(axis: axis, keepDims: true), eps * eps))
  }
  return (a / length(a) * (b / length(b))).sum(axis: axis)
}

/// The p-norm of the differences of vectors along the last axis, as in PyTorch, which adds `eps` to each difference.
///
/// - Parameter p: Above 0; infinity: the largest absolute difference.
/// - Returns: Without the last axis, unless `keepDims`.
public func pairwiseDistance(
  _ a: Tensor, _ b: Tensor, p: Double = 2, eps: Double = 1e-6, keepDims: Bool = false
) -> Tensor {
  pairwiseDistance("pairwiseDistance", a, b, p: p, eps: eps, keepDims: keepDims)
}

func pairwiseDistance(
  _ operation: String, _ a: Tensor, _ b: Tensor, p: Double, eps: Double, keepDims: Bool = false
) -> Tensor {
  if let failed = firstFailed(a, b) { return failed }
  if let failed = mistake(operation, a, "vectors") ?? mistake(operation, b, "vectors") {
    return failed
  }
  guard a.ndim > 0, b.ndim > 0, p > 0 else {
    return fail(
      OpError(operation, "needs vectors and a norm above 0, not \(a.shape), \(b.shape), p = \(p)"))
  }
  let difference = abs(a - b + eps)
  if p == 1 { return difference.sum(axis: -1, keepDims: keepDims) }
  if p == 2 { return difference.norm(axis: -1, keepDims: keepDims) }
  if p == .infinity { return difference.max(axis: -1, keepDims: keepDims) }
  return (difference ** p).sum(axis: -1, keepDims: keepDims) ** (1 / p)
}
