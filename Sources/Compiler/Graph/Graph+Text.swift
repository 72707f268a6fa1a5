import DuetRuntime

extension Graph: CustomStringConvertible {
  /// The graph as text that `init(parsing:)` reads back.
  ///
  ///     graph (x: float32[2, 3], w: float32[3, 4]) -> (result: %3) {
  ///       %2 = matmul(%0, %1) : float32[2, 4]
  ///       %3 = tanh(%2) : float32[2, 4]
  ///     }
  ///
  /// Values are numbered in the order of the text: arguments first. Constants of up to 16 elements show their
  /// elements, larger ones a name made of a hash of their elements.
  public var description: String { "graph " + body }

  /// The text behind the word `graph`.
  var body: String {
    let names = textNames()
    let arguments = inputs.enumerated().map { i, id -> String in
      guard case .input(_, let name) = self[id].kind else { return "?" }
      return "\(Self.quotedIfNeeded(name)): \(type(of: id))"
    }
    let results = zip(outputs, outputNames).map { id, name in
      (name.isEmpty ? "" : Self.quotedIfNeeded(name) + ": ") + names[id.index]
    }
    var lines = [
      "(\(arguments.joined(separator: ", "))) -> (\(results.joined(separator: ", "))) {"
    ]
    for (i, node) in nodes.enumerated() {
      guard let text = text(of: node, names) else { continue }
      lines.append("  \(names[i]) = \(text.replacing("\n", with: "\n  "))")
    }
    return (lines + ["}"]).joined(separator: "\n")
  }

  /// The number of every value in the text.
  func textNames() -> [String] {
    var names = [String](repeating: "", count: nodes.count)
    var next = 0
    for id in inputs {
      names[id.index] = "%\(next)"
      next += 1
    }
    for i in nodes.indices where names[i].isEmpty {
      names[i] = "%\(next)"
      next += 1
    }
    return names
  }

  /// The node's line, without the name; nil for an argument.
  func text(of node: Node, _ names: [String]) -> String? {
    switch node.kind {
    case .input: nil
    case .constant(let array): "constant \(array.type) \(array.text)"
    case .operation(.region(let region as GraphRegion), let operands):
      "\(region.name)(\(Self.argumentText(.region(region), operands.map { names[$0.index] }))) "
        + region.text
    case .operation(let op, let operands):
      "\(op.name)(\(Self.argumentText(op, operands.map { names[$0.index] }))) : \(node.type)"
    }
  }

  static func argumentText(_ op: Op, _ operands: [String]) -> String {
    let dtype: DType = if case .fill(let type, _) = op { type.dtype } else { .int64 }
    let attributes = op.attributes.map { "\($0.label): \($0.value.text(dtype))" }
    return (operands + attributes).joined(separator: ", ")
  }

  /// The constants that the text names instead of showing, for reading the text back.
  public var namedConstants: [String: ConstantArray] {
    var table: [String: ConstantArray] = [:]
    for node in nodes {
      if let array = node.constant, array.hasName { table[array.name] = array }
      if case .region(let region as GraphRegion) = node.operation {
        for graph in region.graphs { table.merge(graph.namedConstants) { known, _ in known } }
      }
    }
    return table
  }

  static func quotedIfNeeded(_ name: String) -> String {
    let isPlain =
      name.first.map { $0.isASCII && ($0.isLetter || $0 == "_") } ?? false
      && name.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_" || $0 == ".") }
    if isPlain { return name }
    var quoted = "\""
    for scalar in name.unicodeScalars {
      switch scalar {
      case "\"", "\\": quoted += "\\" + String(scalar)
      case "\n": quoted += "\\n"
      default: quoted.unicodeScalars.append(scalar)
      }
    }
    return quoted + "\""
  }
}

extension OpAttribute {
  func text(_ dtype: DType) -> String {
    switch self {
    case .flag(let value): "\(value)"
    case .integer(let value): "\(value)"
    case .number(let value): Element(bits: value.bitPattern).text(.float64)
    case .dtype(let value): "\(value)"
    case .integers(let values): "\(values)"
    case .element(let element): element.text(dtype)
    }
  }
}

extension Element {
  /// The element as text that gives the same bits when read: the shortest decimal, or the bits themselves
  /// where no decimal stands for them.
  package func text(_ dtype: DType) -> String {
    switch dtype {
    case .bool: return bits & 0xFF == 0 ? "false" : bits & 0xFF == 1 ? "true" : hexadecimal(2)
    case .int64: return "\(Int64(bitPattern: bits))"
    case .uint8, .int8, .int16, .int32: return "\(Int(value(dtype)))"
    case .float16, .bfloat16, .float32, .float64:
      let number = value(dtype)
      if number.isNaN { return hexadecimal(dtype.size * 2) }
      return dtype == .float64 ? "\(number)" : "\(Float(number))"
    }
  }

  private func hexadecimal(_ digits: Int) -> String {
    let mask: UInt64 = digits >= 16 ? .max : (1 << UInt64(digits * 4)) - 1
    let text = String(bits & mask, radix: 16)
    return "0x" + String(repeating: "0", count: Swift.max(0, digits - text.count)) + text
  }

  /// Reads what `text` prints.
  init?(text: String, _ dtype: DType) {
    if text.hasPrefix("0x") {
      guard let bits = UInt64(text.dropFirst(2), radix: 16) else { return nil }
      self.init(bits: bits)
      return
    }
    switch dtype {
    case .bool:
      guard let value = Bool(text) else { return nil }
      self.init(bits: value ? 1 : 0)
    case .uint8, .int8, .int16, .int32, .int64:
      guard let value = Int(text) else { return nil }
      self.init(integer: value, dtype)
    case .float32:
      guard let value = Float(text) else { return nil }
      self.init(bits: UInt64(value.bitPattern))
    case .float16, .bfloat16, .float64:
      guard let value = Double(text) else { return nil }
      self.init(value, dtype)
    }
  }
}
