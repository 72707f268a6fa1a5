import DuetEager
import DuetRuntime

/// Adam: steps by the gradient's running mean over the root of its running square, both corrected for their
/// start at 0 (Kingma and Ba, 2015).
public final class Adam: Optimizer, Sendable {
  private let core: AdamCore

  /// - Parameters:
  ///   - betas: How much of the running mean and of the running square stays at each step.
  ///   - eps: Is added to the root.
  ///   - weightDecay: How much of each parameter is added to its gradient.
  ///   - amsgrad: Whether the largest running square so far is used (Reddi and others, 2018).
  public init(
    _ parameters: some Sequence<Parameter>, learningRate: Double = 0.001,
    betas: (Double, Double) = (0.9, 0.999), eps: Double = 1e-8, weightDecay: Double = 0,
    amsgrad: Bool = false
  ) {
    core = AdamCore(
      Array(parameters), learningRate, betas, eps, weightDecay, isDecoupled: false, amsgrad)
  }

  /// What is changed, in the order given.
  public var parameters: [Parameter] { core.parameters }

  /// The step size. A traced step sees the new value when it is set between calls.
  public var learningRate: Double {
    get { core.rate.value }
    set { core.rate.value = newValue }
  }

  /// Holds the step size.
  public var learningRateVariable: Variable? { core.rate.variable }

  /// The number of steps, and the running means and squares by their parameters' places.
  public var stateVariables: [(name: String, variable: Variable)] { core.stateVariables }

  /// p ← p - learningRate · m̂ / (√v̂ + eps), where m̂ = m / (1 - β₁ᵗ) and v̂ = v / (1 - β₂ᵗ) in step t.
  public func step() { core.step() }
}

/// Adam with weight decay apart from the gradient: p ← p - learningRate · weightDecay · p first (Loshchilov
/// and Hutter, 2019).
public final class AdamW: Optimizer, Sendable {
  private let core: AdamCore

  /// As `Adam.init`.
  public init(
    _ parameters: some Sequence<Parameter>, learningRate: Double = 0.001,
    betas: (Double, Double) = (0.9, 0.999), eps: Double = 1e-8, weightDecay: Double = 0.01,
    amsgrad: Bool = false
  ) {
    core = AdamCore(
      Array(parameters), learningRate, betas, eps, weightDecay, isDecoupled: true, amsgrad)
  }

  /// What is changed, in the order given.
  public var parameters: [Parameter] { core.parameters }

  /// The step size, and a factor of the decay. A traced step sees the new value when it is set between calls.
  public var learningRate: Double {
    get { core.rate.value }
    set { core.rate.value = newValue }
  }

  /// Holds the step size.
  public var learningRateVariable: Variable? { core.rate.variable }

  /// The number of steps, and the running means and squares by their parameters' places.
  public var stateVariables: [(name: String, variable: Variable)] { core.stateVariables }

  /// p ← (1 - learningRate · weightDecay) p, and then as ``Adam`` without decay.
  public func step() { core.step() }
}

/// What both forms share. Operations and their order are PyTorch's.
private final class AdamCore: Sendable {
  let parameters: [Parameter]
  let rate: OptimizerScalar
  let betas: (Double, Double)
  let eps: Double
  let weightDecay: Double
  let isDecoupled: Bool
  let means: [Variable]
  let squares: [Variable]
  let largestSquares: [Variable]
  /// The number of steps, counted for all parameters together.
  let count: OptimizerScalar

  init(
    _ parameters: [Parameter], _ learningRate: Double, _ betas: (Double, Double), _ eps: Double,
    _ weightDecay: Double, isDecoupled: Bool, _ amsgrad: Bool
  ) {
    let name = isDecoupled ? "AdamW" : "Adam"
    noteNegative(
      ["learningRate": learningRate, "eps": eps, "weightDecay": weightDecay], in: name)
    for beta in [betas.0, betas.1] where !(0..<1).contains(beta) {
      note(OpError(name, "betas must be at least 0 and below 1, not \(beta)"))
    }
    self.parameters = parameters
    self.betas = betas
    self.eps = eps
    self.weightDecay = weightDecay
    self.isDecoupled = isDecoupled
    rate = OptimizerScalar(learningRate, name: "learning_rate")
    count = OptimizerScalar(0, name: "step_count")
    means = parameters.slots("mean")
    squares = parameters.slots("square")
    largestSquares = amsgrad ? parameters.slots("largest_square") : []
  }

  func step() {
    noGrad {
      // float64 until they meet a parameter.
      let count = count.variable.value + 1
      self.count.variable.value = count
      let rate = rate.variable.value
      var stepSize = CastScalar(rate / (1 - pow(betas.0, count)))
      var correction = CastScalar(sqrt(1 - pow(betas.1, count)))
      var kept = CastScalar(isDecoupled && weightDecay != 0 ? 1 - rate * weightDecay : rate)
      for (i, parameter) in parameters.enumerated() {
        guard let gradient = parameter.grad else { continue }
        let dtype = parameter.dtype
        var variables = [parameter, means[i], squares[i]]
        if !largestSquares.isEmpty { variables.append(largestSquares[i]) }
        let scalars = [stepSize(dtype), correction(dtype), kept(dtype)]
        update(variables, code, [gradient] + scalars, moved)
      }
    }
  }

  var stateVariables: [(name: String, variable: Variable)] {
    [("step_count", count.variable)] + means.numbered("mean") + squares.numbered("square")
      + largestSquares.numbered("largest_square")
  }

  /// Names `moved`.
  private var code: FusedCode {
    FusedCode(isDecoupled ? .adamW : .adam, [betas.0, betas.1, eps, weightDecay])
  }

  /// The new value, mean, square and, where there is one, largest square.
  /// - Parameter inputs: The old ones, then gradient, step size, correction, and the decay's factor.
  private func moved(_ inputs: [Tensor]) -> [Tensor] {
    let states = inputs.dropLast(4)
    let (stepSize, correction, kept) = (
      inputs[states.count + 1], inputs[states.count + 2], inputs[states.count + 3]
    )
    var (value, gradient) = (states[0], inputs[states.count])
    if weightDecay != 0 {
      if isDecoupled {
        value = value * kept
      } else {
        gradient = gradient + value * weightDecay
      }
    }
    let mean = states[1] + (gradient - states[1]) * (1 - betas.0)
    let square = states[2] * betas.1 + gradient * (1 - betas.1) * gradient
    let largest = states.count > 3 ? maximum(states[3], square) : nil
    let divisor = sqrt(largest ?? square) / correction + eps
    let new = value - mean * stepSize / divisor
    return [new, mean, square] + (largest.map { [$0] } ?? [])
  }
}
