import DuetRuntime
import Synchronization

/// One operation of the autograd graph: what was done, to what, and what its gradient needs.
public final class GradientFunction: Sendable, CustomStringConvertible {
  /// Counts recorded operations; `backward` visits them in descending order.
  package let sequence: Int
  package let op: Op
  package let outputType: TensorType
  /// Where the operation was done, if `detectAnomaly` wants to know.
  let callSite: CallSite?
  private let state: Lock<State>

  private struct Input {
    let type: TensorType
    /// The input's place in the graph; nil if it needs no gradient.
    var edge: AutogradMeta?
    /// The input itself, if the gradient reads it.
    var saved: Tensor?
  }

  private struct State {
    var inputs: [Input]
    var output: Tensor?
    /// The gradient of a region.
    var region: RegionGradient?
    /// Where to get what was let go of: inputs, output, and the region's gradient.
    var checkpoint: Checkpoint.Place?
    var isReleased = false
    var isFinished = false
  }

  private static let counter = Atomic<Int>(0)

  /// The sequence number of the operation that was recorded last.
  static var lastSequence: Int { counter.load(ordering: .relaxed) }

  init(_ op: Op, _ inputs: UnsafeBufferPointer<Tensor>, outputType: TensorType) {
    sequence = Self.counter.add(1, ordering: .relaxed).newValue
    self.op = op
    self.outputType = outputType
    callSite = ThreadContext.has(ThreadContext.Flags.anomaly) ? CallSite() : nil
    let needs = op.gradientNeeds.inputs
    state = Lock(
      State(
        inputs: [Input](unsafeUninitializedCapacity: inputs.count) { buffer, count in
          for i in inputs.indices {
            let body = inputs[i].body
            buffer.initializeElement(
              at: i,
              to: Input(
                type: body.type, edge: body.autograd,
                saved: i < 8 && needs >> i & 1 == 1 ? inputs[i] : nil))
          }
          count = inputs.count
        }, output: nil))
    if ThreadContext.has(ThreadContext.Flags.checkpoint), keepsAnything {
      CheckpointRun.registering?.add(.function(self))
    }
  }

  /// The function of all results of a region.
  /// - Parameter saved: The inputs themselves, if the gradient reads them.
  init(
    _ region: Region, _ inputs: [RegionGradient.Input], _ gradient: RegionGradient,
    saving saved: [Tensor]? = nil
  ) {
    sequence = Self.counter.add(1, ordering: .relaxed).newValue
    op = .region(region)
    outputType = Region.type
    callSite = ThreadContext.has(ThreadContext.Flags.anomaly) ? CallSite() : nil
    state = Lock(
      State(
        inputs: inputs.enumerated().map {
          Input(type: $1.type, edge: $1.edge, saved: saved?[$0])
        }, output: nil, region: gradient))
    if ThreadContext.has(ThreadContext.Flags.checkpoint) {
      CheckpointRun.registering?.add(.function(self))
    }
  }

  /// The function of one of a region's results.
  /// - Parameters:
  ///   - region: The place in the graph of all results.
  ///   - sequence: The number that the function had before, if it is made once more.
  init(result index: Int, _ type: TensorType, of region: AutogradMeta, sequence: Int? = nil) {
    self.sequence = sequence ?? Self.counter.add(1, ordering: .relaxed).newValue
    op = .regionResult(index: index, type)
    outputType = type
    callSite = ThreadContext.has(ThreadContext.Flags.anomaly) ? CallSite() : nil
    state = Lock(
      State(inputs: [Input(type: Region.type, edge: region, saved: nil)], output: nil))
  }

  /// The gradient of a region, until it is let go of.
  var region: RegionGradient? {
    restore()
    return state.withLock { $0.region }
  }

  /// Keeps the result, without its place in the graph, for the gradient to read.
  func save(output: Tensor) { state.withLock { $0.output = output } }

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
      let old = (
        state.inputs.compactMap(\.edge), state.inputs, state.output, state.region, state.checkpoint
      )
      state.inputs = []
      state.output = nil
      state.region = nil
      state.checkpoint = nil
      return old
    }
    return old.0
  }

  /// For example `MulBackward`.
  public var name: String {
    // A region's results go by the name of the region.
    if case .regionResult = op, let region = edges.first??.function { return region.name }
    return op.gradientName
  }
  public var description: String { name }

  /// The operations that gave the inputs; nil where an input is a leaf or needs no gradient.
  public var nextFunctions: [GradientFunction?] { edges.map { $0?.function } }

  package var edges: [AutogradMeta?] { state.withLock { $0.inputs.map(\.edge) } }
  var inputTypes: [TensorType] { state.withLock { $0.inputs.map(\.type) } }

  /// What was saved for the gradient.
  struct Saved {
    let inputs: [Tensor?]
    /// Without its place in the graph, which holds this object.
    var output: Tensor?
    let isReleased: Bool
  }

  var saved: Saved {
    restore()
    return state.withLock {
      Saved(
        inputs: $0.inputs.map(\.saved), output: $0.output,
        isReleased: $0.isReleased || $0.checkpoint != nil)
    }
  }

  /// Whether `backward` has come through and will not again.
  var isFinished: Bool { state.withLock { $0.isFinished } }

  /// Lets go of what was saved: the graph cannot be run through again.
  func release() {
    let needs = op.gradientNeeds
    let old = state.withLock { state in
      let old = (state.inputs.map(\.saved), state.output, state.region, state.checkpoint)
      for i in state.inputs.indices { state.inputs[i].saved = nil }
      state.output = nil
      state.isReleased =
        needs.inputs != 0 || needs.output || state.region != nil || state.checkpoint != nil
      state.region = nil
      state.checkpoint = nil
      state.isFinished = true
      return old
    }
    withExtendedLifetime(old) {}
  }
}

// MARK: What a checkpoint computes again

extension GradientFunction {
  /// What a function keeps for its gradient.
  struct Kept {
    let name: String
    let outputType: TensorType
    let inputs: [Tensor?]
    let output: Tensor?
    let region: RegionGradient?
  }

  /// Whether the operation is one that keeps anything.
  private var keepsAnything: Bool {
    let needs = op.gradientNeeds
    return needs.inputs != 0 || needs.output
  }

  var kept: Kept {
    state.withLock {
      Kept(
        name: op.name, outputType: outputType, inputs: $0.inputs.map(\.saved), output: $0.output,
        region: $0.region)
    }
  }

  /// Lets go of what is kept: it is to be found at that place from now on.
  /// - Returns: Whether there was anything.
  func leave(to place: Checkpoint.Place) -> Bool {
    let old = state.withLock {
      state -> (inputs: [Input], output: Tensor?, region: RegionGradient?)? in
      if state.isFinished { return nil }
      let old = (state.inputs, state.output, state.region)
      for i in state.inputs.indices { state.inputs[i].saved = nil }
      state.output = nil
      state.region = (state.region as? CustomGradient)?.emptied
      state.checkpoint = place
      return old
    }
    return withExtendedLifetime(old) { old != nil }
  }

  /// Gets back what was let go of. If it cannot be had, the reason has been noted.
  private func restore() {
    guard let place = state.withLock({ $0.checkpoint }),
      let kept = place.checkpoint.kept(place.index)
    else { return }
    guard kept.name == op.name, kept.outputType == outputType else {
      Checkpoint.noteDifference(
        "\(op.name), which gave \(outputType), is now \(kept.name) and gives \(kept.outputType)")
      return
    }
    // The values are new, their places in the graph are not.
    let inputs = zip(kept.inputs, edges).map { input, edge in
      input.map { input in edge.map { input.attached(to: $0) } ?? input.detached() }
    }
    state.withLock { state in
      guard state.checkpoint != nil else { return }
      for (i, input) in inputs.enumerated() { state.inputs[i].saved = input }
      state.output = kept.output
      if let custom = state.region as? CustomGradient {
        state.region = custom.filled(like: kept.region)
      } else {
        state.region = kept.region
      }
      state.checkpoint = nil
    }
  }
}
