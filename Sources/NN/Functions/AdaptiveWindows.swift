import DuetEager
import DuetRuntime

/// The means of windows that divide images `[N, C, H, W]` into so many rows and columns, as PyTorch's
/// `adaptive_avg_pool2d`: window i of n covers the rows from ⌊i H / n⌋ up to ⌈(i + 1) H / n⌉. Floating point.
///
/// - Parameter outputSize: Rows and columns of the result; 1: the mean of each channel.
/// - Returns: `[N, C, rows, columns]`.
public func adaptiveAvgPool2d(_ x: Tensor, outputSize: any IntOrPair) -> Tensor {
  adaptiveAvgPool2d("adaptiveAvgPool2d", x, outputSize)
}

func adaptiveAvgPool2d(_ operation: String, _ x: Tensor, _ outputSize: any IntOrPair) -> Tensor {
  guard let windows = AdaptiveWindows(operation, x, outputSize) else { return .failed }
  if windows.output == Extent(1, 1) { return x.mean(axes: [2, 3], keepDims: true) }
  if let kernel = windows.evenKernel { return avgPool2d(x, kernelSize: kernel) }
  // Means of rows of means; 16 bits are rounded once.
  let wide = x.dtype.isHalf ? x.asType(.float32) : x
  var y = wide
  for (axis, places) in [(2, windows.rows), (3, windows.columns)] {
    y = concatenated(
      places.map { range in
        part(of: y, range, axis: axis).mean(axis: axis, keepDims: true)
      }, axis: axis)
  }
  return y.asType(x.dtype)
}

private func part(of x: Tensor, _ range: Range<Int>, axis: Int) -> Tensor {
  axis == 2 ? x[0..., 0..., range] : x[.ellipsis, range]
}

/// The largest elements of windows that divide images `[N, C, H, W]` into so many rows and columns, as PyTorch's
/// `adaptive_max_pool2d`. See ``adaptiveAvgPool2d(_:outputSize:)`` for the windows.
///
/// - Parameter outputSize: Rows and columns of the result; 1: the largest of each channel.
/// - Returns: `[N, C, rows, columns]`.
public func adaptiveMaxPool2d(_ x: Tensor, outputSize: any IntOrPair) -> Tensor {
  adaptiveMaxPool2d("adaptiveMaxPool2d", x, outputSize)
}

func adaptiveMaxPool2d(_ operation: String, _ x: Tensor, _ outputSize: any IntOrPair) -> Tensor {
  guard let windows = AdaptiveWindows(operation, x, outputSize) else { return .failed }
  if let kernel = windows.evenKernel { return maxPool2d(x, kernelSize: kernel) }
  // Windows of one size, in which the last row or column may come again: the first of equals is the largest.
  func filled(_ places: [Range<Int>]) -> (indices: Tensor, size: Int) {
    let size = places.map(\.count).max()!
    let indices = places.flatMap { range in
      (0..<size).map { min(range.lowerBound + $0, range.upperBound - 1) }
    }
    return (Tensor(indices), size)
  }
  let (rows, columns) = (filled(windows.rows), filled(windows.columns))
  let spread = x.take(rows.indices, axis: 2).take(columns.indices, axis: 3)
  return maxPool2d(spread, kernelSize: Extent(rows.size, columns.size))
}

/// The means of windows that divide sequences `[N, C, L]` into so many parts. Floating point.
/// See ``adaptiveAvgPool2d(_:outputSize:)`` for the windows.
///
/// - Returns: `[N, C, outputSize]`.
public func adaptiveAvgPool1d(_ x: Tensor, outputSize: Int) -> Tensor {
  adaptiveAvgPool1d("adaptiveAvgPool1d", x, outputSize)
}

func adaptiveAvgPool1d(_ operation: String, _ x: Tensor, _ outputSize: Int) -> Tensor {
  pooledSequences(operation, x, outputSize) { adaptiveAvgPool2d(operation, $0, $1) }
}

/// The largest elements of windows that divide sequences `[N, C, L]` into so many parts.
/// See ``adaptiveAvgPool2d(_:outputSize:)`` for the windows.
///
/// - Returns: `[N, C, outputSize]`.
public func adaptiveMaxPool1d(_ x: Tensor, outputSize: Int) -> Tensor {
  adaptiveMaxPool1d("adaptiveMaxPool1d", x, outputSize)
}

func adaptiveMaxPool1d(_ operation: String, _ x: Tensor, _ outputSize: Int) -> Tensor {
  pooledSequences(operation, x, outputSize) { adaptiveMaxPool2d(operation, $0, $1) }
}

/// Pools sequences as images of one row.
private func pooledSequences(
  _ operation: String, _ x: Tensor, _ outputSize: Int, _ pool: (Tensor, [Int]) -> Tensor
) -> Tensor {
  if let failed = mistake(operation, x, ranks: [3], "sequences [N, C, L]") { return failed }
  guard outputSize >= 1 else {
    return fail(OpError(operation, "outputSize must be at least 1, not \(outputSize)"))
  }
  return inRows(operation, x) { pool($0, [1, outputSize]) }
}

/// Does to sequences `[N, C, L]` what a body does to images of one row.
func inRows(_ operation: String, _ x: Tensor, _ body: (Tensor) -> Tensor) -> Tensor {
  if x.isFailed { return x }
  guard x.ndim == 3 else {
    return fail(OpError(operation, "needs sequences [N, C, L], not shape \(x.shape)"))
  }
  let y = body(x.expandedDimensions(axis: 2))
  return y.isFailed ? y : y.squeezed(axis: 2)
}

/// The windows that divide images into rows and columns.
private struct AdaptiveWindows {
  let output: Extent
  let rows: [Range<Int>]
  let columns: [Range<Int>]
  /// The size of windows that lie side by side, all of it, if they do.
  let evenKernel: Extent?

  /// Nil after noting what is wrong.
  init?(_ operation: String, _ x: Tensor, _ outputSize: any IntOrPair) {
    if mistake(operation, x, ranks: [4], "images [N, C, H, W]") != nil { return nil }
    guard let output = checkedExtent(outputSize, operation, "outputSize") else { return nil }
    let (height, width) = (x.dim(2), x.dim(3))
    guard height > 0, width > 0 else {
      note(OpError(operation, "there is nothing to pool in images of shape \(x.shape)"))
      return nil
    }
    // The windows are listed, and their bounds are computed as products of sizes.
    let most = Int(Int32.max)
    guard max(output.height, output.width) <= most, max(height, width) <= most else {
      note(
        OpError(
          operation,
          "cannot divide images of shape \(x.shape) into \(output.height) rows and "
            + "\(output.width) columns: the sizes are too large"))
      return nil
    }
    self.output = output
    func windows(_ size: Int, _ count: Int) -> [Range<Int>] {
      (0..<count).map { $0 * size / count..<(($0 + 1) * size + count - 1) / count }
    }
    rows = windows(height, output.height)
    columns = windows(width, output.width)
    let isEven = height % output.height == 0 && width % output.width == 0
    evenKernel = isEven ? Extent(height / output.height, width / output.width) : nil
  }
}
