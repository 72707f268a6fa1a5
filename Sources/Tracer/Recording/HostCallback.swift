import DuetEager
import DuetRuntime

/// Calls Swift code with tensors' values, on every call of a traced function and in the order of the program.
///
///     let step = traced { (x: Tensor) in
///       let loss = ...
///       hostCallback(loss) { loss in losses.append(loss.item(Float.self)) }
///       return loss
///     }
///
/// Eagerly the callback is made at once. In a traced function the callbacks of a call are made when the call is known
/// to be complete and its state has changed, one after the other as the program asked for them: a call that fails,
/// or throws, makes none, and one that looks at values makes those of the path that it took, once. A replay calls the
/// code that was recorded: of what lies outside it sees the present, but numbers that the traced closure computed
/// are those of the recording.
///
/// The callback may read its tensors, use variables and call functions, traced ones included. What it computes is no
/// part of the traced function. It cannot throw.
///
/// - Parameters:
///   - values: Trees whose tensors' values are wanted; they come without a place in the autograd graph.
///   - body: Takes the trees.
public func hostCallback<each Value: TensorTree>(
  _ values: repeat each Value, do body: @escaping (repeat each Value) -> Void
) {
  var visitor = TensorVisitor()
  func look(at value: some TensorTree) {
    var copy = value
    copy.visit(&visitor)
  }
  repeat look(at: each values)
  let forms = (repeat emptied(each values))
  perform("hostCallback", visitor.tensors) { tensors in
    var visitor = TensorVisitor(replacingWith: tensors[...])
    func replaced<Tree: TensorTree>(_ tree: Tree) -> Tree {
      var copy = tree
      copy.visit(&visitor)
      return copy
    }
    body(repeat replaced(each forms))
  }
}

/// Prints values of tensors, on every call of a traced function and in the order of the program.
///
/// As `print`, with its `separator` and `terminator`, but made as ``hostCallback(_:do:)`` says. Tensors, and trees of
/// them, show the values of the call; anything else is text that is made once, while a traced function is recorded.
///
/// - Parameter label: Stands in front, with a colon.
public func tracePrint(
  _ items: Any..., label: String? = nil, separator: String = " ", terminator: String = "\n"
) {
  /// An item as text, made of the tensors of the call.
  typealias Part = (inout ArraySlice<Tensor>) -> String
  var tensors: [Tensor] = []
  func part(_ tree: some TensorTree) -> Part {
    let own = collectTensors(tree)
    tensors += own
    let (form, count) = (emptied(tree), own.count)
    return { rest in
      defer { rest = rest.dropFirst(count) }
      return String(describing: rebuild(form, with: rest.prefix(count)))
    }
  }
  let parts = items.map { item -> Part in
    if let tree = item as? any TensorTree { return part(tree) }
    let text = String(describing: item)
    return { _ in text }
  }
  perform("tracePrint", tensors) { tensors in
    var rest = tensors[...]
    let text = parts.map { $0(&rest) }.joined(separator: separator)
    print((label.map { $0 + ": " } ?? "") + text, terminator: terminator)
  }
}

private func perform(
  _ operation: String, _ tensors: [Tensor], _ body: @escaping ([Tensor]) -> Void
) {
  if tensors.contains(where: \.isFailed) || ThreadContext.isRunningAgain { return }
  let effect = HostEffect(body)
  if let recorder = ThreadContext.recorder, recorder.perform(effect, on: tensors) { return }
  guard tensors.allSatisfy({ $0.hasElements || $0.isPending }) else {
    note(
      OpError(
        operation,
        "the tensors have no values here, where a program is only written down; use it on results"))
    return
  }
  effect.run(tensors)
}
