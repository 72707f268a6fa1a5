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
  maxPool1d("maxPool1d", x, kernelSize, stride ?? kernelSize, padding, dilation)
}

func maxPool1d(
  _ operation: String, _ x: Tensor, _ kernelSize: Int, _ stride: Int, _ padding: Int,
  _ dilation: Int
) -> Tensor {
  inRows(operation, x) { x in
    guard fits(operation, x, kernelSize, stride, padding, dilation) else { return .failed }
    return maxPool2d(
      x, kernelSize: [1, kernelSize], stride: [1, stride], padding: [0, padding],
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
  avgPool1d("avgPool1d", x, kernelSize, stride ?? kernelSize, padding, countIncludePad)
}

func avgPool1d(
  _ operation: String, _ x: Tensor, _ kernelSize: Int, _ stride: Int, _ padding: Int,
  _ countIncludePad: Bool
) -> Tensor {
  if let failed = mistake(operation, x, ranks: [3], "sequences [N, C, L]") { return failed }
  return inRows(operation, x) { x in
    guard fits(operation, x, kernelSize, stride, padding, 1) else { return .failed }
    return avgPool2d(
      x, kernelSize: [1, kernelSize], stride: [1, stride], padding: [0, padding],
      countIncludePad: countIncludePad)
  }
}

/// Whether windows can be laid over rows of one image. If not, that is noted in words for sequences.
private func fits(
  _ operation: String, _ x: Tensor, _ kernelSize: Int, _ stride: Int, _ padding: Int,
  _ dilation: Int
) -> Bool {
  let length = x.dim(-1)
  // No number is so large that sums and products of two overflow.
  let numbers = [kernelSize, stride, padding, dilation]
  if kernelSize >= 1, stride >= 1, dilation >= 1, 0...(kernelSize / 2) ~= padding,
    numbers.allSatisfy({ $0 < 1 << 31 }),
    dilation * (kernelSize - 1) < length + 2 * padding
  {
    return true
  }
  note(
    OpError(
      operation,
      "cannot lay windows of kernel \(kernelSize), stride \(stride), padding \(padding) and "
        + "dilation \(dilation) over sequences of length \(length)"))
  return false
}
