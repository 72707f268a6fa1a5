import DuetEager
import DuetRuntime

/// The correlation of images `[N, in, H, W]` with a kernel, plus a bias per channel: `[N, out, H', W']`.
///
/// Weights and biases begin uniformly distributed in ±1/√(in / groups · kh · kw), as in PyTorch.
public struct Conv2d: UnaryLayer {
  /// `[out, in / groups, kh, kw]`.
  public let weight: Parameter
  /// `[out]`.
  public let bias: Parameter?
  /// Rows and columns from one place of the kernel to the next.
  public let stride: any IntOrPair
  /// Rows and columns of zeros on each side.
  public let padding: any IntOrPair
  /// Rows and columns from one element of the kernel to the next; 1: they lie side by side.
  public let dilation: any IntOrPair
  /// The number of groups of channels that do not see each other.
  public let groups: Int

  /// A layer that calls `conv2d`, in `float32` or `float64`. Sizes are one number, or two for height and width.
  /// Defaults are PyTorch's; weights are drawn from the global generator. Channels that do not divide into groups are
  /// an error.
  public init(
    _ inChannels: Int, _ outChannels: Int, kernelSize: any IntOrPair, stride: any IntOrPair = 1,
    padding: any IntOrPair = 0, dilation: any IntOrPair = 1, groups: Int = 1, bias: Bool = true,
    dtype: DType = .float32
  ) {
    noteNegative(["inChannels": inChannels, "outChannels": outChannels], in: "Conv2d")
    let kernel = kernelSize.extent.map { [$0.height, $0.width] } ?? []
    let inputs = groups > 0 ? inChannels / groups : 0
    if kernel.count != 2 || groups < 1 || inChannels % groups != 0 || outChannels % groups != 0 {
      note(
        OpError(
          "Conv2d",
          "needs a kernel of one or two sizes and channels that divide into groups: \(inChannels) to "
            + "\(outChannels) channels, \(groups) groups, kernel \(kernelSize)"))
    }
    let fanIn = kernel.reduce(inputs) { fanIn, size in
      let (product, isTooLarge) = fanIn.multipliedReportingOverflow(by: size)
      return isTooLarge ? .max : product
    }
    weight = .uniform([outChannels, inputs] + kernel, fanIn: fanIn, dtype, name: "weight")
    self.bias = bias ? .uniform([outChannels], fanIn: fanIn, dtype, name: "bias") : nil
    self.stride = stride
    self.padding = padding
    self.dilation = dilation
    self.groups = groups
  }

  public func callAsFunction(_ x: Tensor) -> Tensor {
    conv2d(
      x, weight.value, bias: bias?.value, stride: stride, padding: padding, dilation: dilation,
      groups: groups)
  }
}
