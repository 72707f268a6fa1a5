extension Graph {
  /// The graph in the language of Graphviz.
  public var dot: String {
    let names = textNames()
    var lines = [
      "digraph {", "  rankdir=TB;", "  node [shape=box, fontname=\"Helvetica\", fontsize=10];",
    ]
    for (i, node) in nodes.enumerated() {
      let (title, style) = Self.appearance(node)
      lines.append(
        "  n\(i) [label=\"\(Self.escapedForDOT("\(names[i]) \(title)"))\\n\(node.type)\", \(style)];"
      )
      for operand in node.operands { lines.append("  n\(operand.index) -> n\(i);") }
    }
    for (j, output) in outputs.enumerated() {
      let name = outputNames[j].isEmpty ? "output \(j)" : outputNames[j]
      lines.append("  out\(j) [label=\"\(Self.escapedForDOT(name))\", shape=ellipse];")
      lines.append("  n\(output.index) -> out\(j);")
    }
    return (lines + ["}"]).joined(separator: "\n")
  }

  private static func appearance(_ node: Node) -> (title: String, style: String) {
    switch node.kind {
    case .input(_, let name): (name, "style=filled, fillcolor=\"#dbe9f6\"")
    case .constant: ("constant", "style=filled, fillcolor=\"#eeeeee\"")
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
