import DuetEager
import DuetRuntime

/// The squared difference.
public func mseLoss(_ predictions: Tensor, _ targets: Tensor, reduction: Reduction = .mean)
  -> Tensor
{
  reduction((predictions - targets).square())
}

/// The absolute difference.
public func l1Loss(_ predictions: Tensor, _ targets: Tensor, reduction: Reduction = .mean) -> Tensor
{
  reduction(abs(predictions - targets))
}

/// Half the squared difference over `beta` where the difference is below `beta`, and the absolute difference
/// less `beta` / 2 beyond (Girshick, 2015).
public func smoothL1Loss(
  _ predictions: Tensor, _ targets: Tensor, beta: Double = 1, reduction: Reduction = .mean
) -> Tensor {
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
  let distance = abs(predictions - targets)
  return reduction(
    which(distance .<= delta, distance.square() * 0.5, (distance - 0.5 * delta) * delta))
}
