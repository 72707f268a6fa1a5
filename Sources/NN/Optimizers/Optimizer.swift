import DuetEager
import DuetRuntime

/// Changes parameters by their gradients.
///
/// All state lives in variables that are there from the start, so that a traced training step captures it and
/// is traced once. Parameters without a gradient are left alone.
public protocol Optimizer: AnyObject {
  /// What is changed.
  var parameters: [Parameter] { get }
  /// The step size. A traced step sees the new value when it is set between calls.
  var learningRate: Double { get set }
  /// The variable that holds the step size as one `float64`, so that schedules in a traced step can write it. Nil unless
  /// said otherwise: then schedules set `learningRate`, and belong outside of traced steps.
  var learningRateVariable: Variable? { get }
  /// The variables that steps change beside the parameters, under names that stay the same from run to run, so that
  /// they can be saved and loaded. Unless said otherwise those that reflection finds in stored properties, by the
  /// properties' names: `velocities.0`.
  var stateVariables: [(name: String, variable: Variable)] { get }
  /// Changes every parameter that has a gradient.
  func step()
}

extension Optimizer {
  /// None.
  public var learningRateVariable: Variable? { nil }

  /// Forgets the gradients of all parameters.
  public func zeroGrad() {
    for parameter in parameters { parameter.grad = nil }
  }
}

/// A number that steps read as a tensor, so that traced ones see what it was set to last.
final class OptimizerScalar: Sendable {
  // float64: what is computed from it rounds once, to the parameter's dtype.
  let variable: Variable

  init(_ value: Double, name: String) {
    variable = Variable(Tensor(scalar: value, for: .float64), name: name)
  }

  var value: Double {
    get { variable.value.item(Double.self) }
    set { variable.value = Tensor(scalar: newValue, for: .float64) }
  }
}

/// A scalar tensor in the dtypes of the parameters, each cast once per step.
struct CastScalar {
  private let source: Tensor
  private var casts: [(DType, Tensor)] = []

  init(_ source: Tensor) { self.source = source }

  mutating func callAsFunction(_ dtype: DType) -> Tensor {
    if let known = casts.first(where: { $0.0 == dtype }) { return known.1 }
    let cast = source.asType(dtype)
    casts.append((dtype, cast))
    return cast
  }
}

extension Sequence<Parameter> {
  /// A variable of zeros for each parameter, named after it.
  func slots(_ suffix: String) -> [Variable] {
    map { Variable(zeros($0.shape, dtype: $0.dtype), name: $0.name + "." + suffix) }
  }
}
