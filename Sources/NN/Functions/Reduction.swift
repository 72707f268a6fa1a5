import DuetEager
import DuetRuntime

/// What becomes of the losses of a batch's elements.
public enum Reduction: Sendable, Hashable {
  /// They stay as they are.
  case none
  /// Their mean.
  case mean
  /// Their sum.
  case sum

  /// The operation on the losses, if there is one.
  var op: ReductionOp? {
    switch self {
    case .none: nil
    case .mean: .mean
    case .sum: .sum
    }
  }

  func callAsFunction(_ losses: Tensor) -> Tensor {
    switch self {
    case .none: losses
    case .mean: losses.mean()
    case .sum: losses.sum()
    }
  }
}
