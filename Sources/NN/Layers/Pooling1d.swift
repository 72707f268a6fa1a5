import DuetEager

/// The largest element of each window of sequences `[N, C, L]`.
public struct MaxPool1d: UnaryLayer, Sendable {
  /// Elements of a window.
  public let kernelSize: Int
  /// Elements from one window to the next.
  public let stride: Int
  /// Elements on each side that are never the largest, at most half of the kernel.
  public let padding: Int
  /// Elements from one element of a window to the next; 1: they lie side by side.
  public let dilation: Int

  /// - Parameter stride: The distance of windows; the kernel's size if nil.
  public init(_ kernelSize: Int, stride: Int? = nil, padding: Int = 0, dilation: Int = 1) {
    self.kernelSize = kernelSize
    self.stride = stride ?? kernelSize
    self.padding = padding
    self.dilation = dilation
  }

  public func callAsFunction(_ x: Tensor) -> Tensor {
    maxPool1d("MaxPool1d", x, kernelSize, stride, padding, dilation)
  }
}

/// The mean of each window of sequences `[N, C, L]`.
public struct AvgPool1d: UnaryLayer, Sendable {
  /// Elements of a window.
  public let kernelSize: Int
  /// Elements from one window to the next.
  public let stride: Int
  /// Zeros on each side, at most half of the kernel.
  public let padding: Int
  /// Whether a mean divides by the whole window's size, or by that of its part inside the sequence.
  public let countIncludePad: Bool

  /// - Parameters:
  ///   - stride: The distance of windows; the kernel's size if nil.
  ///   - countIncludePad: Whether the zeros of the padding count as elements.
  public init(
    _ kernelSize: Int, stride: Int? = nil, padding: Int = 0, countIncludePad: Bool = true
  ) {
    self.kernelSize = kernelSize
    self.stride = stride ?? kernelSize
    self.padding = padding
    self.countIncludePad = countIncludePad
  }

  public func callAsFunction(_ x: Tensor) -> Tensor {
    avgPool1d("AvgPool1d", x, kernelSize, stride, padding, countIncludePad)
  }
}
