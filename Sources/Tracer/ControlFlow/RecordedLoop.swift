import DuetCompiler
import DuetEager
import DuetRuntime

/// A loop whose body, and condition if it has one, were recorded once each.
struct RecordedLoop {
  private let plan: LoopPlan
  private let body: RegionRecorder
  /// State, then slices: what the body was given, and the graph's values for that.
  private let inputs: [(tensor: Tensor, value: ValueID)]
  /// State, then what is stacked.
  private let results: [Tensor]
  private let tape: BodyTape
  private let condition: Condition?
  /// Variables and the like that the body writes: they are carried, too.
  private let states: [RegionState]

  private struct Condition {
    let recorder: RegionRecorder
    let inputs: [ValueID]
    let result: ValueID
  }

  private var stateCount: Int { plan.initial.count }

  /// Records the closures; nil after a mistake, which has been noted.
  /// - Parameter isForForm: Whether nothing is wanted but `withoutIterations()`.
  init?<E: Error>(
    _ plan: LoopPlan, isForForm: Bool = false, while condition: ([Tensor]) throws(E) -> Tensor,
    do body: ([Tensor], [Tensor]) throws(E) -> LoopPlan.Step?
  ) throws(E) {
    self.plan = plan
    let outer = recorderAroundRegion
    let recorder = RegionRecorder(plan.name, outer: outer)
    recorder.isForForm = isForForm || recorder.isForForm
    self.body = recorder
    let types =
      plan.initial.map(\.type) + plan.sequences.map { LoopPlan.sliceType($0.type) }
    let names = plan.state.paths + plan.sequences.map { _ in "slice" }
    inputs = zip(types, names).map { type, name in
      // Whether a gradient is really needed turns out at the end.
      recorder.addInput(type, name, isLeaf: isGradEnabled && type.dtype.isFloatingPoint)
    }
    let floor = BodyTape.now
    let given = inputs.map(\.tensor)
    let step = try ThreadContext.withRecorder(recorder) { () throws(E) in
      try body(Array(given[..<plan.initial.count]), Array(given[plan.initial.count...]))
    }
    guard let step, !recorder.sawFailure else { return nil }
    results = step.state + step.stacked
    tape = BodyTape(since: floor, leaves: given.map(\.autograd), results: results)
    self.condition = plan.hasCondition ? try Self.record(condition, plan, outer) : nil
    if plan.hasCondition && self.condition == nil { return nil }
    if recorder.isForForm {
      states = []
      return
    }
    let recorders = [recorder] + (self.condition.map { [$0.recorder] } ?? [])
    if let failure = recorders.compactMap(\.failure).first {
      note(failure)
      return nil
    }
    let objection =
      RegionState.objection(recorder.cells, isLoop: true)
      ?? self.condition.flatMap { condition in
        condition.recorder.cells.first(where: \.isChanged).map {
          "the condition writes \($0.cell.name); let the body do that"
        }
      }
    if let objection {
      note(OpError(plan.name, objection))
      return nil
    }
    states = recorder.cells.filter(\.isChanged).map { RegionState($0) }
  }

  private static func record<E: Error>(
    _ condition: ([Tensor]) throws(E) -> Tensor, _ plan: LoopPlan, _ outer: Recorder?
  ) throws(E) -> Condition? {
    let recorder = RegionRecorder(plan.name, outer: outer)
    let inputs = zip(plan.initial, plan.state.paths).map {
      recorder.addInput($0.type, $1)
    }
    let result = try ThreadContext.withRecorder(recorder) { () throws(E) in
      try noGrad { () throws(E) in
        let result = try condition(inputs.map(\.0))
        return isPredicate(result, of: plan.name) ? result.reshapedToScalar : .failed
      }
    }
    if result.isFailed || recorder.sawFailure { return nil }
    return Condition(
      recorder: recorder, inputs: inputs.map(\.1), result: recorder.value(of: result))
  }

  /// What the loop gives without iterations, with the places in the autograd graph that it always has.
  func withoutIterations() -> LoopPlan.Step {
    let stacked = results[stateCount...].map { zeros([0] + $0.shape, dtype: $0.dtype) }
    var all = plan.initial + stacked
    // A state that needs gradients by itself is what it is.
    let isActive = zip(activeResults(), all).map { $0 && !$1.requiresGrad }
    if isActive.contains(true) {
      let edges = edges(isActive)
      let gradient = RegionGradient { _, _ in
        edges.map { type, edge in
          edge.map { _ in zeros(Array(type.shape), dtype: type.dtype) }
        }
      }
      let places = gradient.attach(
        all.map { $0.detached() }, where: isActive,
        of: Region(plan.name, outputTypes: all.map(\.type)), to: edges)
      for i in all.indices where isActive[i] { all[i] = places[i] }
    }
    return (Array(all[..<stateCount]), Array(all[stateCount...]))
  }

  // MARK: Emission

  /// Puts the loop into what is being recorded.
  func emitted() -> LoopPlan.Step {
    let isActive = activeResults()
    let mayHaveGradient = isActive.contains(true)
    var form = GraphRegion.Loop(carried: stateCount + states.count, length: plan.length)
    form.sequences = plan.sequences.count
    form.isReversed = plan.isReversed
    // What each iteration began with, for its gradient.
    let saved = mayHaveGradient && canSave ? inputs[..<stateCount].map(\.value) + stateValues : []
    form.stacked = results.count - stateCount + saved.count
    form.givesCount = !saved.isEmpty && condition != nil

    let stateOutputs = states.map { body.value(of: body.content(of: $0.cell)) }
    let values = results.map(body.value(of:))
    let outputs = values[..<stateCount] + stateOutputs + values[stateCount...] + saved
    let captures = RegionCaptures(
      [body] + (condition.map { [$0.recorder] } ?? []), except: states.map(\.cell))
    let slices = inputs[stateCount...].map {
      Graph.Argument($0.tensor.type, name: "slice", value: $0.value)
    }
    let graph = body.graph(
      from: carriedArguments(inputs.map(\.value), in: body) + slices + captures.arguments(0),
      to: Array(outputs))
    let asked = condition.map { condition in
      condition.recorder.graph(
        from: carriedArguments(condition.inputs, in: condition.recorder) + captures.arguments(1),
        to: [condition.result])
    }
    let region = GraphRegion(plan.name, form, condition: asked, body: graph)
    let all = emit(
      region, plan.initial + states.map(\.initial) + plan.sequences + captures.tensors)
    for (state, content) in zip(states, all[stateCount...]) { state.write(content) }
    let firstStacked = stateCount + states.count
    let given =
      all[..<stateCount] + all[firstStacked..<firstStacked + results.count - stateCount]
    if !mayHaveGradient || given.contains(where: \.isFailed) { return step(Array(given)) }
    let savedResults = Array(all[(firstStacked + results.count - stateCount)...])
    return step(attached(Array(given), isActive, saved: saved.isEmpty ? nil : savedResults))
  }

  private func step(_ all: [Tensor]) -> LoopPlan.Step {
    (Array(all[..<stateCount]), Array(all[stateCount...]))
  }

  /// The graph's values for what written state holds at the start of an iteration.
  private var stateValues: [ValueID] { states.map { state in use(of: state, in: body)!.value! } }

  private func use(of state: RegionState, in recorder: RegionRecorder) -> RegionRecorder.CellUse? {
    recorder.cells.first { $0.cell === state.cell }
  }

  private func carriedArguments(_ values: [ValueID], in recorder: RegionRecorder)
    -> [Graph.Argument]
  {
    zip(plan.initial, plan.state.paths).enumerated().map {
      Graph.Argument($1.0.type, name: $1.1, value: values[$0])
    }
      + states.map {
        Graph.Argument(
          $0.initial.type, name: $0.cell.name, value: use(of: $0, in: recorder)?.value)
      }
  }

  /// Whether what iterations begin with can be kept for the gradient: there is room for a known number of them.
  private var canSave: Bool {
    plan.length != nil
      && (plan.initial + states.map(\.initial)).allSatisfy { $0.ndim < Shape.maximumRank }
  }

  // MARK: Gradients

  /// Which results depend on something that needs a gradient, if only in a later iteration.
  private func activeResults() -> [Bool] {
    guard isGradEnabled else { return results.map { _ in false } }
    let sources = results.indices.map { tape.sources(of: [$0]) }
    var isActive = (plan.initial + plan.sequences).map(\.requiresGrad)
    var changed = true
    func depends(_ i: Int) -> Bool {
      !sources[i].outside.isEmpty || sources[i].leaves.contains { isActive[$0] }
    }
    while changed {
      changed = false
      for i in 0..<stateCount where !isActive[i] && depends(i) {
        isActive[i] = true
        changed = true
      }
    }
    return results.indices.map { $0 < stateCount ? isActive[$0] : depends($0) }
  }

  /// What gradients of these results go to: the initial state, the arrays, and what the body took from around.
  private func edges(_ isActive: [Bool]) -> [RegionGradient.Input] {
    let outside = tape.sources(of: results.indices.filter { isActive[$0] }).outside
    return (plan.initial + plan.sequences).map { ($0.type, $0.autograd) }
      + outside.map { ($0.type, $0.edge) }
  }

  private func attached(_ given: [Tensor], _ isActive: [Bool], saved: [Tensor]?) -> [Tensor] {
    let edges = edges(isActive)
    let gradient = RegionGradient { cotangents, _ in
      let nothing = [Tensor?](repeating: nil, count: edges.count)
      guard let saved else {
        note(
          OpError(
            plan.name,
            plan.length == nil
              ? "the gradient of a recorded loop needs room for what each iteration began with: pass maximumLength:"
              : "the gradient of a recorded loop cannot keep a state of \(Shape.maximumRank) axes"))
        return nothing
      }
      return gradients(cotangents, isActive, saved, edges)
    }
    return gradient.attach(
      given, where: isActive, of: Region(plan.name, outputTypes: given.map(\.type)), to: edges)
  }

  /// The gradient of a loop is a loop in the other direction: each iteration does the body again, from what it began
  /// with, and then its gradient.
  /// - Parameter saved: What each iteration began with, and the number of iterations if there is a condition.
  private func gradients(
    _ cotangents: [Tensor?], _ isActive: [Bool], _ saved: [Tensor],
    _ edges: [RegionGradient.Input]
  ) -> [Tensor?] {
    let recorder = RegionRecorder(continuing: body, outer: recorderAroundRegion)
    let outside = edges[(stateCount + plan.sequences.count)...]
    let active = (0..<stateCount).filter { isActive[$0] }

    // The cotangents of the next state, and of this iteration's slices of what is stacked.
    var seeds = [Tensor?](repeating: nil, count: results.count)
    var carried: [Graph.Argument] = []
    var initial: [Tensor] = []
    for i in active {
      let (tensor, value) = recorder.addInput(results[i].type, "cotangent")
      seeds[i] = tensor
      carried.append(Graph.Argument(tensor.type, name: "cotangent", value: value))
      initial.append(cotangents[i] ?? RegionGradient.neutral(tensor.type))
    }
    var slices = zip(inputs[..<stateCount].map(\.value) + stateValues, saved).map {
      Graph.Argument(LoopPlan.sliceType($1.type), name: "state", value: $0)
    }
    slices += inputs[stateCount...].map {
      Graph.Argument($0.tensor.type, name: "slice", value: $0.value)
    }
    var sequences = Array(saved[..<(stateCount + states.count)]) + plan.sequences
    for i in stateCount..<results.count {
      guard isActive[i], let cotangent = cotangents[i] else { continue }
      let (tensor, value) = recorder.addInput(results[i].type, "cotangent")
      seeds[i] = tensor
      slices.append(Graph.Argument(tensor.type, name: "cotangent", value: value))
      sequences.append(cotangent)
    }

    let found = ThreadContext.withRecorder(recorder) {
      tape.gradients(seeds, keepingGraph: true)
    }
    var outputs: [Tensor] = []
    ThreadContext.withRecorder(recorder) {
      for i in active {
        outputs.append(found.leaves[i] ?? RegionGradient.neutral(results[i].type))
      }
    }
    // Sums over the iterations, for tensors from outside.
    var summed: [Int] = []
    for (e, edge) in outside.enumerated() {
      guard let part = found.outside.first(where: { $0.edge === edge.edge }) else { continue }
      summed.append(e)
      let (sum, value) = recorder.addInput(edge.type, "sum")
      carried.append(Graph.Argument(edge.type, name: "sum", value: value))
      initial.append(RegionGradient.neutral(edge.type))
      outputs.append(ThreadContext.withRecorder(recorder) { sum + part.gradient })
    }
    let sliced = plan.sequences.indices.filter {
      plan.sequences[$0].requiresGrad && found.leaves[stateCount + $0] != nil
    }
    outputs += sliced.map { found.leaves[stateCount + $0]! }
    let values = outputs.map(recorder.value(of:))
    if let failure = recorder.failure {
      note(failure)
      return edges.map { _ in nil }
    }

    let captures = RegionCaptures([recorder], except: states.map(\.cell))
    var form = GraphRegion.Loop(carried: carried.count, length: plan.length)
    form.sequences = sequences.count
    form.stacked = sliced.count
    form.isReversed = !plan.isReversed
    form.isCounted = condition != nil
    let graph = recorder.graph(
      from: carried + slices + captures.arguments(0), to: values)
    let all = emit(
      GraphRegion("scan", form, condition: nil, body: graph),
      (condition == nil ? [] : [saved.last!]) + initial + sequences + captures.tensors)

    var result = [Tensor?](repeating: nil, count: edges.count)
    for (place, i) in active.enumerated() { result[i] = all[place] }
    for (place, e) in summed.enumerated() {
      result[stateCount + plan.sequences.count + e] = all[active.count + place]
    }
    for (place, s) in sliced.enumerated() {
      result[stateCount + s] = all[carried.count + place]
    }
    return result
  }
}
