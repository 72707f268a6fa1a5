import DuetEager
import DuetRuntime

/// A tree that a function is differentiated by.
struct DifferentiableTree<Tree: TensorTree> {
  private let tree: Tree
  let tape: Differentiation
  /// The tree that the function is given.
  let argument: Tree

  /// - Returns: Nil after reporting what in the tree has no gradients.
  init?(_ tree: Tree, _ operation: String) {
    var visitor = TensorVisitor(recordingPaths: true)
    visitor.begin(argument: 0)
    var copy = tree
    copy.visit(&visitor)
    for (tensor, path) in zip(visitor.tensors, visitor.paths) {
      if tensor.isFailed { return nil }
      guard tensor.dtype.isFloatingPoint else {
        note(
          OpError(
            operation,
            "\(path) is \(tensor.dtype); only floating-point tensors have gradients, so pass it as "
              + "another argument"))
        return nil
      }
    }
    self.tree = tree
    tape = Differentiation(by: visitor.tensors)
    argument = rebuild(tree, with: tape.inputs[...])
  }

  /// A tree of this form.
  func tree(of tensors: [Tensor]) -> Tree { rebuild(tree, with: tensors[...]) }
}

/// A tree of failed tensors, for after a mistake.
func failed<Tree: TensorTree>(like tree: Tree) -> Tree {
  rebuild(tree, with: collectTensors(tree).map { _ in Tensor.failed }[...])
}

/// The tensors of a tree if they have the types of the others; nil after reporting that they do not.
func matching(
  _ tree: some TensorTree, _ others: [Tensor], _ operation: String, _ what: String,
  _ whose: String
) -> [Tensor]? {
  let tensors = collectTensors(tree)
  if tensors.contains(where: \.isFailed) || others.contains(where: \.isFailed) { return nil }
  guard tensors.map(\.type) == others.map(\.type) else {
    func show(_ tensors: [Tensor]) -> String {
      tensors.map { "\($0.type)" }.joined(separator: ", ")
    }
    note(
      OpError(
        operation, "the \(what) (\(show(tensors))) do not match the \(whose) (\(show(others)))"))
    return nil
  }
  return tensors
}
