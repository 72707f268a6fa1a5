import DuetRuntime
import Synchronization

/// An operation that deferred mode has put off, or a value that such operations begin with.
///
/// Nodes refer to what they need and to nothing else: there is no graph that would grow. A node that no tensor and
/// no other node refers to is gone, and one that has been evaluated lets go of its operands.
package final class PendingNode: Sendable {
  package enum Kind: Sendable {
    case operation(Op)
    case placeholder(name: String)
    /// What a state cell held when the program read it.
    case content
  }

  package enum Operand: Sendable {
    case node(PendingNode)
    case tensor(TensorBody)
  }

  /// What can be found out of a node.
  package enum Known {
    case value(TensorBody)
    case operands([Operand])
  }

  package let kind: Kind
  package let type: TensorType
  /// The name scope around the operation.
  package let scope: String
  /// Where an operation was asked for whose elements decide whether it can be done.
  package let callSite: CallSite?
  /// The nearest placeholder that the value depends on, if any: it has elements within a session's run only.
  package let feed: PendingNode?
  /// The cell that a content is of, as long as there is one.
  private let source: WeakCell?

  private struct State {
    var operands: [Operand] = []
    var value: TensorBody?
  }
  private let state: Lock<State>
  /// How many operations lie one behind the other.
  private let depth: Atomic<Int>
  /// How many tensors are this value.
  private let tensors = Atomic<Int>(0)

  /// The most operations that are put off one behind the other.
  private static let greatestDepth = 4096

  /// An operation on tensors that have elements or are pending.
  init(_ op: Op, _ inputs: UnsafeBufferPointer<Tensor>, _ type: TensorType) {
    kind = .operation(op)
    self.type = type
    let thread = DeferredThread.current
    thread.nodeCount += 1
    scope = thread.scope
    callSite = op.canFail ? CallSite() : nil
    source = nil
    var feed: PendingNode?
    var depth = 0
    let operands = inputs.map { input -> Operand in
      guard let pending = input.body as? PendingBody else { return .tensor(input.body) }
      let node = pending.node
      feed = feed ?? node.placeholder
      depth = max(depth, node.depth.load(ordering: .relaxed))
      return .node(node)
    }
    self.feed = feed
    self.depth = Atomic(depth + 1)
    state = Lock(State(operands: operands))
  }

  /// A value that a session's run is given.
  package init(placeholder name: String, _ type: TensorType) {
    let scope = DeferredThread.current.scope
    kind = .placeholder(name: scope.isEmpty ? name : scope + "/" + name)
    self.type = type
    self.scope = scope
    callSite = nil
    source = nil
    feed = nil
    depth = Atomic(0)
    state = Lock(State())
  }

  /// A cell's content, which may be pending.
  init(contentOf cell: StateCell, _ content: TensorBody) {
    kind = .content
    type = content.type
    scope = ""
    callSite = nil
    source = WeakCell(cell)
    var operand = Operand.tensor(content)
    if let pending = content as? PendingBody {
      operand = .node(pending.node)
      if case .content = pending.node.kind, case .operands(let same) = pending.node.known {
        // A variable that was written back unchanged, however often.
        operand = same[0]
      }
    }
    if case .node(let node) = operand {
      feed = node.placeholder
      depth = Atomic(node.depth.load(ordering: .relaxed))
    } else {
      feed = nil
      depth = Atomic(0)
    }
    state = Lock(State(operands: [operand]))
  }

  deinit { Self.release(take()) }

  /// The cell whose content the value stands for in a session's run.
  package var cell: StateCell? { source?.cell }

  /// The placeholder that has to be fed before there are elements: this one itself, or the nearest.
  package var placeholder: PendingNode? {
    if case .placeholder = kind { return self }
    return feed
  }

  /// Whether so many operations lie one behind the other that it is time to do them.
  var isDeep: Bool { feed == nil && depth.load(ordering: .relaxed) > Self.greatestDepth }

  /// Whether the program holds the value itself, and not only what is made of it.
  package var isHeld: Bool { tensors.load(ordering: .relaxed) > 0 }

  func addTensor() { tensors.add(1, ordering: .relaxed) }
  func removeTensor() { tensors.subtract(1, ordering: .relaxed) }

  package var known: Known {
    state.withLock { state in state.value.map { .value($0) } ?? .operands(state.operands) }
  }

  /// The value with its elements, if they are known.
  package var value: TensorBody? {
    switch known {
    case .value(let body): return body
    case .operands(let operands):
      guard case .content = kind else { return nil }
      switch operands[0] {
      case .tensor(let body): return body
      case .node(let node): return node.value
      }
    }
  }

  /// Keeps the elements and lets go of the operands.
  package func fulfil(_ value: TensorBody) {
    let operands = state.withLock { state -> [Operand] in
      guard state.value == nil else { return [] }
      state.value = value
      defer { state.operands = [] }
      return state.operands
    }
    depth.store(0, ordering: .relaxed)
    Self.release(operands)
  }

  /// The name in messages and printed graphs, with the scope: `block/multiply`.
  package var label: String {
    switch kind {
    case .operation(let op): scope.isEmpty ? op.name : scope + "/" + op.name
    case .placeholder(let name): name
    case .content: cell?.name ?? "variable"
    }
  }

  private func take() -> [Operand] {
    state.withLock { state in
      defer { state.operands = [] }
      return state.operands
    }
  }

  // A long chain would otherwise be released recursively, one stack frame per operation.
  private static func release(_ operands: consuming [Operand]) {
    var pending = operands
    while let operand = pending.popLast() {
      guard case .node(var node) = consume operand else { continue }
      if isKnownUniquelyReferenced(&node) { pending += node.take() }
    }
  }
}

/// A reference that does not keep a cell alive: its content may be made of what refers to it.
private final class WeakCell: @unchecked Sendable {
  // Sendable: set once, before anyone else has it; that its cell goes away changes nothing in here, and weak references
  // may be read from several threads at once.
  private(set) weak var cell: StateCell?

  init(_ cell: StateCell) { self.cell = cell }
}

/// A tensor whose operation has been put off.
package final class PendingBody: TensorBody, @unchecked Sendable {
  // Sendable: as its superclass; what it adds is constant, or locked.

  package let node: PendingNode
  private let known = Lock<TensorBody?>(nil)

  package init(_ node: PendingNode, autograd: AutogradMeta?) {
    self.node = node
    node.addTensor()
    super.init(withoutElements: node.type, autograd: autograd)
  }

  deinit { node.removeTensor() }

  override func attachedWithoutElements(to autograd: AutogradMeta?) -> TensorBody {
    PendingBody(node, autograd: autograd)
  }

  /// The same tensor with its elements, once the node has been evaluated. Always the same object.
  package var evaluated: TensorBody? {
    if let known = known.withLock({ $0 }) { return known }
    guard let value = node.value else { return nil }
    let body =
      value.autograd === autograd ? value : TensorBody(value, autograd: autograd)
    return known.withLock { known in
      if known == nil { known = body }
      return known
    }
  }
}

extension Tensor {
  /// Whether the operation that gives the tensor has been put off.
  package var isPending: Bool { body.storage == nil && body is PendingBody }

  /// The same tensor with elements, if they are there and always will be: variables' values are those of a session's
  /// run in it.
  var knownElements: Tensor? {
    if hasElements { return self }
    guard let pending = body as? PendingBody, case .operation = pending.node.kind else {
      return nil
    }
    return pending.evaluated.map { Tensor($0) }
  }

  package var evaluatedBody: TensorBody? { hasElements ? body : nil }

  /// The same tensor with elements: does what was put off. Gives a failed tensor after noting why there are none.
  /// - Parameter operation: What needs the elements.
  package func evaluated(for operation: String) -> Tensor {
    if hasElements || isFailed { return self }
    guard let pending = body as? PendingBody else {
      return fail(OpError(operation, reasonForHavingNoElements))
    }
    if let known = pending.evaluated { return Tensor(known) }
    if let placeholder = pending.node.placeholder {
      return fail(OpError(operation, placeholder.reasonForHavingNoElements))
    }
    guard PendingNode.evaluate(pending.node), let evaluated = pending.evaluated else {
      return .failed
    }
    return Tensor(evaluated)
  }
}

extension PendingNode {
  /// Why what depends on this placeholder has no elements outside of a session's run.
  package var reasonForHavingNoElements: String {
    "the value depends on the placeholder \"\(label)\" (\(type)), which has none here; "
      + "run it in a session: session.run(value, feeding: [placeholder: tensor])"
  }

  /// Does what was put off: the value's operations, and the new contents of cells that this thread has written.
  /// - Returns: Whether it could be done; if not, the mistake has been told.
  @discardableResult
  package static func evaluate(_ node: PendingNode?) -> Bool {
    guard let evaluator = evaluator.withLock({ $0 }) else {
      preconditionFailure("there is no deferred mode without something that evaluates")
    }
    do throws(TensorError) {
      try evaluator.run(node)
      return true
    } catch {
      report(error)
      return false
    }
  }

  /// Not the bare closure: every look at one that lies in a generic container would wrap it once more.
  package struct Evaluator: Sendable {
    let run: @Sendable (PendingNode?) throws(TensorError) -> Void

    package init(_ run: @escaping @Sendable (PendingNode?) throws(TensorError) -> Void) {
      self.run = run
    }
  }

  /// Set by the module that compiles, before the first value is put off.
  package static let evaluator = Lock<Evaluator?>(nil)
}
