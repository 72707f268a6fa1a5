extension Graph {
  /// The graph in the language of Graphviz. What a branch or a loop runs is drawn in boxes of its own.
  public var dot: String {
    let lines =
      [
        "digraph {", "  rankdir=TB;", "  node [shape=box, fontname=\"Helvetica\", fontsize=10];",
      ] + dotLines("") + ["}"]
    return lines.joined(separator: "\n")
  }

  /// Nodes and edges. The prefix tells the nodes of one graph from those of another.
  private func dotLines(_ prefix: String) -> [String] {
    let names = textNames()
    var lines: [String] = []
    for (i, node) in nodes.enumerated() {
      let (title, style) = Self.appearance(node)
      lines.append(
        "  \(prefix)n\(i) [label=\"\(Self.escapedForDOT("\(names[i]) \(title)"))\\n\(Self.typeText(node))\", \(style)];"
      )
      for operand in node.operands {
        lines.append("  \(prefix)n\(operand.index) -> \(prefix)n\(i);")
      }
      guard case .region(let region as GraphRegion) = node.operation else { continue }
      for (g, (label, graph)) in zip(region.labels, region.graphs).enumerated() {
        let inner = "\(prefix)n\(i)_\(g)_"
        lines.append("  subgraph cluster_\(inner) {")
        lines.append("    label=\"\(names[i]) \(label)\";")
        lines += graph.dotLines(inner).map { "  " + $0 }
        lines.append("  }")
      }
    }
    for (j, output) in outputs.enumerated() {
      let name = outputNames[j].isEmpty ? "output \(j)" : outputNames[j]
      lines.append("  \(prefix)out\(j) [label=\"\(Self.escapedForDOT(name))\", shape=ellipse];")
      lines.append("  \(prefix)n\(output.index) -> \(prefix)out\(j);")
    }
    return lines
  }

  private static func appearance(_ node: Node) -> (title: String, style: String) {
    switch node.kind {
    case .input(_, let name): (name, "style=filled, fillcolor=\"#dbe9f6\"")
    case .constant: ("constant", "style=filled, fillcolor=\"#eeeeee\"")
    case .operation(.region(let region), _): (region.name, "shape=box3d")
    case .operation(let op, _): (op.name, "style=solid")
    }
  }

  private static func escapedForDOT(_ text: String) -> String {
    var result = ""
    for character in text {
      switch character {
      case "\"", "\\": result += "\\" + String(character)
      case "\n": result += "\\n"
      default: result.append(character)
      }
    }
    return result
  }
}
