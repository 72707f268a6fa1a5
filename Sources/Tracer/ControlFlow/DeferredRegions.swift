import DuetEager

/// What surrounds a branch or a loop that becomes an operation of deferred mode: values that are put off are the
/// region's arguments, and tensors that are there are its constants.
final class DeferredSurroundings: Recorder {
  // Unsafe: it has no state, nor has its superclass, so that one serves all threads.
  nonisolated(unsafe) static let shared = DeferredSurroundings(isSymbolic: true)

  override var takesPending: Bool { true }
  override func isVariable(_ tensor: Tensor) -> Bool { tensor.isPending }
  override func name(of tensor: Tensor) -> String? { tensor.node?.label }

  /// A variable's content is that of a session's run.
  override func read(_ cell: StateCell, _ value: Tensor?) -> Tensor? {
    ThreadContext.withRecorder(nil) { ThreadContext.withDeferred(true) { cell.read() } }
  }
}

/// The recorder around a region that is about to be recorded.
var recorderAroundRegion: Recorder? {
  ThreadContext.recorder ?? (ThreadContext.isDeferred ? DeferredSurroundings.shared : nil)
}

extension Tensor {
  /// Whether the elements are known in a session's run only, so that nothing can be decided by them before: they
  /// depend on a placeholder, or, inside `updates`, on state.
  var isDecidedByRun: Bool {
    guard ThreadContext.isDeferred, isPending, let node else { return false }
    return node.placeholder != nil
      || DeferredThread.existing?.updates != nil && node.dependsOnState
  }
}

extension PendingNode {
  /// Whether the value is made of what a state cell holds.
  fileprivate var dependsOnState: Bool {
    var seen: Set<ObjectIdentifier> = []
    var pending = [self]
    while let node = pending.popLast() {
      guard seen.insert(ObjectIdentifier(node)).inserted else { continue }
      if case .content = node.kind { return true }
      guard case .operands(let operands) = node.known else { continue }
      for case .node(let operand) in operands { pending.append(operand) }
    }
    return false
  }
}
