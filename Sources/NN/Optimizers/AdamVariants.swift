import DuetEager
import DuetRuntime

/// Adam with the largest gradient of late in the place of the running square (Kingma and Ba, 2015, section 7.1).
public final class Adamax: SlotOptimizer, @unchecked Sendable {
  private let betas: (Double, Double)
  private let eps: Double
  private let weightDecay: Double

  /// Defaults are PyTorch's.
  /// - Parameters:
  ///   - betas: How much of the running mean and of the largest absolute value stays at each step.
  ///   - eps: Is added to absolute values.
  ///   - weightDecay: How much of each parameter is added to its gradient.
  public init(
    _ parameters: some Sequence<Parameter>, learningRate: Double = 0.002,
    betas: (Double, Double) = (0.9, 0.999), eps: Double = 1e-8, weightDecay: Double = 0
  ) {
    noteNegative(
      ["learningRate": learningRate, "eps": eps, "weightDecay": weightDecay], in: "Adamax")
    Self.noteBetas(betas, in: "Adamax")
    (self.betas, self.eps, self.weightDecay) = (betas, eps, weightDecay)
    super.init(
      parameters, learningRate: learningRate, slots: ["mean": 0, "largest": 0],
      code: FusedCode(.adamax, [betas.0, betas.1, eps, weightDecay]))
  }

  override func numbers(rate: Tensor, count: Tensor) -> [Tensor] {
    [rate / (1 - pow(betas.0, count))]
  }

  override func moved(
    _ value: Tensor, slots: [Tensor], gradient: Tensor, _ numbers: [Tensor]
  ) -> [Tensor] {
    let gradient = decayed(gradient, value, weightDecay)
    let mean = slots[0] + (gradient - slots[0]) * (1 - betas.0)
    let largest = maximum(slots[1] * betas.1, abs(gradient) + eps)
    return [value - mean / largest * numbers[0], mean, largest]
  }
}

/// Adam that looks ahead by its momentum, as Nesterov does (Dozat, 2016).
public final class NAdam: SlotOptimizer, @unchecked Sendable {
  private let betas: (Double, Double)
  private let eps: Double
  private let weightDecay: Double
  private let momentumDecay: Double
  private let decoupled: Bool
  /// The product of the momenta of all steps so far.
  private let product = OptimizerScalar(1, name: "momentum_product")

  /// Defaults are PyTorch's.
  /// - Parameters:
  ///   - betas: How much of the running mean and of the running square stays at each step.
  ///   - eps: Is added to the root.
  ///   - weightDecay: How much of each parameter is added to its gradient.
  ///   - momentumDecay: How fast the momentum β₁ (1 - 0.96^(t momentumDecay) / 2) rises.
  ///   - decoupledWeightDecay: Whether parameters decay by themselves, as in ``AdamW``.
  public init(
    _ parameters: some Sequence<Parameter>, learningRate: Double = 0.002,
    betas: (Double, Double) = (0.9, 0.999), eps: Double = 1e-8, weightDecay: Double = 0,
    momentumDecay: Double = 0.004, decoupledWeightDecay: Bool = false
  ) {
    noteNegative(
      [
        "learningRate": learningRate, "eps": eps, "weightDecay": weightDecay,
        "momentumDecay": momentumDecay,
      ], in: "NAdam")
    Self.noteBetas(betas, in: "NAdam")
    (self.betas, self.eps) = (betas, eps)
    (self.weightDecay, self.momentumDecay) = (weightDecay, momentumDecay)
    decoupled = decoupledWeightDecay
    super.init(
      parameters, learningRate: learningRate, slots: ["mean": 0, "square": 0],
      code: FusedCode(
        .nadam, [betas.0, betas.1, eps, decoupledWeightDecay ? -weightDecay : weightDecay]))
  }

  /// Those of every rule, and the product of momenta.
  public override var stateVariables: [(name: String, variable: Variable)] {
    [("momentum_product", product.variable)] + super.stateVariables
  }

  override func numbers(rate: Tensor, count: Tensor) -> [Tensor] {
    func momentum(_ count: Tensor) -> Tensor {
      (1 - pow(0.96, count * momentumDecay) * 0.5) * betas.0
    }
    let (now, next) = (momentum(count), momentum(count + 1))
    let product = product.variable.value * now
    self.product.variable.value = product
    return [
      rate * (1 - now) / (1 - product), rate * next / (1 - product * next),
      sqrt(1 - pow(betas.1, count)), 1 - rate * weightDecay,
    ]
  }

  override func moved(
    _ value: Tensor, slots: [Tensor], gradient: Tensor, _ numbers: [Tensor]
  ) -> [Tensor] {
    let value = decoupled && weightDecay != 0 ? value * numbers[3] : value
    let gradient = decoupled ? gradient : decayed(gradient, value, weightDecay)
    let mean = slots[0] + (gradient - slots[0]) * (1 - betas.0)
    let square = slots[1] * betas.1 + gradient * gradient * (1 - betas.1)
    let divisor = sqrt(square) / numbers[2] + eps
    return [value - (gradient * numbers[0] + mean * numbers[1]) / divisor, mean, square]
  }
}

/// Adam that divides by the running square only when enough steps have gone into it (Liu and others, 2020).
public final class RAdam: SlotOptimizer, @unchecked Sendable {
  private let betas: (Double, Double)
  private let eps: Double
  private let weightDecay: Double
  private let decoupled: Bool

  /// Defaults are PyTorch's.
  /// - Parameters:
  ///   - betas: How much of the running mean and of the running square stays at each step.
  ///   - eps: Is added to the root.
  ///   - weightDecay: How much of each parameter is added to its gradient.
  ///   - decoupledWeightDecay: Whether parameters decay by themselves, as in ``AdamW``.
  public init(
    _ parameters: some Sequence<Parameter>, learningRate: Double = 0.001,
    betas: (Double, Double) = (0.9, 0.999), eps: Double = 1e-8, weightDecay: Double = 0,
    decoupledWeightDecay: Bool = false
  ) {
    noteNegative(
      ["learningRate": learningRate, "eps": eps, "weightDecay": weightDecay], in: "RAdam")
    Self.noteBetas(betas, in: "RAdam")
    (self.betas, self.eps, self.weightDecay) = (betas, eps, weightDecay)
    decoupled = decoupledWeightDecay
    super.init(
      parameters, learningRate: learningRate, slots: ["mean": 0, "square": 0],
      code: FusedCode(
        .radam, [betas.0, betas.1, eps, decoupledWeightDecay ? -weightDecay : weightDecay]))
  }

  override func numbers(rate: Tensor, count: Tensor) -> [Tensor] {
    let limit = 2 / (1 - betas.1) - 1
    let power = pow(betas.1, count)
    let length = limit - 2 * count * power / (1 - power)
    // The variance is known well enough from a length of 5 on.
    let isKnown = length .> 5
    let rectified =
      (length - 4) * (length - 2) * limit / ((limit - 4) * (limit - 2) * length)
    let adaptive = sqrt(which(isKnown, rectified, 0) * (1 - power))
    return [
      rate / (1 - pow(betas.0, count)), adaptive, which(isKnown, zeros(like: length), 1),
      1 - rate * weightDecay,
    ]
  }

  override func moved(
    _ value: Tensor, slots: [Tensor], gradient: Tensor, _ numbers: [Tensor]
  ) -> [Tensor] {
    let value = decoupled && weightDecay != 0 ? value * numbers[3] : value
    let gradient = decoupled ? gradient : decayed(gradient, value, weightDecay)
    let mean = slots[0] + (gradient - slots[0]) * (1 - betas.0)
    let square = slots[1] * betas.1 + gradient * gradient * (1 - betas.1)
    // 1 while the variance is not known: the quotient may be 0 / 0 then.
    let factor = which(numbers[2] .> 0, numbers[2], numbers[1] / (sqrt(square) + eps))
    return [value - mean * numbers[0] * factor, mean, square]
  }
}
