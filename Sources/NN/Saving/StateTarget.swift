import DuetEager
import DuetRuntime

/// A place that a loaded tensor goes to.
struct StateTarget {
  var name: String
  var type: TensorType
  var set: (Tensor) -> Void

  init(_ name: String, _ variable: Variable) {
    self.name = name
    type = variable.type
    set = { variable.value = $0 }
  }

  init(_ name: String, _ type: TensorType, set: @escaping (Tensor) -> Void) {
    self.name = name
    self.type = type
    self.set = set
  }
}

extension Module {
  /// Parameters and buffers in the order of declaration: PyTorch's state dict.
  var stateTargets: [StateTarget] {
    ModuleContents(of: self).variables.map { StateTarget($0.name, $0.variable) }
  }

  var namedState: [(name: String, tensor: Tensor)] {
    ModuleContents(of: self).variables.map { ($0.name, $0.variable.valueToSave) }
  }
}

extension ParameterList {
  var stateTargets: [StateTarget] { named.map { StateTarget($0.name, $0.parameter) } }

  var namedState: [(name: String, tensor: Tensor)] {
    named.map { ($0.name, $0.parameter.valueToSave) }
  }
}

extension Optimizer {
  var stateTargets: [StateTarget] {
    let rate = StateTarget("learning_rate", TensorType(.float64, [])) { [self] in
      learningRate = $0.item(Double.self)
    }
    return [rate] + stateVariables.map { StateTarget($0.name, $0.variable) }
  }

  var namedState: [(name: String, tensor: Tensor)] {
    let rate = learningRateVariable?.valueToSave ?? Tensor(scalar: learningRate, for: .float64)
    return [("learning_rate", rate)] + stateVariables.map { ($0.name, $0.variable.valueToSave) }
  }
}

extension Scheduler {
  var stateTargets: [StateTarget] {
    let own = stateVariables.map { StateTarget($0.name, $0.variable) }
    guard let scheduler = self as? LearningRateScheduler else { return own }
    let rate = StateTarget("initial_rate", TensorType(.float64, [])) {
      scheduler.initialRate = $0.item(Double.self)
    }
    return [rate] + own
      + scheduler.parts.flatMap { name, part in
        part.stateTargets.map { target in
          StateTarget(name.appending(component: target.name), target.type, set: target.set)
        }
      }
  }

  var namedState: [(name: String, tensor: Tensor)] {
    let own = stateVariables.map { ($0.name, $0.variable.valueToSave) }
    guard let scheduler = self as? LearningRateScheduler else { return own }
    return [("initial_rate", Tensor(scalar: scheduler.initialRate, for: .float64))] + own
      + scheduler.parts.flatMap { name, part in
        part.namedState.map { (name.appending(component: $0.name), $0.tensor) }
      }
  }
}

extension Variable {
  /// The present content, also in deferred mode, where reading gives a content to come.
  fileprivate var valueToSave: Tensor { ThreadContext.withRecorder(nil) { value } }
}
