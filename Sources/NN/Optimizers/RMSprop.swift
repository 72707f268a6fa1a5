import DuetEager
import DuetRuntime

/// Steps by the gradient over the root of its running square (Hinton, 2012, in PyTorch's form).
public final class RMSprop: SlotOptimizer, @unchecked Sendable {
  private let alpha: Double
  private let eps: Double
  private let weightDecay: Double
  private let momentum: Double
  private let centered: Bool

  /// Defaults are PyTorch's.
  /// - Parameters:
  ///   - alpha: How much of the running square stays at each step.
  ///   - eps: Is added to the root.
  ///   - weightDecay: How much of each parameter is added to its gradient.
  ///   - momentum: How much of each step goes into the next one.
  ///   - centered: Whether the square of the gradient's running mean is subtracted from its running square.
  public init(
    _ parameters: some Sequence<Parameter>, learningRate: Double = 0.01, alpha: Double = 0.99,
    eps: Double = 1e-8, weightDecay: Double = 0, momentum: Double = 0, centered: Bool = false
  ) {
    noteNegative(
      [
        "learningRate": learningRate, "alpha": alpha, "eps": eps, "weightDecay": weightDecay,
        "momentum": momentum,
      ], in: "RMSprop")
    (self.alpha, self.eps) = (alpha, eps)
    (self.weightDecay, self.momentum) = (weightDecay, momentum)
    self.centered = centered
    let code = FusedCode(.rmsProp, [alpha, eps, weightDecay, centered ? -momentum - 1 : momentum])
    switch (momentum != 0, centered) {
    case (false, false):
      super.init(parameters, learningRate: learningRate, slots: ["square": 0], code: code)
    case (false, true):
      super.init(
        parameters, learningRate: learningRate, slots: ["square": 0, "mean": 0], code: code)
    case (true, false):
      super.init(
        parameters, learningRate: learningRate, slots: ["square": 0, "velocity": 0], code: code)
    case (true, true):
      super.init(
        parameters, learningRate: learningRate, slots: ["square": 0, "mean": 0, "velocity": 0],
        code: code)
    }
  }

  override func moved(
    _ value: Tensor, slots: [Tensor], gradient: Tensor, _ numbers: [Tensor]
  ) -> [Tensor] {
    let gradient = decayed(gradient, value, weightDecay)
    let square = slots[0] * alpha + gradient * gradient * (1 - alpha)
    var new = [square]
    var variance = square
    if centered {
      let mean = slots[1] + (gradient - slots[1]) * (1 - alpha)
      new.append(mean)
      variance = square - mean * mean
    }
    var direction = gradient / (sqrt(variance) + eps)
    if momentum != 0 {
      direction = slots[slots.count - 1] * momentum + direction
      new.append(direction)
    }
    return [value - direction * numbers[0]] + new
  }
}
