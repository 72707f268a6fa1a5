import DuetEager
import DuetRuntime

/// How the values that a branch or a loop works on are made of tensors: trees, or tuples of up to four.
struct TreeForm<Value> {
  /// Shows every part to the visitor.
  let visit: (inout Value, inout TensorVisitor) -> Void

  /// The tensors, in order.
  func tensors(_ value: Value) -> [Tensor] {
    if Value.self == Tensor.self { return [value as! Tensor] }
    return visited(value, TensorVisitor()).tensors
  }

  /// Tensors and structure.
  func collected(_ value: Value) -> TensorVisitor { visited(value, TensorVisitor()) }

  /// Tensors, their paths and the structure.
  func described(_ value: Value, as name: String) -> TensorVisitor {
    var visitor = TensorVisitor(recordingPaths: true)
    visitor.begin(name)
    return visited(value, visitor)
  }

  /// A value of the same form with other tensors.
  func rebuilt(_ value: Value, with tensors: [Tensor]) -> Value {
    if Value.self == Tensor.self { return tensors[0] as! Value }
    var copy = value
    var visitor = TensorVisitor(replacingWith: tensors[...])
    visit(&copy, &visitor)
    return copy
  }

  private func visited(_ value: Value, _ visitor: TensorVisitor) -> TensorVisitor {
    var (copy, visitor) = (value, visitor)
    visit(&copy, &visitor)
    return visitor
  }
}

extension TreeForm where Value: TensorTree {
  static var tree: TreeForm { TreeForm { $0.visit(&$1) } }
}

extension TreeForm where Value == Void {
  static var nothing: TreeForm { TreeForm { _, _ in } }
}

func pairForm<A: TensorTree, B: TensorTree>() -> TreeForm<(A, B)> {
  TreeForm { value, visitor in
    visitor.visit(&value.0, "0")
    visitor.visit(&value.1, "1")
  }
}

func tripleForm<A: TensorTree, B: TensorTree, C: TensorTree>() -> TreeForm<(A, B, C)> {
  TreeForm { value, visitor in
    visitor.visit(&value.0, "0")
    visitor.visit(&value.1, "1")
    visitor.visit(&value.2, "2")
  }
}

func quadrupleForm<A: TensorTree, B: TensorTree, C: TensorTree, D: TensorTree>()
  -> TreeForm<(A, B, C, D)>
{
  TreeForm { value, visitor in
    visitor.visit(&value.0, "0")
    visitor.visit(&value.1, "1")
    visitor.visit(&value.2, "2")
    visitor.visit(&value.3, "3")
  }
}

/// The form that something has to have: what there was before.
struct ExpectedForm {
  let types: [TensorType]
  let paths: [String]
  let structure: [StructureToken]

  init(_ visitor: TensorVisitor) {
    types = visitor.tensors.map(\.type)
    paths = visitor.paths
    structure = visitor.structure
  }

  /// Whether these have the form.
  func fits(_ found: TensorVisitor) -> Bool {
    guard found.tensors.count == types.count, found.structure == structure else { return false }
    for (tensor, type) in zip(found.tensors, types) where tensor.type != type { return false }
    return true
  }

  /// How others differ, in words; nil if they do not.
  func difference(_ visitor: TensorVisitor) -> String? {
    if fits(visitor) { return nil }
    let found = visitor.tensors.map(\.type)
    if found.count != types.count {
      return "there are \(found.count) tensors instead of \(types.count)"
    }
    for (i, (new, old)) in zip(found, types).enumerated() where new != old {
      if new.dtype != old.dtype { return "\(paths[i]) is \(new) instead of \(old)" }
      return "\(paths[i]) has shape \(new.shape) instead of \(old.shape)"
    }
    return "it has another structure"
  }
}
