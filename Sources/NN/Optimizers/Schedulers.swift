import DuetEager
import DuetRuntime

/// What sets an optimiser's learning rate as training goes on.
///
/// `save(scheduler, to:)` writes what it remembers and `load(scheduler, from:)` reads it, so that an interrupted run
/// goes on with the same bits; the rate that is set at the moment is saved with the optimiser.
public protocol Scheduler: AnyObject {
  /// Whose learning rate is set.
  var optimizer: any Optimizer { get }
  /// The variables that steps change, under names that stay the same from run to run.
  var stateVariables: [(name: String, variable: Variable)] { get }
}

/// Changes an optimiser's learning rate as training goes on: call `step()` after each epoch, or each batch.
///
/// The number of steps is kept in a variable, and the schedules of this module compute with tensors, so `step()` may be
/// a part of a traced training step of an optimiser that has a `learningRateVariable`. A subclass overrides one of the
/// two forms of `rate(at:)`: the one with tensors if it is to be traced. The one with numbers looks at the number of
/// steps, which differs on every call, so a traced function that calls `step()` warns and runs its closure from then on.
open class LearningRateScheduler: Scheduler {
  /// Whose learning rate is set.
  public let optimizer: any Optimizer
  /// The learning rate that the optimiser had at the start: when the scheduler was made, or in the run whose state was
  /// loaded. A traced step keeps the one that it was traced with, so load before the first one.
  public internal(set) var initialRate: Double
  /// How often `step()` was called.
  public var stepCount: Int {
    get { Int(count.value) }
    set { count.value = Double(newValue) }
  }
  private let count = OptimizerScalar(0, name: "schedule.step_count")

  /// Takes the optimiser's present learning rate as the initial one. Nothing is set before the first `step()`.
  public init(_ optimizer: any Optimizer) {
    self.optimizer = optimizer
    initialRate = optimizer.learningRate
  }

  /// The number of steps. Subclasses with variables of their own add these.
  open var stateVariables: [(name: String, variable: Variable)] { [("step_count", count.variable)] }

  /// Other schedules that the rate is made of, by names.
  var parts: [(name: String, schedule: LearningRateScheduler)] { [] }

  /// Whether the form with numbers is asked by the one with tensors.
  private var isAsked = false

  /// What the rate is at a step. Subclasses say it, here or for tensors; the other form asks.
  open func rate(at step: Int) -> Double {
    // Nobody has said it: the rate stays.
    if isAsked { return initialRate }
    return rate(at: Tensor(scalar: Double(step), for: .float64)).item(Double.self)
  }

  /// What the rate is at a step.
  /// - Parameter step: One whole number, as `float64`.
  /// - Returns: One `float64`.
  open func rate(at step: Tensor) -> Tensor {
    isAsked = true
    defer { isAsked = false }
    return Tensor(scalar: rate(at: Int(step.item(Double.self))), for: .float64)
  }

  /// Goes one step on and sets the rate.
  public final func step() {
    noGrad {
      let step = count.variable.value + 1
      count.variable.value = step
      let rate = rate(at: step)
      if let variable = optimizer.learningRateVariable {
        variable.value = rate
      } else {
        optimizer.learningRate = rate.item(Double.self)
      }
    }
  }
}

/// The number, or 1 after noting that it is less.
func atLeastOne(_ count: Int, _ scheduler: String, _ name: String) -> Int {
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
  public override func rate(at step: Tensor) -> Tensor {
    pow(gamma, (step / Double(stepSize)).floor()) * initialRate
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
  public override func rate(at step: Tensor) -> Tensor {
    let progress = DuetEager.minimum(step, Double(steps)) / Double(steps)
    return ((progress * Double.pi).cos() + 1) * (initialRate - minimum) / 2.0 + minimum
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

  override var parts: [(name: String, schedule: LearningRateScheduler)] {
    next.map { [("next", $0)] } ?? []
  }

  /// initialRate (step + 1) / steps below `steps`; then the other scheduler's of step - steps, or `initialRate`.
  public override func rate(at step: Tensor) -> Tensor {
    let rising = (step + 1) * initialRate / Double(steps)
    let later = DuetEager.maximum(step - Double(steps), 0.0)
    let after = next?.rate(at: later) ?? full(like: rising, initialRate)
    return which(step .< Double(steps), rising, after)
  }
}
