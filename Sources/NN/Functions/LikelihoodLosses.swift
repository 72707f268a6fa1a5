import DuetEager
import DuetRuntime
import DuetTracer

/// The negative of the log-probability of counts under Poisson distributions: eˣ - t x, where x is the logarithm of the
/// mean, or x - t log(x + eps), where it is the mean.
///
/// - Parameters:
///   - x: Means or their logarithms, floating point.
///   - targets: Counts of the same shape.
///   - logInput: Whether `x` are logarithms.
///   - full: Whether log t! is added, by Stirling's approximation, for counts above 1.
///   - eps: Is added to means.
public func poissonNLLLoss(
  _ x: Tensor, _ targets: Tensor, logInput: Bool = true, full: Bool = false, eps: Double = 1e-8,
  reduction: Reduction = .mean
) -> Tensor {
  if let error = mistake("poissonNLLLoss", x, targets) { return error }
  let targets = targets.asType(x.dtype)
  var losses = logInput ? exp(x) - targets * x : x - targets * log(x + eps)
  if full {
    let isLarge = targets .> 1
    let count = which(isLarge, targets, 1)
    let factorial = count * log(count) - count + log(count * (2 * Double.pi)) * 0.5
    losses = losses + which(isLarge, factorial, 0)
  }
  return reduction(losses)
}

/// The negative of the log-density of normal distributions: (log v + (x - t)² / v) / 2 (Nix and Weigend, 1994).
///
/// - Parameters:
///   - x: Means, floating point.
///   - targets: Of the same shape.
///   - variance: Of the same shape, without the last axis, or with 1 there. Below `eps` it counts as `eps`, and gets
///     its gradient all the same.
///   - full: Whether log(2π) / 2 is added.
public func gaussianNLLLoss(
  _ x: Tensor, _ targets: Tensor, variance: Tensor, full: Bool = false, eps: Double = 1e-6,
  reduction: Reduction = .mean
) -> Tensor {
  if let error = mistake("gaussianNLLLoss", x, targets) { return error }
  if variance.isFailed { return variance }
  let shorter = Array(x.shape.dropLast())
  guard variance.shape == x.shape || variance.shape == shorter || variance.shape == shorter + [1]
  else {
    return fail(
      OpError(
        "gaussianNLLLoss", "means \(x.shape) do not fit variances of shape \(variance.shape)"))
  }
  let wide = variance.shape == x.shape ? variance : variance.reshaped(shorter + [1])
  let bound = customFunction(
    name: "variance", forward: { (x: Tensor) in maximum(x, eps) }, vjp: { x, y, dy in dy })
  let bounded = bound(wide)
  var losses = (log(bounded) + (x - targets).square() / bounded) * 0.5
  if full { losses = losses + 0.9189385332046727 }
  return reduction(losses)
}
