import DuetEager

// Smooth elementwise functions as layers.

/// The self-normalising `elu` (Klambauer and others, 2017).
public struct SELU: UnaryLayer, Sendable {
  /// A layer that calls `selu`. Floating point.
  public init() {}
  public func callAsFunction(_ x: Tensor) -> Tensor { selu(x) }
}

/// x above 0, `alpha` (e^(x / alpha) - 1) below (Barron, 2017).
public struct CELU: UnaryLayer, Sendable {
  /// The result tends to -alpha for large negative x.
  public let alpha: Double
  /// A layer that calls `celu`. The default is PyTorch's. Floating point.
  public init(alpha: Double = 1) { self.alpha = alpha }
  public func callAsFunction(_ x: Tensor) -> Tensor { celu(x, alpha: alpha) }
}

/// x tanh(softplus(x)) (Misra, 2019).
public struct Mish: UnaryLayer, Sendable {
  /// A layer that calls `mish`. Floating point.
  public init() {}
  public func callAsFunction(_ x: Tensor) -> Tensor { mish(x) }
}

/// log(1 / (1 + e⁻ˣ)).
public struct LogSigmoid: UnaryLayer, Sendable {
  /// A layer that calls `logSigmoid`. Floating point.
  public init() {}
  public func callAsFunction(_ x: Tensor) -> Tensor { logSigmoid(x) }
}

/// x / (1 + |x|).
public struct Softsign: UnaryLayer, Sendable {
  /// A layer that calls `softsign`. Floating point.
  public init() {}
  public func callAsFunction(_ x: Tensor) -> Tensor { softsign(x) }
}

/// x - tanh(x).
public struct Tanhshrink: UnaryLayer, Sendable {
  /// A layer that calls `tanhshrink`. Floating point.
  public init() {}
  public func callAsFunction(_ x: Tensor) -> Tensor { tanhshrink(x) }
}
