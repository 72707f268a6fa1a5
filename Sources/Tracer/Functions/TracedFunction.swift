// Unsafe: reads an argument as a tensor through its address, after comparing the types.

import DuetCompiler
import DuetEager
import DuetRuntime
import Synchronization

/// A closure that is recorded as a graph on its first call with a new signature and replayed as a compiled plan
/// on later ones. Made by ``traced(maximumTraces:verify:_:)``.
///
/// The signature is the arguments' structure, each tensor's dtype and shape, the values of ``Static`` arguments
/// and whether gradients are recorded. Variables, gradients, optimiser slots and random generators that the
/// closure touches are found while it runs and updated by every replay as the closure would have done. Anything
/// else that it reads from outside is a constant of the trace.
///
/// A closure that throws leaves no state changed, and nothing recorded: what it did before it threw is taken back,
/// where the same closure without `traced` would leave it done. Paths that do not throw are replayed as always.
///
/// Calls may come from many threads and tasks at once, the first one included: one of them records, and the others
/// wait and replay.
public final class TracedFunction<Result, Failure: Error, each Argument: TensorTree>:
  @unchecked Sendable
{
  // Sendable: the core locks its own state. The closure is called by threads that call the function, as they would call
  // the closure itself without `traced`: whoever shares one with other threads shares what the closure captures.

  let body: (repeat each Argument) throws(Failure) -> Result
  let form: ResultForm<Result>
  let core: FunctionCore
  /// Whether all arguments are tensors, and calls do nothing but replay.
  @usableFromInline let takesTensors: Bool
  private let argumentCount: Int

  init(
    _ options: TracingOptions, form: ResultForm<Result>,
    body: @escaping (repeat each Argument) throws(Failure) -> Result
  ) {
    core = FunctionCore(options)
    self.form = form
    self.body = body
    var (count, tensorCount) = (0, 0)
    func look<Part>(at type: Part.Type) {
      count += 1
      if type == Tensor.self { tensorCount += 1 }
    }
    repeat look(at: (each Argument).self)
    argumentCount = count
    takesTensors = tensorCount == count && !options.verifies
  }

  /// Replays the trace of these arguments' signature, or records the closure while it runs.
  /// - Throws: What the closure throws. No state has changed then.
  @discardableResult @inlinable
  public func callAsFunction(_ argument: repeat each Argument) throws(Failure) -> Result {
    // Compiled where it is called, so that the types are known: a tuple of tensors is an array of references.
    if takesTensors {
      let arguments = (repeat each argument)
      if Result.self == Tensor.self {
        if let result = withUnsafePointer(to: arguments, { replayTensor(UnsafeRawPointer($0)) }) {
          // The types are the same.
          return unsafeBitCast(result, to: Result.self)
        }
      } else if let result = withUnsafePointer(to: arguments, { replayTree(UnsafeRawPointer($0)) })
      {
        return result
      }
    }
    return try callSlowly(repeat each argument)
  }

  /// The result, if it is a tensor, of a call whose arguments are tensors with references there; nil if there is more
  /// to do than to replay.
  @usableFromInline
  func replayTensor(_ arguments: UnsafeRawPointer) -> Tensor? {
    core.replayTensor(
      arguments.assumingMemoryBound(to: Unmanaged<TensorBody>.self), count: argumentCount)
  }

  /// As `replayTensor`, for other results.
  @usableFromInline
  func replayTree(_ arguments: UnsafeRawPointer) -> Result? {
    let arguments = arguments.assumingMemoryBound(to: Unmanaged<TensorBody>.self)
    guard ThreadContext.allowsReplays else { return nil }
    let frame = core.takeFrame()
    defer { core.giveBack(frame) }
    frame.arguments = arguments
    switch core.attemptDirectly(frame, count: argumentCount) {
    case .replayed: return replayed(frame)
    case .failed: return failed(frame.failedTrace!, frame.failure!)
    case .unknown: return nil
    }
  }

  /// Any call.
  @usableFromInline @inline(never)
  func callSlowly(_ argument: repeat each Argument) throws(Failure) -> Result {
    // Inside another recording, in deferred mode, and where tracing is off, the closure is simply run.
    if !ThreadContext.allowsReplays { return try runInside(repeat each argument) }
    let frame = core.takeFrame()
    defer { core.giveBack(frame) }
    Self.visit(&frame.visitor, repeat each argument)
    frame.visitor.evaluateWhatIsPending()
    if frame.visitor.tensors.contains(where: \.isFailed) { return try body(repeat each argument) }
    if core.verifies { return try verified(frame, repeat each argument) }
    while true {
      switch core.attempt(frame) {
      case .replayed: return replayed(frame)
      case .failed(let trace, let error): return failed(trace, error)
      case .runEagerly: return try runEagerly(repeat each argument)
      case .record:
        if core.lockToRecord(frame) { return try record(repeat each argument) }
      }
    }
  }

  /// The results of a replay, whose callbacks are made.
  func replayed(_ frame: CallFrame) -> Result {
    frame.collectResults()
    let result = result(frame.results, frame.form?.takeUnretainedValue())
    if !frame.effects.isEmpty { frame.performEffects() }
    return result
  }

  /// Runs the closure as it is, as a part of what is recorded or put off. One that throws changes no state.
  private func runInside(_ argument: repeat each Argument) throws(Failure) -> Result {
    if Failure.self == Never.self || ThreadContext.isUnderCheckpoint {
      return try body(repeat each argument)
    }
    if !ThreadContext.isRecordingOrDeferred { return try runEagerly(repeat each argument) }
    return try WriteJournal.undoingAfterErrors { () throws(Failure) in
      try body(repeat each argument)
    }
  }

  /// Runs the closure as it is. One that throws changes no state, as everywhere.
  func runEagerly(_ argument: repeat each Argument) throws(Failure) -> Result {
    if Failure.self == Never.self { return try body(repeat each argument) }
    let holder = HoldingRecorder(isSymbolic: false)
    let result = try ThreadContext.withRecorder(holder) { () throws(Failure) in
      try body(repeat each argument)
    }
    holder.commit()
    return result
  }

  func failed(_ trace: Trace, _ error: OpError) -> Result {
    let failed = fail(error)
    return result(Array(repeating: failed, count: trace.resultCount), trace.form)
  }

  func result(_ tensors: [Tensor], _ box: AnyObject?) -> Result {
    if let ofTensor = form.ofTensor { return ofTensor(tensors[0]) }
    return form.rebuilt((box as! FormBox<Result>).form, tensors[...])
  }

  /// Runs the closure while it is recorded. The core is locked, and unlocked in the end.
  func record(_ argument: repeat each Argument) throws(Failure) -> Result {
    var run = Run()
    var visitor = TensorVisitor(recordingPaths: true)
    Self.visit(&visitor, repeat each argument)
    visitor.evaluateWhatIsPending()
    var recorder = GraphRecorder(isSymbolic: false)
    recorder.notesCallSites = core.verifies
    recorder.keepsTranscript = core.verifies
    var trace: Trace?
    do throws(OpError) {
      defer { core.unlock() }
      trace = try core.record(
        visitor, &recorder, form: { self.emptied(run.result!) },
        { tensors in self.tensors(of: &run, with: tensors, repeat each argument) },
        replace: { run.result = self.form.rebuilt(run.result!, $0[...]) })
    } catch {
      note(error)
      guard run.result != nil || run.error != nil else {
        // Inside `checked` the program goes on, with a result that has changed nothing.
        return try ThreadContext.withRecorder(HoldingRecorder(isSymbolic: false)) {
          () throws(Failure) in
          try body(repeat each argument)
        }
      }
    }
    if let error = run.error { throw error }
    let result = run.result!
    recorder.performEffects()
    guard let trace, trace.reasonForEager == nil else { return result }
    // As replays give them: without a place in an autograd graph that is used up.
    let results = form.tensors(result)
    guard results.contains(where: \.requiresGrad) else { return result }
    return form.rebuilt(result, results.map { $0.detached() }[...])
  }

  /// How one run of the closure ended.
  struct Run {
    var result: Result?
    var error: Failure?
  }

  /// Runs the closure with other tensors in its arguments.
  /// - Returns: The tensors of its result; nil if it has thrown.
  func tensors(
    of run: inout Run, with tensors: [Tensor], _ argument: repeat each Argument
  ) -> [Tensor]? {
    do throws(Failure) {
      let result = try self.run(with: tensors, repeat each argument)
      run.result = result
      return form.tensors(result)
    } catch {
      run.error = error
      return nil
    }
  }

  /// The result's form alone, so that a trace does not keep its first results alive.
  func emptied(_ result: Result) -> AnyObject? {
    let placeholder = Tensor(TensorBody(withoutElements: TensorType(.float32, [])))
    let count = form.tensors(result).count
    return FormBox(form.rebuilt(result, Array(repeating: placeholder, count: count)[...]))
  }

  /// Runs the closure with other tensors in its arguments.
  private func run(
    with tensors: [Tensor], _ argument: repeat each Argument
  ) throws(Failure) -> Result {
    var visitor = TensorVisitor(replacingWith: tensors[...])
    func replaced<Part: TensorTree>(_ part: Part) -> Part {
      var copy = part
      copy.visit(&visitor)
      return copy
    }
    return try body(repeat replaced(each argument))
  }

  static func visit(_ visitor: inout TensorVisitor, _ argument: repeat each Argument) {
    var index = 0
    func visitOne<Part: TensorTree>(_ part: Part) {
      visitor.begin(argument: index)
      index += 1
      if Part.self == Tensor.self {
        // Most arguments: no copy, and no way through the protocol.
        withUnsafePointer(to: part) {
          visitor.collect(UnsafeRawPointer($0).assumingMemoryBound(to: Tensor.self).pointee)
        }
        return
      }
      var copy = part
      copy.visit(&visitor)
    }
    repeat visitOne(each argument)
  }

  // MARK: Looking inside

  /// How many times the closure was recorded.
  public var traceCount: Int { core.traceCount }

  /// Makes a call with a new signature an error instead of another trace.
  public var forbidRetracing: Bool {
    get { core.forbidsRetracing.load(ordering: .relaxed) }
    set { core.forbidsRetracing.store(newValue, ordering: .relaxed) }
  }

  /// What was traced and why: per trace its signature, what made it necessary, what it captured and how often
  /// it was called.
  public func explain() -> Explanation {
    Explanation(core.traces.reversed(), lowered: core.sizedSignatures)
  }

  /// The graph that a call with these arguments runs. Traces from their types if no call has yet.
  public func graph(for argument: repeat each Argument) -> TracedGraph {
    TracedGraph(trace(for: repeat each argument))
  }

  /// The plan that a call with these arguments runs. Traces from their types if no call has yet.
  public func plan(for argument: repeat each Argument) -> Plan {
    let trace = trace(for: repeat each argument)
    return ((try? trace.whole()) ?? trace.compiled).plan
  }

  /// Calls the function and times the steps of its plan. The calls have the effects that calls have.
  /// - Parameter runs: How many calls are timed, after one to warm up.
  /// - Returns: Nil if these arguments' calls run the closure instead of a plan; `explain()` says why. Also if the
  ///   closure throws.
  public func profile(_ argument: repeat each Argument, runs: Int = 10) -> PlanProfile? {
    do {
      _ = try self(repeat each argument)
      _ = try self(repeat each argument)
    } catch {
      return nil
    }
    let frame = core.takeFrame()
    defer { core.giveBack(frame) }
    Self.visit(&frame.visitor, repeat each argument)
    frame.visitor.evaluateWhatIsPending()
    do throws(OpError) {
      return try core.profile(frame, runs: max(1, runs))
    } catch {
      note(error)
      return nil
    }
  }

  private func trace(for argument: repeat each Argument) -> Trace {
    var visitor = TensorVisitor(recordingPaths: true)
    Self.visit(&visitor, repeat each argument)
    if let found = core.trace(for: visitor) { return found }
    var run = Run()
    do throws(OpError) {
      let trace = try core.lower(
        Signature(visitor), visitor.paths, form: { self.emptied(run.result!) },
        { tensors in self.tensors(of: &run, with: tensors, repeat each argument) },
        replace: { run.result = self.form.rebuilt(run.result!, $0[...]) })
      if let trace { return trace }
      throw OpError("traced", "the closure threw while it was traced: \(run.error!)")
    } catch {
      // Inside `checked` the program goes on, with a graph in which nothing happens.
      note(error)
      return Trace.empty
    }
  }
}

/// Runs the body with traced functions running their closures as they are: for a debugger, or for print.
public func withTracingDisabled<R, E: Error>(_ body: () throws(E) -> R) throws(E) -> R {
  try ThreadContext.withoutTracing(body)
}
