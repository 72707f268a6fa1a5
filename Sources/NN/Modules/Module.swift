import DuetEager

/// A part of a model: layers, other modules and values of its own.
///
/// Models are structs (or classes) whose stored properties are found by reflection: `Parameter`s, other
/// `Variable`s, modules, and arrays, optionals, tuples, dictionaries, structs and enums of these. Parameters are
/// references, so that a copy of a model shares its weights.
///
///     struct Classifier: Module {
///       let hidden = Linear(784, 128), output = Linear(128, 10)
///       func callAsFunction(_ x: Tensor) -> Tensor { output(relu(hidden(x))) }
///     }
public protocol Module {}

/// A module that makes one tensor of one tensor: what `Sequential` is made of.
public protocol UnaryLayer: Module {
  /// The layer's result for one input. What shapes and dtypes it takes, each layer says; others are an error.
  func callAsFunction(_ x: Tensor) -> Tensor
}

extension Module {
  /// What training changes, in the order of declaration, each under its dotted name: `conv1.weight`,
  /// `blocks.0.norm.bias`. What occurs twice is listed once, at its first place.
  ///
  /// Found anew by reflection at every access: keep the list rather than asking for it at every step.
  public var parameters: ParameterList {
    ParameterList(
      ModuleContents(of: self).variables.compactMap { name, variable in
        (variable as? Parameter).map { (name, $0) }
      })
  }

  /// The variables that training does not change, such as running statistics, as name and variable.
  public var buffers: [(name: String, variable: Variable)] {
    ModuleContents(of: self).variables.filter { !($0.variable is Parameter) }
  }

  /// The number of elements in all parameters.
  public var parameterCount: Int { parameters.reduce(0) { $0 + $1.type.shape.elementCount } }

  /// Forgets all gradients.
  public func zeroGrad() {
    for parameter in parameters { parameter.grad = nil }
  }

  /// Makes layers that tell training from use, such as `Dropout`, behave as in training (or not).
  @discardableResult
  public func train(_ isTraining: Bool = true) -> Self {
    for mode in ModuleContents(of: self).modes { mode.isTraining = isTraining }
    return self
  }

  /// Makes layers that tell training from use, such as `Dropout`, behave as in use.
  @discardableResult
  public func eval() -> Self { train(false) }

  /// Whether layers behave as in training; true for a module without layers that tell.
  public var isTraining: Bool { ModuleContents(of: self).modes.allSatisfy(\.isTraining) }
}
