import DuetEager
import DuetRuntime

/// The weight and the bias that a layer of convolutions begins with: uniformly distributed in ±1/√(numbers that meet in
/// a result), as in PyTorch.
struct ConvolutionParameters {
  let weight: Parameter
  let bias: Parameter?

  /// - Parameters:
  ///   - axes: How many sizes the kernel has.
  ///   - isTransposed: Whether the weight is `[in, out / groups, ...]` instead of `[out, in / groups, ...]`.
  init(
    _ layer: String, _ inChannels: Int, _ outChannels: Int, kernelSize: any IntOrPair,
    axes: Int = 2, groups: Int, isTransposed: Bool = false, bias: Bool, dtype: DType
  ) {
    noteNegative(["inChannels": inChannels, "outChannels": outChannels], in: layer)
    let kernel = kernelSize.extent.map { [$0.height, $0.width].suffix(axes) } ?? []
    if kernel.isEmpty || groups < 1 || inChannels % groups != 0 || outChannels % groups != 0 {
      note(
        OpError(
          layer,
          "needs a kernel of \(axes == 1 ? "one size" : "one or two sizes") and channels that divide into "
            + "groups: \(inChannels) to \(outChannels) channels, \(groups) groups, kernel \(kernelSize)"
        ))
    }
    let (first, second) = isTransposed ? (inChannels, outChannels) : (outChannels, inChannels)
    let inGroup = groups > 0 ? second / groups : 0
    let fanIn = kernel.reduce(inGroup) { fanIn, size in
      let (product, isTooLarge) = fanIn.multipliedReportingOverflow(by: size)
      return isTooLarge ? .max : product
    }
    weight = .uniform([first, inGroup] + kernel, fanIn: fanIn, dtype, name: "weight")
    self.bias = bias ? .uniform([outChannels], fanIn: fanIn, dtype, name: "bias") : nil
  }
}
