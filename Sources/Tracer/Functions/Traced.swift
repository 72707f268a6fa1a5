import DuetEager

/// How a function is traced.
struct TracingOptions {
  let maximumTraces: Int
  let verifies: Bool

  init(_ maximumTraces: Int, _ verifies: Bool) {
    self.maximumTraces = maximumTraces
    self.verifies = verifies
  }
}

/// Records the closure on its first call with a new signature, and replays a compiled plan on later ones.
///
///     let f = traced { (x: Tensor, y: Tensor) in (x * y).sum() }
///
/// - Parameters:
///   - maximumTraces: How many signatures are kept; the one whose last call is longest ago goes first.
///   - verify: Whether every replay also runs the closure, on the state as it was, and compares the bits of results
///     and state. A difference is an error that names the first value that differs, and what was captured that has
///     changed since; the call then gives, and leaves behind, what the closure does. For finding mistakes: calls take
///     longer than without `traced`, one at a time, and what the closure does besides tensors happens on every call.
///     Other threads must leave its state alone meanwhile.
///   - body: Takes trees of tensors; gives a tree, a tuple of up to four trees, or nothing. State that it
///     reads and writes is captured by identity. It may throw.
public func traced<Result: TensorTree, Failure: Error, each Argument: TensorTree>(
  maximumTraces: Int = 64, verify: Bool = false,
  _ body: @escaping (repeat each Argument) throws(Failure) -> Result
) -> TracedFunction<Result, Failure, repeat each Argument> {
  TracedFunction(TracingOptions(maximumTraces, verify), form: .tree, body: body)
}

/// As the first form, for a closure that gives nothing and is called for its effects on state.
public func traced<Failure: Error, each Argument: TensorTree>(
  maximumTraces: Int = 64, verify: Bool = false,
  _ body: @escaping (repeat each Argument) throws(Failure) -> Void
) -> TracedFunction<Void, Failure, repeat each Argument> {
  TracedFunction(TracingOptions(maximumTraces, verify), form: .nothing, body: body)
}

/// As the first form, for a closure that gives two trees.
public func traced<A: TensorTree, B: TensorTree, Failure: Error, each Argument: TensorTree>(
  maximumTraces: Int = 64, verify: Bool = false,
  _ body: @escaping (repeat each Argument) throws(Failure) -> (A, B)
) -> TracedFunction<(A, B), Failure, repeat each Argument> {
  let form = ResultForm<(A, B)>(
    tensors: { collectTensors($0.0) + collectTensors($0.1) },
    rebuilt: { form, tensors in
      var parts = Splitter(rest: tensors)
      return (parts.next(form.0), parts.next(form.1))
    })
  return TracedFunction(TracingOptions(maximumTraces, verify), form: form, body: body)
}

/// As the first form, for a closure that gives three trees.
public func traced<
  A: TensorTree, B: TensorTree, C: TensorTree, Failure: Error, each Argument: TensorTree
>(
  maximumTraces: Int = 64, verify: Bool = false,
  _ body: @escaping (repeat each Argument) throws(Failure) -> (A, B, C)
) -> TracedFunction<(A, B, C), Failure, repeat each Argument> {
  let form = ResultForm<(A, B, C)>(
    tensors: { collectTensors($0.0) + collectTensors($0.1) + collectTensors($0.2) },
    rebuilt: { form, tensors in
      var parts = Splitter(rest: tensors)
      return (parts.next(form.0), parts.next(form.1), parts.next(form.2))
    })
  return TracedFunction(TracingOptions(maximumTraces, verify), form: form, body: body)
}

/// As the first form, for a closure that gives four trees.
public func traced<
  A: TensorTree, B: TensorTree, C: TensorTree, D: TensorTree, Failure: Error,
  each Argument: TensorTree
>(
  maximumTraces: Int = 64, verify: Bool = false,
  _ body: @escaping (repeat each Argument) throws(Failure) -> (A, B, C, D)
) -> TracedFunction<(A, B, C, D), Failure, repeat each Argument> {
  let form = ResultForm<(A, B, C, D)>(
    tensors: {
      collectTensors($0.0) + collectTensors($0.1) + collectTensors($0.2) + collectTensors($0.3)
    },
    rebuilt: { form, tensors in
      var parts = Splitter(rest: tensors)
      return (parts.next(form.0), parts.next(form.1), parts.next(form.2), parts.next(form.3))
    })
  return TracedFunction(TracingOptions(maximumTraces, verify), form: form, body: body)
}
