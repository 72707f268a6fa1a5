import DuetCompiler
import DuetEager
import DuetRuntime

extension Segment {
  /// The path that a recorder has seen, from its beginning.
  static func path(_ recorder: GraphRecorder, results: [Tensor], form: AnyObject?) -> Segment {
    let graph = recorder.builder.finish(outputs: [])
    let nodes = graph.nodes
    let inputValues = graph.inputs.map(\.index)
    let end = PathEnd(recorder, inputValues, results: results, form: form)
    let guards = recorder.guards
    let bounds = [0] + guards.map(\.position) + [nodes.count]

    let forEnd = Set(end.values)
    let checks = Set(graph.checks.map(\.index))
    var needed = forEnd
    var next: Segment?
    for part in (0...guards.count).reversed() {
      let range = bounds[part]..<bounds[part + 1]
      var lookedAt: Guard?
      var branches: [Branch] = []
      if part < guards.count, let next {
        let recorded = guards[part]
        needed.insert(recorded.value.index)
        lookedAt = Guard(
          value: recorded.value.index, type: nodes[recorded.value.index].type,
          operation: recorded.operation, callSite: recorded.callSite)
        branches = [Branch(bytes: recorded.bytes, next: next, uses: Counter(1))]
      }
      let kept = range.filter { needed.contains($0) && nodes[$0].operation != nil }
      for id in range.reversed() where needed.contains(id) || checks.contains(id) {
        needed.formUnion(nodes[id].operands.map(\.index))
      }
      next = Segment(
        nodes: nodes, range: range, inputs: inputs(in: range, recorder, inputValues),
        reads: reads(after: part, recorder, inputValues),
        kept: kept.map { Kept(value: $0, isForEnd: forEnd.contains($0)) },
        checks: range.filter(checks.contains), lookedAt: lookedAt,
        branches: branches, end: lookedAt == nil ? end : nil)
    }
    return next!
  }

  private static func inputs(
    in range: Range<Int>, _ recorder: GraphRecorder, _ values: [Int]
  ) -> [Input] {
    zip(values, recorder.inputs).compactMap { value, source in
      range.contains(value) ? Input(value: value, source: source) : nil
    }
  }

  /// The cells that the program first read when it had looked at that many values.
  private static func reads(
    after guardCount: Int, _ recorder: GraphRecorder, _ values: [Int]
  ) -> [CellRead] {
    recorder.state.filter { $0.wasRead && $0.guardsBeforeRead == guardCount }.map { use in
      CellRead(
        cell: use.cell, type: use.initial?.type, requiresGrad: use.initial?.requiresGrad ?? false,
        value: use.inputIndex.map { values[$0] })
    }
  }
}
