// Unsafe: passes addresses of tensors' elements to plans, and finds tensors by references that are not counted. Every
// tensor is held by the frame until the call has its results.

import DuetCompiler
import DuetEager
import DuetRuntime

/// A trace of a closure that looks at values: the paths that calls have taken so far, as a tree.
///
/// A call goes from segment to segment as the values tell. New contents of cells are computed beside the old ones
/// and put in place at the path's end, all at once: a call whose values lead where no call went before has
/// changed nothing, and records the closure instead. So has one that finds a cell changed by another thread; it
/// starts again.
final class GuardedTrace: Trace, @unchecked Sendable {
  // Sendable: as its superclass; what it adds is constant, and segments see to themselves.

  private let root: Segment
  private let valueCount: Int
  /// Why calls will run the closure because of the values that it looks at; nil: they replay.
  let reasonToGiveUp: String?
  /// How often the closure did something else although it had seen the same.
  private let contradictions: Int

  private enum Limit {
    /// Contents of one value, most of them seen once.
    static let branches = 8
    static let paths = 128
    static let contradictions = 4
    static let attempts = 1000
  }

  /// A trace of one path.
  convenience init(
    _ recorder: GraphRecorder, signature: Signature, paths: [String], reason: String,
    arguments: [Tensor], results: [Tensor], form: AnyObject?
  ) throws(OpError) {
    try self.init(
      recorder, signature: signature, paths: paths, reason: reason, arguments: arguments,
      results: results, form: form,
      root: .path(recorder, results: results, form: form), contradictions: 0)
  }

  private init(
    _ recorder: GraphRecorder, signature: Signature, paths: [String], reason: String,
    arguments: [Tensor], results: [Tensor], form: AnyObject?, root: Segment, contradictions: Int,
    earlierUses: [CellUse] = [], earlierReason: String? = nil, earlierObjection: String? = nil
  ) throws(OpError) {
    self.root = root
    self.contradictions = contradictions
    valueCount = root.valueCount
    reasonToGiveUp =
      contradictions >= Limit.contradictions
      ? "it does different things although its arguments, and the state that it reads, are the same: it "
        + "depends on something else that changes; pass that as an argument, Static or not"
      : root.reasonToGiveUp(branches: Limit.branches, paths: Limit.paths)
    try super.init(
      recorder, signature: signature, paths: paths, reason: reason, arguments: arguments,
      results: results, form: form, isCompiled: false, earlierUses: earlierUses,
      earlierReason: earlierReason, givesUp: reasonToGiveUp != nil,
      earlierObjection: reasonToGiveUp ?? earlierObjection)
  }

  override var reasonForEager: String? { super.reasonForEager ?? reasonToGiveUp }

  override var recordedPaths: [RecordedPath] { root.recordedPaths() }

  override var guards: [Explanation.Guard] { root.guards }

  override var writtenCells: [StateCell] { root.writtenCells }

  /// The path that was recorded last.
  override func whole() throws(OpError) -> CompiledGraph { try compile(unoptimized) }

  /// This trace with one more path, or nil if it is for state of another form.
  func adding(
    _ recorder: GraphRecorder, arguments: [Tensor], results: [Tensor], form: AnyObject?
  ) throws(OpError) -> GuardedTrace? {
    let path = Segment.path(recorder, results: results, form: form)
    let tree: Segment
    var contradictions = contradictions
    switch root.joined(with: path) {
    case .tree(let joined): tree = joined
    case .otherState: return nil
    case .otherProgram:
      tree = path
      contradictions += 1
    }
    let trace = try GuardedTrace(
      recorder, signature: signature, paths: paths, reason: reason, arguments: arguments,
      results: results, form: form, root: tree, contradictions: contradictions,
      earlierUses: cellUses, earlierReason: reasonOfProgram,
      earlierObjection: objectionToSaving)
    trace.callCount.store(callCount.load(ordering: .relaxed), ordering: .relaxed)
    trace.lastUse.store(lastUse.load(ordering: .relaxed), ordering: .relaxed)
    return trace
  }

  // MARK: Replaying

  private enum Outcome {
    case done
    /// No call has found such state, or such values, yet.
    case unknown
    /// Another thread has changed what the call was about to change.
    case disturbed
  }

  override func replay(
    _ frame: CallFrame, times: UnsafeMutablePointer<UInt64>? = nil
  ) throws(OpError) -> Bool {
    for _ in 0..<Limit.attempts {
      frame.restart()
      switch try run(frame) {
      case .done: return true
      case .unknown:
        frame.restart()
        return false
      case .disturbed: continue
      }
    }
    throw OpError(
      "traced", "other threads kept changing the variables that a call was about to change")
  }

  private func run(_ frame: CallFrame) throws(OpError) -> Outcome {
    let values = frame.values(valueCount)
    var segment = Unmanaged.passUnretained(root)
    while true {
      switch segment._withUnsafeGuaranteedRef({ advance($0, values, frame) }) {
      case .next(let next): segment = next
      case .done: return .done
      case .unknown: return .unknown
      case .disturbed: return .disturbed
      case .failed: throw frame.failure!
      }
    }
  }

  /// Where a call goes from a segment.
  private enum Step {
    case next(Unmanaged<Segment>)
    case done, unknown, disturbed
    /// The frame has the error.
    case failed
  }

  @inline(__always)
  private func advance(
    _ segment: Segment, _ values: UnsafeMutablePointer<HeldValue>, _ frame: CallFrame
  ) -> Step {
    if segment.readsCells, !segment.cells.readOthers(into: values, &frame.held) { return .unknown }
    for i in segment.arguments.indices {
      let body = frame.arguments[segment.arguments[i].argument]
      values[segment.arguments[i].value] = HeldValue(
        address: body._withUnsafeGuaranteedRef { $0.contiguousAddress(&frame.held) }, body: body)
    }
    let program: Unmanaged<SegmentProgram.Compiled>
    do throws(OpError) {
      program = try segment.program.compiled()
    } catch {
      frame.failure = error
      return .failed
    }
    let isComputed = program._withUnsafeGuaranteedRef { compute(segment, $0, values, frame) }
    if !isComputed { return .failed }
    guard let lookedAt = segment.lookedAtValue else {
      return finish(segment.end!, values, frame) ? .done : .disturbed
    }
    return segment.next(values[lookedAt].address).map { .next($0) } ?? .unknown
  }

  /// - Returns: Whether it could be computed; if not the frame has the error.
  @inline(__always)
  private func compute(
    _ segment: Segment, _ program: SegmentProgram.Compiled,
    _ values: UnsafeMutablePointer<HeldValue>, _ frame: CallFrame
  ) -> Bool {
    guard let plan = program.plan else { return true }
    let inputCount = program.inputs.count
    let inputs = frame.addresses(inputCount + segment.keptValues.count)
    let outputs = inputs + inputCount
    for i in 0..<inputCount { inputs[i] = values[program.inputs[i]].address }
    for i in segment.keptValues.indices {
      let kept = segment.keptValues[i]
      if kept.isForEnd {
        let body = Unmanaged.passRetained(
          TensorBody(allocating: program.outputs.baseAddress! + i))
        frame.held.keep(body)
        let address = body._withUnsafeGuaranteedRef { $0.pointer }
        values[kept.value] = HeldValue(address: address, body: body)
        outputs[i] = address
      } else {
        let address = frame.room(program.outputs[i].byteCount)
        values[kept.value] = HeldValue(address: address, body: nil)
        outputs[i] = address
      }
    }
    return plan._withUnsafeGuaranteedRef { plan in
      do throws(OpError) {
        try plan.run(inputs: inputs, outputs: outputs)
        return true
      } catch {
        frame.failure = error
        return false
      }
    }
  }

  /// Changes the cells and takes the results.
  /// - Returns: False, with nothing changed, if another thread was faster.
  @inline(__always)
  private func finish(
    _ end: PathEnd, _ values: UnsafeMutablePointer<HeldValue>, _ frame: CallFrame
  ) -> Bool {
    if !end.plainWrites.isEmpty, !write(end, values) { return false }
    if end.onlyResult >= 0 {
      frame.result = .passRetained(Self.tensor(values[end.onlyResult].body!, nil).body)
    } else {
      for source in end.results { frame.results.append(Self.tensor(source, nil, values)!) }
    }
    if !end.effects.isEmpty {
      for (effect, sources) in end.effects {
        frame.effects.append((effect, sources.map { Self.tensor($0, nil, values)! }))
      }
    }
    if end.transcript != nil { frame.transcript = end.transcript }
    frame.form = end.plainForm
    return true
  }

  /// Changes the cells, all at once.
  private func write(_ end: PathEnd, _ values: UnsafeMutablePointer<HeldValue>) -> Bool {
    let writes = end.plainWrites
    for i in writes.indices { writes[i].cell._withUnsafeGuaranteedRef { $0.lock() } }
    defer { for i in writes.indices { writes[i].cell._withUnsafeGuaranteedRef { $0.unlock() } } }
    for i in writes.indices where writes[i].wasRead {
      let content = writes[i].cell._withUnsafeGuaranteedRef { $0.unretainedContent?.toOpaque() }
      let read = writes[i].readValue
      guard content == (read < 0 ? nil : values[read].body?.toOpaque()) else { return false }
    }
    for i in writes.indices {
      let write = writes[i]
      let content =
        write.value >= 0
        ? Self.tensor(values[write.value].body!, write.autograd)
        : Self.tensor(end.writes[i].source, end.writes[i].autograd, values)
      write.cell._withUnsafeGuaranteedRef { $0.lockedContent = content }
    }
    return true
  }

  private static func tensor(
    _ source: PathEnd.Source, _ autograd: AutogradMeta?, _ values: UnsafeMutablePointer<HeldValue>
  ) -> Tensor? {
    switch source {
    case .value(let value): tensor(values[value].body!, autograd.map { .passUnretained($0) })
    case .constant(let tensor):
      autograd == nil ? tensor : Tensor(TensorBody(tensor.body, autograd: autograd))
    case .nothing: nil
    }
  }

  /// The tensor with that place in the autograd graph.
  @inline(__always)
  private static func tensor(
    _ body: Unmanaged<TensorBody>, _ autograd: Unmanaged<AutogradMeta>?
  ) -> Tensor {
    let body = body.takeUnretainedValue()
    let own = body.autograd.map { Unmanaged.passUnretained($0).toOpaque() }
    if own == autograd?.toOpaque() { return Tensor(body) }
    return Tensor(TensorBody(body, autograd: autograd?.takeUnretainedValue()))
  }
}

extension Segment {
  /// One more than the largest number of a value on any path.
  var valueCount: Int { branches.reduce(range.upperBound) { max($0, $1.next.valueCount) } }

  /// The cells that calls may write, whichever way they go.
  var writtenCells: [StateCell] {
    (end?.writes.map(\.cell) ?? []) + branches.flatMap(\.next.writtenCells)
  }

  var pathCount: Int {
    lookedAt == nil ? 1 : branches.reduce(0) { $0 + $1.next.pathCount }
  }

  /// Why recording more paths will not help: a value that keeps changing, or too many ways.
  func reasonToGiveUp(branches limit: Int, paths: Int) -> String? {
    if let guardThatChanges = changing(limit) {
      return
        "\(guardThatChanges) keeps changing; compute with tensors instead, as which(condition, a, b) does, "
        + "or read it outside of the function"
    }
    if pathCount > paths {
      return
        "the values that it looks at have led it \(pathCount) different ways; whileLoop and cond make one of "
        + "them"
    }
    return nil
  }

  private func changing(_ limit: Int) -> String? {
    if let lookedAt, branches.count > limit,
      branches.count(where: { $0.uses.value <= 1 }) * 4 >= branches.count * 3
    {
      return "the value read by \(lookedAt.place)"
    }
    for branch in branches {
      if let found = branch.next.changing(limit) { return found }
    }
    return nil
  }

  /// The values that the paths look at, from the first on.
  var guards: [Explanation.Guard] {
    guard let lookedAt else { return [] }
    let outcomes = branches.map { branch in
      let tensor = Tensor(lookedAt.type, branch.bytes)
      return Explanation.Outcome(
        value: tensor.size <= 8 ? tensor.description : "other elements",
        count: branch.uses.value)
    }
    let own = Explanation.Guard(
      operation: lookedAt.operation, outcomes: outcomes, callSite: lookedAt.callSite)
    return [own] + branches.flatMap(\.next.guards)
  }
}

extension Segment.Guard {
  fileprivate var place: String {
    operation + (callSite.location.map { " at \($0)" } ?? "")
  }
}
