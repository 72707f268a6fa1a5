import DuetEager

/// The largest element of each window of images `[N, C, H, W]`.
public struct MaxPool2d: UnaryLayer, Sendable {
  /// Rows and columns of a window.
  public let kernelSize: any IntOrPair
  /// Rows and columns from one window to the next; the kernel's size if nil.
  public let stride: (any IntOrPair)?
  /// Rows and columns on each side that are never the largest, at most half of the kernel.
  public let padding: any IntOrPair
  /// Rows and columns from one element of a window to the next; 1: they lie side by side.
  public let dilation: any IntOrPair

  /// - Parameter stride: The distance of windows; the kernel's size if nil.
  public init(
    _ kernelSize: any IntOrPair, stride: (any IntOrPair)? = nil, padding: any IntOrPair = 0,
    dilation: any IntOrPair = 1
  ) {
    self.kernelSize = kernelSize
    self.stride = stride
    self.padding = padding
    self.dilation = dilation
  }

  public func callAsFunction(_ x: Tensor) -> Tensor {
    maxPool2d(x, kernelSize: kernelSize, stride: stride, padding: padding, dilation: dilation)
  }
}

/// The mean of each window of images `[N, C, H, W]`.
public struct AvgPool2d: UnaryLayer, Sendable {
  /// Rows and columns of a window.
  public let kernelSize: any IntOrPair
  /// Rows and columns from one window to the next; the kernel's size if nil.
  public let stride: (any IntOrPair)?
  /// Rows and columns of zeros on each side, at most half of the kernel.
  public let padding: any IntOrPair
  /// Whether a mean divides by the whole window's size, or by that of its part inside the image.
  public let countIncludePad: Bool

  /// - Parameters:
  ///   - stride: The distance of windows; the kernel's size if nil.
  ///   - countIncludePad: Whether the zeros of the padding count as elements.
  public init(
    _ kernelSize: any IntOrPair, stride: (any IntOrPair)? = nil, padding: any IntOrPair = 0,
    countIncludePad: Bool = true
  ) {
    self.kernelSize = kernelSize
    self.stride = stride
    self.padding = padding
    self.countIncludePad = countIncludePad
  }

  public func callAsFunction(_ x: Tensor) -> Tensor {
    avgPool2d(
      x, kernelSize: kernelSize, stride: stride, padding: padding, countIncludePad: countIncludePad)
  }
}
