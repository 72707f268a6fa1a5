import DuetRuntime

extension Pass {
  /// Removes what no output needs. Arguments stay, and operations that may find an index out of range: the program's
  /// mistake is one whether or not the result is used.
  public static let deadCode = Pass("dead code") { (graph: Graph) throws(OpError) in
    var isNeeded = [Bool](repeating: false, count: graph.nodes.count)
    for output in graph.outputs { isNeeded[output.index] = true }
    for check in graph.checks { isNeeded[check.index] = true }
    for i in graph.nodes.indices.reversed() where isNeeded[i] {
      for operand in graph.nodes[i].operands { isNeeded[operand.index] = true }
    }
    var rewriter = GraphRewriter(graph)
    for i in graph.nodes.indices where isNeeded[i] { rewriter.keep(ValueID(i)) }
    return rewriter.finish()
  }
}

extension Graph {
  /// The operations that have to be done for the sake of their errors. A loss is none where its gradient, which looks
  /// at the same labels, is computed.
  package var checks: [ValueID] {
    var labels: Set<ValueID> = []
    for case .operation(.crossEntropyGradient, let operands) in nodes.map(\.kind) {
      labels.insert(operands[1])
    }
    return nodes.indices.map { ValueID($0) }.filter { id in
      guard case .operation(let op, let operands) = self[id].kind, op.canFail else { return false }
      if case .crossEntropy = op { return !labels.contains(operands[1]) }
      return true
    }
  }
}
