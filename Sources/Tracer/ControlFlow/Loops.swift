import DuetCompiler
import DuetEager
import DuetRuntime

/// What `whileLoop` and `scan` are made of: a body that runs again and again, on tensors in order.
struct LoopPlan {
  let name: String
  /// Tensors and form of what goes from one iteration to the next.
  let state: ExpectedForm
  let initial: [Tensor]
  /// Arrays of which each iteration takes a slice.
  let sequences: [Tensor]
  /// The most iterations; nil: any number.
  let length: Int?
  let isReversed: Bool
  /// Whether there is a condition; without one as many iterations are done as there can be.
  let hasCondition: Bool

  /// The next state and what is stacked; nil after a mistake, which has been noted.
  typealias Step = (state: [Tensor], stacked: [Tensor])

  /// The slice of a sequence that an iteration takes.
  static func slice(_ sequence: Tensor, _ t: Int) -> Tensor {
    // What deferred mode has put off is taken apart by operations that are put off, too.
    guard sequence.hasElements else { return noGrad { sequence[t] } }
    let body = sequence.body
    let layout = Layout(
      shape: Shape(body.layout.shape.dropFirst()), strides: Shape(body.layout.strides.dropFirst()))
    return Tensor(TensorBody(viewOf: body, layout: layout, offset: t * body.layout.strides[0]))
  }

  static func sliceType(_ type: TensorType) -> TensorType {
    TensorType(type.dtype, Shape(type.shape.dropFirst()))
  }

  /// Whether the state has the form that it had; if not, the reason has been noted.
  func accepts(_ visitor: TensorVisitor) -> Bool {
    if visitor.tensors.contains(where: \.isFailed) { return false }
    guard let difference = state.difference(visitor) else { return true }
    note(
      OpError(
        name,
        "the body has to give what it was given: \(difference); convert it, or begin with that"))
    return false
  }

  var failed: Step { (initial.map { _ in .failed }, []) }

  /// The loop that is left of one without sequences after some iterations.
  func remaining(after count: Int, from state: [Tensor]) -> LoopPlan {
    LoopPlan(
      name: name, state: self.state, initial: state, sequences: [],
      length: length.map { $0 - count }, isReversed: false, hasCondition: hasCondition)
  }
}

extension LoopPlan {
  /// Where a loop that is run has arrived.
  struct Progress {
    var state: [Tensor]
    /// Which of it depends on something that needs a gradient.
    var needsGradient: [Bool]
    /// One per iteration; nil where nothing needed a gradient.
    var tapes: [BodyTape?] = []

    init(_ initial: [Tensor]) {
      needsGradient = initial.map { isGradEnabled && $0.requiresGrad }
      state = needsGradient.contains(true) ? initial.map { $0.detached() } : initial
    }

    /// Notes what an iteration has given, and gives it cut off from the iteration's own graph.
    mutating func advance(
      _ step: Step, since floor: Int, _ leaves: @autoclosure () -> [AutogradMeta?]
    ) -> [Tensor] {
      let results = step.state + step.stacked
      guard isGradEnabled, results.contains(where: \.requiresGrad) else {
        if needsGradient.contains(true) { needsGradient = needsGradient.map { _ in false } }
        tapes.append(nil)
        state = step.state
        return step.stacked
      }
      tapes.append(BodyTape(since: floor, leaves: leaves(), results: results))
      needsGradient = step.state.map(\.requiresGrad)
      state = step.state.map { $0.detached() }
      return step.stacked.map { $0.detached() }
    }
  }

  /// Runs the loop by calling the closures, iteration by iteration. Iterations of which only a run of deferred mode's
  /// graph can tell if there are any count as one, which is an operation of that graph.
  /// - Parameter progress: What has been done already.
  func run<E: Error>(
    after progress: Progress? = nil, while condition: ([Tensor]) throws(E) -> Tensor,
    do body: ([Tensor], [Tensor]) throws(E) -> Step?
  ) throws(E) -> Step {
    var progress = progress ?? Progress(initial)
    var rows: [[Tensor]] = []
    var isLast = false
    while !isLast && progress.tapes.count < length ?? .max {
      if hasCondition {
        let goesOn = try noGrad { () throws(E) in try condition(progress.state) }
        isLast =
          goesOn.isDecidedByRun
          || ThreadContext.isDeferred && progress.state.contains(where: \.isDecidedByRun)
        guard isLast || isPredicate(goesOn, of: name) else { return failed }
        if !isLast && !goesOn.item(Bool.self) { break }
      }
      let t = progress.tapes.count
      let place = isReversed ? length! - 1 - t : t
      let slices = sequences.map { sequence in
        let slice = Self.slice(sequence, place)
        return isGradEnabled && sequence.requiresGrad ? slice.asRegionLeaf() : slice
      }
      let state = zip(progress.state, progress.needsGradient).map { $1 ? $0.asRegionLeaf() : $0 }
      let floor = BodyTape.now
      let done: Step?
      if isLast {
        let rest = remaining(after: t, from: state)
        done = try RecordedLoop(rest, while: condition, do: body)?.emitted()
      } else {
        done = try ThreadContext.asOneOperation { () throws(E) in try body(state, slices) }
      }
      guard let step = done else { return failed }
      let needed = progress.needsGradient
      let stacked = progress.advance(
        step, since: floor,
        zip(state, needed).map { $1 ? $0.autograd : nil } + slices.map(\.autograd))
      if !stacked.isEmpty { rows.append(stacked) }
    }
    if isReversed { rows.reverse() }
    guard let stacked = noGrad({ stack(rows) }) else { return failed }
    if progress.tapes.isEmpty { return (initial, stacked) }
    guard progress.tapes.contains(where: { $0 != nil }) else { return (progress.state, stacked) }
    return attached(progress, stacked)
  }

  /// What iterations have given, along a new first axis; nil after a mistake.
  private func stack(_ rows: [[Tensor]]) -> [Tensor]? {
    guard let first = rows.first else { return [] }
    for row in rows {
      guard row.count == first.count else {
        note(
          OpError(
            name,
            "what is stacked has to have one form: it is \(first.count) tensors in one iteration and \(row.count) in another"
          ))
        return nil
      }
      for (i, tensor) in row.enumerated() where tensor.type != first[i].type {
        note(
          OpError(
            name,
            "what is stacked has to have one form: result \(i) is \(first[i].type) in one iteration and \(tensor.type) in another"
          ))
        return nil
      }
    }
    let result = first.indices.map { i in stacked(rows.map { $0[i] }) }
    return result.contains(where: \.isFailed) ? nil : result
  }

  // MARK: Gradients of a loop that was run

  private func attached(_ progress: Progress, _ stacked: [Tensor]) -> Step {
    let (state, tapes) = (progress.state, progress.tapes)
    var edges: [RegionGradient.Input] = (initial + sequences).map { ($0.type, $0.autograd) }
    let given = edges.count
    var known: [ObjectIdentifier: Int] = [:]
    for tape in tapes {
      guard let tape else { continue }
      for (type, edge) in tape.sources(of: tape.results.indices).outside
      where known[ObjectIdentifier(edge)] == nil {
        known[ObjectIdentifier(edge)] = edges.count - given
        edges.append((type, edge))
      }
    }
    let gradient = RegionGradient { cotangents, keepingGraph in
      gradients(cotangents, tapes, known, keepingGraph)
    }
    let isStackedDifferentiable = stacked.indices.map { i in
      tapes.contains { $0?.results[state.count + i].requiresGrad ?? false }
    }
    let results = state + stacked
    let all = gradient.attach(
      results, where: progress.needsGradient + isStackedDifferentiable,
      of: Region(name, outputTypes: results.map(\.type)), to: edges)
    return (Array(all[..<state.count]), Array(all[state.count...]))
  }

  private func gradients(
    _ cotangents: [Tensor?], _ tapes: [BodyTape?], _ outside: [ObjectIdentifier: Int],
    _ keepingGraph: Bool
  ) -> [Tensor?] {
    let count = initial.count
    var carried = Array(cotangents[..<count])
    var sums = [Tensor?](repeating: nil, count: outside.count)
    var slices = sequences.map { _ in [Tensor?](repeating: nil, count: tapes.count) }
    for t in tapes.indices.reversed() {
      guard let tape = tapes[t] else {
        carried = carried.map { _ in nil }
        continue
      }
      for i in 0..<count where carried[i] == nil && tape.results[i].requiresGrad {
        carried[i] = RegionGradient.neutral(initial[i].type)
      }
      let place = isReversed ? tapes.count - 1 - t : t
      let found = tape.gradients(
        carried + cotangents[count...].map { $0.map { Self.slice($0, place) } },
        keepingGraph: keepingGraph)
      for i in 0..<count { carried[i] = found.leaves[i] }
      for s in sequences.indices { slices[s][place] = found.leaves[count + s] }
      for (edge, gradient) in found.outside {
        let e = outside[ObjectIdentifier(edge)]!
        sums[e] = sums[e].map { $0 + gradient } ?? gradient
      }
    }
    let stackedSlices = sequences.indices.map { s -> Tensor? in
      if slices[s].allSatisfy({ $0 == nil }) { return nil }
      let type = Self.sliceType(sequences[s].type)
      return stacked(slices[s].map { $0 ?? RegionGradient.neutral(type) })
    }
    return carried + stackedSlices + sums
  }
}
