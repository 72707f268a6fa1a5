import DuetEager
import DuetRuntime

/// Gives the state to `body`, and what that gives to `body` again, for as long as the condition holds.
///
///     let (i, power) = whileLoop((Tensor(0), Tensor(1)), while: { i, _ in i .< 10 }, do: { i, p in (i + 1, p * 2) })
///
/// Without recording, the closures are called, iteration by iteration, and gradients flow through all of them. Inside a
/// traced function each closure is recorded once and the loop is one operation of the graph, whatever the number of
/// iterations: unlike `while (i .< 10).item()`, which records a path for each. So it is in deferred mode from the first
/// iteration on whose state, or condition, depends on a placeholder. The tensors of the state keep their
/// number, dtypes and shapes. The body may read tensors and variables from around, and write variables that hold
/// something before; the condition may read them. An error that either throws while it is recorded leaves the function,
/// however many iterations there would be. Gradients cannot be differentiated in turn.
///
/// - Parameters:
///   - maximumLength: The loop ends after that many iterations though the condition may still hold. Needed in a traced
///     function for the gradient, which keeps what each iteration began with.
///   - condition: Gives one `bool`.
public func whileLoop<State: TensorTree, E: Error>(
  _ initial: State, maximumLength: Int? = nil, while condition: (State) throws(E) -> Tensor,
  do body: (State) throws(E) -> State
) throws(E) -> State {
  try repeated(.tree, initial, maximumLength, condition, body)
}

/// As the first form, for a state of two trees.
public func whileLoop<A: TensorTree, B: TensorTree, E: Error>(
  _ initial: (A, B), maximumLength: Int? = nil, while condition: (A, B) throws(E) -> Tensor,
  do body: (A, B) throws(E) -> (A, B)
) throws(E) -> (A, B) {
  try repeated(
    pairForm(), initial, maximumLength,
    { (s: (A, B)) throws(E) in try condition(s.0, s.1) },
    { (s: (A, B)) throws(E) in try body(s.0, s.1) })
}

/// As the first form, for a state of three trees.
public func whileLoop<A: TensorTree, B: TensorTree, C: TensorTree, E: Error>(
  _ initial: (A, B, C), maximumLength: Int? = nil, while condition: (A, B, C) throws(E) -> Tensor,
  do body: (A, B, C) throws(E) -> (A, B, C)
) throws(E) -> (A, B, C) {
  try repeated(
    tripleForm(), initial, maximumLength,
    { (s: (A, B, C)) throws(E) in try condition(s.0, s.1, s.2) },
    { (s: (A, B, C)) throws(E) in try body(s.0, s.1, s.2) })
}

/// As the first form, for a state of four trees.
public func whileLoop<A: TensorTree, B: TensorTree, C: TensorTree, D: TensorTree, E: Error>(
  _ initial: (A, B, C, D), maximumLength: Int? = nil,
  while condition: (A, B, C, D) throws(E) -> Tensor,
  do body: (A, B, C, D) throws(E) -> (A, B, C, D)
) throws(E) -> (A, B, C, D) {
  try repeated(
    quadrupleForm(), initial, maximumLength,
    { (s: (A, B, C, D)) throws(E) in try condition(s.0, s.1, s.2, s.3) },
    { (s: (A, B, C, D)) throws(E) in try body(s.0, s.1, s.2, s.3) })
}

private func repeated<State, E: Error>(
  _ form: TreeForm<State>, _ initial: State, _ maximumLength: Int?,
  _ condition: (State) throws(E) -> Tensor, _ body: (State) throws(E) -> State
) throws(E) -> State {
  let described = form.described(initial, as: "state")
  if described.tensors.contains(where: \.isFailed) { return initial }
  if let maximumLength, maximumLength < 0 {
    note(OpError("whileLoop", "maximumLength is \(maximumLength)"))
    return initial
  }
  let plan = LoopPlan(
    name: "whileLoop", state: ExpectedForm(described), initial: described.tensors, sequences: [],
    length: maximumLength, isReversed: false, hasCondition: true)
  func goesOn(_ state: [Tensor]) throws(E) -> Tensor {
    try condition(form.rebuilt(initial, with: state))
  }
  func step(_ state: [Tensor], _ slices: [Tensor]) throws(E) -> LoopPlan.Step? {
    let next = form.collected(try body(form.rebuilt(initial, with: state)))
    return plan.accepts(next) ? (next.tensors, []) : nil
  }
  if recordsRegions {
    let result = try RecordedLoop(plan, while: goesOn, do: step)?.emitted() ?? plan.failed
    return form.rebuilt(initial, with: result.state)
  }
  /// The state after the iterations that are left, as one operation of deferred mode's graph.
  func remaining(after count: Int, from state: [Tensor]) throws(E) -> State {
    let rest = plan.remaining(after: count, from: state)
    let result = try RecordedLoop(rest, while: goesOn, do: step)?.emitted() ?? rest.failed
    return form.rebuilt(initial, with: result.state)
  }
  // As long as nothing needs a gradient the state need not be taken apart.
  var progress = LoopPlan.Progress(plan.initial)
  var state = initial
  if !progress.needsGradient.contains(true) {
    var count = 0
    while count < maximumLength ?? .max {
      if ThreadContext.isDeferred {
        let tensors = form.tensors(state)
        if tensors.contains(where: \.isDecidedByRun) {
          return try remaining(after: count, from: tensors)
        }
      }
      let goesOn = try noGrad { () throws(E) in try condition(state) }
      if goesOn.isDecidedByRun { return try remaining(after: count, from: form.tensors(state)) }
      guard isPredicate(goesOn, of: plan.name) else {
        return form.rebuilt(initial, with: plan.failed.state)
      }
      if !goesOn.item(Bool.self) { return state }
      let floor = BodyTape.now
      let next = try ThreadContext.asOneOperation { () throws(E) in try body(state) }
      let visitor = form.collected(next)
      guard plan.accepts(visitor) else { return form.rebuilt(initial, with: plan.failed.state) }
      if isGradEnabled && visitor.tensors.contains(where: \.requiresGrad) {
        progress.tapes = Array(repeating: nil, count: count)
        _ = progress.advance(
          (visitor.tensors, []), since: floor, plan.initial.map { _ in nil })
        break
      }
      state = next
      count += 1
    }
    if progress.tapes.isEmpty { return state }
  }
  return form.rebuilt(
    initial, with: try plan.run(after: progress, while: goesOn, do: step).state)
}
