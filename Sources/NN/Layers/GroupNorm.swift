import DuetEager
import DuetRuntime

/// Groups of the channels of `[N, C, ...]` with mean 0 and variance 1 in each element of the batch, then scaled and
/// moved channel by channel (Wu and He, 2018). Training and use do the same.
public struct GroupNorm: UnaryLayer, Sendable {
  /// `[C]`, beginning as ones.
  public let weight: Parameter?
  /// `[C]`, beginning as zeros.
  public let bias: Parameter?
  /// The number of groups.
  public let groups: Int
  /// Is added to the variance, so that equal elements do not divide by 0.
  public let eps: Double
  let channels: Int

  /// - Parameters:
  ///   - groups: How many groups the channels, in order, are divided into. One that does not divide them is an error.
  ///   - channels: C.
  ///   - eps: Is added to the variance.
  ///   - affine: Whether the result is scaled and moved by learned amounts.
  public init(
    _ groups: Int, _ channels: Int, eps: Double = 1e-5, affine: Bool = true,
    dtype: DType = .float32
  ) {
    noteNegative(["channels": channels], in: "GroupNorm")
    if groups < 1 || channels % max(groups, 1) != 0 {
      note(OpError("GroupNorm", "\(channels) channels do not divide into \(groups) groups"))
    }
    weight = affine ? Parameter(ones([channels], dtype: dtype), name: "weight") : nil
    bias = affine ? Parameter(zeros([channels], dtype: dtype), name: "bias") : nil
    self.groups = groups
    self.channels = channels
    self.eps = eps
  }

  public func callAsFunction(_ x: Tensor) -> Tensor {
    if x.isFailed { return x }
    guard x.ndim >= 2, x.dim(1) == channels else {
      return fail(
        OpError("GroupNorm", "expects [N, C, ...] with C = \(channels), not shape \(x.shape)"))
    }
    return groupNorm(
      "GroupNorm", x, groups: groups, weight: weight?.value, bias: bias?.value, eps: eps)
  }
}
