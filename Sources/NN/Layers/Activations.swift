import DuetEager

// Elementwise functions as layers, for `Sequential`.

/// max(x, 0).
public struct ReLU: UnaryLayer, Sendable {
  /// A layer that calls `relu`. Any dtype but `bool`.
  public init() {}
  public func callAsFunction(_ x: Tensor) -> Tensor { relu(x) }
}

/// x above 0, `negativeSlope` x below.
public struct LeakyReLU: UnaryLayer, Sendable {
  /// The slope below 0.
  public let negativeSlope: Double
  /// A layer that calls `leakyRelu`. The default is PyTorch's.
  public init(negativeSlope: Double = 0.01) { self.negativeSlope = negativeSlope }
  public func callAsFunction(_ x: Tensor) -> Tensor { leakyRelu(x, negativeSlope: negativeSlope) }
}

/// x above 0, `alpha` (eˣ - 1) below.
public struct ELU: UnaryLayer, Sendable {
  /// The result tends to -alpha for large negative x.
  public let alpha: Double
  /// A layer that calls `elu`. The default is PyTorch's.
  public init(alpha: Double = 1) { self.alpha = alpha }
  public func callAsFunction(_ x: Tensor) -> Tensor { elu(x, alpha: alpha) }
}

/// x Φ(x), with the normal distribution Φ.
public struct GELU: UnaryLayer, Sendable {
  /// How Φ is computed.
  public let approximate: GELUApproximation
  /// A layer that calls `gelu`, with the error function unless told otherwise, as in PyTorch. Floating point.
  public init(approximate: GELUApproximation = .none) { self.approximate = approximate }
  public func callAsFunction(_ x: Tensor) -> Tensor { gelu(x, approximate: approximate) }
}

/// x sigmoid(x).
public struct SiLU: UnaryLayer, Sendable {
  /// A layer that calls `silu`. Floating point.
  public init() {}
  public func callAsFunction(_ x: Tensor) -> Tensor { silu(x) }
}

/// 1 / (1 + e⁻ˣ).
public struct Sigmoid: UnaryLayer, Sendable {
  /// A layer that calls `sigmoid`. Floating point.
  public init() {}
  public func callAsFunction(_ x: Tensor) -> Tensor { sigmoid(x) }
}

/// The hyperbolic tangent.
public struct Tanh: UnaryLayer, Sendable {
  /// A layer that calls `tanh`. Floating point.
  public init() {}
  public func callAsFunction(_ x: Tensor) -> Tensor { tanh(x) }
}

/// log(1 + eˣ).
public struct Softplus: UnaryLayer, Sendable {
  /// A layer that calls `softplus`. Floating point.
  public init() {}
  public func callAsFunction(_ x: Tensor) -> Tensor { softplus(x) }
}

/// eˣ over the sum of eˣ along an axis.
public struct Softmax: UnaryLayer, Sendable {
  /// The axis along which results add up to 1; negative: from the end.
  public let axis: Int
  /// A layer that calls `softmax`: over the classes of `[..., C]` unless another axis is given. Floating point.
  public init(axis: Int = -1) { self.axis = axis }
  public func callAsFunction(_ x: Tensor) -> Tensor { softmax(x, axis: axis) }
}

/// The logarithm of the softmax along an axis.
public struct LogSoftmax: UnaryLayer, Sendable {
  /// The axis along which probabilities add up to 1; negative: from the end.
  public let axis: Int
  /// A layer that calls `logSoftmax`: over the classes of `[..., C]` unless another axis is given. Floating point.
  public init(axis: Int = -1) { self.axis = axis }
  public func callAsFunction(_ x: Tensor) -> Tensor { logSoftmax(x, axis: axis) }
}
