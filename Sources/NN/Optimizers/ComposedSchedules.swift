import DuetEager
import DuetRuntime

/// Multiplies the optimiser's own rate by what a function gives.
public final class LambdaLR: LearningRateScheduler {
  private let factor: (Tensor) -> Tensor

  /// Sets the first rate.
  ///
  ///     LambdaLR(optimizer) { step in 1 / (1 + step) }
  ///
  /// - Parameter factor: Takes the number of the step, one `float64`, and gives one: may be a part of a traced step.
  public init(_ optimizer: any Optimizer, factor: @escaping (Tensor) -> Tensor) {
    self.factor = factor
    super.init(optimizer)
    optimizer.learningRate = rate(at: 0)
  }

  /// As the first form, for a function of plain numbers. A traced function that calls `step()` runs its closure then.
  public convenience init(_ optimizer: any Optimizer, factorOf: @escaping (Int) -> Double) {
    self.init(optimizer) { step in
      Tensor(scalar: factorOf(Int(step.item(Double.self))), for: .float64)
    }
  }

  /// initialRate times the function of the step.
  public override func rate(at step: Tensor) -> Tensor {
    factor(step).asType(.float64) * initialRate
  }
}

/// One schedule after the other, each with steps of its own.
///
///     SequentialLR(optimizer, milestones: [5]) { [LinearLR($0), CosineAnnealingLR($0, steps: 95)] }
public final class SequentialLR: LearningRateScheduler {
  /// The steps at which the second schedule begins, and those behind it; ascending.
  public let milestones: [Int]
  private let schedules: [LearningRateScheduler]

  /// Sets the first rate.
  /// - Parameters:
  ///   - milestones: One less than there are schedules.
  ///   - schedules: Makes them for an optimiser that is handed in: it always has the first one's present rate, whatever
  ///     a schedule that begins with another one sets.
  public init(
    _ optimizer: any Optimizer, milestones: [Int],
    _ schedules: (any Optimizer) -> [LearningRateScheduler]
  ) {
    self.milestones = milestones
    self.schedules = schedules(UnchangedRate(of: optimizer))
    if self.schedules.count != milestones.count + 1
      || zip(milestones, milestones.dropFirst()).contains(where: { $0 > $1 })
    {
      note(
        OpError(
          "SequentialLR",
          "\(self.schedules.count) schedules need one ascending milestone less, not \(milestones)"))
    }
    super.init(optimizer)
    optimizer.learningRate = rate(at: 0)
  }

  override var parts: [(name: String, schedule: LearningRateScheduler)] {
    schedules.enumerated().map { ("schedules.\($0.offset)", $0.element) }
  }

  /// That of the schedule whose turn it is.
  public override func rate(at step: Tensor) -> Tensor {
    var rate = full(like: step, initialRate)
    for (i, schedule) in schedules.enumerated() where i <= milestones.count {
      let start = i == 0 ? 0 : Double(milestones[i - 1])
      let own = schedule.rate(at: maximum(step - start, 0.0))
      rate = i == 0 ? own : which(step .>= start, own, rate)
    }
    return rate
  }
}

/// Stands for an optimiser whose rate other schedules do not change.
private final class UnchangedRate: Optimizer {
  let parameters: [Parameter] = []
  private let rate: Double

  init(of optimizer: any Optimizer) { rate = optimizer.learningRate }

  var learningRate: Double {
    get { rate }
    set { _ = newValue }
  }
  func step() {}
}
