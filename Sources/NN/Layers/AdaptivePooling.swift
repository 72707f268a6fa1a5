import DuetEager

/// The means of windows that divide images `[N, C, H, W]` into so many rows and columns: `[N, C, rows, columns]`.
///
/// `AdaptiveAvgPool2d(1)` gives the mean of each channel, as networks for images of any size end.
public struct AdaptiveAvgPool2d: UnaryLayer, Sendable {
  /// Rows and columns of the result.
  public let outputSize: any IntOrPair
  /// A layer that calls `adaptiveAvgPool2d`. Floating point.
  public init(_ outputSize: any IntOrPair) { self.outputSize = outputSize }
  public func callAsFunction(_ x: Tensor) -> Tensor {
    adaptiveAvgPool2d("AdaptiveAvgPool2d", x, outputSize)
  }
}

/// The largest elements of windows that divide images `[N, C, H, W]` into so many rows and columns:
/// `[N, C, rows, columns]`.
public struct AdaptiveMaxPool2d: UnaryLayer, Sendable {
  /// Rows and columns of the result.
  public let outputSize: any IntOrPair
  /// A layer that calls `adaptiveMaxPool2d`. Floating point.
  public init(_ outputSize: any IntOrPair) { self.outputSize = outputSize }
  public func callAsFunction(_ x: Tensor) -> Tensor {
    adaptiveMaxPool2d("AdaptiveMaxPool2d", x, outputSize)
  }
}

/// The means of windows that divide sequences `[N, C, L]` into so many parts: `[N, C, outputSize]`.
public struct AdaptiveAvgPool1d: UnaryLayer, Sendable {
  /// The number of windows.
  public let outputSize: Int
  /// A layer that calls `adaptiveAvgPool1d`. Floating point.
  public init(_ outputSize: Int) { self.outputSize = outputSize }
  public func callAsFunction(_ x: Tensor) -> Tensor {
    adaptiveAvgPool1d("AdaptiveAvgPool1d", x, outputSize)
  }
}

/// The largest elements of windows that divide sequences `[N, C, L]` into so many parts: `[N, C, outputSize]`.
public struct AdaptiveMaxPool1d: UnaryLayer, Sendable {
  /// The number of windows.
  public let outputSize: Int
  /// A layer that calls `adaptiveMaxPool1d`. Floating point.
  public init(_ outputSize: Int) { self.outputSize = outputSize }
  public func callAsFunction(_ x: Tensor) -> Tensor {
    adaptiveMaxPool1d("AdaptiveMaxPool1d", x, outputSize)
  }
}
