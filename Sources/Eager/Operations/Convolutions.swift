import DuetRuntime

/// The correlation of images with a kernel, as in PyTorch. Floating point; 16 bits are computed in `float32` and rounded
/// once.
///
/// - Parameters:
///   - x: Images `[N, C, H, W]`.
///   - weight: The kernel `[out, C / groups, kh, kw]`.
///   - bias: One number per output channel, `[out]`.
///   - padding: Rows and columns of zeros on each side.
///   - groups: The number of groups of channels that do not see each other.
/// - Returns: `[N, out, (H + 2 padding - dilation (kh - 1) - 1) / stride + 1, ...]`.
public func conv2d(
  _ x: Tensor, _ weight: Tensor, bias: Tensor? = nil, stride: any IntOrPair = 1,
  padding: any IntOrPair = 0, dilation: any IntOrPair = 1, groups: Int = 1
) -> Tensor {
  guard let convolution = convolution("conv2d", stride, padding, dilation, groups) else {
    return .failed
  }
  return convolved("conv2d", x, weight, bias) { x, weight in
    apply(.conv2d(convolution), x, weight)
  }
}

/// The correlation of sequences with a kernel, as in PyTorch. Floating point; 16 bits are computed in `float32` and
/// rounded once.
///
/// - Parameters:
///   - x: Sequences `[N, C, L]`.
///   - weight: The kernel `[out, C / groups, k]`.
///   - bias: One number per output channel, `[out]`.
///   - padding: Zeros on each side.
///   - groups: The number of groups of channels that do not see each other.
/// - Returns: `[N, out, (L + 2 padding - dilation (k - 1) - 1) / stride + 1]`.
public func conv1d(
  _ x: Tensor, _ weight: Tensor, bias: Tensor? = nil, stride: Int = 1, padding: Int = 0,
  dilation: Int = 1, groups: Int = 1
) -> Tensor {
  convolvedInRows("conv1d", x, weight, bias) { x, weight in
    let convolution = Convolution(
      stride: Extent(1, stride), padding: Extent(0, padding), dilation: Extent(1, dilation),
      groups: groups)
    return apply(.conv2d(convolution), x, weight)
  }
}

/// What `conv2d` does to cotangents: every pixel adds the kernel, times itself, to the result. It is the gradient of a
/// convolution by its input, as in PyTorch, and no inverse. Floating point; 16 bits are computed in `float32` and
/// rounded once.
///
/// - Parameters:
///   - x: Images `[N, C, H, W]`.
///   - weight: The kernel `[C, out / groups, kh, kw]`.
///   - bias: One number per output channel, `[out]`.
///   - stride: Rows and columns of the result from one pixel's kernel to the next one's.
///   - padding: Rows and columns that are cut off on each side.
///   - outputPadding: Rows and columns more at the lower and the right side; less than the stride or the dilation.
///   - groups: The number of groups of channels that do not see each other.
/// - Returns: `[N, out, (H - 1) stride - 2 padding + dilation (kh - 1) + outputPadding + 1, ...]`.
public func convTransposed2d(
  _ x: Tensor, _ weight: Tensor, bias: Tensor? = nil, stride: any IntOrPair = 1,
  padding: any IntOrPair = 0, outputPadding: any IntOrPair = 0, dilation: any IntOrPair = 1,
  groups: Int = 1
) -> Tensor {
  guard let convolution = convolution("convTransposed2d", stride, padding, dilation, groups),
    let outputPadding = extent(outputPadding, "convTransposed2d", "outputPadding")
  else { return .failed }
  return convolved("convTransposed2d", x, weight, bias) { x, weight in
    transposed("convTransposed2d", convolution, x, weight, outputPadding)
  }
}

/// What `conv1d` does to cotangents: every element adds the kernel, times itself, to the result. It is the gradient of a
/// convolution by its input, as in PyTorch, and no inverse. Floating point; 16 bits are computed in `float32` and
/// rounded once.
///
/// - Parameters:
///   - x: Sequences `[N, C, L]`.
///   - weight: The kernel `[C, out / groups, k]`.
///   - bias: One number per output channel, `[out]`.
///   - stride: Elements of the result from one element's kernel to the next one's.
///   - padding: Elements that are cut off on each side.
///   - outputPadding: Elements more at the end; less than the stride or the dilation.
///   - groups: The number of groups of channels that do not see each other.
/// - Returns: `[N, out, (L - 1) stride - 2 padding + dilation (k - 1) + outputPadding + 1]`.
public func convTransposed1d(
  _ x: Tensor, _ weight: Tensor, bias: Tensor? = nil, stride: Int = 1, padding: Int = 0,
  outputPadding: Int = 0, dilation: Int = 1, groups: Int = 1
) -> Tensor {
  convolvedInRows("convTransposed1d", x, weight, bias) { x, weight in
    let convolution = Convolution(
      stride: Extent(1, stride), padding: Extent(0, padding), dilation: Extent(1, dilation),
      groups: groups)
    return transposed("convTransposed1d", convolution, x, weight, Extent(0, outputPadding))
  }
}

private func convolution(
  _ operation: String, _ stride: any IntOrPair, _ padding: any IntOrPair,
  _ dilation: any IntOrPair, _ groups: Int
) -> Convolution? {
  guard let stride = extent(stride, operation, "stride"),
    let padding = extent(padding, operation, "padding"),
    let dilation = extent(dilation, operation, "dilation")
  else { return nil }
  return Convolution(stride: stride, padding: padding, dilation: dilation, groups: groups)
}

/// Brings both to one dtype, convolves, adds the bias.
private func convolved(
  _ operation: String, _ x: Tensor, _ weight: Tensor, _ bias: Tensor?,
  _ body: (_ x: Tensor, _ weight: Tensor) -> Tensor
) -> Tensor {
  let (x, weight) = promotedPair(x, weight)
  let isHalf = x.dtype.isHalf
  var result = isHalf ? body(x.asType(.float32), weight.asType(.float32)) : body(x, weight)
  if let bias, !result.isFailed {
    if bias.isFailed { return bias }
    let channels = result.dim(1)
    guard bias.shape == [channels] else {
      return fail(
        OpError(operation, "the bias has shape \(bias.shape), expected [\(channels)]"))
    }
    result = result + bias.reshaped([channels] + Array(repeating: 1, count: result.ndim - 2))
  }
  return isHalf ? result.asType(x.dtype) : result
}

/// As `convolved`, for sequences: the body sees images of one row.
private func convolvedInRows(
  _ operation: String, _ x: Tensor, _ weight: Tensor, _ bias: Tensor?,
  _ body: (_ x: Tensor, _ weight: Tensor) -> Tensor
) -> Tensor {
  for (tensor, what) in [(x, "an input [N, C, L]"), (weight, "a weight of three axes")]
  where tensor.ndim != 3 && !tensor.isFailed {
    return fail(OpError(operation, "needs \(what), not \(tensor.shape)"))
  }
  return convolved(operation, x, weight, bias) { x, weight in
    if x.isFailed || weight.isFailed { return x.isFailed ? x : weight }
    let result = body(x.expandedDimensions(axis: 2), weight.expandedDimensions(axis: 2))
    return result.isFailed ? result : result.squeezed(axis: 2)
  }
}

private func transposed(
  _ operation: String, _ convolution: Convolution, _ x: Tensor, _ weight: Tensor,
  _ outputPadding: Extent
) -> Tensor {
  if x.isFailed || weight.isFailed { return x.isFailed ? x : weight }
  let size: Extent
  do throws(OpError) {
    size = try convolution.transposedSize(
      input: x.body.type, weight: weight.body.type, outputPadding: outputPadding, operation)
  } catch {
    return fail(error)
  }
  // A stride more at the end is a pixel of 0 more.
  let more = Extent(
    outputPadding.height / convolution.stride.height,
    outputPadding.width / convolution.stride.width)
  let wide =
    more == Extent(0, 0)
    ? x : x.padded(widths: [(0, 0), (0, 0), (0, more.height), (0, more.width)])
  return apply(.conv2dInputGradient(convolution, inputSize: size), wide, weight)
}
