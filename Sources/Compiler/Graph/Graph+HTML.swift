import DuetRuntime

extension Graph {
  /// The graph as one HTML page that needs nothing else: the text with links between values, and a drawing in
  /// layers from arguments to outputs.
  public var html: String {
    let names = textNames()
    return """
      <!DOCTYPE html>
      <html lang="en"><head><meta charset="utf-8"><title>graph</title>
      <style>
      body { font: 13px/1.5 ui-monospace, monospace; margin: 2em; color: #222; }
      a { color: #1558a6; text-decoration: none; } a:hover { text-decoration: underline; }
      .type { color: #777; } :target { background: #fff3b0; }
      svg text { font: 11px ui-monospace, monospace; } svg .edge { stroke: #9aa; fill: none; }
      svg rect { fill: #fff; stroke: #456; } svg rect.input { fill: #dbe9f6; }
      svg rect.constant { fill: #eee; } svg rect.output { stroke-width: 2.5; }
      .drawing { overflow: auto; border: 1px solid #ddd; max-height: 70vh; }
      </style></head><body>
      <h1>graph</h1>
      <p>\(inputs.count) arguments, \(operationCount) operations, \(outputs.count) outputs</p>
      <div class="drawing">\(drawing(names))</div>
      <pre>\(linkedText(names))</pre>
      </body></html>
      """
  }

  private static func escaped(_ text: String) -> String {
    var result = ""
    for character in text {
      switch character {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      default: result.append(character)
      }
    }
    return result
  }

  private func linkedText(_ names: [String]) -> String {
    func link(_ id: ValueID) -> String { "<a href=\"#v\(id.index)\">\(names[id.index])</a>" }
    var lines: [String] = []
    for i in inputs.map(\.index) + nodes.indices.filter({ !inputs.contains(ValueID($0)) }) {
      let node = nodes[i]
      let text =
        switch node.kind {
        case .input(_, let name): "argument \(Self.escaped(name))"
        case .constant(let array): "constant \(Self.escaped(array.text))"
        case .operation(.region(let region as GraphRegion), let operands):
          "\(region.name)(\(Self.argumentText(.region(region), operands.map(link)))) "
            + Self.escaped(region.text)
        case .operation(let op, let operands):
          "\(op.name)(\(Self.argumentText(op, operands.map(link))))"
        }
      let type = Self.typeText(node)
      lines.append(
        "<span id=\"v\(i)\">\(names[i]) = \(text) <span class=\"type\">\(type)</span></span>")
    }
    for (name, id) in zip(outputNames, outputs) {
      lines.append("output \(Self.escaped(name)) \(link(id))")
    }
    return lines.joined(separator: "\n")
  }

  /// A node's type; of a region, which has no value of its own, how many operations there are in it.
  static func typeText(_ node: Node) -> String {
    guard case .region(let region as GraphRegion) = node.operation else { return "\(node.type)" }
    return "\(region.graphs.reduce(0) { $0 + $1.operationCount }) operations"
  }

  /// Every node one layer below the lowest of its operands.
  private func drawing(_ names: [String]) -> String {
    let (width, height, gapX, gapY) = (150, 34, 20, 36)
    var layer = [Int](repeating: 0, count: nodes.count)
    var filled: [Int] = []
    var column = [Int](repeating: 0, count: nodes.count)
    for (i, node) in nodes.enumerated() {
      layer[i] = node.operands.map { layer[$0.index] + 1 }.max() ?? 0
      while filled.count <= layer[i] { filled.append(0) }
      column[i] = filled[layer[i]]
      filled[layer[i]] += 1
    }
    func x(_ i: Int) -> Int { gapX + column[i] * (width + gapX) }
    func y(_ i: Int) -> Int { gapX + layer[i] * (height + gapY) }
    var edges = ""
    var boxes = ""
    let isOutput = Set(outputs)
    for (i, node) in nodes.enumerated() {
      for operand in node.operands {
        let (x0, y0) = (x(operand.index) + width / 2, y(operand.index) + height)
        let (x1, y1) = (x(i) + width / 2, y(i))
        edges +=
          "<path class=\"edge\" d=\"M\(x0) \(y0) C\(x0) \(y0 + 18) \(x1) \(y1 - 18) \(x1) \(y1)\"/>"
      }
      let (kind, title) =
        switch node.kind {
        case .input(_, let name): ("input", name)
        case .constant: ("constant", "constant")
        case .operation(let op, _): ("operation", op.name)
        }
      let mark = isOutput.contains(ValueID(i)) ? " output" : ""
      boxes += """
        <a href="#v\(i)"><rect class="\(kind)\(mark)" x="\(x(i))" y="\(y(i))" width="\(width)" \
        height="\(height)" rx="4"/><text x="\(x(i) + 6)" y="\(y(i) + 14)">\
        \(Self.escaped("\(names[i]) \(title)"))</text><text x="\(x(i) + 6)" y="\(y(i) + 28)">\
        \(Self.typeText(node))</text></a>
        """
    }
    let columns = filled.max() ?? 1
    return "<svg width=\"\(gapX + columns * (width + gapX))\" "
      + "height=\"\(gapX + filled.count * (height + gapY))\">\(edges)\(boxes)</svg>"
  }
}
