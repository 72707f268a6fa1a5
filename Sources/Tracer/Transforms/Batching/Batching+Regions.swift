import DuetCompiler
import DuetEager
import DuetRuntime

/// Branches and loops on all examples. What all examples decide alike stays a branch or a loop, with a body for all of
/// them; where they decide for themselves, both branches are computed and chosen from, and a loop goes on until the
/// last example is done, while the others keep what they have.
///
/// Nothing here is differentiated: a region's gradient is a region of its own.
extension Batching {
  func region(_ region: GraphRegion, _ operands: [Batched]) -> [Batched] {
    if operands.contains(where: \.tensor.isFailed) { return failed(region) }
    let results = noGrad {
      switch region.form {
      case .branch: branch(region, operands)
      case .loop(let loop): self.loop(region, loop, operands)
      }
    }
    return results.contains(where: \.tensor.isFailed) ? failed(region) : results
  }

  private func failed(_ region: GraphRegion) -> [Batched] {
    region.outputTypes.map { _ in .shared(.failed) }
  }

  /// What a graph gives for these arguments.
  private func values(of graph: Graph, _ arguments: [Batched]) -> [Batched] {
    var values = [Batched?](repeating: nil, count: graph.nodes.count)
    var regions: [Int: [Batched]] = [:]
    for (i, node) in graph.nodes.enumerated() {
      switch node.kind {
      case .input(let index, _): values[i] = arguments[index]
      case .constant(let array): values[i] = .shared(Tensor(array))
      case .operation(.region(let region as GraphRegion), let ids):
        regions[i] = self.region(region, ids.map { values[$0.index]! })
      case .operation(.regionResult(let index, _), let ids):
        values[i] = regions[ids[0].index]![index]
      case .operation(let op, let ids):
        values[i] = result(of: op, ids.map { values[$0.index]! }, node.type)
      }
    }
    return graph.outputs.map { values[$0.index]! }
  }

  /// Where the condition holds, the one; where it does not, the other.
  private func chosen(_ condition: Batched, _ a: Batched, _ b: Batched) -> Batched {
    result(of: .select, [condition, a, b], a.type)
  }

  // MARK: Branches

  private func branch(_ region: GraphRegion, _ operands: [Batched]) -> [Batched] {
    let (predicate, arguments) = (operands[0], Array(operands.dropFirst()))
    if predicate.isMapped {
      let sides = region.graphs.map { values(of: $0, arguments) }
      return zip(sides[0], sides[1]).map { chosen(predicate, $0, $1) }
    }
    let sides = region.graphs.map { graph in
      RecordedPart(self, region.name, arguments) { values(of: graph, $0) }
    }
    let isMapped = region.outputTypes.indices.map { i in sides.contains { $0.results[i].isMapped } }
    guard let graphs = sides.map({ $0.graph(isMapped) }) as? [Graph] else { return failed(region) }
    let results = emit(
      GraphRegion(then: graphs[0], else: graphs[1]),
      [predicate.tensor] + arguments.map(\.tensor))
    return zip(results, isMapped).map { Batched($0, isMapped: $1) }
  }

  // MARK: Loops

  private func loop(
    _ region: GraphRegion, _ loop: GraphRegion.Loop, _ operands: [Batched]
  ) -> [Batched] {
    var rest = operands[...]
    func next(_ count: Int) -> [Batched] {
      defer { rest = rest.dropFirst(count) }
      return Array(rest.prefix(count))
    }
    let count = next(loop.isCounted ? 1 : 0).first
    let form = LoopForm(
      batching: self, region: region, loop: loop, count: count, initial: next(loop.carried),
      sequences: next(loop.sequences), captured: Array(rest))
    if let type = form.typeWithoutRoom {
      let error = OpError(
        "vmap",
        "\(region.name) keeps \(type) of each iteration and example, which would have more than "
          + "\(Shape.maximumRank) axes")
      note(error)
      return failed(region)
    }
    return form.emitted() ?? failed(region)
  }

  /// Whether any example goes on.
  fileprivate func any(_ goesOn: Batched) -> Tensor {
    guard goesOn.isMapped else { return goesOn.tensor }
    return apply(.reduce(.any, axes: AxisSet(0), keepDims: false), goesOn.tensor)
  }

  fileprivate func results(of graph: Graph, _ arguments: [Batched]) -> [Batched] {
    values(of: graph, arguments)
  }

  fileprivate func select(_ condition: Batched, _ a: Batched, _ b: Batched) -> Batched {
    chosen(condition, a, b)
  }
}

/// A part of a region that is written down for all examples: what it is given, and what comes of that.
private struct RecordedPart {
  private let batching: Batching
  private let recorder: RegionRecorder
  private let arguments: [Graph.Argument]
  let results: [Batched]

  /// - Parameter inputs: What the part will get; of these only types count, and whether they are mapped.
  init(
    _ batching: Batching, _ name: String, _ inputs: [Batched], _ body: ([Batched]) -> [Batched]
  ) {
    self.batching = batching
    let recorder = RegionRecorder(name, outer: recorderAroundRegion)
    self.recorder = recorder
    var given: [Batched] = []
    var arguments: [Graph.Argument] = []
    for input in inputs {
      let (tensor, value) = recorder.addInput(input.tensor.type, "batched")
      given.append(Batched(tensor, isMapped: input.isMapped))
      arguments.append(Graph.Argument(tensor.type, name: "batched", value: value))
    }
    self.arguments = arguments
    results = ThreadContext.withRecorder(recorder) { body(given) }
  }

  /// The part as a graph of its own; nil after a mistake.
  /// - Parameter isMapped: Which results are to have all examples.
  func graph(_ isMapped: [Bool]) -> Graph? {
    if results.contains(where: \.tensor.isFailed) { return nil }
    let outputs = ThreadContext.withRecorder(recorder) {
      zip(results, isMapped).map { recorder.value(of: $1 ? batching.expanded($0) : $0.tensor) }
    }
    if let failure = recorder.failure {
      note(failure)
      return nil
    }
    return recorder.graph(from: arguments, to: outputs)
  }
}

/// A loop that is to be one on all examples.
private struct LoopForm {
  let batching: Batching
  let region: GraphRegion
  let loop: GraphRegion.Loop
  /// The number of iterations, if it is given.
  let count: Batched?
  let initial: [Batched]
  let sequences: [Batched]
  let captured: [Batched]

  private var body: Graph { region.graphs[0] }
  private var condition: Graph? { region.graphs.count > 1 ? region.graphs[1] : nil }

  /// What cannot have two more axes, of iterations and examples; nil: everything can.
  var typeWithoutRoom: TensorType? {
    let slices = sequences.filter(\.isMapped).map { LoopPlan.sliceType($0.type) }
    let stacked = body.outputs[loop.carried...].map(body.type(of:))
    return (slices + stacked).first { $0.shape.rank + 2 > Shape.maximumRank }
  }

  /// A stand-in of a slice of a sequence.
  private func slice(of sequence: Batched) -> Batched {
    let type = LoopPlan.sliceType(sequence.type)
    return stand(for: type, isMapped: sequence.isMapped)
  }

  private func stand(for type: TensorType, isMapped: Bool) -> Batched {
    Batched(
      Tensor(TensorBody(withoutElements: isMapped ? batching.whole(type) : type)),
      isMapped: isMapped)
  }

  /// Puts the loop into what is being recorded, or runs it; nil after a mistake.
  func emitted() -> [Batched]? {
    // What is carried is mapped where it begins so, or becomes so in an iteration.
    var isMapped = initial.map(\.isMapped)
    /// Whether examples end their loops for themselves.
    var endsApart = count?.isMapped ?? false
    while true {
      if endsApart { isMapped = isMapped.map { _ in true } }
      let carried = zip(initial, isMapped).map { stand(for: $0.type, isMapped: $1) }
      if let condition, !endsApart {
        let part = RecordedPart(batching, region.name, carried + captured) {
          batching.results(of: condition, $0)
        }
        if part.results[0].isMapped {
          endsApart = true
          continue
        }
      }
      let part = RecordedPart(batching, region.name, carried + sequences.map(slice) + captured) {
        batching.results(of: body, $0)
      }
      if part.results.contains(where: \.tensor.isFailed) { return nil }
      let becomes = zip(isMapped, part.results).map { $0 || $1.isMapped }
      if becomes == isMapped { break }
      isMapped = becomes
    }
    return emitted(isMapped, endsApart)
  }

  private func emitted(_ isMapped: [Bool], _ endsApart: Bool) -> [Batched]? {
    let givesOwnCounts = endsApart && loop.givesCount
    let hasOwnCounts = endsApart && loop.isCounted
    let zero = TensorType(.int64, [])
    var start = zip(initial, isMapped).map { $1 ? Batched.mapped(batching.expanded($0)) : $0 }
    if givesOwnCounts {
      start.append(.mapped(batching.filled(batching.whole(zero), 0)))
    }
    let carriedCount = start.count
    var slices = sequences.map(slice)
    var shared = captured
    if hasOwnCounts, let count {
      slices.append(stand(for: zero, isMapped: false))
      shared.append(count)
    }

    /// Whether each example goes on, from what an iteration is given.
    func goesOn(
      _ carried: ArraySlice<Batched>, _ slices: ArraySlice<Batched>,
      _ captured: ArraySlice<Batched>
    ) -> Batched? {
      if hasOwnCounts {
        return batching.elementwise(.compare(.less), slices.last!, captured.last!)
      }
      guard let condition else { return nil }
      return batching.results(of: condition, Array(carried.prefix(loop.carried)) + captured)[0]
    }

    let part = RecordedPart(batching, region.name, start + slices + shared) { given in
      let carried = given[..<carriedCount]
      let parts = given[carriedCount..<carriedCount + slices.count]
      let others = given[(carriedCount + slices.count)...]
      var arguments = Array(carried.prefix(loop.carried))
      arguments += parts.prefix(loop.sequences)
      arguments += others.prefix(captured.count)
      let results = batching.results(of: body, arguments)
      guard endsApart, let going = goesOn(carried, parts, others) else { return results }
      var next: [Batched] = []
      for (new, old) in zip(results.prefix(loop.carried), carried) {
        next.append(batching.select(going, new, old))
      }
      if givesOwnCounts {
        let one = Batched.mapped(going.tensor.asType(.int64))
        next.append(batching.elementwise(.binary(.add), carried.last!, one))
      }
      // Rows behind an example's last iteration are never looked at, or are zeros.
      let stacked = results.dropFirst(loop.carried).map { row in
        batching.select(going, row, .shared(batching.filled(row.type, 0)))
      }
      return next + stacked
    }
    let isStackedMapped = part.results.dropFirst(carriedCount).map(\.isMapped)
    guard
      let graph = part.graph(
        isMapped + (givesOwnCounts ? [true] : []) + isStackedMapped)
    else { return nil }
    var asked: Graph?
    if condition != nil {
      let part = RecordedPart(batching, region.name, start + shared) { given in
        [.shared(batching.any(goesOn(given[..<carriedCount], [], given[carriedCount...])!))]
      }
      asked = part.graph([false])
      if asked == nil { return nil }
    }

    var form = loop
    form.carried = carriedCount
    form.sequences = slices.count
    form.givesCount = loop.givesCount && !endsApart
    var inputs: [Tensor] = []
    if let count { inputs.append(hasOwnCounts ? longest(count) : count.tensor) }
    inputs += start.map(\.tensor)
    inputs += sequences.map { $0.isMapped ? batching.moving($0.tensor, 0, to: 1) : $0.tensor }
    if hasOwnCounts {
      inputs.append(apply(.iota(.int64, count: loop.length ?? 0, start: 0, step: 1), []))
    }
    inputs += shared.map(\.tensor)
    let all = emit(GraphRegion(region.name, form, condition: asked, body: graph), inputs)
    if all.contains(where: \.isFailed) { return nil }

    let carried = zip(all, isMapped).map { Batched($0, isMapped: $1) }
    let stacked = zip(all[carriedCount...], isStackedMapped).map { rows, isMapped in
      Batched(isMapped ? batching.moving(rows, 1, to: 0) : rows, isMapped: isMapped)
    }
    var results = Array(carried.prefix(loop.carried)) + stacked
    if loop.givesCount {
      results.append(givesOwnCounts ? .mapped(all[loop.carried]) : .shared(all.last!))
    }
    return results
  }

  /// How many iterations the example does that does most.
  private func longest(_ count: Batched) -> Tensor {
    if batching.size == 0 { return batching.filled(TensorType(.int64, []), 0) }
    return apply(.reduce(.max, axes: AxisSet(0), keepDims: false), count.tensor)
  }
}
