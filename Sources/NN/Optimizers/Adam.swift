import DuetEager
import DuetRuntime

/// Adam: steps by the gradient's running mean over the root of its running square, both corrected for their
/// start at 0 (Kingma and Ba, 2015).
public final class Adam: Optimizer {
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

  /// p ← p - learningRate · m̂ / (√v̂ + eps), where m̂ = m / (1 - β₁ᵗ) and v̂ = v / (1 - β₂ᵗ) in step t.
  public func step() { core.step() }
}

/// Adam with weight decay apart from the gradient: p ← p - learningRate · weightDecay · p first (Loshchilov
/// and Hutter, 2019).
public final class AdamW: Optimizer {
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

  /// p ← (1 - learningRate · weightDecay) p, and then as ``Adam`` without decay.
  public func step() { core.step() }
}

/// What both forms share. Operations and their order are PyTorch's.
private final class AdamCore {
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
        let value = parameter.value
        let dtype = value.dtype
        var inputs = [
          value, gradient, stepSize(dtype), correction(dtype), kept(dtype), means[i].value,
          squares[i].value,
        ]
        if !largestSquares.isEmpty { inputs.append(largestSquares[i].value) }
        let results = fused(code, inputs, moved)
        parameter.value = results[0]!
        means[i].value = results[1]!
        squares[i].value = results[2]!
        if let largest = results[3] { largestSquares[i].value = largest }
      }
    }
  }

  /// Names `moved`.
  private var code: FusedCode {
    FusedCode(isDecoupled ? .adamW : .adam, [betas.0, betas.1, eps, weightDecay])
  }

  /// The new value, mean, square and largest square.
  /// - Parameter inputs: Value, gradient, step size, correction, the decay's factor, mean, square and, where there is one,
  ///   largest square.
  private func moved(_ inputs: [Tensor]) -> [Tensor?] {
    var (value, gradient) = (inputs[0], inputs[1])
    if weightDecay != 0 {
      if isDecoupled {
        value = value * inputs[4]
      } else {
        gradient = gradient + value * weightDecay
      }
    }
    let mean = inputs[5] + (gradient - inputs[5]) * (1 - betas.0)
    let square = inputs[6] * betas.1 + gradient * (1 - betas.1) * gradient
    let largest = inputs.count > 7 ? maximum(inputs[7], square) : nil
    let divisor = sqrt(largest ?? square) / inputs[3] + eps
    return [value - mean * inputs[2] / divisor, mean, square, largest]
  }
}
