import DuetCompiler
import DuetEager
import DuetRuntime

/// Does what a function does with one example on all of them, while the function runs.
///
/// The function runs once, on tensors with the types of one example and no elements. For each of its operations the
/// surroundings (whatever recorder, deferred mode or none is there) do one on whole batches at once. So `noGrad`,
/// `detached()` and functions with gradients of their own mean what they mean elsewhere, which a graph that is gone
/// through afterwards would not know; and errors speak of one example.
///
/// Tensors of the function that depend on the example, or on what has no elements for another reason, are in the
/// table. All others are the surroundings' own, and operations on them alone are done as ever.
///
/// Places in the autograd graph exist twice: the function's own tensors have theirs, for gradients that it asks for
/// itself, and the batches have theirs in the graph around. An argument that needs a gradient outside is a leaf inside,
/// so that gradients inside stay differentiable in turn.
final class BatchingRecorder: Recorder {
  private(set) var batching = Batching(size: 0)
  private(set) var table = BatchTable()
  private var outer: Recorder?
  /// Whether the surroundings put operations off.
  private var isDeferred = false
  /// Whether this is the gradient of something that was mapped before.
  private var isResumed = false
  /// Places of arguments that need gradients outside: `backward` inside must not end there.
  private var argumentGradients: [StateCell] = []
  /// State cells with greater numbers were made by the function itself.
  private let lastCell = StateCell.lastSequence
  /// Cells that the function itself has made and written, with their content.
  private var ownCells: [ObjectIdentifier: (cell: StateCell, content: Tensor?)] = [:]

  /// - Parameter table: What was known to a recording that this one goes on with.
  convenience init(_ batching: Batching, resuming table: BatchTable? = nil) {
    self.init(for: ThreadContext.recorder)
    self.batching = batching
    self.table = BatchTable(after: table)
    outer = ThreadContext.recorder
    isDeferred = ThreadContext.isDeferred
    isResumed = table != nil
  }

  /// Runs the function, or a part of it, with this recorder.
  func run<R>(_ body: () -> R) -> R { ThreadContext.withRecorder(self, body) }

  /// Ends the recording.
  func close() {
    settleOwnCells()
    table.seal { tensor in outside { tensor.detached() } }
  }

  /// Does something as the surroundings do it.
  func outside<R>(_ body: () -> R) -> R {
    ThreadContext.withRecorder(outer) { ThreadContext.withDeferred(isDeferred, body) }
  }

  // MARK: Values

  /// What a tensor stands for outside.
  func value(of tensor: Tensor) -> Batched { table[tensor] ?? .shared(tensor) }

  /// What the function sees of a value: one example, or what all share.
  func symbol(for value: Batched, _ name: String) -> Tensor {
    guard value.isMapped, !value.tensor.isFailed else { return value.tensor }
    let needsGradient = isGradEnabled && value.tensor.requiresGrad
    let leaf = needsGradient ? AutogradMeta(leafNamed: "gradient") : nil
    if let cell = leaf?.gradientCell { argumentGradients.append(cell) }
    let symbol = Tensor(SymbolicBody(value.type, autograd: leaf, madeBy: name, in: origin))
    table.assign(value, to: symbol)
    return symbol
  }

  // MARK: What the thread does

  override func record(_ op: Op, _ inputs: [Tensor], _ result: Tensor) {
    if result.hasElements, op.opClass != .random, !inputs.contains(where: { table[$0] != nil }) {
      outer?.record(op, inputs, result)
      return
    }
    if case .regionResult(let index, _) = op, let results = table.results(of: inputs[0]) {
      table.assign(results[index], to: result)
      return
    }
    let operands = inputs.map(value(of:))
    if case .region(let region) = op {
      guard let region = region as? GraphRegion else { return }
      table.assign(outside { batching.region(region, operands) }, toRegion: result)
      return
    }
    table.assign(outside { batching.result(of: op, operands, result.type) }, to: result)
  }

  override func recordAlias(_ result: Tensor, of source: Tensor) {
    guard let value = table[source] else {
      outer?.recordAlias(result, of: source)
      return
    }
    if let place = result.autograd, !isOfVariable(place), let known = table.value(at: place) {
      // Back at its own place in the graph.
      table.assign(known, to: result)
      return
    }
    // Detached, or a leaf that only the function knows: either way a constant to the graph around.
    table.assign(
      Batched(outside { value.tensor.detached() }, isMapped: value.isMapped), to: result)
  }

  override func knows(_ tensor: Tensor) -> Bool {
    table[tensor] != nil || outer?.knows(tensor) ?? tensor.isPending
  }

  override func isVariable(_ tensor: Tensor) -> Bool {
    table[tensor] != nil || outer?.isVariable(tensor) ?? tensor.isPending
  }

  override var takesPending: Bool { true }

  override var recordsRegions: Bool { true }

  override func name(of tensor: Tensor) -> String? {
    table[tensor] == nil ? outer?.name(of: tensor) : "vmap"
  }

  override func didAttach(_ gradient: AttachedGradient) { attachOutside(gradient) }

  override func stateOfDraws(_ state: Tensor) -> Tensor {
    // With a stand-in nothing is drawn but what the examples get.
    let symbol = Tensor(SymbolicBody(state.type, madeBy: "generator", in: origin))
    table.assign(value(of: state), to: symbol)
    return symbol
  }

  override func willRead(_ tensor: Tensor, for operation: String) -> String? {
    guard let value = table[tensor] else { return outer?.willRead(tensor, for: operation) }
    guard value.isMapped else {
      return
        "a value inside vmap is the result of a branch or a loop, or put off, and is not known yet"
    }
    return
      "the value differs from example to example: vmap calls the function once for all "
      + "\(batching.size), with tensors that have no values. Compute with tensors instead: "
      + "which(condition, a, b), cond(predicate, then:, else:) or whileLoop(_:while:do:)"
  }

  override func perform(_ effect: HostEffect, on tensors: [Tensor]) -> Bool {
    let values = tensors.map(value(of:))
    func perform(_ tensors: [Tensor]) {
      if let outer, outer.perform(effect, on: tensors) { return }
      effect.run(tensors)
    }
    guard values.contains(where: \.isMapped) else {
      outside { perform(values.map(\.tensor)) }
      return true
    }
    for i in 0..<batching.size {
      outside { perform(values.map { batching.example($0, i) }) }
    }
    return true
  }

  override var effectCount: Int { outer?.effectCount ?? 0 }

  override func dropEffects(after count: Int) { outer?.dropEffects(after: count) }

  override func beginRecomputation(depth: Int) { outer?.beginRecomputation(depth: depth) }

  override func endRecomputation() { outer?.endRecomputation() }

  override func didGoOutside() { if !isResumed { outer?.didGoOutside() } }

  override func didFail(caughtBy catcher: Recorder?) {
    if catcher === self {
      willDiffer(because: "it catches a mistake inside vmap")
    } else {
      outer?.didFail(caughtBy: catcher)
    }
  }

  override func willDiffer(because reason: String) { outer?.willDiffer(because: reason) }

  override func objection(to tensor: Tensor) -> OpError? { outer?.objection(to: tensor) }

  // MARK: State

  override func read(_ cell: StateCell, _ value: Tensor?) -> Tensor? {
    if cell.sequence > lastCell || isOfArgument(cell) {
      guard let own = ownCells[ObjectIdentifier(cell)] else { return value }
      return own.content
    }
    return outside { cell.read() }
  }

  override func write(_ cell: StateCell, _ value: Tensor?) -> Bool {
    if isOfArgument(cell) {
      note(
        OpError(
          "vmap",
          "backward inside comes to a mapped argument that requires gradients outside; use grad inside, or "
            + "detach the argument first"))
      return false
    }
    if cell.sequence > lastCell {
      // What a new variable starts with is no change of state. A generator has its own from the start.
      return ownCells.updateValue((cell, value), forKey: ObjectIdentifier(cell)) == nil
        && cell.isEmpty
    }
    guard let value, let known = table[value] else {
      outside { cell.write(value) }
      return false
    }
    if known.isMapped {
      note(
        OpError(
          "vmap",
          "\(cell.name) would get a value that differs from example to example; give it as a result, and "
            + "write what becomes of all of them outside"))
      return false
    }
    write(known.tensor, as: value, to: cell)
    return false
  }

  /// Writes what a tensor of the function stands for.
  private func write(_ known: Tensor, as value: Tensor, to cell: StateCell) {
    outside {
      // A variable's content is a leaf of its own.
      var content = known
      if let place = value.autograd, place.function == nil {
        content = Tensor(content.body.attached(to: place))
        outer?.recordAlias(content, of: known)
      }
      cell.write(content)
    }
  }

  /// Variables that outlive the function get what it wrote last, if that does not differ from example to example.
  private func settleOwnCells() {
    var cells = ownCells
    ownCells = [:]
    for id in Array(cells.keys) {
      var (cell, content) = cells.removeValue(forKey: id)!
      if isKnownUniquelyReferenced(&cell) { continue }
      guard let content, let known = table[content] else {
        outside { cell.write(content) }
        continue
      }
      if !known.isMapped { write(known.tensor, as: content, to: cell) }
    }
  }

  /// Whether this is the leaf of a variable, at which one content follows the other.
  private func isOfVariable(_ place: AutogradMeta) -> Bool {
    place.function == nil && !(place.gradientCell.map(isOfArgument) ?? false)
  }

  private func isOfArgument(_ cell: StateCell) -> Bool {
    argumentGradients.contains { $0 === cell }
  }
}
