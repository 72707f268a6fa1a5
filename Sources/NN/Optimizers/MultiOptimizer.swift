import DuetEager
import DuetRuntime

/// Several optimisers as one: groups of parameters with settings, or rules, of their own.
///
///     let optimizer = MultiOptimizer([
///       AdamW(weights, learningRate: 1e-3, weightDecay: 0.1),
///       AdamW(biases, learningRate: 1e-3, weightDecay: 0),
///       SGD(head, learningRate: 1e-2, momentum: 0.9),
///     ])
///     let schedule = CosineAnnealingLR(optimizer, steps: 1_000)     // of all three
///
/// Its learning rate is that of the first optimiser whose rate is not zero. Those of the others keep their proportion to
/// it, however it changes, and are set at every step: for other proportions make another one. If all are zero they stay
/// equal.
public final class MultiOptimizer: Optimizer {
  /// What changes the parameters, in that order.
  public let optimizers: [any Optimizer]
  /// Those of all optimisers, one after the other.
  public let parameters: [Parameter]

  private let rate: OptimizerScalar
  /// The rates at the start, and that of them which the others follow.
  private let initialRates: [Double]
  private let leadingRate: Double

  /// - Parameter optimizers: At least one. No parameter may be in two of them.
  public init(_ optimizers: [any Optimizer]) {
    if optimizers.isEmpty { note(OpError("MultiOptimizer", "needs at least one optimiser")) }
    self.optimizers = optimizers
    parameters = optimizers.flatMap(\.parameters)
    initialRates = optimizers.map(\.learningRate)
    leadingRate = initialRates.first { $0 != 0 } ?? 0
    rate = OptimizerScalar(leadingRate, name: "learning_rate")
    noteRepeatedParameters()
  }

  private func noteRepeatedParameters() {
    var owners: [ObjectIdentifier: Int] = [:]
    for (i, optimizer) in optimizers.enumerated() {
      for parameter in optimizer.parameters {
        let owner = owners.updateValue(i, forKey: ObjectIdentifier(parameter))
        guard let owner, owner != i else { continue }
        note(
          OpError(
            "MultiOptimizer",
            "the parameter '\(parameter.name)' is in the optimisers \(owner) and \(i)"))
        return
      }
    }
  }

  /// The leading step size. A traced step sees the new value when it is set between calls.
  public var learningRate: Double {
    get { rate.value }
    set {
      rate.value = newValue
      for (i, optimizer) in optimizers.enumerated() {
        optimizer.learningRate =
          leadingRate == 0 ? newValue : initialRates[i] * (newValue / leadingRate)
      }
    }
  }

  /// Holds the leading step size; nil if an optimiser has no such variable.
  public var learningRateVariable: Variable? {
    optimizers.contains { $0.learningRateVariable == nil } ? nil : rate.variable
  }

  /// Those of the optimisers and their learning rates, by their places: `0.velocity.0`, `0.learning_rate`.
  public var stateVariables: [(name: String, variable: Variable)] {
    optimizers.enumerated().flatMap { i, optimizer in
      let rate = optimizer.learningRateVariable.map { [("learning_rate", $0)] } ?? []
      return (optimizer.stateVariables + rate).map { ("\(i).\($0.0)", $0.1) }
    }
  }

  /// A step of every optimiser.
  public func step() {
    if learningRateVariable != nil {
      noGrad {
        let leading = rate.variable.value
        for (i, optimizer) in optimizers.enumerated() {
          // The quotient is 1 while the rate is what it was, so that the others are, too, to the last bit.
          optimizer.learningRateVariable!.value =
            leadingRate == 0 ? leading : leading / leadingRate * initialRates[i]
        }
      }
    }
    for optimizer in optimizers { optimizer.step() }
  }
}
