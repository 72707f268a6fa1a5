import DuetEager
import DuetRuntime

/// When operations are done.
public enum ExecutionMode: Sendable {
  /// At once.
  case eager
  /// When somebody asks for elements, or in a session's run. Until then they only make a graph.
  case deferred
}

/// Whether operations are done at once and for good: true unless the program says otherwise, false in deferred mode
/// and inside a closure that is being recorded.
///
/// Setting it to false begins deferred mode for this thread; other threads are not concerned, and a thread begins
/// eagerly. Operations then give values that are *pending*. Reading a pending value (`item()`, `asArray`, printing)
/// evaluates what it needs, together with the new contents of variables; a value that depends on a `placeholder` has
/// elements in a ``Session`` only. In eager mode a pending value is evaluated when it is used.
///
/// Inside a closure that is being recorded the mode stays what it is: all of the closure is a graph already.
public var executingEagerly: Bool {
  get { ThreadContext.recorder == nil && !ThreadContext.isDeferred }
  set {
    if ThreadContext.recorder != nil { return }
    if !newValue { Evaluation.install() }
    ThreadContext.setDeferred(!newValue)
  }
}

/// Runs the body in that mode on this thread. Inside a closure that is being recorded it is simply run.
public func withExecution<R, E: Error>(
  _ mode: ExecutionMode, _ body: () throws(E) -> R
) throws(E) -> R {
  if ThreadContext.recorder != nil { return try body() }
  if mode == .deferred { Evaluation.install() }
  return try ThreadContext.withDeferred(mode == .deferred, body)
}

/// Runs the body inside of a name scope: what deferred mode puts off there is called `name/add` in printed graphs, and
/// errors are told with the scope in front: `name/matmul: inner dimensions differ`. Scopes nest.
public func nameScope<R, E: Error>(_ name: String, _ body: () throws(E) -> R) throws(E) -> R {
  let thread = DeferredThread.current
  let before = thread.scope
  thread.scope = before.isEmpty ? name : before + "/" + name
  defer { thread.scope = before }
  return try body()
}
