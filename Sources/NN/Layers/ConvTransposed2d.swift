import DuetEager
import DuetRuntime

/// The transposed correlation of images `[N, in, H, W]` with a kernel, plus a bias per channel: `[N, out, H', W']`.
///
/// Weights and biases begin uniformly distributed in ±1/√(out / groups · kh · kw), as in PyTorch.
public struct ConvTransposed2d: UnaryLayer, Sendable {
  /// `[in, out / groups, kh, kw]`.
  public let weight: Parameter
  /// `[out]`.
  public let bias: Parameter?
  /// Rows and columns of the result from one place of the kernel to the next.
  public let stride: any IntOrPair
  /// Rows and columns that are cut off on each side.
  public let padding: any IntOrPair
  /// Rows and columns more at the lower and the right side.
  public let outputPadding: any IntOrPair
  /// Rows and columns from one element of the kernel to the next; 1: they lie side by side.
  public let dilation: any IntOrPair
  /// The number of groups of channels that do not see each other.
  public let groups: Int

  /// A layer that calls `convTransposed2d`, in floating point. Sizes are one number, or two for height and width.
  /// Defaults are PyTorch's; weights are drawn from the global generator. Channels that do not divide into groups are
  /// an error.
  public init(
    _ inChannels: Int, _ outChannels: Int, kernelSize: any IntOrPair, stride: any IntOrPair = 1,
    padding: any IntOrPair = 0, outputPadding: any IntOrPair = 0, dilation: any IntOrPair = 1,
    groups: Int = 1, bias: Bool = true,
    dtype: DType = .float32
  ) {
    let kernel = ConvolutionParameters(
      "ConvTransposed2d", inChannels, outChannels, kernelSize: kernelSize, groups: groups,
      isTransposed: true, bias: bias, dtype: dtype)
    (weight, self.bias) = (kernel.weight, kernel.bias)
    self.stride = stride
    self.padding = padding
    self.outputPadding = outputPadding
    self.dilation = dilation
    self.groups = groups
  }

  public func callAsFunction(_ x: Tensor) -> Tensor {
    convTransposed2d(
      x, weight.value, bias: bias?.value, stride: stride, padding: padding,
      outputPadding: outputPadding, dilation: dilation,
      groups: groups)
  }
}
