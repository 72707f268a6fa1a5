import DuetEager
import DuetRuntime

/// The first half of an axis times the sigmoid of the second (Dauphin and others, 2017).
public struct GLU: UnaryLayer, Sendable {
  /// The axis that is halved; negative: from the end.
  public let axis: Int
  /// A layer that calls `glu`: halves the features of `[..., 2 F]` unless another axis is given. Floating point.
  public init(axis: Int = -1) { self.axis = axis }
  public func callAsFunction(_ x: Tensor) -> Tensor { glu(x, axis: axis) }
}

/// The softmax of -x along an axis.
public struct Softmin: UnaryLayer, Sendable {
  /// The axis along which results add up to 1; negative: from the end.
  public let axis: Int
  /// A layer that calls `softmin`: over the classes of `[..., C]` unless another axis is given. Floating point.
  public init(axis: Int = -1) { self.axis = axis }
  public func callAsFunction(_ x: Tensor) -> Tensor { softmin(x, axis: axis) }
}

/// x above 0, x times a learned slope below (He and others, 2015).
public struct PReLU: UnaryLayer, Sendable {
  /// One slope, `[1]`, or one for each channel, `[C]`.
  public let weight: Parameter

  /// A layer that calls `prelu`. Floating point. Defaults are PyTorch's.
  /// - Parameters:
  ///   - count: 1: one slope for all; else C of `[N, C, ...]`.
  ///   - value: What slopes begin with.
  public init(_ count: Int = 1, value: Double = 0.25, dtype: DType = .float32) {
    if count < 1 { note(OpError("PReLU", "needs at least one slope, not \(count)")) }
    weight = Parameter(full([max(count, 1)], value, dtype: dtype), name: "weight")
  }

  public func callAsFunction(_ x: Tensor) -> Tensor { prelu(x, weight.value) }
}
