import DuetCompiler
import DuetEager
import DuetRuntime

/// What one of two closures gives: `then` where the predicate is true, `otherwise` where it is not.
///
///     let y = cond(x.sum() .> 0, then: { x * 2 }, else: { x - 1 })
///
/// The closure that is chosen is called, and nothing else happens. Inside a traced function both are recorded, once, as
/// parts of one graph, and a replay runs the one that the predicate's value asks for: unlike `if (p).item()`, which
/// records another path for each outcome. So they are in deferred mode if the predicate depends on a placeholder, or,
/// inside `updates`, on state. Both have to give tensors of the same dtypes and shapes, and write the same
/// kinds of contents to variables; an error that either throws while it is recorded leaves the function, whatever the
/// predicate. Gradients go through the closure that was run; they cannot be differentiated in turn.
///
/// - Parameter predicate: One `bool`.
public func cond<Result: TensorTree, E: Error>(
  _ predicate: Tensor, then: () throws(E) -> Result, else otherwise: () throws(E) -> Result
) throws(E) -> Result {
  try choose(.tree, predicate, then, otherwise)
}

/// As the first form, for closures that are called for their effects on variables.
@_disfavoredOverload
public func cond<E: Error>(
  _ predicate: Tensor, then: () throws(E) -> Void, else otherwise: () throws(E) -> Void
) throws(E) {
  try choose(.nothing, predicate, then, otherwise)
}

/// As the first form, for closures that give two trees.
public func cond<A: TensorTree, B: TensorTree, E: Error>(
  _ predicate: Tensor, then: () throws(E) -> (A, B), else otherwise: () throws(E) -> (A, B)
) throws(E) -> (A, B) {
  try choose(pairForm(), predicate, then, otherwise)
}

/// As the first form, for closures that give three trees.
public func cond<A: TensorTree, B: TensorTree, C: TensorTree, E: Error>(
  _ predicate: Tensor, then: () throws(E) -> (A, B, C), else otherwise: () throws(E) -> (A, B, C)
) throws(E) -> (A, B, C) {
  try choose(tripleForm(), predicate, then, otherwise)
}

/// As the first form, for closures that give four trees.
public func cond<A: TensorTree, B: TensorTree, C: TensorTree, D: TensorTree, E: Error>(
  _ predicate: Tensor, then: () throws(E) -> (A, B, C, D),
  else otherwise: () throws(E) -> (A, B, C, D)
) throws(E) -> (A, B, C, D) {
  try choose(quadrupleForm(), predicate, then, otherwise)
}

private func choose<Result, E: Error>(
  _ form: TreeForm<Result>, _ predicate: Tensor, _ then: () throws(E) -> Result,
  _ otherwise: () throws(E) -> Result
) throws(E) -> Result {
  let isUsable = isPredicate(predicate, of: "cond")
  if isUsable && (recordsRegions || predicate.isDecidedByRun) {
    return try Branch.recorded(form, predicate, then, otherwise)
  }
  // After a mistake inside `checked` the program goes on somehow.
  let isTrue = isUsable && predicate.item(Bool.self)
  let floor = BodyTape.now
  let result = try ThreadContext.asOneOperation { () throws(E) in
    isTrue ? try then() : try otherwise()
  }
  let tensors = form.tensors(result)
  guard isGradEnabled, tensors.contains(where: \.requiresGrad) else { return result }
  return form.rebuilt(result, with: Branch.differentiable(tensors, since: floor))
}

/// Whether a tensor decides something; if not, the reason has been noted.
func isPredicate(_ predicate: Tensor, of operation: String) -> Bool {
  if predicate.isFailed { return false }
  guard predicate.dtype == .bool, predicate.size == 1 else {
    note(
      OpError(
        operation,
        "the condition has to be one bool, as x .< y gives, not \(predicate.type)"))
    return false
  }
  return true
}

private enum Branch {
  /// The results of a branch that was run, with a gradient of its own.
  static func differentiable(_ tensors: [Tensor], since floor: Int) -> [Tensor] {
    let tape = BodyTape(since: floor, leaves: [], results: tensors)
    let edges = tape.sources(of: tensors.indices).outside
    let gradient = RegionGradient { cotangents, keepingGraph in
      let found = tape.gradients(cotangents, keepingGraph: keepingGraph).outside
      return edges.map { edge in found.first { $0.edge === edge.edge }?.gradient }
    }
    let region = Region("cond", outputTypes: tensors.map(\.type))
    return gradient.attach(
      tensors.map { $0.detached() }, where: tensors.map(\.requiresGrad), of: region,
      to: edges.map { ($0.type, $0.edge) })
  }

  /// One of the two closures, as it was recorded.
  private struct Side {
    let recorder: RegionRecorder
    let results: [Tensor]
    let floor: Int

    var tape: BodyTape { BodyTape(since: floor, leaves: [], results: results) }
  }

  static func recorded<Result, E: Error>(
    _ form: TreeForm<Result>, _ predicate: Tensor, _ then: () throws(E) -> Result,
    _ otherwise: () throws(E) -> Result
  ) throws(E) -> Result {
    var first: (value: Result, form: ExpectedForm)?
    guard let one = try side(form, then, &first), let other = try side(form, otherwise, &first)
    else {
      return form.rebuilt(first!.value, with: first!.form.types.map { _ in .failed })
    }
    return form.rebuilt(first!.value, with: emitted(predicate, [one, other]))
  }

  /// Records a closure; nil after a mistake, which has been noted.
  /// - Parameter first: What the first closure has given.
  private static func side<Result, E: Error>(
    _ form: TreeForm<Result>, _ closure: () throws(E) -> Result,
    _ first: inout (value: Result, form: ExpectedForm)?
  ) throws(E) -> Side? {
    let recorder = RegionRecorder("cond", outer: recorderAroundRegion)
    let floor = BodyTape.now
    let value = try ThreadContext.withRecorder(recorder, closure)
    let visitor = form.described(value, as: "result")
    defer { first = first ?? (value, ExpectedForm(visitor)) }
    if recorder.sawFailure || visitor.tensors.contains(where: \.isFailed) { return nil }
    if let failure = recorder.failure {
      note(failure)
      return nil
    }
    if let first, let difference = first.form.difference(visitor) {
      note(OpError("cond", "the closures give different things: in the second \(difference)"))
      return nil
    }
    return Side(recorder: recorder, results: visitor.tensors, floor: floor)
  }

  private static func emitted(_ predicate: Tensor, _ sides: [Side]) -> [Tensor] {
    // State that either closure writes is a result of both.
    var states: [RegionState] = []
    for side in sides where !side.recorder.isForForm {
      if let objection = RegionState.objection(side.recorder.cells, isLoop: false) {
        note(OpError("cond", objection))
        return side.results.map { _ in .failed }
      }
      for use in side.recorder.cells
      where use.isChanged && !states.contains(where: { $0.cell === use.cell }) {
        states.append(RegionState(use))
      }
    }
    let outputs = sides.map { side in
      (side.results + states.map { side.recorder.content(of: $0.cell) })
        .map(side.recorder.value(of:))
    }
    let captures = RegionCaptures(sides.map(\.recorder))
    let graphs = sides.indices.map {
      sides[$0].recorder.graph(from: captures.arguments($0), to: outputs[$0])
    }
    let region = GraphRegion(then: graphs[0], else: graphs[1])
    let predicate = predicate.reshapedToScalar
    let all = emit(region, [predicate] + captures.tensors)
    for (state, content) in zip(states, all[sides[0].results.count...]) { state.write(content) }
    let results = Array(all.prefix(sides[0].results.count))
    guard isGradEnabled, !results.contains(where: \.isFailed) else { return results }
    return attached(results, predicate, sides)
  }

  private static func attached(
    _ results: [Tensor], _ predicate: Tensor, _ sides: [Side]
  ) -> [Tensor] {
    let isDifferentiable = results.indices.map { i in sides.contains { $0.results[i].requiresGrad }
    }
    guard isDifferentiable.contains(true) else { return results }
    var edges: [RegionGradient.Input] = []
    for side in sides {
      for (type, edge) in side.tape.sources(of: results.indices).outside
      where !edges.contains(where: { $0.edge === edge }) {
        edges.append((type, edge))
      }
    }
    let gradient = RegionGradient { cotangents, _ in
      gradients(cotangents, predicate, sides, edges)
    }
    return gradient.attach(
      results, where: isDifferentiable,
      of: Region("cond", outputTypes: results.map(\.type)), to: edges)
  }

  /// The gradient of a branch is a branch between the closures' gradients.
  private static func gradients(
    _ cotangents: [Tensor?], _ predicate: Tensor, _ sides: [Side], _ edges: [RegionGradient.Input]
  ) -> [Tensor?] {
    var given: [Tensor] = []
    var recorders: [RegionRecorder] = []
    var cotangentValues: [[ValueID]] = []
    var found: [[Tensor?]] = []
    for side in sides {
      let recorder = RegionRecorder(continuing: side.recorder, outer: recorderAroundRegion)
      given = []
      var values: [ValueID] = []
      let inside = cotangents.map { cotangent -> Tensor? in
        guard let cotangent else { return nil }
        let (tensor, value) = recorder.addInput(cotangent.type, "cotangent")
        given.append(cotangent)
        values.append(value)
        return tensor
      }
      let all = ThreadContext.withRecorder(recorder) {
        side.tape.gradients(inside, keepingGraph: true).outside
      }
      found.append(edges.map { edge in all.first { $0.edge === edge.edge }?.gradient })
      recorders.append(recorder)
      cotangentValues.append(values)
    }
    let isReached = edges.indices.map { e in found.contains { $0[e] != nil } }
    let outputs = recorders.indices.map { r in
      ThreadContext.withRecorder(recorders[r]) {
        edges.indices.filter { isReached[$0] }.map { e in
          recorders[r].value(of: found[r][e] ?? RegionGradient.neutral(edges[e].type))
        }
      }
    }
    for recorder in recorders {
      if let failure = recorder.failure {
        note(failure)
        return edges.map { _ in nil }
      }
    }
    let captures = RegionCaptures(recorders)
    let graphs = recorders.indices.map { r in
      recorders[r].graph(
        from: captures.arguments(r)
          + zip(given, cotangentValues[r]).map {
            Graph.Argument($0.type, name: "cotangent", value: $1)
          }, to: outputs[r])
    }
    var results = emit(
      GraphRegion(then: graphs[0], else: graphs[1]), [predicate] + captures.tensors + given)[...]
    return isReached.map { $0 ? results.removeFirst() : nil }
  }
}

extension RegionRecorder {
  /// What the closure has left in a cell: what was there before, if it did not touch it.
  func content(of cell: StateCell) -> Tensor {
    if let use = cells.first(where: { $0.cell === cell }) { return use.current! }
    return ThreadContext.withRecorder(self) { cell.read()! }
  }
}

extension Tensor {
  /// The only element without axes.
  var reshapedToScalar: Tensor { ndim == 0 ? self : reshaped([]) }
}
