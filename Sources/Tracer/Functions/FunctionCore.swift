import DuetCompiler
import DuetEager
import DuetRuntime
import Foundation
import Synchronization

/// What all traced functions share, whatever their arguments' and results' types: the cache of traces.
final class FunctionCore: @unchecked Sendable {
  // Sendable: `state` and `history` are locked, `recordingsWithNewState` is for the holder of `recording`, and all else is
  // atomic or constant.

  private struct State {
    var traces: [Trace] = []
    /// What was lowered for unknown sizes, the latest first.
    var sized: [SizedFunction] = []
  }

  private let state = Lock(State())
  /// Grows with every change of the traces, under the lock of the state.
  private let version = Atomic<Int>(0)
  private let frames = FramePool()
  private let recording = NSRecursiveLock()
  /// Counts changes of which trace is used.
  private let clock = Atomic<Int>(0)
  /// The identity of the trace that was used last; 0: none.
  private let lastUsed = Atomic<UInt>(0)
  private let history = Lock<(recorded: Int, warned: Bool)>((0, false))
  /// How many recordings in turn have made variables that live on; for the holder of `recording`.
  private var recordingsWithNewState = 0
  let maximumTraces: Int
  /// Whether replays are compared with the closure.
  let verifies: Bool
  let forbidsRetracing = Atomic<Bool>(false)
  /// Whether somebody has been told that calls run the closure.
  private let warnsOfEager = Atomic<Bool>(false)

  init(_ options: TracingOptions) {
    maximumTraces = max(1, options.maximumTraces)
    verifies = options.verifies
  }

  var traces: [Trace] { state.withLock { $0.traces } }
  var traceCount: Int { history.withLock { $0.recorded } }

  // MARK: Frames

  /// A frame for one call, with the traces of this moment.
  func takeFrame() -> CallFrame { takePlainFrame().takeRetainedValue() }

  /// As `takeFrame`: a counted reference.
  @inline(__always)
  func takePlainFrame() -> Unmanaged<CallFrame> {
    let frame = frames.take()
    frame._withUnsafeGuaranteedRef { frame in
      if frame.version != version.load(ordering: .acquiring) { refresh(frame) }
    }
    return frame
  }

  /// Gives the frame the traces of this moment.
  /// - Returns: Whether they are others.
  @inline(never) @discardableResult
  private func refresh(_ frame: CallFrame) -> Bool {
    if frame.version == version.load(ordering: .acquiring) { return false }
    let (traces, version) = state.withLock { state in
      (state.traces, self.version.load(ordering: .relaxed))
    }
    frame.use(traces, version: version)
    return true
  }

  /// Ends the use of a frame.
  func giveBack(_ frame: CallFrame) {
    frame.clear()
    giveBack(.passRetained(frame))
  }

  /// Ends the use of a frame, counted, that holds nothing of the call.
  @inline(__always)
  func giveBack(_ frame: Unmanaged<CallFrame>) { frames.giveBack(frame) }

  // MARK: Calls

  /// Counts a call that used a trace.
  @inline(__always)
  func count(_ trace: Trace) {
    trace.callCount.add(1, ordering: .relaxed)
    if lastUsed.load(ordering: .relaxed) != trace.identity { noteUse(of: trace) }
  }

  /// Only where another trace was used before: the next call with the same signature finds nothing to write.
  @inline(never)
  func noteUse(of trace: Trace) {
    lastUsed.store(trace.identity, ordering: .relaxed)
    trace.lastUse.store(clock.add(1, ordering: .relaxed).newValue, ordering: .relaxed)
  }

  /// Replays the trace of this signature and times its steps; nil if it cannot be replayed.
  func profile(_ frame: CallFrame, runs: Int) throws(OpError) -> PlanProfile? {
    guard let trace = trace(for: frame.visitor), !trace.runsEagerly else { return nil }
    frame.noteCollected()
    defer { frame.letGo() }
    return try trace.compiled.plan.profile(runs: runs) { times throws(OpError) in
      frame.restart()
      let isDone = try trace.replay(frame, times: times)
      frame.performEffects()
      return isDone
    }
  }

  /// Lets no other thread record, or compare with the closure, until `unlock`. The frame gets the traces that there
  /// are then.
  /// - Returns: What calls with the frame's arguments may change.
  func lockToCompare(_ frame: CallFrame) -> [(cell: StateCell, content: Tensor?)] {
    recording.lock()
    refresh(frame)
    let cells = frame.traces.flatMap { trace in
      trace.signature.matches(frame.visitor.tensors, frame.visitor.structure)
        ? trace.writtenCells : []
    }
    return cells.map { ($0, $0.read()) }
  }

  /// Lets no other thread record until `unlock`.
  func lockRecording() { recording.lock() }

  func unlock() { recording.unlock() }

  /// As `lockToCompare`, for a call for which no trace was found.
  /// - Returns: False, without a lock, if there are other traces by now, among which there may be one.
  func lockToRecord(_ frame: CallFrame) -> Bool {
    recording.lock()
    if !refresh(frame) && !addTraceForSizes(frame) { return true }
    recording.unlock()
    return false
  }

  /// Makes the trace for a call's sizes from what was lowered for unknown ones, if that covers them. For the holder of
  /// the lock.
  /// - Returns: Whether the frame has a new trace.
  func addTraceForSizes(_ frame: CallFrame) -> Bool {
    for function in state.withLock({ $0.sized }) {
      guard let sizes = function.sizes(of: frame.visitor) else { continue }
      // A trace that is there and did not serve would not serve the second time.
      let isThere = frame.traces.contains {
        $0.lowered === function && $0.signature.matches(frame.visitor.tensors, [])
      }
      // Where operations do not take such sizes the recording says so.
      if !isThere, let trace = try? function.trace(at: sizes, keepsTranscript: verifies) {
        trace.lowered = function
        keep(trace, isRecorded: false)
        refresh(frame)
        return true
      }
    }
    return false
  }

  /// Keeps what was lowered for unknown sizes.
  /// - Returns: A trace for some sizes, to look at.
  func lower(_ make: () throws -> SizedFunction) throws -> Trace {
    recording.lock()
    defer { recording.unlock() }
    let function = try make()
    let sizes = SizedFunction.firstSizes(function.symbols.count)
    guard let trace = try function.trace(at: sizes, keepsTranscript: false) else {
      throw OpError("lower", "another thread changed the state meanwhile")
    }
    history.withLock { $0.recorded += 1 }
    state.withLock { $0.sized.insert(function, at: 0) }
    return trace
  }

  /// What functions were lowered for whose sizes are unknown.
  var sizedSignatures: [String] { sized.map(\.symbols.description) }

  /// What was lowered for unknown sizes, the latest first.
  var sized: [SizedFunction] { state.withLock { $0.sized } }

  private static let mostAttempts = 100

  /// Runs a body while recording it, and keeps the trace. It is run once, unless another thread changes a variable
  /// under its hands. Callbacks that the body asks for wait in the recorder.
  ///
  /// - Parameters:
  ///   - visitor: The arguments, collected with their paths.
  ///   - recorder: New, and replaced by another one for another attempt. Gets everything that the body does.
  ///   - form: The result's form without its tensors, asked for after `body`.
  ///   - body: Calls the closure with these tensors in its arguments, and gives the tensors of its result; nil if
  ///     it has thrown.
  ///   - replace: Puts these tensors in the place of the result's.
  /// - Returns: The trace, or nil where there is nothing to keep: after a throw, or after a mistake inside
  ///   `checked`. No state has changed then.
  func record(
    _ visitor: TensorVisitor, _ recorder: inout GraphRecorder, form: () -> AnyObject?,
    _ body: ([Tensor]) -> [Tensor]?, replace: ([Tensor]) -> Void
  ) throws(OpError) -> Trace? {
    let signature = Signature(visitor)
    try checkRetracing(signature, visitor.paths)
    var arguments: [Tensor] = []
    var results: [Tensor] = []
    for attempt in 1... {
      arguments = zip(visitor.tensors, visitor.paths).map { tensor, path in
        recorder.addArgument(tensor, name: path)
      }
      let produced = ThreadContext.withRecorder(recorder) { body(arguments) }
      guard let produced, !produced.contains(where: \.isFailed), !recorder.sawFailure else {
        return nil
      }
      results = produced
      recorder.checkOrigins(results)
      if let failure = recorder.failure { throw failure }
      if recorder.commit() { break }
      // Another thread has changed what the closure had read and was about to change: nothing has happened yet.
      if attempt == Self.mostAttempts {
        throw OpError(
          "traced", "other threads kept changing the variables that a call was about to change")
      }
      recorder = recorder.another()
    }
    recorder.detach(&results, replace)
    let newState = recorder.cellThatOutlives(results)
    if newState != nil {
      // What is made when it is first needed is there on the next call, which then does something else.
      recordingsWithNewState += 1
      history.withLock { $0.recorded += 1 }
      if recordingsWithNewState < 3 { return nil }
    } else {
      recordingsWithNewState = 0
    }
    let form = form()
    if newState == nil, !recorder.guards.isEmpty {
      for known in traces {
        guard let known = known as? GuardedTrace, known.signature == signature,
          visitor.owns(gradientsOf: known),
          let trace = try known.adding(
            recorder, arguments: arguments, results: results, form: form)
        else { continue }
        keep(trace, insteadOf: known)
        return trace
      }
    }
    let reason = reason(for: signature, visitor.paths)
    let trace =
      recorder.guards.isEmpty || newState != nil
      ? try Trace(
        recorder, signature: signature, paths: visitor.paths, reason: reason, arguments: arguments,
        results: results, form: form, newState: newState)
      : try GuardedTrace(
        recorder, signature: signature, paths: visitor.paths, reason: reason, arguments: arguments,
        results: results, form: form)
    keep(trace, isRecorded: newState == nil)
    return trace
  }

  /// Puts a trace in the place of one that knows fewer paths.
  private func keep(_ trace: GuardedTrace, insteadOf known: GuardedTrace) {
    history.withLock { $0.recorded += 1 }
    state.withLock { state in
      defer { version.add(1, ordering: .releasing) }
      if let place = state.traces.firstIndex(where: { $0 === known }) {
        state.traces[place] = trace
      }
    }
    frames.drop()
    if known.reasonToGiveUp == nil, let reason = trace.reasonToGiveUp {
      warn("a traced function is run eagerly from here on: \(reason)")
    }
  }

  private func warn(_ text: String) {
    FileHandle.standardError.write(Data("warning: \(text)\n".utf8))
  }

  /// Traces from types alone.
  func lower(
    _ signature: Signature, _ paths: [String], form: () -> AnyObject?,
    _ body: ([Tensor]) -> [Tensor]?, replace: ([Tensor]) -> Void
  ) throws(OpError) -> Trace? {
    recording.lock()
    defer { recording.unlock() }
    // Before there is a recorder, which takes the gradients of what comes later for the closure's own.
    let stands = zip(signature.leaves, paths).map { leaf, path in
      let autograd = leaf.requiresGrad ? AutogradMeta(leafNamed: path + ".grad") : nil
      return Tensor(TensorBody(withoutElements: leaf.type, autograd: autograd))
    }
    let recorder = GraphRecorder(isSymbolic: true)
    recorder.notesCallSites = verifies
    recorder.keepsTranscript = verifies
    let arguments = zip(stands, paths).map { recorder.addArgument($0, name: $1) }
    guard var results = ThreadContext.withRecorder(recorder, { body(arguments) }) else {
      return nil
    }
    if let failure = recorder.failure { throw failure }
    if results.contains(where: \.isFailed) || recorder.sawFailure {
      throw OpError("lower", "the function made a mistake while it was traced")
    }
    try recorder.checkOwnCells(&results, replace)
    let trace = try Trace(
      recorder, signature: signature, paths: paths,
      reason: "lowered from types: " + reason(for: signature, paths), arguments: arguments,
      results: results, form: form())
    keep(trace)
    return trace
  }

  /// - Parameter isRecorded: Whether it counts as another recording of the closure.
  private func keep(_ trace: Trace, isRecorded: Bool = true) {
    if isRecorded { history.withLock { $0.recorded += 1 } }
    noteUse(of: trace)
    let dropped = state.withLock { state -> Bool in
      // The most recently made first.
      defer { version.add(1, ordering: .releasing) }
      state.traces.insert(trace, at: 0)
      guard state.traces.count > maximumTraces else { return false }
      let oldest = state.traces.indices.dropFirst().min {
        state.traces[$0].lastUse.load(ordering: .relaxed)
          < state.traces[$1].lastUse.load(ordering: .relaxed)
      }
      if let oldest { state.traces.remove(at: oldest) }
      return true
    }
    frames.drop()
    if let reason = trace.reasonForEager, !warnsOfEager.exchange(true, ordering: .relaxed) {
      warn("a traced function is run eagerly: \(reason)")
    }
    guard dropped, trace.lowered == nil else { return }
    let warn = history.withLock { history in
      defer { history.warned = true }
      return !history.warned
    }
    if warn {
      self.warn(
        "a traced function was traced for more than \(maximumTraces) signatures and drops the least recently used "
          + "one; its explain() says what keeps changing")
    }
  }

  private func checkRetracing(_ signature: Signature, _ paths: [String]) throws(OpError) {
    guard forbidsRetracing.load(ordering: .relaxed), !traces.isEmpty else { return }
    throw OpError("traced", "retracing is forbidden: \(reason(for: signature, paths))")
  }

  /// Why a signature needs a trace of its own: how it differs from the closest one.
  private func reason(for signature: Signature, _ paths: [String]) -> String {
    let existing = traces
    if existing.isEmpty { return "first call" }
    let differences = existing.map { signature.differences(from: $0.signature, paths: paths) }
    let closest = differences.min { $0.count < $1.count }!
    return closest.isEmpty
      ? "the state that the function reads changed its form (dtype, shape, or whether it was there), "
        + "gradients go to other arguments, or a value that it looks at led where no call went before"
      : closest.joined(separator: "; ")
  }
}

extension TensorVisitor {
  /// Whether the collected tensors are those whose gradients the trace reads and writes.
  func owns(gradientsOf trace: Trace) -> Bool {
    let bodies = tensors.map { Unmanaged.passUnretained($0.body) }
    return bodies.withUnsafeBufferPointer { bodies in
      bodies.baseAddress.map { trace.ownsGradients(of: $0) } ?? true
    }
  }
}
