import DuetEager
import DuetRuntime

/// Steps by the gradient over the root of the sum of its squares so far (Duchi and others, 2011).
public final class Adagrad: SlotOptimizer, @unchecked Sendable {
  private let rateDecay: Double
  private let weightDecay: Double
  private let eps: Double

  /// Defaults are PyTorch's.
  /// - Parameters:
  ///   - rateDecay: In step t, from 1 on, the step size is divided by 1 + (t - 1) rateDecay.
  ///   - weightDecay: How much of each parameter is added to its gradient.
  ///   - initialSum: What the sums of squares begin with.
  ///   - eps: Is added to the root.
  public init(
    _ parameters: some Sequence<Parameter>, learningRate: Double = 0.01, rateDecay: Double = 0,
    weightDecay: Double = 0, initialSum: Double = 0, eps: Double = 1e-10
  ) {
    noteNegative(
      [
        "learningRate": learningRate, "rateDecay": rateDecay, "weightDecay": weightDecay,
        "initialSum": initialSum, "eps": eps,
      ], in: "Adagrad")
    (self.rateDecay, self.weightDecay, self.eps) = (rateDecay, weightDecay, eps)
    super.init(
      parameters, learningRate: learningRate, slots: ["sum": initialSum],
      code: FusedCode(.adagrad, [weightDecay, eps, 0, 0]))
  }

  override func numbers(rate: Tensor, count: Tensor) -> [Tensor] {
    [rate / ((count - 1) * rateDecay + 1)]
  }

  override func moved(
    _ value: Tensor, slots: [Tensor], gradient: Tensor, _ numbers: [Tensor]
  ) -> [Tensor] {
    let gradient = decayed(gradient, value, weightDecay)
    let sum = slots[0] + gradient * gradient
    return [value - gradient / (sqrt(sum) + eps) * numbers[0], sum]
  }
}

/// Steps as large as the running root of the squares of the steps before (Zeiler, 2012).
public final class Adadelta: SlotOptimizer, @unchecked Sendable {
  private let rho: Double
  private let eps: Double
  private let weightDecay: Double

  /// Defaults are PyTorch's.
  /// - Parameters:
  ///   - rho: How much of the running squares stays at each step.
  ///   - eps: Is added to the squares under the roots.
  ///   - weightDecay: How much of each parameter is added to its gradient.
  public init(
    _ parameters: some Sequence<Parameter>, learningRate: Double = 1, rho: Double = 0.9,
    eps: Double = 1e-6, weightDecay: Double = 0
  ) {
    noteNegative(
      ["learningRate": learningRate, "eps": eps, "weightDecay": weightDecay], in: "Adadelta")
    noteImprobable(rho, "factor rho", in: "Adadelta")
    (self.rho, self.eps, self.weightDecay) = (rho, eps, weightDecay)
    super.init(
      parameters, learningRate: learningRate, slots: ["square": 0, "step_square": 0],
      code: FusedCode(.adadelta, [rho, eps, weightDecay, 0]))
  }

  override func moved(
    _ value: Tensor, slots: [Tensor], gradient: Tensor, _ numbers: [Tensor]
  ) -> [Tensor] {
    let gradient = decayed(gradient, value, weightDecay)
    let square = slots[0] * rho + gradient * gradient * (1 - rho)
    let step = sqrt(slots[1] + eps) / sqrt(square + eps) * gradient
    let stepSquare = slots[1] * rho + step * step * (1 - rho)
    return [value - step * numbers[0], square, stepSquare]
  }
}
