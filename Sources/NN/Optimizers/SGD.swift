import DuetEager
import DuetRuntime

/// Stochastic gradient descent, with momentum if wished (Sutskever and others, 2013, in PyTorch's form):
/// v ← momentum · v + (1 - dampening) · g, p ← p - learningRate · v.
public final class SGD: Optimizer, Sendable {
  /// What is changed, in the order given.
  public let parameters: [Parameter]
  /// How much of the velocity stays at each step; 0: there is no velocity, v is g.
  public let momentum: Double
  /// How much less than the whole gradient goes into the velocity after the first step.
  public let dampening: Double
  /// Whether steps go along g + momentum · v rather than v, as in PyTorch. Needs a momentum and no dampening.
  public let nesterov: Bool
  /// How much of each parameter is added to its gradient: that of weightDecay / 2 · p², added to the loss.
  public let weightDecay: Double

  private let rate: OptimizerScalar
  private let velocities: [Variable]
  /// The gradient's factor for each parameter: 1 at its first step, 1 - dampening from then on.
  private let gains: [Variable]

  /// - Parameters:
  ///   - dampening: How much less than the whole gradient goes into the velocity after the first step.
  ///   - nesterov: Whether the step looks ahead by the momentum.
  ///   - weightDecay: How much of each parameter is added to its gradient.
  public init(
    _ parameters: some Sequence<Parameter>, learningRate: Double, momentum: Double = 0,
    dampening: Double = 0, nesterov: Bool = false, weightDecay: Double = 0
  ) {
    noteNegative(
      ["learningRate": learningRate, "momentum": momentum, "weightDecay": weightDecay], in: "SGD")
    if nesterov && (momentum <= 0 || dampening != 0) {
      note(OpError("SGD", "nesterov needs a momentum and no dampening"))
    }
    let parameters = Array(parameters)
    self.parameters = parameters
    self.momentum = momentum
    self.dampening = dampening
    self.nesterov = nesterov
    self.weightDecay = weightDecay
    rate = OptimizerScalar(learningRate, name: "learning_rate")
    velocities = momentum != 0 ? parameters.slots("velocity") : []
    gains =
      momentum != 0 && dampening != 0
      ? parameters.map { Variable(ones([], dtype: $0.dtype), name: $0.name + ".gain") } : []
  }

  /// The step size. A traced step sees the new value when it is set between calls.
  public var learningRate: Double {
    get { rate.value }
    set { rate.value = newValue }
  }

  /// Holds the step size.
  public var learningRateVariable: Variable? { rate.variable }

  /// The velocities, and with dampening the factors of the next gradients, by their parameters' places.
  public var stateVariables: [(name: String, variable: Variable)] {
    velocities.numbered("velocity") + gains.numbered("gain")
  }

  /// Adds the decay to each gradient and moves the parameter against it: against the velocity, where there is a momentum,
  /// and with `nesterov` against gradient + momentum · velocity.
  public func step() {
    noGrad {
      var rate = CastScalar(rate.variable.value)
      for (i, parameter) in parameters.enumerated() {
        guard let gradient = parameter.grad else { continue }
        let rate = rate(parameter.dtype)
        if momentum == 0 {
          update([parameter], code, [gradient, rate], isShort: weightDecay == 0) { inputs in
            [moved(inputs[0], nil, gradient: inputs[1], rate: inputs[2]).value]
          }
          continue
        }
        let gain = dampening != 0 ? [gains[i].value] : []
        update([parameter, velocities[i]], code, [gradient, rate] + gain) { inputs in
          let new = moved(
            inputs[0], inputs[1], gradient: inputs[2], rate: inputs[3],
            gain: inputs.count > 4 ? inputs[4] : nil)
          return [new.value, new.velocity!]
        }
        if dampening != 0 { gains[i].value = full(like: gains[i].value, 1 - dampening) }
      }
    }
  }

  /// Names `moved`.
  private var code: FusedCode {
    FusedCode(.sgd, [weightDecay, momentum, dampening, nesterov ? 1 : 0])
  }

  /// The new value and, where there is one, the new velocity.
  private func moved(
    _ value: Tensor, _ velocity: Tensor?, gradient: Tensor, rate: Tensor, gain: Tensor? = nil
  ) -> (value: Tensor, velocity: Tensor?) {
    var direction = gradient
    if weightDecay != 0 { direction = direction + value * weightDecay }
    guard let velocity else { return (value - direction * rate, nil) }
    let new = velocity * momentum + (gain.map { direction * $0 } ?? direction)
    direction = nesterov ? direction + new * momentum : new
    return (value - direction * rate, new)
  }
}
