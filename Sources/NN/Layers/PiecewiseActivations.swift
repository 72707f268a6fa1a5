import DuetEager

// Elementwise functions made of straight pieces, as layers.

/// x kept between 0 and 6.
public struct ReLU6: UnaryLayer, Sendable {
  /// A layer that calls `relu6`. Floating point and integers.
  public init() {}
  public func callAsFunction(_ x: Tensor) -> Tensor { relu6(x) }
}

/// x kept between two bounds.
public struct Hardtanh: UnaryLayer, Sendable {
  /// The lower bound.
  public let min: Double
  /// The upper bound.
  public let max: Double
  /// A layer that calls `hardtanh`. Defaults are PyTorch's.
  public init(min: Double = -1, max: Double = 1) {
    self.min = min
    self.max = max
  }
  public func callAsFunction(_ x: Tensor) -> Tensor { hardtanh(x, min: min, max: max) }
}

/// relu6(x + 3) / 6.
public struct Hardsigmoid: UnaryLayer, Sendable {
  /// A layer that calls `hardsigmoid`. Floating point.
  public init() {}
  public func callAsFunction(_ x: Tensor) -> Tensor { hardsigmoid(x) }
}

/// x relu6(x + 3) / 6 (Howard and others, 2019).
public struct Hardswish: UnaryLayer, Sendable {
  /// A layer that calls `hardswish`. Floating point.
  public init() {}
  public func callAsFunction(_ x: Tensor) -> Tensor { hardswish(x) }
}

/// x where its absolute value is above `lambda`, and 0 elsewhere.
public struct Hardshrink: UnaryLayer, Sendable {
  /// The largest absolute value that becomes 0.
  public let lambda: Double
  /// A layer that calls `hardshrink`. The default is PyTorch's. Floating point.
  public init(lambda: Double = 0.5) { self.lambda = lambda }
  public func callAsFunction(_ x: Tensor) -> Tensor { hardshrink(x, lambda: lambda) }
}

/// x moved toward 0 by `lambda`, as far as 0.
public struct Softshrink: UnaryLayer, Sendable {
  /// How far elements move.
  public let lambda: Double
  /// A layer that calls `softshrink`. The default is PyTorch's. Floating point.
  public init(lambda: Double = 0.5) { self.lambda = lambda }
  public func callAsFunction(_ x: Tensor) -> Tensor { softshrink(x, lambda: lambda) }
}

/// x above `threshold`, `value` elsewhere.
public struct Threshold: UnaryLayer, Sendable {
  /// Elements above it stay.
  public let threshold: Double
  /// What the others become.
  public let value: Double
  /// A layer that calls `threshold`. Floating point.
  public init(_ threshold: Double, value: Double) {
    self.threshold = threshold
    self.value = value
  }
  public func callAsFunction(_ x: Tensor) -> Tensor {
    DuetNN.threshold(x, threshold, value: value)
  }
}
