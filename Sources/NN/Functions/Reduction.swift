import DuetEager

/// What becomes of the losses of a batch's elements.
public enum Reduction: Sendable, Hashable {
  /// They stay as they are.
  case none
  /// Their mean.
  case mean
  /// Their sum.
  case sum

  func callAsFunction(_ losses: Tensor) -> Tensor {
    switch self {
    case .none: losses
    case .mean: losses.mean()
    case .sum: losses.sum()
    }
  }
}
