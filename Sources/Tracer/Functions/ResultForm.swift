import DuetEager

/// How a traced function's results are taken apart into tensors and put together again.
struct ResultForm<Result> {
  /// The tensors of a result, in order.
  let tensors: (Result) -> [Tensor]
  /// A result of the same form with other tensors.
  let rebuilt: (Result, ArraySlice<Tensor>) -> Result
  /// Makes the result where it is a tensor and nothing else; nil for other results.
  var ofTensor: ((Tensor) -> Result)?
}

extension ResultForm where Result: TensorTree {
  static var tree: ResultForm {
    ResultForm(
      tensors: { collectTensors($0) }, rebuilt: { rebuild($0, with: $1) },
      // A tensor as what it is: the cast is there where the types are the same.
      ofTensor: Result.self == Tensor.self ? { unsafeBitCast($0, to: Result.self) } : nil)
  }
}

extension ResultForm where Result == Void {
  static var nothing: ResultForm {
    ResultForm(tensors: { [] }, rebuilt: { _, _ in })
  }
}

/// A result whose tensors are placeholders.
final class FormBox<Result> {
  let form: Result

  init(_ form: Result) { self.form = form }
}

/// The tensors of a tree, in order.
func collectTensors(_ tree: some TensorTree) -> [Tensor] {
  if let tensor = tree as? Tensor { return [tensor] }
  var copy = tree
  var visitor = TensorVisitor()
  copy.visit(&visitor)
  return visitor.tensors
}

/// A tree of the same form with other tensors.
func rebuild<Tree: TensorTree>(_ tree: Tree, with tensors: ArraySlice<Tensor>) -> Tree {
  var copy = tree
  var visitor = TensorVisitor(replacingWith: tensors)
  copy.visit(&visitor)
  return copy
}

/// The tree's form alone, which keeps none of its tensors alive.
func emptied<Tree: TensorTree>(_ tree: Tree) -> Tree {
  let placeholder = Tensor(TensorBody(withoutElements: TensorType(.float32, [])))
  return rebuild(tree, with: Array(repeating: placeholder, count: collectTensors(tree).count)[...])
}

/// Splits tensors among parts of a result.
struct Splitter {
  var rest: ArraySlice<Tensor>

  mutating func next<Part: TensorTree>(_ part: Part) -> Part {
    let count = collectTensors(part).count
    defer { rest = rest.dropFirst(count) }
    return rebuild(part, with: rest.prefix(count))
  }
}
