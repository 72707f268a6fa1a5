import DuetEager

/// A value made of tensors: what a traced function takes and returns.
///
/// Tensors, values of `Static`, and arrays, optionals and dictionaries of trees are trees. A struct becomes one by
/// naming its parts, most briefly as a ``TensorStruct``.
public protocol TensorTree {
  /// Shows every part to the visitor, always in the same order.
  mutating func visit(_ visitor: inout TensorVisitor)
}

/// Walks a tree: collects its tensors and structure, or puts other tensors in their places.
public struct TensorVisitor {
  package private(set) var tensors: [Tensor] = []
  package private(set) var structure: [StructureToken] = []
  /// One per tensor, if asked for: `argument 0["weights"][2]`.
  package private(set) var paths: [String] = []

  private let recordsPaths: Bool
  private var path = ""
  private var replacements: ArraySlice<Tensor>?

  /// A visitor that collects.
  package init(recordingPaths: Bool = false) { recordsPaths = recordingPaths }

  /// A visitor that puts those tensors into the places of the tree's own, in order.
  package init(replacingWith tensors: ArraySlice<Tensor>) {
    recordsPaths = false
    replacements = tensors
  }

  /// Collects one tensor that is a whole argument.
  @inline(__always)
  mutating func collect(_ tensor: Tensor) {
    tensors.append(tensor)
    if recordsPaths { paths.append(path) }
  }

  /// Forgets what was collected, but keeps the memory for it.
  mutating func clear() {
    while tensors.popLast() != nil {}
    if !structure.isEmpty { structure.removeAll(keepingCapacity: true) }
  }

  /// Puts elements in the places of tensors that deferred mode has put off.
  mutating func evaluateWhatIsPending() {
    for i in tensors.indices where !tensors[i].hasElements {
      tensors[i] = tensors[i].evaluated(for: "traced")
    }
  }

  /// The next tensors belong to that argument.
  mutating func begin(argument index: Int) {
    if recordsPaths { path = "argument \(index)" }
  }

  /// The next tensors belong to what messages call by that name.
  mutating func begin(_ name: String) {
    if recordsPaths { path = name }
  }

  /// Shows a part of a tree, under the name that messages call it by.
  public mutating func visit(_ part: inout some TensorTree, _ name: String) {
    guard recordsPaths else {
      part.visit(&self)
      return
    }
    let before = path
    path += "." + name
    part.visit(&self)
    path = before
  }

  mutating func visit(_ part: inout some TensorTree, element key: @autoclosure () -> String) {
    guard recordsPaths else {
      part.visit(&self)
      return
    }
    let before = path
    path += "[" + key() + "]"
    part.visit(&self)
    path = before
  }

  mutating func leaf(_ tensor: inout Tensor) {
    if replacements != nil {
      tensor = replacements!.removeFirst()
      return
    }
    tensors.append(tensor)
    if recordsPaths { paths.append(path) }
  }

  /// Notes something that a function's trace depends on beside its tensors' types.
  mutating func token(_ token: StructureToken) {
    if replacements == nil { structure.append(token) }
  }
}

/// What is not a tensor in a tree.
package enum StructureToken: Hashable {
  case count(Int)
  case isPresent(Bool)
  case key(AnyHashable)
  case value(AnyHashable)
  case double(bits: UInt64)
  case float(bits: UInt32)

  /// What stands for a value. Numbers go by their bits: 0 equals -0, which 1 / x tells apart, and NaN equals nothing.
  static func standing<Value: Hashable>(for value: Value) -> StructureToken {
    if Value.self == Double.self { return .double(bits: (value as! Double).bitPattern) }
    if Value.self == Float.self { return .float(bits: (value as! Float).bitPattern) }
    return .value(AnyHashable(value))
  }
}

extension Tensor: TensorTree {
  /// A tensor is a tree of one tensor.
  public mutating func visit(_ visitor: inout TensorVisitor) { visitor.leaf(&self) }
}

extension Array: TensorTree where Element: TensorTree {
  /// Shows the elements in order. Their number is a part of the signature.
  public mutating func visit(_ visitor: inout TensorVisitor) {
    visitor.token(.count(count))
    for i in indices { visitor.visit(&self[i], element: String(i)) }
  }
}

extension Optional: TensorTree where Wrapped: TensorTree {
  /// Shows the value, if any. Whether there is one is a part of the signature.
  public mutating func visit(_ visitor: inout TensorVisitor) {
    visitor.token(.isPresent(self != nil))
    if self != nil { self!.visit(&visitor) }
  }
}

extension Dictionary: TensorTree where Value: TensorTree {
  /// Shows the values in the order of their keys' printed forms. The keys are a part of the signature.
  public mutating func visit(_ visitor: inout TensorVisitor) {
    // Dictionaries have no order of their own: keys go by their printed form.
    let ordered = keys.sorted { String(describing: $0) < String(describing: $1) }
    visitor.token(.count(count))
    for key in ordered {
      visitor.token(.key(AnyHashable(key)))
      visitor.visit(&self[key]!, element: String(reflecting: key))
    }
  }
}

/// An argument that is part of a traced function's signature: another value, another trace.
public struct Static<Value: Hashable>: TensorTree, Hashable {
  /// What the closure sees; calls with equal values can share a trace. A `Double` or `Float` by itself goes by its bits.
  public var value: Value

  /// An argument of that value; a call with another one makes another trace.
  public init(_ value: Value) { self.value = value }

  /// Shows no tensor: the value is a part of the signature.
  public mutating func visit(_ visitor: inout TensorVisitor) {
    visitor.token(.standing(for: value))
  }
}
