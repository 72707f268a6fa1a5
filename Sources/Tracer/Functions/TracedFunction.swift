// Unsafe: reads an argument as a tensor through its address, after comparing the types.

import DuetCompiler
import DuetEager
import DuetRuntime
import Synchronization

/// A closure that is recorded as a graph on its first call with a new signature and replayed as a compiled plan
/// on later ones. Made by ``traced(maximumTraces:_:)``.
///
/// The signature is the arguments' structure, each tensor's dtype and shape, the values of ``Static`` arguments
/// and whether gradients are recorded. Variables, gradients, optimiser slots and random generators that the
/// closure touches are found while it runs and updated by every replay as the closure would have done. Anything
/// else that it reads from outside is a constant of the trace.
public final class TracedFunction<Result, each Argument: TensorTree>: @unchecked Sendable {
  // Sendable: the core locks its own state; the closure is shared as the user's program shares it.

  private let body: (repeat each Argument) -> Result
  private let form: ResultForm<Result>
  private let core: FunctionCore
  /// How many arguments there are, if all of them and the result are tensors; -1 otherwise.
  private let directArgumentCount: Int

  init(
    maximumTraces: Int, form: ResultForm<Result>, body: @escaping (repeat each Argument) -> Result
  ) {
    core = FunctionCore(maximumTraces: maximumTraces)
    self.form = form
    self.body = body
    var count = Result.self == Tensor.self ? 0 : -1
    func look<Part>(at type: Part.Type) {
      count = count >= 0 && type == Tensor.self ? count + 1 : -1
    }
    repeat look(at: (each Argument).self)
    directArgumentCount = count <= CallFrame.mostArguments ? count : -1
  }

  /// Replays the trace of these arguments' signature, or records the closure while it runs.
  public func callAsFunction(_ argument: repeat each Argument) -> Result {
    // Inside another recording, and where tracing is off, the closure is simply run.
    if ThreadContext.recorder != nil || ThreadContext.isTracingDisabled {
      return body(repeat each argument)
    }
    let frame = core.takeFrame()
    if directArgumentCount >= 0 {
      var index = 0
      for argument in repeat each argument {
        frame.note(argument, at: index)
        index += 1
      }
      do throws(OpError) {
        if let result = try core.attemptDirectly(frame, argumentCount: directArgumentCount) {
          core.giveBackUnused(frame)
          return unsafeBitCast(Tensor(result), to: Result.self)
        }
      } catch {
        core.giveBackUnused(frame)
        return unsafeBitCast(fail(error), to: Result.self)
      }
    }
    defer { core.giveBack(frame) }
    Self.visit(&frame.visitor, repeat each argument)
    if frame.visitor.tensors.contains(where: \.isFailed) { return body(repeat each argument) }
    do throws(OpError) {
      switch core.attempt(frame) {
      case .replayed: return result(frame.results, frame.form)
      case .failed(let trace, let error):
        let failed = fail(error)
        return result(Array(repeating: failed, count: trace.resultCount), trace.form)
      case .runEagerly: return body(repeat each argument)
      case .record: return try record(repeat each argument)
      }
    } catch {
      note(error)
      return body(repeat each argument)
    }
  }

  private func result(_ tensors: [Tensor], _ box: AnyObject?) -> Result {
    if let ofTensor = form.ofTensor { return ofTensor(tensors[0]) }
    return form.rebuilt((box as! FormBox<Result>).form, tensors[...])
  }

  private func record(_ argument: repeat each Argument) throws(OpError) -> Result {
    var produced: Result?
    var visitor = TensorVisitor(recordingPaths: true)
    Self.visit(&visitor, repeat each argument)
    let trace: Trace?
    do throws(OpError) {
      trace = try core.record(
        visitor, form: { self.emptied(produced!) },
        { tensors in
          produced = self.run(with: tensors, repeat each argument)
          return self.form.tensors(produced!)
        })
    } catch {
      guard let produced else { throw error }
      note(error)
      return produced
    }
    guard let trace, trace.reasonForEager == nil else { return produced! }
    // As replays give them: without a place in an autograd graph that is used up.
    let results = form.tensors(produced!)
    guard results.contains(where: \.requiresGrad) else { return produced! }
    return form.rebuilt(produced!, results.map { $0.detached() }[...])
  }

  /// The result's form alone, so that a trace does not keep its first results alive.
  private func emptied(_ result: Result) -> AnyObject? {
    let placeholder = Tensor(TensorBody(withoutElements: TensorType(.float32, [])))
    let count = form.tensors(result).count
    return FormBox(form.rebuilt(result, Array(repeating: placeholder, count: count)[...]))
  }

  /// Runs the closure with other tensors in its arguments.
  private func run(with tensors: [Tensor], _ argument: repeat each Argument) -> Result {
    var visitor = TensorVisitor(replacingWith: tensors[...])
    func replaced<Part: TensorTree>(_ part: Part) -> Part {
      var copy = part
      copy.visit(&visitor)
      return copy
    }
    return body(repeat replaced(each argument))
  }

  private static func visit(_ visitor: inout TensorVisitor, _ argument: repeat each Argument) {
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
  public func explain() -> Explanation { Explanation(core.traces.reversed()) }

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
  /// - Returns: Nil if these arguments' calls run the closure instead of a plan; `explain()` says why.
  public func profile(_ argument: repeat each Argument, runs: Int = 10) -> PlanProfile? {
    _ = self(repeat each argument)
    _ = self(repeat each argument)
    let frame = core.takeFrame()
    defer { core.giveBack(frame) }
    Self.visit(&frame.visitor, repeat each argument)
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
    var produced: Result?
    do throws(OpError) {
      return try core.lower(
        Signature(visitor), visitor.paths, form: { self.emptied(produced!) },
        { tensors in
          produced = self.run(with: tensors, repeat each argument)
          return self.form.tensors(produced!)
        })
    } catch {
      // Inside `checked` the program goes on, with a graph in which nothing happens.
      note(error)
      return Trace.empty
    }
  }

  /// Traces and compiles the closure for tensors of these types, without data and without touching any state.
  /// - Parameter specs: One per argument; every argument must be a tensor.
  /// - Throws: `TensorError` if the closure needs values, or its operations do not fit the types.
  @discardableResult
  public func lower(_ specs: TensorSpec...) throws -> LoweredFunction {
    var produced: Result?
    var count = 0
    var takesTensors = true
    func look<Part: TensorTree>(at type: Part.Type) {
      count += 1
      if type != Tensor.self { takesTensors = false }
    }
    repeat look(at: (each Argument).self)
    return try checked {
      guard takesTensors, count == specs.count else {
        throw TensorError(
          OpError("lower", "takes one TensorSpec per argument, and tensors as arguments"),
          location: .ofCaller())
      }
      let trace = try core.lower(
        Signature(specs: specs), specs.indices.map { "argument \($0)" },
        form: { self.emptied(produced!) },
        { tensors in
          var rest = tensors[...]
          func taken<Part: TensorTree>(_ type: Part.Type) -> Part { rest.removeFirst() as! Part }
          produced = self.body(repeat taken((each Argument).self))
          return self.form.tensors(produced!)
        })
      return LoweredFunction(trace)
    }
  }
}

/// Records the closure on its first call with a new signature, and replays a compiled plan on later ones.
///
///     let f = traced { (x: Tensor, y: Tensor) in (x * y).sum() }
///
/// - Parameters:
///   - maximumTraces: How many signatures are kept; the least used one goes first.
///   - body: Takes trees of tensors; gives a tree, a tuple of up to four trees, or nothing. State that it
///     reads and writes is captured by identity.
public func traced<Result: TensorTree, each Argument: TensorTree>(
  maximumTraces: Int = 64, _ body: @escaping (repeat each Argument) -> Result
) -> TracedFunction<Result, repeat each Argument> {
  TracedFunction(maximumTraces: maximumTraces, form: .tree, body: body)
}

/// As the first form, for a closure that gives nothing and is called for its effects on state.
public func traced<each Argument: TensorTree>(
  maximumTraces: Int = 64, _ body: @escaping (repeat each Argument) -> Void
) -> TracedFunction<Void, repeat each Argument> {
  TracedFunction(maximumTraces: maximumTraces, form: .nothing, body: body)
}

/// As the first form, for a closure that gives two trees.
public func traced<A: TensorTree, B: TensorTree, each Argument: TensorTree>(
  maximumTraces: Int = 64, _ body: @escaping (repeat each Argument) -> (A, B)
) -> TracedFunction<(A, B), repeat each Argument> {
  let form = ResultForm<(A, B)>(
    tensors: { collectTensors($0.0) + collectTensors($0.1) },
    rebuilt: { form, tensors in
      var parts = Splitter(rest: tensors)
      return (parts.next(form.0), parts.next(form.1))
    })
  return TracedFunction(maximumTraces: maximumTraces, form: form, body: body)
}

/// As the first form, for a closure that gives three trees.
public func traced<A: TensorTree, B: TensorTree, C: TensorTree, each Argument: TensorTree>(
  maximumTraces: Int = 64, _ body: @escaping (repeat each Argument) -> (A, B, C)
) -> TracedFunction<(A, B, C), repeat each Argument> {
  let form = ResultForm<(A, B, C)>(
    tensors: { collectTensors($0.0) + collectTensors($0.1) + collectTensors($0.2) },
    rebuilt: { form, tensors in
      var parts = Splitter(rest: tensors)
      return (parts.next(form.0), parts.next(form.1), parts.next(form.2))
    })
  return TracedFunction(maximumTraces: maximumTraces, form: form, body: body)
}

/// As the first form, for a closure that gives four trees.
public func traced<
  A: TensorTree, B: TensorTree, C: TensorTree, D: TensorTree, each Argument: TensorTree
>(
  maximumTraces: Int = 64, _ body: @escaping (repeat each Argument) -> (A, B, C, D)
) -> TracedFunction<(A, B, C, D), repeat each Argument> {
  let form = ResultForm<(A, B, C, D)>(
    tensors: {
      collectTensors($0.0) + collectTensors($0.1) + collectTensors($0.2) + collectTensors($0.3)
    },
    rebuilt: { form, tensors in
      var parts = Splitter(rest: tensors)
      return (parts.next(form.0), parts.next(form.1), parts.next(form.2), parts.next(form.3))
    })
  return TracedFunction(maximumTraces: maximumTraces, form: form, body: body)
}

/// Runs the body with traced functions running their closures as they are: for a debugger, or for print.
public func withTracingDisabled<R, E: Error>(_ body: () throws(E) -> R) throws(E) -> R {
  try ThreadContext.withoutTracing(body)
}

/// Whether operations are done at once and for good: false inside a closure that is being recorded.
public var executingEagerly: Bool { ThreadContext.recorder == nil }
