import DuetEager
import DuetRuntime

/// An optimiser whose rule is elementwise: new values of a parameter and of its slots, made of the old ones, of the
/// gradient and of numbers that all parameters share. What `RMSprop`, `Adagrad` and others have in common.
///
/// Steps are counted for all parameters together. A parameter that is thawed later than others begins with running
/// means of zero, but with the small corrections of a late step: to avoid that give it an optimiser of its own.
public class SlotOptimizer: Optimizer, @unchecked Sendable {
  // Sendable: what is stored here and in the classes of this module made of it, which are all, is constant; numbers that
  // change are in variables.

  /// What is changed, in the order given.
  public let parameters: [Parameter]
  let rate: OptimizerScalar
  /// The number of steps, counted for all parameters together: one that gets its first gradient late has the
  /// corrections and decays of a late step.
  let count: OptimizerScalar
  /// What each parameter's slots are called, in the order of the rule.
  private let slotNames: [String]
  /// For each parameter its slots, in the order of the rule.
  let slots: [[Variable]]
  private let code: FusedCode

  /// - Parameters:
  ///   - slots: The names of each parameter's slots, and what they begin with.
  ///   - code: Names the rule, with all numbers that it depends on.
  init(
    _ parameters: some Sequence<Parameter>, learningRate: Double,
    slots: KeyValuePairs<String, Double>, code: FusedCode
  ) {
    self.parameters = Array(parameters)
    rate = OptimizerScalar(learningRate, name: "learning_rate")
    count = OptimizerScalar(0, name: "step_count")
    slotNames = slots.map(\.key)
    self.slots = self.parameters.map { parameter in
      slots.map { name, value in
        Variable(
          full(parameter.shape, value, dtype: parameter.dtype), name: parameter.name + "." + name)
      }
    }
    self.code = code
  }

  /// The step size. A traced step sees the new value when it is set between calls.
  public var learningRate: Double {
    get { rate.value }
    set { rate.value = newValue }
  }

  /// Holds the step size.
  public var learningRateVariable: Variable? { rate.variable }

  /// The number of steps, and slots by their names and their parameters' places: `square.0`.
  public var stateVariables: [(name: String, variable: Variable)] {
    [("step_count", count.variable)]
      + slotNames.enumerated().flatMap { i, name in slots.map { $0[i] }.numbered(name) }
  }

  /// Changes every parameter that has a gradient by the optimiser's rule.
  public final func step() {
    noGrad {
      // float64 until they meet a parameter.
      let count = count.variable.value + 1
      self.count.variable.value = count
      var numbers = numbers(rate: rate.variable.value, count: count).map { CastScalar($0) }
      for (i, parameter) in parameters.enumerated() {
        guard let gradient = parameter.grad else { continue }
        let cast = numbers.indices.map { numbers[$0](parameter.dtype) }
        let states = 1 + slots[i].count
        update([parameter] + slots[i], code, [gradient] + cast) { [self] inputs in
          moved(
            inputs[0], slots: Array(inputs[1..<states]), gradient: inputs[states],
            Array(inputs[(states + 1)...]))
        }
      }
    }
  }

  /// The numbers of a step that all parameters share, as `float64`.
  func numbers(rate: Tensor, count: Tensor) -> [Tensor] { [rate] }

  /// The new value and the new slots.
  func moved(
    _ value: Tensor, slots: [Tensor], gradient: Tensor, _ numbers: [Tensor]
  ) -> [Tensor] {
    preconditionFailure("\(Self.self) has no rule")
  }

  /// Notes betas that are none.
  static func noteBetas(_ betas: (Double, Double), in optimizer: String) {
    for beta in [betas.0, betas.1] where !(0..<1).contains(beta) {
      note(OpError(optimizer, "betas must be at least 0 and below 1, not \(beta)"))
    }
  }
}

/// A gradient with the decay of its parameter.
func decayed(_ gradient: Tensor, _ value: Tensor, _ weightDecay: Double) -> Tensor {
  weightDecay == 0 ? gradient : gradient + value * weightDecay
}
