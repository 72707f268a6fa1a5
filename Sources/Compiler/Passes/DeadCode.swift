import DuetRuntime

extension Pass {
  /// Removes what no output needs. Arguments stay.
  public static let deadCode = Pass("dead code") { (graph: Graph) throws(OpError) in
    var isNeeded = [Bool](repeating: false, count: graph.nodes.count)
    for output in graph.outputs { isNeeded[output.index] = true }
    for i in graph.nodes.indices.reversed() where isNeeded[i] {
      for operand in graph.nodes[i].operands { isNeeded[operand.index] = true }
    }
    var rewriter = GraphRewriter(graph)
    for i in graph.nodes.indices where isNeeded[i] { rewriter.keep(ValueID(i)) }
    return rewriter.finish()
  }
}
