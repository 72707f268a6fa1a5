import DuetEager
import DuetRuntime

/// Steps of one size by the sign of a running mean (Chen and others, 2023):
/// c = β₁ m + (1 - β₁) g, m ← β₂ m + (1 - β₂) g, p ← p - learningRate (sign(c) + weightDecay p).
public final class Lion: SlotOptimizer, @unchecked Sendable {
  private let betas: (Double, Double)
  private let weightDecay: Double

  /// Defaults are mlx-swift's.
  /// - Parameters:
  ///   - learningRate: Three to ten times smaller than Adam's as a rule.
  ///   - betas: How much of the mean goes into the step, and how much stays.
  ///   - weightDecay: How much of each parameter is subtracted, times the learning rate.
  public init(
    _ parameters: some Sequence<Parameter>, learningRate: Double,
    betas: (Double, Double) = (0.9, 0.99), weightDecay: Double = 0
  ) {
    noteNegative(["learningRate": learningRate, "weightDecay": weightDecay], in: "Lion")
    Self.noteBetas(betas, in: "Lion")
    (self.betas, self.weightDecay) = (betas, weightDecay)
    super.init(
      parameters, learningRate: learningRate, slots: ["mean": 0],
      code: FusedCode(.lion, [betas.0, betas.1, weightDecay, 0]))
  }

  override func moved(
    _ value: Tensor, slots: [Tensor], gradient: Tensor, _ numbers: [Tensor]
  ) -> [Tensor] {
    let ahead = slots[0] * betas.0 + gradient * (1 - betas.0)
    let mean = slots[0] * betas.1 + gradient * (1 - betas.1)
    return [value - decayed(sign(ahead), value, weightDecay) * numbers[0], mean]
  }
}
