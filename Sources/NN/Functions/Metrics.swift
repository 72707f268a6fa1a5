import DuetEager
import DuetRuntime

/// The share of rows of scores `[N, C]` whose largest score is that of their label `[N]`: a `float32` scalar.
public func accuracy(_ logits: Tensor, _ labels: Tensor) -> Tensor {
  if logits.isFailed || labels.isFailed { return .failed }
  guard logits.ndim > 0, labels.shape == Array(logits.shape.dropLast()) else {
    return fail(
      OpError(
        "accuracy", "scores \(logits.shape) need a label for each row, not labels \(labels.shape)"))
  }
  return noGrad { (logits.argMax(axis: -1) .== labels).asType(.float32).mean() }
}
