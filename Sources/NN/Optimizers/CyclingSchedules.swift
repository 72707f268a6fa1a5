import DuetEager
import DuetRuntime

/// Lowers the rate along half a cosine and begins anew, again and again (Loshchilov and Hutter, 2017).
public final class CosineAnnealingWarmRestarts: LearningRateScheduler {
  /// The steps to the first restart: PyTorch's `T_0`.
  public let steps: Int
  /// How many times as long each further part is: PyTorch's `T_mult`.
  public let factor: Int
  /// The rate before a restart: PyTorch's `eta_min`.
  public let minimum: Double

  /// From the optimiser's present rate down to `minimum`. `steps` or a factor below 1 is an error.
  public init(_ optimizer: any Optimizer, steps: Int, factor: Int = 1, minimum: Double = 0) {
    self.steps = atLeastOne(steps, "CosineAnnealingWarmRestarts", "steps")
    self.factor = atLeastOne(factor, "CosineAnnealingWarmRestarts", "factor")
    self.minimum = minimum
    super.init(optimizer)
  }

  /// minimum + (initialRate - minimum) (1 + cos(π t / T)) / 2, t steps after a restart, T before the next one.
  public override func rate(at step: Tensor) -> Tensor {
    let first = Double(steps)
    let progress: Tensor
    if factor == 1 {
      progress = (step % first) / first
    } else {
      // After n parts first (factorⁿ - 1) / (factor - 1) steps are done. A logarithm may be just below a whole number.
      let m = Double(factor)
      let parts =
        (log(step * ((m - 1) / first) + 1) / Tensor(scalar: m, for: .float64).log() + 1e-12).floor()
      let growth = pow(m, parts)
      progress = (step - (growth - 1) * (first / (m - 1))) / (growth * first)
    }
    return ((progress * Double.pi).cos() + 1) * (initialRate - minimum) / 2.0 + minimum
  }
}

/// Raises the rate to a maximum and lowers it far below the start within one training (Smith and Topin, 2018), as
/// PyTorch's schedule of that name. Momenta stay as they are.
public final class OneCycleLR: LearningRateScheduler {
  /// How the rate goes from one value to another.
  public enum Annealing: Sendable, Hashable {
    /// Along half a cosine.
    case cosine
    /// Evenly.
    case linear
  }

  /// The largest rate.
  public let maximumRate: Double
  /// The steps of the training, after which the rate stays.
  public let totalSteps: Int
  private let annealing: Annealing
  /// Where each part ends, and the rate there.
  private let points: [(step: Double, rate: Double)]

  /// Sets the first rate, whatever the optimiser's is. Defaults are PyTorch's.
  /// - Parameters:
  ///   - risingShare: The share of the steps in which the rate rises: PyTorch's `pct_start`.
  ///   - startDivisor: maximumRate over the first rate: PyTorch's `div_factor`.
  ///   - endDivisor: The first rate over the last one: PyTorch's `final_div_factor`.
  ///   - threePhases: Whether the rate goes back to the first one, in as many steps as it rose, before it goes below.
  public init(
    _ optimizer: any Optimizer, maximumRate: Double, totalSteps: Int, risingShare: Double = 0.3,
    annealing: Annealing = .cosine, startDivisor: Double = 25, endDivisor: Double = 1e4,
    threePhases: Bool = false
  ) {
    noteImprobable(risingShare, "share of rising steps", in: "OneCycleLR")
    if !(startDivisor > 0 && endDivisor > 0) {
      note(OpError("OneCycleLR", "divisors must be above 0, not \(startDivisor), \(endDivisor)"))
    }
    self.maximumRate = maximumRate
    self.totalSteps = atLeastOne(totalSteps, "OneCycleLR", "totalSteps")
    self.annealing = annealing
    let (first, total) = (maximumRate / startDivisor, Double(self.totalSteps))
    let top = risingShare * total - 1
    var points = [(0.0, first), (top, maximumRate)]
    if threePhases { points.append((2 * risingShare * total - 2, first)) }
    points.append((total - 1, first / endDivisor))
    self.points = points.map { (step: $0.0, rate: $0.1) }
    super.init(optimizer)
    optimizer.learningRate = rate(at: 0)
  }

  /// Between the rates of the points around the step.
  public override func rate(at step: Tensor) -> Tensor {
    func between(_ i: Int) -> Tensor {
      let (from, to) = (points[i], points[i + 1])
      let length = to.step - from.step
      let share = length == 0 ? full(like: step, 1.0) : clip((step - from.step) / length, max: 1)
      switch annealing {
      case .linear: return share * (to.rate - from.rate) + from.rate
      case .cosine: return ((share * Double.pi).cos() + 1) * ((from.rate - to.rate) / 2) + to.rate
      }
    }
    var rate = between(points.count - 2)
    for i in (0..<points.count - 2).reversed() {
      rate = which(step .<= points[i + 1].step, between(i), rate)
    }
    return rate
  }
}
