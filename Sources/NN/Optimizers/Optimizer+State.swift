import DuetEager

extension Optimizer {
  /// What reflection finds in stored properties: variables and arrays, optionals, tuples, dictionaries, structs and
  /// objects of them. The parameters and the variable of the learning rate are not among it, nor are models'.
  public var stateVariables: [(name: String, variable: Variable)] {
    var known = Set(parameters.map { ObjectIdentifier($0) })
    if let rate = learningRateVariable { known.insert(ObjectIdentifier(rate)) }
    var contents = OptimizerContents(known: known.union([ObjectIdentifier(self)]))
    contents.visit(partsOf: self, "")
    return contents.variables
  }
}

/// The variables that reflection finds in an optimiser.
private struct OptimizerContents {
  private(set) var variables: [(name: String, variable: Variable)] = []
  private var known: Set<ObjectIdentifier>

  init(known: Set<ObjectIdentifier>) { self.known = known }

  mutating func visit(partsOf whole: Any, _ path: String) {
    var levels: [Mirror] = []
    var mirror: Mirror? = Mirror(reflecting: whole)
    while let level = mirror {
      levels.append(level)
      mirror = level.superclassMirror
    }
    // Dictionaries have no order of their own; sets' elements have no places.
    let isOrdered = levels[0].displayStyle != .dictionary && levels[0].displayStyle != .set
    guard isOrdered else { return visit(unordered: levels[0], path) }
    for level in levels.reversed() {
      for (i, child) in level.children.enumerated() {
        let label = child.label.map { $0.hasPrefix(".") ? String($0.dropFirst()) : $0 }
        visit(child.value, path.appending(component: label ?? String(i)))
      }
    }
  }

  private mutating func visit(unordered mirror: Mirror, _ path: String) {
    let pairs = mirror.children.compactMap { pair -> (String, Any)? in
      let parts = Array(Mirror(reflecting: pair.value).children)
      return parts.count == 2 ? ("\(parts[0].value)", parts[1].value) : nil
    }
    for (key, value) in pairs.sorted(by: { $0.0 < $1.0 }) {
      visit(value, path.appending(component: key))
    }
  }

  private mutating func visit(_ part: Any, _ path: String) {
    switch part {
    case let variable as Variable: add(variable, path)
    case let scalar as OptimizerScalar: add(scalar.variable, path)
    case let optimizer as any Optimizer:
      guard known.insert(ObjectIdentifier(optimizer)).inserted else { return }
      for (name, variable) in optimizer.stateVariables {
        add(variable, path.appending(component: name))
      }
      if let rate = optimizer.learningRateVariable {
        add(rate, path.appending(component: "learning_rate"))
      }
    case is any Module, is Tensor, is String: return
    default:
      let mirror = Mirror(reflecting: part)
      switch mirror.displayStyle {
      case .optional:
        if let wrapped = mirror.children.first { visit(wrapped.value, path) }
      case .class:
        guard known.insert(ObjectIdentifier(part as AnyObject)).inserted else { return }
        visit(partsOf: part, path)
      case .collection:
        // Arrays of numbers can be long, and hold nothing to find.
        guard let first = mirror.children.first, !(first.value is any Numeric) else { return }
        visit(partsOf: part, path)
      case .struct, .tuple, .dictionary, .enum: visit(partsOf: part, path)
      default: return
      }
    }
  }

  private mutating func add(_ variable: Variable, _ path: String) {
    if known.insert(ObjectIdentifier(variable)).inserted { variables.append((path, variable)) }
  }
}

extension [Variable] {
  /// The variables under a name and their places: `velocity.0`.
  func numbered(_ name: String) -> [(name: String, variable: Variable)] {
    enumerated().map { ("\(name).\($0.offset)", $0.element) }
  }
}
