import DuetEager

/// What reflection finds in a module: its variables with their dotted names, and its mode switches.
struct ModuleContents {
  private(set) var variables: [(name: String, variable: Variable)] = []
  private(set) var modes: [TrainingMode] = []
  private var seen: Set<ObjectIdentifier> = []

  init(of module: some Module) {
    visit(module, "")
    for (name, variable) in variables { variable.adopt(name) }
  }

  private mutating func visit(_ module: any Module, _ path: String) {
    if let named = module as? any NamesItsParts {
      for (name, part) in named.parts { visit(part: part, path.appending(component: name)) }
      return
    }
    var mirror: Mirror? = Mirror(reflecting: module)
    var levels: [Mirror] = []
    while let level = mirror {
      levels.append(level)
      mirror = level.superclassMirror
    }
    for level in levels.reversed() {
      for (label, value) in level.children {
        visit(part: value, path.appending(component: Self.name(label ?? "")))
      }
    }
  }

  private mutating func visit(part: Any, _ path: String) {
    switch part {
    case let variable as Variable:
      if seen.insert(ObjectIdentifier(variable)).inserted { variables.append((path, variable)) }
    case let mode as TrainingMode:
      if seen.insert(ObjectIdentifier(mode)).inserted { modes.append(mode) }
    case let module as any Module:
      // A module that holds itself, however indirectly, must not be walked for ever.
      if type(of: module) is AnyClass {
        guard seen.insert(ObjectIdentifier(module as AnyObject)).inserted else { return }
      }
      visit(module, path)
    default:
      visit(container: part, path)
    }
  }

  private mutating func visit(container: Any, _ path: String) {
    let mirror = Mirror(reflecting: container)
    switch mirror.displayStyle {
    case .optional:
      if let wrapped = mirror.children.first { visit(part: wrapped.value, path) }
    case .collection:
      // Arrays of numbers can be long, and hold nothing to find.
      guard let first = mirror.children.first, Self.mayHold(first.value) else { return }
      for (i, element) in mirror.children.enumerated() {
        visit(part: element.value, path.appending(component: String(i)))
      }
    case .tuple:
      for (i, element) in mirror.children.enumerated() {
        // Elements without a label are called .0, .1 and so on.
        let name = element.label.map { $0.hasPrefix(".") ? String($0.dropFirst()) : $0 }
        visit(part: element.value, path.appending(component: name ?? String(i)))
      }
    case .dictionary:
      let pairs = mirror.children.compactMap { pair -> (String, Any)? in
        let parts = Array(Mirror(reflecting: pair.value).children)
        return parts.count == 2 ? ("\(parts[0].value)", parts[1].value) : nil
      }
      // Dictionaries have no order of their own.
      for (key, value) in pairs.sorted(by: { $0.0 < $1.0 }) {
        visit(part: value, path.appending(component: key))
      }
    case .struct where !(container is Tensor):
      for (label, value) in mirror.children {
        visit(part: value, path.appending(component: Self.name(label ?? "")))
      }
    case .enum:
      // What a case carries, under the case's name.
      for (label, value) in mirror.children {
        visit(part: value, path.appending(component: label ?? ""))
      }
    default: return
    }
  }

  private static func mayHold(_ value: Any) -> Bool {
    if value is Variable || value is any Module { return true }
    let mirror = Mirror(reflecting: value)
    switch mirror.displayStyle {
    case .optional, .tuple, .dictionary, .enum: return true
    case .collection:
      return !isOfNumbers(value) && mirror.children.first.map { mayHold($0.value) } ?? true
    case .struct: return mirror.children.contains { mayHold($0.value) }
    default: return false
    }
  }

  private static func isOfNumbers(_ collection: Any) -> Bool {
    let plain: [Any.Type] = [[Float].self, [Double].self, [Int].self, [UInt8].self, [String].self]
    return plain.contains { $0 == type(of: collection) }
  }

  /// A property's name without what `lazy` and property wrappers put in front of it.
  private static func name(_ label: String) -> String {
    if label.hasPrefix("$__lazy_storage_$_") { return String(label.dropFirst(18)) }
    return label.hasPrefix("_") ? String(label.dropFirst()) : label
  }
}

/// A module whose parts have other names than its properties.
protocol NamesItsParts: Module {
  var parts: [(name: String, part: Any)] { get }
}

extension String {
  /// A dotted name with one more part.
  func appending(component: String) -> String {
    isEmpty ? component : self + "." + component
  }
}

extension Variable {
  /// Takes a dotted name for printed graphs, unless the user gave another one or a longer path is known.
  fileprivate func adopt(_ path: String) {
    let current = name
    if current == path { return }
    if current == "parameter" || current == "variable" || path.hasSuffix("." + current) {
      name = path
    }
  }
}
