// Unsafe: passes addresses of tensors' elements to plans, and finds tensors by references that are not counted. Every
// tensor is held by the frame until the call has its results.

import DuetCompiler
import DuetEager
import DuetRuntime
import Foundation

/// A trace of a closure that looks at values: the paths that calls have taken so far, as a tree.
///
/// A call goes from segment to segment as the values tell. New contents of cells are computed beside the old ones
/// and put in place at the path's end, all at once: a call whose values lead where no call went before has
/// changed nothing, and records the closure instead. So has one that finds a cell changed by another thread; it
/// starts again.
final class GuardedTrace: Trace, @unchecked Sendable {
  // Sendable: as its superclass; what it adds is constant, and counts uses in atomics.

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
    earlierUses: [CellUse] = []
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
      results: results, form: form, isCompiled: false, earlierUses: earlierUses)
  }

  override var reasonForEager: String? { super.reasonForEager ?? reasonToGiveUp }

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
      earlierUses: cellUses)
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
      case .unknown: return false
      case .disturbed: continue
      }
    }
    throw OpError(
      "traced", "other threads kept changing the variables that a call was about to change")
  }

  private func run(_ frame: CallFrame) throws(OpError) -> Outcome {
    let values = frame.values(valueCount)
    var segment = root
    while true {
      guard read(segment, values, frame) else { return .unknown }
      try compute(segment, values, frame)
      guard let lookedAt = segment.lookedAt else { break }
      let address = values[lookedAt.value].address
      guard let branch = segment.branch(address) else { return .unknown }
      branch.uses.add()
      segment = branch.next
    }
    return finish(segment.end!, values, frame) ? .done : .disturbed
  }

  /// Finds the arguments and cells that the segment begins to use.
  @inline(__always)
  private func read(
    _ segment: Segment, _ values: UnsafeMutablePointer<CallFrame.Value>, _ frame: CallFrame
  ) -> Bool {
    for read in segment.reads {
      guard let content = read.cell.content(ifOf: read.type, requiresGrad: read.requiresGrad) else {
        return false
      }
      if let value = read.value, let tensor = content {
        frame.held.append(tensor)
        values[value] = CallFrame.Value(
          address: address(of: tensor, frame), body: .passUnretained(tensor.body))
      }
    }
    for input in segment.inputs {
      guard case .argument(let index) = input.source else { continue }
      let tensor = frame.visitor.tensors[index]
      values[input.value] = CallFrame.Value(
        address: address(of: tensor, frame), body: .passUnretained(tensor.body))
    }
    return true
  }

  @inline(__always)
  private func compute(
    _ segment: Segment, _ values: UnsafeMutablePointer<CallFrame.Value>, _ frame: CallFrame
  ) throws(OpError) {
    let program = try segment.program.compiled()
    guard let plan = program.plan else { return }
    let inputs = frame.addresses(program.inputs.count + segment.kept.count)
    let outputs = inputs + program.inputs.count
    for (i, value) in program.inputs.enumerated() { inputs[i] = values[value].address }
    for (i, kept) in segment.kept.enumerated() {
      if kept.isForEnd {
        let body = TensorBody(allocating: program.types[i])
        frame.fresh.append(body)
        values[kept.value] = CallFrame.Value(address: body.pointer, body: .passUnretained(body))
        outputs[i] = body.pointer
      } else {
        let address = frame.room(program.types[i].byteCount)
        values[kept.value] = CallFrame.Value(address: address, body: nil)
        outputs[i] = address
      }
    }
    try plan.run(inputs: inputs, outputs: outputs)
  }

  /// Changes the cells and takes the results.
  /// - Returns: False, with nothing changed, if another thread was faster.
  private func finish(
    _ end: PathEnd, _ values: UnsafeMutablePointer<CallFrame.Value>, _ frame: CallFrame
  ) -> Bool {
    func tensor(_ source: PathEnd.Source, _ autograd: AutogradMeta?) -> Tensor? {
      switch source {
      case .value(let value):
        let body = values[value].body!.takeUnretainedValue()
        if body.autograd === autograd { return Tensor(body) }
        return Tensor(TensorBody(body, autograd: autograd))
      case .constant(let tensor):
        return autograd == nil ? tensor : Tensor(TensorBody(tensor.body, autograd: autograd))
      case .nothing: return nil
      }
    }
    if !end.writes.isEmpty {
      for write in end.writes { write.cell.lock() }
      defer { for write in end.writes { write.cell.unlock() } }
      for write in end.writes where write.read.wasRead {
        let content = write.cell.lockedContent?.body
        guard
          write.read.value.map({ values[$0].body?.takeUnretainedValue() === content })
            ?? (content == nil)
        else { return false }
      }
      for write in end.writes { write.cell.lockedContent = tensor(write.source, write.autograd) }
    }
    for source in end.results { frame.results.append(tensor(source, nil)!) }
    if !end.effects.isEmpty {
      for (effect, sources) in end.effects {
        frame.effects.append((effect, sources.map { tensor($0, nil)! }))
      }
    }
    frame.transcript = end.transcript
    frame.form = end.form
    return true
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

  /// The way on for what the value is now.
  @inline(__always)
  func branch(_ address: UnsafeMutableRawPointer) -> Branch? {
    for branch in branches {
      let isSame = branch.bytes.withUnsafeBytes {
        $0.isEmpty || memcmp($0.baseAddress!, address, $0.count) == 0
      }
      if isSame { return branch }
    }
    return nil
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
