extension Convolution {
  /// Largest stride, padding, dilation, number of groups and kernel size: what they are multiplied and added to
  /// stays far from overflow, in kernels too.
  static let largestAttribute = 1 << 24

  /// Output elements along one axis, or nil if the kernel does not fit.
  static func outputSize(_ size: Int, _ kernel: Int, _ stride: Int, _ padding: Int, _ dilation: Int)
    -> Int?
  {
    guard size >= 0, size <= 1 << 46, kernel <= largestAttribute else { return nil }
    let room = size + 2 * padding - dilation * (kernel - 1) - 1
    return room < 0 ? nil : room / stride + 1
  }

  private func check(_ name: String) throws(OpError) {
    guard stride.height > 0, stride.width > 0, dilation.height > 0, dilation.width > 0,
      padding.height >= 0, padding.width >= 0, groups > 0
    else {
      throw OpError(
        name,
        "stride \(stride), dilation \(dilation) and groups \(groups) must be positive, "
          + "padding \(padding) not negative")
    }
    let largest = max(
      stride.height, stride.width, dilation.height, dilation.width, padding.height, padding.width,
      groups)
    guard largest <= Self.largestAttribute else {
      throw OpError(
        name,
        "stride \(stride), dilation \(dilation), padding \(padding) and groups \(groups) must be "
          + "at most \(Self.largestAttribute)")
    }
  }

  /// `[N, O, outH, outW]` for an input `[N, C, H, W]` and a weight `[O, C / groups, kh, kw]`.
  func resultType(input: TensorType, weight: TensorType, _ name: String = "conv2d") throws(OpError)
    -> TensorType
  {
    try check(name)
    guard input.dtype == weight.dtype else {
      throw OpError(name, "dtypes differ: \(input.dtype) and \(weight.dtype)")
    }
    guard input.dtype == .float32 || input.dtype == .float64 else {
      throw OpError(name, "needs float32 or float64, not \(input.dtype)")
    }
    guard input.shape.rank == 4 else {
      throw OpError(name, "needs an input [N, C, H, W], not \(input.shape)")
    }
    guard weight.shape.rank == 4 else {
      throw OpError(name, "needs a weight [out, in / groups, kh, kw], not \(weight.shape)")
    }
    guard input.shape[1] % groups == 0, weight.shape[1] == input.shape[1] / groups else {
      throw OpError(
        name,
        "input \(input.shape) has \(input.shape[1]) channels, weight \(weight.shape) with "
          + "\(groups) groups takes \(weight.shape[1] &* groups)")
    }
    guard weight.shape[0] % groups == 0 else {
      throw OpError(name, "\(weight.shape[0]) output channels do not divide into \(groups) groups")
    }
    guard weight.shape[2] > 0, weight.shape[3] > 0,
      let height = Self.outputSize(
        input.shape[2], weight.shape[2], stride.height, padding.height, dilation.height),
      let width = Self.outputSize(
        input.shape[3], weight.shape[3], stride.width, padding.width, dilation.width)
    else {
      throw OpError(
        name,
        "the kernel \(Extent(weight.shape[2], weight.shape[3])) (dilation \(dilation)) does not fit "
          + "the input \(Extent(input.shape[2], input.shape[3])) with padding \(self.padding)")
    }
    return TensorType(input.dtype, [input.shape[0], weight.shape[0], height, width])
  }

  /// The rows and columns of the transposed convolution of an input `[N, C, H, W]` with a weight
  /// `[C, O / groups, kh, kw]`.
  package func transposedSize(
    input: TensorType, weight: TensorType, outputPadding: Extent, _ name: String
  ) throws(OpError) -> Extent {
    try check(name)
    guard input.dtype == .float32 || input.dtype == .float64 else {
      throw OpError(name, "needs floating-point tensors, not \(input.dtype)")
    }
    guard input.shape.rank == 4 else {
      throw OpError(name, "needs an input [N, C, H, W], not \(input.shape)")
    }
    guard weight.shape.rank == 4 else {
      throw OpError(name, "needs a weight [in, out / groups, kh, kw], not \(weight.shape)")
    }
    guard input.shape[1] == weight.shape[0], weight.shape[0] % groups == 0 else {
      throw OpError(
        name,
        "input \(input.shape) has \(input.shape[1]) channels, weight \(weight.shape) with "
          + "\(groups) groups takes \(weight.shape[0])")
    }
    func size(
      _ count: Int, _ kernel: Int, _ stride: Int, _ padding: Int, _ dilation: Int, _ more: Int
    ) throws(OpError) -> Int {
      guard more >= 0, more < max(stride, dilation) else {
        throw OpError(
          name,
          "outputPadding \(outputPadding) must be less than the stride \(self.stride) or the "
            + "dilation \(self.dilation)")
      }
      let fits = count <= 1 << 36 && kernel <= Self.largestAttribute
      let size = fits ? (count - 1) * stride - 2 * padding + dilation * (kernel - 1) + more + 1 : 0
      guard count > 0, kernel > 0, size > 0 else {
        throw OpError(
          name,
          "nothing is left of the result of an input \(Extent(input.shape[2], input.shape[3])) and a "
            + "kernel \(Extent(weight.shape[2], weight.shape[3])) with padding \(self.padding)")
      }
      return size
    }
    return Extent(
      try size(
        input.shape[2], weight.shape[2], stride.height, padding.height, dilation.height,
        outputPadding.height),
      try size(
        input.shape[3], weight.shape[3], stride.width, padding.width, dilation.width,
        outputPadding.width))
  }

  func inputGradientType(cotangent: TensorType, weight: TensorType, size: Extent) throws(OpError)
    -> TensorType
  {
    guard cotangent.shape.rank == 4, weight.shape.rank == 4 else {
      throw OpError("conv2dInputGradient", "needs four axes: \(cotangent.shape), \(weight.shape)")
    }
    let input = TensorType(
      cotangent.dtype,
      [cotangent.shape[0], weight.shape[1] &* groups, size.height, size.width])
    let output = try resultType(input: input, weight: weight, "conv2dInputGradient")
    guard output == cotangent else {
      throw OpError(
        "conv2dInputGradient", "cotangent has shape \(cotangent.shape), expected \(output.shape)")
    }
    return input
  }

  func weightGradientType(input: TensorType, cotangent: TensorType, size: Extent) throws(OpError)
    -> TensorType
  {
    guard cotangent.shape.rank == 4, input.shape.rank == 4 else {
      throw OpError("conv2dWeightGradient", "needs four axes: \(input.shape), \(cotangent.shape)")
    }
    try check("conv2dWeightGradient")
    let weight = TensorType(
      input.dtype, [cotangent.shape[1], input.shape[1] / groups, size.height, size.width])
    let output = try resultType(input: input, weight: weight, "conv2dWeightGradient")
    guard output == cotangent else {
      throw OpError(
        "conv2dWeightGradient", "cotangent has shape \(cotangent.shape), expected \(output.shape)")
    }
    return weight
  }
}

extension Pooling {
  /// `[N, C, outH, outW]` for an input `[N, C, H, W]`.
  func resultType(for input: TensorType, _ name: String) throws(OpError) -> TensorType {
    guard input.shape.rank == 4 else {
      throw OpError(name, "needs an input [N, C, H, W], not \(input.shape)")
    }
    guard input.dtype != .bool else { throw OpError(name, "bool has no arithmetic; cast it first") }
    guard kernelSize.height > 0, kernelSize.width > 0, stride.height > 0, stride.width > 0,
      dilation.height > 0, dilation.width > 0
    else {
      throw OpError(
        name, "kernel \(kernelSize), stride \(stride) and dilation \(dilation) must be positive")
    }
    // A window that holds nothing but padding would have no value.
    guard
      max(
        kernelSize.height, kernelSize.width, stride.height, stride.width, dilation.height,
        dilation.width) <= Convolution.largestAttribute
    else {
      throw OpError(
        name,
        "kernel \(kernelSize), stride \(stride) and dilation \(dilation) must be at most "
          + "\(Convolution.largestAttribute)")
    }
    guard padding.height >= 0, padding.width >= 0, padding.height <= kernelSize.height,
      padding.width <= kernelSize.width, padding.height * 2 <= kernelSize.height,
      padding.width * 2 <= kernelSize.width
    else {
      throw OpError(name, "padding \(padding) must be at most half of the kernel \(kernelSize)")
    }
    guard
      let height = Convolution.outputSize(
        input.shape[2], kernelSize.height, stride.height, padding.height, dilation.height),
      let width = Convolution.outputSize(
        input.shape[3], kernelSize.width, stride.width, padding.width, dilation.width),
      input.shape[2] > 0, input.shape[3] > 0
    else {
      throw OpError(
        name,
        "the kernel \(kernelSize) (dilation \(dilation)) does not fit the input "
          + "\(Extent(input.shape[2], input.shape[3])) with padding \(self.padding)")
    }
    return TensorType(input.dtype, [input.shape[0], input.shape[1], height, width])
  }
}
