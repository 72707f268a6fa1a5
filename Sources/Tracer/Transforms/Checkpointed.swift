import DuetEager
import DuetRuntime

/// A closure whose inner values are not kept for the gradient, but computed again when it is asked for: less memory for
/// more work (Chen and others, "Training deep nets with sublinear memory cost", 2016).
///
///     let block = checkpointed { (x: Tensor) in relu(linear2(relu(linear1(x)))) }
///     let loss = crossEntropy(head(block(x)), labels)
///     loss.backward()                                       // runs the closure once more
///
/// Results and gradients have the same bits as without it: those of arguments, and of parameters and tensors that the
/// closure captures; gradients of gradients, too. Checkpoints nest. A traced function has the second run in its graph,
/// and a plan that takes less memory; deferred mode computes each value once and keeps it.
///
/// The closure runs a second time when `backward`, or any transform, first comes to one of its operations. State is then
/// what it was before the first run, so that random numbers are the same and parameters may have changed meanwhile; what
/// is written, to running statistics or to random generators, is written by the first run only. Callbacks
/// (`tracePrint`, `hostCallback`) are made by the first run only. Anything else that the closure does or depends on
/// happens again, or must not change: doing other operations the second time is an error. Traced functions that it calls run
/// their closures as they are.
///
/// - Parameter body: Takes up to four arguments, gives anything made of tensors.
public func checkpointed<A: TensorTree, Result>(
  _ body: @escaping (A) -> Result
) -> (A) -> Result {
  { a in run { body(a) } }
}

/// As the first form, for a closure that captures all that it works on.
public func checkpointed<Result>(
  _ body: @escaping () -> Result
) -> () -> Result {
  { run(body) }
}

/// As the first form, for a closure of two arguments.
public func checkpointed<A: TensorTree, B, Result>(
  _ body: @escaping (A, B) -> Result
) -> (A, B) -> Result {
  { a, b in run { body(a, b) } }
}

/// As the first form, for a closure of three arguments.
public func checkpointed<A: TensorTree, B, C, Result>(
  _ body: @escaping (A, B, C) -> Result
) -> (A, B, C) -> Result {
  { a, b, c in run { body(a, b, c) } }
}

/// As the first form, for a closure of four arguments.
public func checkpointed<A: TensorTree, B, C, D, Result>(
  _ body: @escaping (A, B, C, D) -> Result
) -> (A, B, C, D) -> Result {
  { a, b, c, d in run { body(a, b, c, d) } }
}

private func run<Result>(_ body: @escaping () -> Result) -> Result {
  Checkpoint.run(again: { _ = body() }, body)
}
