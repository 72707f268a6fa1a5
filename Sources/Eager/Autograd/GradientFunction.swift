import DuetRuntime
import Synchronization

/// One operation of the autograd graph: what was done, to what, and what its gradient needs.
public final class GradientFunction: Sendable, CustomStringConvertible {
  /// Counts recorded operations; `backward` visits them in descending order.
  package let sequence: Int
  package let op: Op
  /// The inputs' places in the graph, nil for inputs that need no gradient.
  private let state: Mutex<State>
  package let outputType: TensorType
  package let inputTypes: [TensorType]

  private struct State {
    var edges: [AutogradMeta?]
    var inputs: [Tensor?]
    var output: Tensor?
    var isReleased = false
    var isFinished = false
  }

  private static let counter = Atomic<Int>(0)

  init(_ op: Op, _ inputs: [Tensor], output: Tensor) {
    sequence = Self.counter.add(1, ordering: .relaxed).newValue
    self.op = op
    outputType = output.type
    inputTypes = inputs.map(\.type)
    let needs = op.gradientNeeds
    state = Mutex(
      State(
        edges: inputs.map(\.body.autograd),
        inputs: inputs.enumerated().map { i, input in needs.inputs >> i & 1 == 1 ? input : nil },
        output: needs.output ? output : nil))
  }

  deinit {
    // A long chain would otherwise be released recursively, one stack frame per operation.
    var pending = takeEdges()
    while var meta = pending.popLast() {
      guard isKnownUniquelyReferenced(&meta), var function = meta.takeFunction() else { continue }
      if isKnownUniquelyReferenced(&function) { pending += function.takeEdges() }
    }
  }

  private func takeEdges() -> [AutogradMeta] {
    let old = state.withLock { state in
      let old = (state.edges.compactMap { $0 }, state.inputs, state.output)
      state.edges = []
      state.inputs = []
      state.output = nil
      return old
    }
    return old.0
  }

  /// For example `MulBackward`.
  public var name: String { op.gradientName }
  public var description: String { name }

  /// The operations that gave the inputs; nil where an input is a leaf or needs no gradient.
  public var nextFunctions: [GradientFunction?] { edges.map { $0?.function } }

  package var edges: [AutogradMeta?] { state.withLock { $0.edges } }

  /// What was saved for the gradient.
  struct Saved {
    let inputs: [Tensor?]
    /// Without its place in the graph, which holds this object.
    var output: Tensor?
    let isReleased: Bool
  }

  var saved: Saved {
    state.withLock { Saved(inputs: $0.inputs, output: $0.output, isReleased: $0.isReleased) }
  }

  /// Whether `backward` has come through and will not again.
  var isFinished: Bool { state.withLock { $0.isFinished } }

  /// Lets go of what was saved: the graph cannot be run through again.
  func release() {
    let needs = op.gradientNeeds
    let old = state.withLock { state in
      let old = (state.inputs, state.output)
      state.inputs = state.inputs.map { _ in nil }
      state.output = nil
      state.isReleased = needs.inputs != 0 || needs.output
      state.isFinished = true
      return old
    }
    withExtendedLifetime(old) {}
  }
}
