import DuetEager
import DuetRuntime

/// Multiplies the rate by `gamma` at every step.
public final class ExponentialLR: LearningRateScheduler {
  /// The factor from each rate to the next.
  public let gamma: Double

  /// From the optimiser's present rate.
  public init(_ optimizer: any Optimizer, gamma: Double) {
    self.gamma = gamma
    super.init(optimizer)
  }

  /// initialRate · gammaˢ.
  public override func rate(at step: Tensor) -> Tensor { pow(gamma, step) * initialRate }
}

/// Multiplies the rate by `gamma` at each of some steps.
public final class MultiStepLR: LearningRateScheduler {
  /// The numbers of the steps, in any order; one that occurs twice counts twice.
  public let milestones: [Int]
  /// The factor from each rate to the next.
  public let gamma: Double

  /// A factor of 0.1 is PyTorch's default.
  public init(_ optimizer: any Optimizer, milestones: [Int], gamma: Double = 0.1) {
    self.milestones = milestones
    self.gamma = gamma
    super.init(optimizer)
  }

  /// initialRate · gammaⁿ, where n is the number of milestones up to the step.
  public override func rate(at step: Tensor) -> Tensor {
    let reached = milestones.reduce(zeros(like: step)) { count, milestone in
      count + (step .>= Double(milestone)).asType(.float64)
    }
    return pow(gamma, reached) * initialRate
  }
}

/// Lowers the rate to 0 within `steps` steps, along a power of the share that is left.
public final class PolynomialLR: LearningRateScheduler {
  /// The number of steps to 0: PyTorch's `total_iters`.
  public let steps: Int
  /// The exponent; 1: evenly.
  public let power: Double

  /// From the optimiser's present rate. `steps` below 1 is an error; defaults are PyTorch's.
  public init(_ optimizer: any Optimizer, steps: Int = 5, power: Double = 1) {
    self.steps = atLeastOne(steps, "PolynomialLR", "steps")
    self.power = power
    super.init(optimizer)
  }

  /// initialRate (1 - step / steps)^power; 0 from `steps` on.
  public override func rate(at step: Tensor) -> Tensor {
    let left = 1 - minimum(step, Double(steps)) / Double(steps)
    return pow(left, power) * initialRate
  }
}

/// Changes the rate evenly from one share of the optimiser's own to another within `steps` steps.
public final class LinearLR: LearningRateScheduler {
  /// The share at the start.
  public let startFactor: Double
  /// The share from `steps` on.
  public let endFactor: Double
  /// The number of steps from one to the other: PyTorch's `total_iters`.
  public let steps: Int

  /// Sets the first rate. `steps` below 1 is an error; defaults are PyTorch's.
  public init(
    _ optimizer: any Optimizer, startFactor: Double = 1.0 / 3, endFactor: Double = 1, steps: Int = 5
  ) {
    noteNegative(["startFactor": startFactor, "endFactor": endFactor], in: "LinearLR")
    self.startFactor = startFactor
    self.endFactor = endFactor
    self.steps = atLeastOne(steps, "LinearLR", "steps")
    super.init(optimizer)
    optimizer.learningRate = rate(at: 0)
  }

  /// initialRate (startFactor + (endFactor - startFactor) step / steps); no further than the end.
  public override func rate(at step: Tensor) -> Tensor {
    let share = minimum(step, Double(steps)) / Double(steps)
    return (share * (endFactor - startFactor) + startFactor) * initialRate
  }
}

/// Multiplies the rate by a factor for `steps` steps.
public final class ConstantLR: LearningRateScheduler {
  /// The share of the optimiser's own rate.
  public let factor: Double
  /// The number of steps before the optimiser's own rate: PyTorch's `total_iters`.
  public let steps: Int

  /// Sets the first rate. `steps` below 1 is an error; defaults are PyTorch's.
  public init(_ optimizer: any Optimizer, factor: Double = 1.0 / 3, steps: Int = 5) {
    noteNegative(["factor": factor], in: "ConstantLR")
    self.factor = factor
    self.steps = atLeastOne(steps, "ConstantLR", "steps")
    super.init(optimizer)
    optimizer.learningRate = rate(at: 0)
  }

  /// initialRate · factor below `steps`, then `initialRate`.
  public override func rate(at step: Tensor) -> Tensor {
    which(step .< Double(steps), initialRate * factor, full(like: step, initialRate))
  }
}
