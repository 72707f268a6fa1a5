import DuetEager
import DuetRuntime

/// The largest element of each window of sequences `[N, C, L]`.
///
/// - Parameters:
///   - stride: The distance of windows; the kernel's size if nil.
///   - padding: Elements on each side that are never the largest, at most half of the kernel.
///   - dilation: Elements from one element of a window to the next; 1: they lie side by side.
/// - Returns: `[N, C, (L + 2 padding - dilation (kernelSize - 1) - 1) / stride + 1]`.
public func maxPool1d(
  _ x: Tensor, kernelSize: Int, stride: Int? = nil, padding: Int = 0, dilation: Int = 1
) -> Tensor {
  inRows("maxPool1d", x) { x in
    maxPool2d(
      x, kernelSize: [1, kernelSize], stride: [1, stride ?? kernelSize], padding: [0, padding],
      dilation: [1, dilation])
  }
}

/// The mean of each window of sequences `[N, C, L]`. Floating point.
///
/// - Parameters:
///   - stride: The distance of windows; the kernel's size if nil.
///   - padding: Zeros on each side, at most half of the kernel.
///   - countIncludePad: Whether the zeros of the padding count as elements.
/// - Returns: `[N, C, (L + 2 padding - kernelSize) / stride + 1]`.
public func avgPool1d(
  _ x: Tensor, kernelSize: Int, stride: Int? = nil, padding: Int = 0, countIncludePad: Bool = true
) -> Tensor {
  inRows("avgPool1d", x) { x in
    avgPool2d(
      x, kernelSize: [1, kernelSize], stride: [1, stride ?? kernelSize], padding: [0, padding],
      countIncludePad: countIncludePad)
  }
}
