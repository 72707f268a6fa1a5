import DuetEager
import DuetRuntime

/// x Wᵀ + b: `[..., inFeatures]` gives `[..., outFeatures]`.
///
/// Weights begin uniformly distributed in ±1/√inFeatures, biases too, as in PyTorch (He and others, 2015, with
/// a slope of √5).
public struct Linear: UnaryLayer, Sendable {
  /// `[outFeatures, inFeatures]`.
  public let weight: Parameter
  /// `[outFeatures]`.
  public let bias: Parameter?

  /// A layer that calls `linear`. Weight, and bias unless there is to be none, are drawn from the global generator.
  public init(
    _ inFeatures: Int, _ outFeatures: Int, bias: Bool = true, dtype: DType = .float32
  ) {
    noteNegative(["inFeatures": inFeatures, "outFeatures": outFeatures], in: "Linear")
    weight = .uniform([outFeatures, inFeatures], fanIn: inFeatures, dtype, name: "weight")
    self.bias = bias ? .uniform([outFeatures], fanIn: inFeatures, dtype, name: "bias") : nil
  }

  public func callAsFunction(_ x: Tensor) -> Tensor { linear(x, weight.value, bias?.value) }
}

extension Parameter {
  /// Uniform in ±1/√fanIn.
  convenience init(uniform shape: [Int], fanIn: Int, _ dtype: DType, name: String) {
    let bound = fanIn > 0 ? 1 / Double(fanIn).squareRoot() : 0
    self.init(Random.uniform(low: -bound, high: bound, shape, dtype: dtype), name: name)
  }

  static func uniform(_ shape: [Int], fanIn: Int, _ dtype: DType, name: String) -> Parameter {
    Parameter(uniform: shape, fanIn: fanIn, dtype, name: name)
  }
}
