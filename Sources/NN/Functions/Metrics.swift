import DuetEager

/// The share of rows of scores `[N, C]` whose largest score is that of their label `[N]`: a `float32` scalar.
public func accuracy(_ logits: Tensor, _ labels: Tensor) -> Tensor {
  noGrad { (logits.argMax(axis: -1) .== labels).asType(.float32).mean() }
}
