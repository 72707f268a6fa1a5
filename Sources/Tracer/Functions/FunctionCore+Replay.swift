// Unsafe: refers to frames and traces without counting. The frame is the call's own, and keeps the traces.

import DuetEager
import DuetRuntime

extension FunctionCore {
  /// What a call shall do.
  enum Decision {
    /// Take the results from the frame.
    case replayed
    /// Only the values told that it cannot be done; nothing has changed.
    case failed(Trace, OpError)
    case runEagerly
    case record
  }

  /// The trace that a call with these arguments would use now.
  func trace(for visitor: borrowing TensorVisitor) -> Trace? {
    traces.first {
      $0.signature.matches(visitor.tensors, visitor.structure)
        && visitor.owns(gradientsOf: $0) && $0.matchesState()
    }
  }

  /// How a call went all of whose arguments are tensors.
  enum DirectOutcome {
    /// The results are in the frame.
    case replayed
    /// Only the values told that it cannot be done, and the frame knows why; nothing has changed.
    case failed
    /// There is more to do than to replay.
    case unknown
  }

  /// Replays the trace of a call whose arguments are tensors and whose result is one; nil if there is more to do.
  func replayTensor(_ arguments: UnsafePointer<Unmanaged<TensorBody>>, count: Int) -> Tensor? {
    guard ThreadContext.allowsReplays else { return nil }
    let taken = takePlainFrame()
    return taken._withUnsafeGuaranteedRef { frame in
      frame.arguments = arguments
      let outcome = attemptDirectly(frame, count: count)
      var result = frame.takeResult()
      if outcome != .replayed || !frame.effects.isEmpty || !frame.results.isEmpty {
        result = finish(frame, outcome, result)
      }
      frame.letGo()
      giveBack(taken)
      return result
    }
  }

  /// The result of a call of which more is left to do than to take it.
  @inline(never)
  private func finish(
    _ frame: CallFrame, _ outcome: DirectOutcome, _ result: Tensor?
  ) -> Tensor? {
    defer { frame.clear() }
    switch outcome {
    case .unknown: return nil
    case .failed: return fail(frame.failure!)
    case .replayed:
      let result = result ?? frame.results[0]
      frame.performEffects()
      return result
    }
  }

  /// Replays the trace of a call whose arguments, noted in the frame, are tensors and can be taken as they are.
  @inline(__always)
  func attemptDirectly(_ frame: CallFrame, count argumentCount: Int) -> DirectOutcome {
    let isGradEnabled = ThreadContext.isGradEnabled
    for i in 0..<frame.plainTraces.count {
      let outcome = frame.plainTraces[i]._withUnsafeGuaranteedRef { trace -> DirectOutcome? in
        guard
          trace.tensorSignature.matches(
            frame.arguments, argumentCount, isGradEnabled: isGradEnabled)
        else { return nil }
        if trace.runsEagerly { return .unknown }
        guard trace.ownsGradients(of: frame.arguments) else { return nil }
        do throws(OpError) {
          if trace.isDirect {
            try trace.replayDirectly(frame)
          } else if try !trace.replay(frame) {
            return nil
          }
          count(trace)
          return .replayed
        } catch {
          frame.failure = error
          frame.failedTrace = trace
          return .failed
        }
      }
      if let outcome { return outcome }
    }
    return .unknown
  }

  /// Looks for a trace of this signature and replays it.
  func attempt(_ frame: CallFrame) -> Decision {
    frame.noteCollected()
    var forOtherGradients = 0
    for trace in frame.traces
    where trace.signature.matches(frame.visitor.tensors, frame.visitor.structure) {
      guard trace.ownsGradients(of: frame.arguments) else {
        forOtherGradients += 1
        continue
      }
      if trace.runsEagerly {
        if trace.matchesState() {
          count(trace)
          return .runEagerly
        }
        continue
      }
      do throws(OpError) {
        if try trace.replay(frame) {
          frame.collectResults()
          count(trace)
          return .replayed
        }
      } catch {
        return .failed(trace, error)
      }
    }
    // State that deferred mode has left pending has no elements yet; with them, a trace may fit.
    var hasSettled = false
    for trace in frame.traces where trace.settleState() { hasSettled = true }
    if hasSettled {
      frame.restart()
      return attempt(frame)
    }
    // A few leaves that come again deserve a trace each; a new leaf on every call does not.
    return forOtherGradients < 8 ? .record : .runEagerly
  }
}
