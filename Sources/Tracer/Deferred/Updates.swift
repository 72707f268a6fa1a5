import DuetEager
import DuetRuntime

/// Changes of variables, gradients and other state that a ``Session`` makes when it is told to: made by `updates`.
public final class Updates: Sendable, CustomStringConvertible {
  let uses: [StateUpdates.Use]

  init(_ updates: StateUpdates) { uses = updates.uses }

  /// The names of the state that is changed, in the order of the program.
  public var names: [String] { uses.filter(\.wasWritten).map(\.cell.name) }

  public var description: String { "Updates(\(names.joined(separator: ", ")))" }
}

/// Writes down how the body changes state, without changing it: what `train_op` is elsewhere.
///
///     let loss = crossEntropy(model(images), labels)        // images and labels are placeholders
///     let train = updates {
///       optimizer.zeroGrad()
///       loss.backward()
///       optimizer.step()
///     }
///     try session.run(loss, running: train, feeding: [images: x, labels: y])
///
/// The body is run once, in deferred mode. It sees its own changes; a run of the session starts from what variables
/// hold then, makes all changes at once and gives fetched values from before them. Random numbers drawn inside are
/// drawn anew in every run. Where the forward pass changes state, too (batch normalisation in training), it
/// belongs inside, and `resultAndUpdates` gives its result.
public func updates<E: Error>(_ body: () throws(E) -> Void) throws(E) -> Updates {
  try resultAndUpdates(body).updates
}

/// As `updates`, and gives what the body returns.
public func resultAndUpdates<R, E: Error>(
  _ body: () throws(E) -> R
) throws(E) -> (result: R, updates: Updates) {
  if ThreadContext.recorder != nil {
    note(OpError("updates", "a closure that is being recorded changes state by itself"))
  }
  let thread = DeferredThread.current
  let before = thread.updates
  let changes = StateUpdates()
  thread.updates = changes
  defer { thread.updates = before }
  let result = try withExecution(.deferred, body)
  return (result, Updates(changes))
}
