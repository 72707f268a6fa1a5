import DuetEager
import DuetRuntime

/// Lowers the rate when a metric has stopped getting better, as PyTorch's schedule of that name.
///
/// All state is in variables, and `step` computes with tensors, so that it may be a part of a traced function.
public final class ReduceLROnPlateau: Scheduler {
  /// What getting better means.
  public enum Mode: Sendable, Hashable {
    /// The metric falls.
    case min
    /// The metric rises.
    case max
  }

  /// How much better a metric has to be to count.
  public enum Threshold: Sendable, Hashable {
    /// By a share of the best one so far.
    case relative(Double)
    /// By an amount.
    case absolute(Double)
  }

  /// Whose learning rate is set.
  public let optimizer: any Optimizer
  private let mode: Mode
  private let factor: Double
  private let patience: Int
  private let threshold: Threshold
  private let cooldown: Int
  private let minimum: Double
  private let eps: Double
  /// The best metric so far.
  private let best: OptimizerScalar
  /// The steps since without a better one.
  private let badCount: OptimizerScalar
  /// The steps after a change that do not count yet.
  private let coolCount: OptimizerScalar

  /// Defaults are PyTorch's.
  /// - Parameters:
  ///   - factor: By which the rate is multiplied; below 1.
  ///   - patience: How many steps without a better metric change nothing.
  ///   - cooldown: How many steps after a change do not count.
  ///   - minimum: The rate does not fall below.
  ///   - eps: A change of the rate by no more than this is left out.
  public init(
    _ optimizer: any Optimizer, mode: Mode = .min, factor: Double = 0.1, patience: Int = 10,
    threshold: Threshold = .relative(1e-4), cooldown: Int = 0, minimum: Double = 0,
    eps: Double = 1e-8
  ) {
    noteNegative(["patience": patience, "cooldown": cooldown], in: "ReduceLROnPlateau")
    if !(0..<1).contains(factor) {
      note(OpError("ReduceLROnPlateau", "the factor must be at least 0 and below 1, not \(factor)"))
    }
    self.optimizer = optimizer
    self.mode = mode
    self.factor = factor
    self.patience = patience
    self.threshold = threshold
    self.cooldown = cooldown
    self.minimum = minimum
    self.eps = eps
    best = OptimizerScalar(mode == .min ? .infinity : -.infinity, name: "plateau.best")
    badCount = OptimizerScalar(0, name: "plateau.bad_count")
    coolCount = OptimizerScalar(0, name: "plateau.cool_count")
  }

  /// The best metric so far, the steps since without a better one, and the steps that do not count yet.
  public var stateVariables: [(name: String, variable: Variable)] {
    [
      ("best", best.variable), ("bad_count", badCount.variable), ("cool_count", coolCount.variable),
    ]
  }

  /// Takes note of a metric, and lowers the rate if `patience` is at its end.
  public func step(_ metric: Double) { step(Tensor(scalar: metric, for: .float64)) }

  /// As the first form, for one number of any dtype.
  public func step(_ metric: Tensor) {
    if metric.isFailed { return }
    guard metric.size == 1 else {
      return note(OpError("ReduceLROnPlateau", "a metric is one number, not \(metric.type)"))
    }
    noGrad {
      let metric = metric.reshaped([]).asType(.float64)
      let best = best.variable.value
      let isBetter = isBetter(metric, than: best)
      self.best.variable.value = which(isBetter, metric, best)
      var bad = which(isBetter, 0.0, badCount.variable.value + 1)
      let cooling = coolCount.variable.value
      let isCooling = cooling .> 0
      bad = which(isCooling, 0.0, bad)
      let left = which(isCooling, cooling - 1, cooling)
      let isOver = bad .> Double(patience)
      badCount.variable.value = which(isOver, 0.0, bad)
      coolCount.variable.value = which(isOver, Double(cooldown), left)
      lower(if: isOver)
    }
  }

  private func isBetter(_ metric: Tensor, than best: Tensor) -> Tensor {
    switch (mode, threshold) {
    case (.min, .relative(let share)): metric .< best * (1 - share)
    case (.min, .absolute(let amount)): metric .< best - amount
    case (.max, .relative(let share)): metric .> best * (1 + share)
    case (.max, .absolute(let amount)): metric .> best + amount
    }
  }

  private func lower(if isOver: Tensor) {
    let variable = optimizer.learningRateVariable
    let rate = variable?.value ?? Tensor(scalar: optimizer.learningRate, for: .float64)
    let lower = maximum(rate * factor, minimum)
    let new = which(logicalAnd(isOver, (rate - lower) .> eps), lower, rate)
    if let variable {
      variable.value = new
    } else {
      optimizer.learningRate = new.item(Double.self)
    }
  }
}
