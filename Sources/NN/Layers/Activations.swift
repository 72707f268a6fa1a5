import DuetEager

// Elementwise functions as layers, for `Sequential`.

/// max(x, 0).
public struct ReLU: UnaryLayer {
  public init() {}
  public func callAsFunction(_ x: Tensor) -> Tensor { relu(x) }
}

/// x above 0, `negativeSlope` x below.
public struct LeakyReLU: UnaryLayer {
  public let negativeSlope: Double
  public init(negativeSlope: Double = 0.01) { self.negativeSlope = negativeSlope }
  public func callAsFunction(_ x: Tensor) -> Tensor { leakyRelu(x, negativeSlope: negativeSlope) }
}

/// x above 0, `alpha` (eˣ - 1) below.
public struct ELU: UnaryLayer {
  public let alpha: Double
  public init(alpha: Double = 1) { self.alpha = alpha }
  public func callAsFunction(_ x: Tensor) -> Tensor { elu(x, alpha: alpha) }
}

/// x Φ(x), with the normal distribution Φ.
public struct GELU: UnaryLayer {
  public let approximate: GELUApproximation
  public init(approximate: GELUApproximation = .none) { self.approximate = approximate }
  public func callAsFunction(_ x: Tensor) -> Tensor { gelu(x, approximate: approximate) }
}

/// x sigmoid(x).
public struct SiLU: UnaryLayer {
  public init() {}
  public func callAsFunction(_ x: Tensor) -> Tensor { silu(x) }
}

/// 1 / (1 + e⁻ˣ).
public struct Sigmoid: UnaryLayer {
  public init() {}
  public func callAsFunction(_ x: Tensor) -> Tensor { sigmoid(x) }
}

/// The hyperbolic tangent.
public struct Tanh: UnaryLayer {
  public init() {}
  public func callAsFunction(_ x: Tensor) -> Tensor { tanh(x) }
}

/// log(1 + eˣ).
public struct Softplus: UnaryLayer {
  public init() {}
  public func callAsFunction(_ x: Tensor) -> Tensor { softplus(x) }
}

/// eˣ over the sum of eˣ along an axis.
public struct Softmax: UnaryLayer {
  public let axis: Int
  public init(axis: Int = -1) { self.axis = axis }
  public func callAsFunction(_ x: Tensor) -> Tensor { softmax(x, axis: axis) }
}

/// The logarithm of the softmax along an axis.
public struct LogSoftmax: UnaryLayer {
  public let axis: Int
  public init(axis: Int = -1) { self.axis = axis }
  public func callAsFunction(_ x: Tensor) -> Tensor { logSoftmax(x, axis: axis) }
}
