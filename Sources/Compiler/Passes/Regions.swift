import DuetRuntime

extension Pass {
  /// Optimises the graphs inside branches and loops, and leaves out of them what nobody uses: results, carried
  /// values that only lead to themselves, arguments. What only they used goes, too.
  public static let regions = Pass("regions") { (graph: Graph) throws(OpError) in
    let hasRegions = graph.nodes.contains { $0.operation?.opClass == .controlFlow }
    if !hasRegions { return graph }
    var isNeeded = [Bool](repeating: false, count: graph.nodes.count)
    for output in graph.outputs { isNeeded[output.index] = true }
    // The used results of every region come after it, so all are known when the sweep arrives there.
    var usedResults: [Int: Set<Int>] = [:]
    var trimmed: [Int: TrimmedRegion] = [:]
    for i in graph.nodes.indices.reversed() where isNeeded[i] {
      guard case .operation(let op, let operands) = graph.nodes[i].kind else { continue }
      switch op {
      case .regionResult(let index, _): usedResults[operands[0].index, default: []].insert(index)
      case .region(let region as GraphRegion):
        let result = try region.trimmed(to: usedResults[i] ?? [])
        trimmed[i] = result
        for input in result.inputs { isNeeded[operands[input].index] = true }
        continue
      default: break
      }
      for operand in operands { isNeeded[operand.index] = true }
    }
    var rewriter = GraphRewriter(graph)
    for (i, node) in graph.nodes.enumerated() where isNeeded[i] {
      let id = ValueID(i)
      guard case .operation(let op, let operands) = node.kind else {
        rewriter.keep(id)
        continue
      }
      if let new = trimmed[i] {
        let inputs = new.inputs.map { rewriter.value(operands[$0]) }
        rewriter.replace(id, by: rewriter.add(.region(new.region), inputs, node.type))
      } else if case .regionResult(let index, let type) = op,
        let place = trimmed[operands[0].index]?.results[index]
      {
        let region = rewriter.value(operands[0])
        rewriter.replace(
          id, by: rewriter.add(.regionResult(index: place, type), [region], type))
      } else {
        rewriter.keep(id)
      }
    }
    return rewriter.finish()
  }
}

/// A region without what is not used.
private struct TrimmedRegion {
  let region: GraphRegion
  /// The inputs that are left, in order.
  let inputs: [Int]
  /// The new places of results that are left.
  let results: [Int: Int]
}

extension Graph {
  /// After the passes that every graph goes through.
  fileprivate func optimized() throws(OpError) -> Graph {
    var graph = self
    for pass in Pass.standard { graph = try pass.run(graph) }
    return graph
  }

  /// The same with some of its arguments and outputs.
  fileprivate func keeping(inputs kept: [Int], outputs keptOutputs: [Int]) -> Graph {
    part(
      from: kept.map { i in
        let id = inputs[i]
        guard case .input(_, let name) = self[id].kind else { preconditionFailure() }
        return Argument(type(of: id), name: name, value: id)
      },
      to: keptOutputs.map { outputs[$0] }, names: keptOutputs.map { outputNames[$0] })
  }

  /// For every argument whether these outputs depend on it.
  fileprivate func inputsNeeded(for kept: [Int]) -> [Bool] {
    let isNeeded = reach(of: kept.map { outputs[$0] })
    return inputs.map { isNeeded[$0.index] }
  }
}

extension GraphRegion {
  fileprivate func trimmed(to used: Set<Int>) throws(OpError) -> TrimmedRegion {
    switch form {
    case .branch: try trimmedBranch(used.sorted())
    case .loop(let loop): try trimmedLoop(loop, used)
    }
  }

  private func trimmedBranch(_ used: [Int]) throws(OpError) -> TrimmedRegion {
    let all = Array(graphs[0].inputs.indices)
    let then = try graphs[0].keeping(inputs: all, outputs: used).optimized()
    let otherwise = try graphs[1].keeping(inputs: all, outputs: used).optimized()
    let outputs = Array(used.indices)
    let isNeeded = zip(then.inputsNeeded(for: outputs), otherwise.inputsNeeded(for: outputs))
    let kept = isNeeded.enumerated().filter { $1.0 || $1.1 }.map(\.offset)
    return TrimmedRegion(
      region: GraphRegion(
        then: then.keeping(inputs: kept, outputs: outputs),
        else: otherwise.keeping(inputs: kept, outputs: outputs)),
      inputs: [0] + kept.map { $0 + 1 },
      results: Dictionary(uniqueKeysWithValues: used.enumerated().map { ($1, $0) }))
  }

  private func trimmedLoop(_ loop: Loop, _ used: Set<Int>) throws(OpError) -> TrimmedRegion {
    var condition = graphs.count > 1 ? try graphs[1].optimized() : nil
    var body = graphs[0]
    // Carried values that are asked for, or that what is asked for depends on from one iteration to the next.
    var isCarried = (0..<loop.carried).map { used.contains($0) }
    if let condition {
      let isNeeded = condition.inputsNeeded(for: [0])
      for i in 0..<loop.carried where isNeeded[i] { isCarried[i] = true }
    }
    let stacked = (0..<loop.stacked).map { loop.carried + $0 }.filter(used.contains)
    var kept: [Int] = []
    while true {
      kept = (0..<loop.carried).filter { isCarried[$0] } + stacked
      let isNeeded = body.inputsNeeded(for: kept)
      let more = (0..<loop.carried).filter { isNeeded[$0] && !isCarried[$0] }
      if more.isEmpty { break }
      for i in more { isCarried[i] = true }
    }
    let carried = (0..<loop.carried).filter { isCarried[$0] }
    body = try body.keeping(inputs: Array(body.inputs.indices), outputs: kept).optimized()

    let outputs = Array(kept.indices)
    let inBody = body.inputsNeeded(for: outputs)
    let sequences = (loop.carried..<loop.carried + loop.sequences).filter { inBody[$0] }
    let firstCaptured = loop.carried + loop.sequences
    let inCondition = condition?.inputsNeeded(for: [0])
    let captured = (firstCaptured..<body.inputs.count).filter {
      inBody[$0] || inCondition?[$0 - loop.sequences] ?? false
    }
    body = body.keeping(inputs: carried + sequences + captured, outputs: outputs)
    condition = condition?.keeping(
      inputs: carried + captured.map { $0 - loop.sequences }, outputs: [0])

    var new = loop
    new.carried = carried.count
    new.sequences = sequences.count
    new.stacked = stacked.count
    let count = loop.carried + loop.stacked
    new.givesCount = loop.givesCount && used.contains(count)
    var results: [Int: Int] = [:]
    for (place, index) in (kept + [count]).enumerated() { results[index] = place }
    let counted = loop.isCounted ? 1 : 0
    return TrimmedRegion(
      region: GraphRegion(name, new, condition: condition, body: body),
      inputs: (loop.isCounted ? [0] : []) + (carried + sequences + captured).map { $0 + counted },
      results: results)
  }
}
