import DuetEager
import DuetRuntime

/// Takes a state along the first axis of arrays: the body gets the state and a slice, and gives the next state and
/// something that is stacked along a new first axis.
///
///     let (total, sums) = scan(Tensor(0.0), over: x) { sum, x in (sum + x, sum + x) }
///
/// Without recording, the body is called, slice by slice, and gradients flow through all calls. Inside a traced function
/// it is recorded once and the loop is one operation of the graph, whatever the length; its gradient is another one in
/// the other direction, which keeps what each iteration began with and does the body again. The tensors of the state
/// keep their number, dtypes and shapes. The body may read tensors and variables from around, and write variables that
/// hold something before. An error that it throws while it is recorded leaves the function, as from any call. Gradients
/// cannot be differentiated in turn.
///
/// - Parameters:
///   - sequences: A tree of tensors whose first axes have one length. If that is 0, the body is called once, with tensors
///     that have no values, for the form of what would be stacked; nothing else comes of that call.
///   - reverse: Whether to go from the last slice to the first; results are stacked in the order of the slices.
/// - Returns: The last state, and what the body gave beside, stacked.
public func scan<State: TensorTree, Slices: TensorTree, Output: TensorTree, E: Error>(
  _ initial: State, over sequences: Slices, reverse: Bool = false,
  _ body: (State, Slices) throws(E) -> (State, Output)
) throws(E) -> (State, Output) {
  try scanned(.tree, initial, sequences, reverse, body)
}

/// As the first form, for a state of two trees.
public func scan<
  A: TensorTree, B: TensorTree, Slices: TensorTree, Output: TensorTree, E: Error
>(
  _ initial: (A, B), over sequences: Slices, reverse: Bool = false,
  _ body: ((A, B), Slices) throws(E) -> ((A, B), Output)
) throws(E) -> ((A, B), Output) {
  try scanned(pairForm(), initial, sequences, reverse, body)
}

/// As the first form, for a state of three trees.
public func scan<
  A: TensorTree, B: TensorTree, C: TensorTree, Slices: TensorTree, Output: TensorTree, E: Error
>(
  _ initial: (A, B, C), over sequences: Slices, reverse: Bool = false,
  _ body: ((A, B, C), Slices) throws(E) -> ((A, B, C), Output)
) throws(E) -> ((A, B, C), Output) {
  try scanned(tripleForm(), initial, sequences, reverse, body)
}

/// As the first form, for a state of four trees.
public func scan<
  A: TensorTree, B: TensorTree, C: TensorTree, D: TensorTree, Slices: TensorTree,
  Output: TensorTree, E: Error
>(
  _ initial: (A, B, C, D), over sequences: Slices, reverse: Bool = false,
  _ body: ((A, B, C, D), Slices) throws(E) -> ((A, B, C, D), Output)
) throws(E) -> ((A, B, C, D), Output) {
  try scanned(quadrupleForm(), initial, sequences, reverse, body)
}

private func scanned<State, Slices: TensorTree, Output: TensorTree, E: Error>(
  _ form: TreeForm<State>, _ initial: State, _ sequences: Slices, _ isReversed: Bool,
  _ body: (State, Slices) throws(E) -> (State, Output)
) throws(E) -> (State, Output) {
  let described = form.described(initial, as: "state")
  let arrays = collectTensors(sequences)
  let length = commonLength(arrays)
  let plan = LoopPlan(
    name: "scan", state: ExpectedForm(described), initial: described.tensors, sequences: arrays,
    length: length ?? 1, isReversed: isReversed, hasCondition: false)
  var produced: Output?
  func step(_ state: [Tensor], _ slices: [Tensor]) throws(E) -> LoopPlan.Step? {
    let (next, output) = try body(
      form.rebuilt(initial, with: state), rebuild(sequences, with: slices[...]))
    produced = output
    let visitor = form.collected(next)
    let stacked = collectTensors(output)
    if stacked.contains(where: \.isFailed) { return nil }
    if let large = stacked.first(where: { $0.ndim == Shape.maximumRank }) {
      note(OpError("scan", "what is stacked has \(large.ndim) axes already: \(large.type)"))
      return nil
    }
    return plan.accepts(visitor) ? (visitor.tensors, stacked) : nil
  }
  let result: LoopPlan.Step
  if length == nil || (described.tensors + arrays).contains(where: \.isFailed) {
    // After a mistake inside `checked`: the body tells what form the results would have.
    let failed = arrays.map { _ in Tensor.failed }
    _ = try step(described.tensors.map { _ in .failed }, failed)
    result = plan.failed
  } else if recordsRegions {
    result =
      try RecordedLoop(plan, while: { _ throws(E) in .failed }, do: step)?.emitted() ?? plan.failed
  } else if length == 0 {
    // Only the body knows what it would stack.
    let loop = try RecordedLoop(plan, isForForm: true, while: { _ throws(E) in .failed }, do: step)
    result = loop?.withoutIterations() ?? plan.failed
  } else {
    result = try plan.run(while: { _ throws(E) in .failed }, do: step)
  }
  let outputs = collectTensors(produced!)
  let stacked =
    result.stacked.count == outputs.count ? result.stacked : outputs.map { _ in .failed }
  return (
    form.rebuilt(initial, with: result.state), rebuild(produced!, with: stacked[...])
  )
}

/// The length of the arrays' first axes; nil, after a note why, if they have none in common.
private func commonLength(_ arrays: [Tensor]) -> Int? {
  if arrays.contains(where: \.isFailed) { return nil }
  guard let first = arrays.first else {
    note(OpError("scan", "there is nothing to scan over: no tensors"))
    return nil
  }
  for array in arrays {
    guard array.ndim > 0 else {
      note(OpError("scan", "a tensor without axes cannot be taken apart: \(array.type)"))
      return nil
    }
    guard array.dim(0) == first.dim(0) else {
      note(
        OpError(
          "scan",
          "the first axes differ: \(first.dim(0)) in \(first.type), \(array.dim(0)) in \(array.type)"
        ))
      return nil
    }
  }
  return first.dim(0)
}
