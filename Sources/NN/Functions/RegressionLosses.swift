import DuetEager
import DuetRuntime

// Predictions and targets have one shape: those of [N, 1] and [N] would broadcast to [N, N], and the loss
// would be another one without a word. A target that is a single number is meant for all.

/// A failed tensor if predictions and targets differ in shape.
func mistake(
  _ operation: String, _ predictions: Tensor, _ targets: Tensor, allowingNumbers: Bool = false
) -> Tensor? {
  if predictions.isFailed || targets.isFailed {
    return predictions.isFailed ? predictions : targets
  }
  if predictions.shape == targets.shape || (allowingNumbers && targets.ndim == 0) { return nil }
  return fail(
    OpError(
      operation,
      "predictions \(predictions.shape) need targets of the same shape, not \(targets.shape)"))
}

/// The squared difference. Targets have the predictions' shape or none.
public func mseLoss(_ predictions: Tensor, _ targets: Tensor, reduction: Reduction = .mean)
  -> Tensor
{
  if let error = mistake("mseLoss", predictions, targets, allowingNumbers: true) { return error }
  return reduction((predictions - targets).square())
}

/// The absolute difference. Targets have the predictions' shape or none.
public func l1Loss(_ predictions: Tensor, _ targets: Tensor, reduction: Reduction = .mean) -> Tensor
{
  if let error = mistake("l1Loss", predictions, targets, allowingNumbers: true) { return error }
  return reduction(abs(predictions - targets))
}

/// Half the squared difference over `beta` where the difference is below `beta`, and the absolute difference
/// less `beta` / 2 beyond (Girshick, 2015).
public func smoothL1Loss(
  _ predictions: Tensor, _ targets: Tensor, beta: Double = 1, reduction: Reduction = .mean
) -> Tensor {
  if let error = mistake("smoothL1Loss", predictions, targets, allowingNumbers: true) {
    return error
  }
  if beta == 0 { return l1Loss(predictions, targets, reduction: reduction) }
  let distance = abs(predictions - targets)
  return reduction(
    which(distance .< beta, distance.square() * (0.5 / beta), distance - 0.5 * beta))
}

/// Half the squared difference where the difference is up to `delta`, and `delta` times the absolute
/// difference less `delta` / 2 beyond (Huber, 1964).
public func huberLoss(
  _ predictions: Tensor, _ targets: Tensor, delta: Double = 1, reduction: Reduction = .mean
) -> Tensor {
  if let error = mistake("huberLoss", predictions, targets, allowingNumbers: true) { return error }
  let distance = abs(predictions - targets)
  return reduction(
    which(distance .<= delta, distance.square() * 0.5, (distance - 0.5 * delta) * delta))
}
