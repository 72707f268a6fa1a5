import DuetRuntime

/// A height and a width: `3` for both, or `[3, 5]`, or `Extent(3, 5)`.
public protocol IntOrPair: Sendable {
  /// Height and width; nil if there are not two numbers.
  var extent: Extent? { get }
}

extension Int: IntOrPair {
  public var extent: Extent? { Extent(self, self) }
}

extension Array: IntOrPair where Element == Int {
  public var extent: Extent? { count == 2 ? Extent(self[0], self[1]) : nil }
}

extension Extent: IntOrPair {
  public var extent: Extent? { self }
}

/// The largest element of each window of images `[N, C, H, W]`.
///
/// - Parameters:
///   - stride: The distance of windows; the kernel's size if nil.
///   - padding: Rows and columns on each side that are never the largest.
public func maxPool2d(
  _ x: Tensor, kernelSize: any IntOrPair, stride: (any IntOrPair)? = nil,
  padding: any IntOrPair = 0, dilation: any IntOrPair = 1
) -> Tensor {
  guard
    let pooling = pooling("maxPool2d", kernelSize, stride, padding, dilation, countsPadding: true)
  else { return .failed }
  return apply(.maxPool2d(pooling), x)
}

/// The mean of each window of images `[N, C, H, W]`. Floating point.
///
/// - Parameters:
///   - stride: The distance of windows; the kernel's size if nil.
///   - padding: Rows and columns of zeros on each side.
///   - countIncludePad: Whether the zeros of the padding count as elements.
public func avgPool2d(
  _ x: Tensor, kernelSize: any IntOrPair, stride: (any IntOrPair)? = nil,
  padding: any IntOrPair = 0, countIncludePad: Bool = true
) -> Tensor {
  guard
    let pooling = pooling(
      "avgPool2d", kernelSize, stride, padding, 1, countsPadding: countIncludePad)
  else { return .failed }
  return apply(.averagePool2d(pooling), x)
}

private func pooling(
  _ operation: String, _ kernelSize: any IntOrPair, _ stride: (any IntOrPair)?,
  _ padding: any IntOrPair, _ dilation: any IntOrPair, countsPadding: Bool
) -> Pooling? {
  guard let kernelSize = extent(kernelSize, operation, "kernelSize"),
    let stride = extent(stride ?? kernelSize, operation, "stride"),
    let padding = extent(padding, operation, "padding"),
    let dilation = extent(dilation, operation, "dilation")
  else { return nil }
  return Pooling(
    kernelSize: kernelSize, stride: stride, padding: padding, dilation: dilation,
    countsPadding: countsPadding)
}

func extent(_ value: any IntOrPair, _ operation: String, _ argument: String) -> Extent? {
  if let extent = value.extent { return extent }
  note(OpError(operation, "\(argument) must be one number or two, not \(value)"))
  return nil
}
