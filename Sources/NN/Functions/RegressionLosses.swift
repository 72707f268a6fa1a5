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
  guard predictions.dtype.isFloatingPoint || targets.dtype.isFloatingPoint else {
    return fail(
      OpError(
        operation, "needs floating-point predictions, not \(predictions.dtype); cast them first"))
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
  return elementwiseFunction(
    "mseLoss", FusedCode(.squaredError), [predictions, targets], isShort: true,
    reducedBy: reduction.op
  ) { inputs in
    (inputs[0] - inputs[1]).square()
  } gradient: { inputs, wanted, dy in
    both(wanted, dy * ((inputs[0] - inputs[1]) * 2))
  }
}

/// The absolute difference. Targets have the predictions' shape or none.
public func l1Loss(_ predictions: Tensor, _ targets: Tensor, reduction: Reduction = .mean) -> Tensor
{
  if let error = mistake("l1Loss", predictions, targets, allowingNumbers: true) { return error }
  return elementwiseFunction(
    "l1Loss", FusedCode(.absoluteError), [predictions, targets], isShort: true,
    reducedBy: reduction.op
  ) { inputs in
    abs(inputs[0] - inputs[1])
  } gradient: { inputs, wanted, dy in
    both(wanted, dy * sign(inputs[0] - inputs[1]))
  }
}

/// Half the squared difference over `beta` where the difference is below `beta`, and the absolute difference
/// less `beta` / 2 beyond (Girshick, 2015).
public func smoothL1Loss(
  _ predictions: Tensor, _ targets: Tensor, beta: Double = 1, reduction: Reduction = .mean
) -> Tensor {
  if let error = mistake("smoothL1Loss", predictions, targets, allowingNumbers: true) {
    return error
  }
  guard beta >= 0 else {
    return fail(OpError("smoothL1Loss", "beta must not be below 0, but is \(beta)"))
  }
  if beta == 0 { return l1Loss(predictions, targets, reduction: reduction) }
  let code = FusedCode(.smoothL1, [beta, 0, 0, 0])
  return elementwiseFunction(
    "smoothL1Loss", code, [predictions, targets], reducedBy: reduction.op
  ) { inputs in
    let distance = abs(inputs[0] - inputs[1])
    let bounded = clip(distance, max: beta)
    return (distance - bounded * 0.5) * (bounded * (1 / beta))
  } gradient: { inputs, wanted, dy in
    both(wanted, dy * clip((inputs[0] - inputs[1]) / beta, min: -1, max: 1))
  }
}

/// Half the squared difference where the difference is up to `delta`, and `delta` times the absolute
/// difference less `delta` / 2 beyond (Huber, 1964).
public func huberLoss(
  _ predictions: Tensor, _ targets: Tensor, delta: Double = 1, reduction: Reduction = .mean
) -> Tensor {
  if let error = mistake("huberLoss", predictions, targets, allowingNumbers: true) { return error }
  guard delta > 0 else { return fail(OpError("huberLoss", "delta must be above 0, not \(delta)")) }
  let code = FusedCode(.huber, [delta, 0, 0, 0])
  return elementwiseFunction(
    "huberLoss", code, [predictions, targets], reducedBy: reduction.op
  ) { inputs in
    let distance = abs(inputs[0] - inputs[1])
    let bounded = clip(distance, max: delta)
    return (distance - bounded * 0.5) * bounded
  } gradient: { inputs, wanted, dy in
    both(wanted, dy * clip(inputs[0] - inputs[1], min: -delta, max: delta))
  }
}

/// The cotangents of predictions and targets, where only their difference counts: that of the difference, and its
/// opposite.
private func both(_ wanted: [Bool], _ cotangent: Tensor) -> [Tensor?] {
  [wanted[0] ? cotangent : nil, wanted[1] ? -cotangent : nil]
}
