import DuetEager
import DuetRuntime
import Foundation

/// Changes an optimiser's learning rate as training goes on: call `step()` after each epoch, or each batch.
open class LearningRateScheduler {
  /// Whose learning rate is set.
  public let optimizer: any Optimizer
  /// The learning rate that the optimiser had at the start.
  public let initialRate: Double
  /// How often `step()` was called.
  public private(set) var stepCount = 0

  /// Takes the optimiser's present learning rate as the initial one. Nothing is set before the first `step()`.
  public init(_ optimizer: any Optimizer) {
    self.optimizer = optimizer
    initialRate = optimizer.learningRate
  }

  /// What the rate is at a step. Subclasses say it.
  open func rate(at step: Int) -> Double { initialRate }

  /// Goes one step on and sets the rate.
  public final func step() {
    stepCount += 1
    optimizer.learningRate = rate(at: stepCount)
  }
}

/// The number, or 1 after noting that it is less.
private func atLeastOne(_ count: Int, _ scheduler: String, _ name: String) -> Int {
  if count < 1 { note(OpError(scheduler, "\(name) must be at least 1, not \(count)")) }
  return max(count, 1)
}

/// Multiplies the rate by `gamma` every `stepSize` steps.
public final class StepLR: LearningRateScheduler {
  /// The number of steps at each rate.
  public let stepSize: Int
  /// The factor from each rate to the next.
  public let gamma: Double

  /// A factor of 0.1 is PyTorch's default. A `stepSize` below 1 is an error.
  public init(_ optimizer: any Optimizer, stepSize: Int, gamma: Double = 0.1) {
    self.stepSize = atLeastOne(stepSize, "StepLR", "stepSize")
    self.gamma = gamma
    super.init(optimizer)
  }

  /// initialRate · gammaⁿ, where n is step / stepSize rounded down.
  public override func rate(at step: Int) -> Double {
    initialRate * pow(gamma, Double(step / stepSize))
  }
}

/// Lowers the rate along half a cosine from its start to `minimum` within `steps` steps (Loshchilov and Hutter,
/// 2017), where it stays.
public final class CosineAnnealingLR: LearningRateScheduler {
  /// The number of steps to `minimum`: PyTorch's `T_max`.
  public let steps: Int
  /// The rate at the end: PyTorch's `eta_min`.
  public let minimum: Double

  /// From the optimiser's present rate down to `minimum`. `steps` below 1 is an error.
  public init(_ optimizer: any Optimizer, steps: Int, minimum: Double = 0) {
    self.steps = atLeastOne(steps, "CosineAnnealingLR", "steps")
    self.minimum = minimum
    super.init(optimizer)
  }

  /// minimum + (initialRate - minimum) (1 + cos(π step / steps)) / 2; from `steps` on `minimum`.
  public override func rate(at step: Int) -> Double {
    let progress = Double(min(step, steps)) / Double(steps)
    return minimum + (initialRate - minimum) * (1 + cos(.pi * progress)) / 2
  }
}

/// Raises the rate evenly from `initialRate / steps` to the optimiser's own within `steps` steps, and then leaves
/// it to another scheduler, whose steps begin there.
public final class LinearWarmup: LearningRateScheduler {
  /// The number of rates on the way up, the last of which is the optimiser's own.
  public let steps: Int
  private let next: LearningRateScheduler?

  /// - Parameter next: Made for the same optimiser before this one; nil: the rate stays.
  public init(_ optimizer: any Optimizer, steps: Int, then next: LearningRateScheduler? = nil) {
    self.steps = atLeastOne(steps, "LinearWarmup", "steps")
    self.next = next
    super.init(optimizer)
    optimizer.learningRate = rate(at: 0)
  }

  /// initialRate (step + 1) / steps below `steps`; then the other scheduler's of step - steps, or `initialRate`.
  public override func rate(at step: Int) -> Double {
    if step < steps { return initialRate * Double(step + 1) / Double(steps) }
    return next?.rate(at: step - steps) ?? initialRate
  }
}
