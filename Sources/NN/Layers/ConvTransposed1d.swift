import DuetEager
import DuetRuntime

/// The transposed correlation of sequences `[N, in, L]` with a kernel, plus a bias per channel: `[N, out, L']`.
///
/// Weights and biases begin uniformly distributed in ±1/√(out / groups · k), as in PyTorch.
public struct ConvTransposed1d: UnaryLayer, Sendable {
  /// `[in, out / groups, k]`.
  public let weight: Parameter
  /// `[out]`.
  public let bias: Parameter?
  /// Elements of the result from one place of the kernel to the next.
  public let stride: Int
  /// Elements that are cut off on each side.
  public let padding: Int
  /// Elements more at the end.
  public let outputPadding: Int
  /// Elements from one element of the kernel to the next; 1: they lie side by side.
  public let dilation: Int
  /// The number of groups of channels that do not see each other.
  public let groups: Int

  /// A layer that calls `convTransposed1d`, in floating point. Defaults are PyTorch's; weights are drawn from the
  /// global generator. Channels that do not divide into groups are an error.
  public init(
    _ inChannels: Int, _ outChannels: Int, kernelSize: Int, stride: Int = 1,
    padding: Int = 0, outputPadding: Int = 0, dilation: Int = 1, groups: Int = 1, bias: Bool = true,
    dtype: DType = .float32
  ) {
    let kernel = ConvolutionParameters(
      "ConvTransposed1d", inChannels, outChannels, kernelSize: kernelSize, axes: 1, groups: groups,
      isTransposed: true, bias: bias, dtype: dtype)
    (weight, self.bias) = (kernel.weight, kernel.bias)
    self.stride = stride
    self.padding = padding
    self.outputPadding = outputPadding
    self.dilation = dilation
    self.groups = groups
  }

  public func callAsFunction(_ x: Tensor) -> Tensor {
    convTransposed1d(
      x, weight.value, bias: bias?.value, stride: stride, padding: padding,
      outputPadding: outputPadding, dilation: dilation,
      groups: groups)
  }
}
