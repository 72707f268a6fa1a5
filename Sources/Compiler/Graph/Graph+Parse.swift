import DuetRuntime

extension Graph {
  /// Reads the text that `description` prints.
  /// - Parameter constants: The arrays that the text names; see `namedConstants`.
  /// - Throws: `GraphError`, which says what was expected and in which line.
  public init(parsing text: String, constants: [String: ConstantArray] = [:]) throws(GraphError) {
    var parser = GraphParser(text, constants)
    do throws(GraphError) {
      self = try parser.graph()
    } catch {
      throw GraphError("line \(parser.line): \(error)")
    }
    try verify()
  }
}

/// A recursive-descent reader of the text form.
private struct GraphParser {
  private let text: [UInt8]
  private var at = 0
  private(set) var line = 1
  private let constants: [String: ConstantArray]
  private var values: [String: ValueID] = [:]
  /// How many regions the place is inside of.
  private var depth = 0
  private static let maximumDepth = 64

  init(_ text: String, _ constants: [String: ConstantArray]) {
    self.text = Array(text.utf8)
    self.constants = constants
  }

  mutating func graph() throws(GraphError) -> Graph {
    try expect("graph")
    let graph = try body()
    guard peek() == nil else { throw GraphError("something follows the graph") }
    return graph
  }

  /// What stands behind the word `graph`. Values have numbers of their own in each.
  private mutating func body() throws(GraphError) -> Graph {
    let around = values
    values = [:]
    depth += 1
    defer {
      values = around
      depth -= 1
    }
    guard depth <= Self.maximumDepth else {
      throw GraphError("more than \(Self.maximumDepth) graphs inside each other")
    }
    var builder = GraphBuilder()
    try expect("(")
    while !accept(")") {
      let name = try name()
      try expect(":")
      let id = builder.addInput(try type(), name: name)
      values["%\(values.count)"] = id
      if !accept(",") {
        try expect(")")
        break
      }
    }
    try expect("-")
    try expect(">")
    try expect("(")
    var results: [(name: String, value: String)] = []
    while !accept(")") {
      if peek() == UInt8(ascii: "%") {
        results.append(("", try valueName()))
      } else {
        let name = try name()
        try expect(":")
        results.append((name, try valueName()))
      }
      if !accept(",") {
        try expect(")")
        break
      }
    }
    try expect("{")
    while !accept("}") { try statement(&builder) }
    var outputs: [ValueID] = []
    for result in results { outputs.append(try value(result.value)) }
    return builder.finish(outputs: outputs, outputNames: results.map(\.name))
  }

  private mutating func statement(_ builder: inout GraphBuilder) throws(GraphError) {
    let target = try valueName()
    try expect("=")
    let operation = try word()
    guard values[target] == nil else { throw GraphError("\(target) is defined twice") }
    if operation == "constant" {
      values[target] = builder.addConstant(try constant())
      return
    }
    try expect("(")
    var operands: [ValueID] = []
    var raw: [(label: String, text: String, list: [String]?)] = []
    while !accept(")") {
      if peek() == UInt8(ascii: "%") {
        operands.append(try value(try valueName()))
      } else {
        let label = try word()
        try expect(":")
        if accept("[") {
          raw.append((label, "", try list()))
        } else {
          raw.append((label, try word(), nil))
        }
      }
      if !accept(",") {
        try expect(")")
        break
      }
    }
    let isRegion = GraphRegion.isName(operation)
    var graphs: [String: Graph] = [:]
    if isRegion {
      try expect("{")
      while !accept("}") { graphs[try word()] = try body() }
    } else {
      try expect(":")
    }
    let result = isRegion ? Region.type : try type()
    var attributes: [String: OpAttribute] = [:]
    for (label, text, list) in raw {
      attributes[label] = try attribute(operation, label, text, list, result)
    }
    let reader = AttributeReader(operation: operation, values: attributes)
    let op =
      isRegion
      ? Op.region(try GraphRegion(name: operation, reader, graphs: graphs))
      : try Op(name: operation, reader, result: result)
    let id: ValueID
    do throws(OpError) {
      id = try builder.add(op, operands)
    } catch {
      throw GraphError("\(error)")
    }
    guard builder.type(of: id) == result else {
      throw GraphError("\(operation) gives \(builder.type(of: id)) but is said to be \(result)")
    }
    values[target] = id
  }

  private func attribute(
    _ operation: String, _ label: String, _ text: String, _ list: [String]?, _ result: TensorType
  ) throws(GraphError) -> OpAttribute {
    if let list {
      var integers: [Int] = []
      for item in list {
        guard let value = Int(item) else { throw GraphError("\(item) is not an integer") }
        integers.append(value)
      }
      return .integers(integers)
    }
    if operation == "fill" && label == "value" {
      guard let element = Element(text: text, result.dtype) else {
        throw GraphError("\(text) is not an element of \(result.dtype)")
      }
      return .element(element)
    }
    if let flag = Bool(text) { return .flag(flag) }
    if let integer = Int(text) { return .integer(integer) }
    if let dtype = DType(name: text) { return .dtype(dtype) }
    if let number = Element(text: text, .float64) { return .number(number.value(.float64)) }
    throw GraphError("\(text) is no value for the attribute \(label)")
  }

  private mutating func constant() throws(GraphError) -> ConstantArray {
    let type = try type()
    if peek() == UInt8(ascii: "@") {
      let name = try word()
      guard let array = constants[name], array.type == type else {
        throw GraphError("the constant \(name) of type \(type) was not given")
      }
      return array
    }
    let texts = accept("[") ? try list() : [try word()]
    guard texts.count == type.shape.elementCount else {
      throw GraphError("\(texts.count) elements do not make a \(type)")
    }
    var elements: [Element] = []
    for text in texts {
      guard let element = Element(text: text, type.dtype) else {
        throw GraphError("\(text) is not an element of \(type.dtype)")
      }
      elements.append(element)
    }
    return ConstantArray(elements, type)
  }

  private mutating func type() throws(GraphError) -> TensorType {
    let name = try word()
    guard let dtype = DType(name: name) else { throw GraphError("\(name) is not a dtype") }
    try expect("[")
    var shape = Shape()
    for item in try list() {
      guard let size = Int(item), size >= 0 else { throw GraphError("\(item) is not a size") }
      guard shape.rank < Shape.maximumRank else { throw GraphError("more than 8 axes") }
      shape.append(size)
    }
    guard shape.isRepresentable else {
      throw GraphError("\(shape) has more elements than any memory")
    }
    return TensorType(dtype, shape)
  }

  /// Words up to the closing bracket, whose opening one has been read.
  private mutating func list() throws(GraphError) -> [String] {
    var items: [String] = []
    while !accept("]") {
      items.append(try word())
      if !accept(",") {
        try expect("]")
        break
      }
    }
    return items
  }

  private func value(_ name: String) throws(GraphError) -> ValueID {
    guard let id = values[name] else { throw GraphError("\(name) is not defined before its use") }
    return id
  }

  private mutating func valueName() throws(GraphError) -> String {
    guard peek() == UInt8(ascii: "%") else { throw GraphError("expected a value such as %3") }
    return try word()
  }

  /// A word, or any text in quotes.
  private mutating func name() throws(GraphError) -> String {
    guard peek() == UInt8(ascii: "\"") else { return try word() }
    at += 1
    var bytes: [UInt8] = []
    while at < text.count, text[at] != UInt8(ascii: "\"") {
      if text[at] == UInt8(ascii: "\\"), at + 1 < text.count {
        at += 1
        bytes.append(text[at] == UInt8(ascii: "n") ? 10 : text[at])
      } else {
        bytes.append(text[at])
      }
      at += 1
    }
    guard at < text.count else { throw GraphError("a name without a closing quote") }
    at += 1
    return String(decoding: bytes, as: UTF8.self)
  }

  private mutating func word() throws(GraphError) -> String {
    skipSpace()
    let start = at
    while at < text.count, Self.isWordByte(text[at]) { at += 1 }
    guard at > start else { throw GraphError("expected a name or a number") }
    return String(decoding: text[start..<at], as: UTF8.self)
  }

  private static func isWordByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "%"), UInt8(ascii: "@"),
      UInt8(ascii: "_"),
      UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "+"):
      true
    default: false
    }
  }

  /// Skips what means nothing: white space, and remarks from `#` to the end of the line.
  private mutating func skipSpace() {
    var isRemark = false
    while at < text.count {
      switch text[at] {
      case 10:
        line += 1
        isRemark = false
      case 32, 9, 13: break
      case UInt8(ascii: "#"): isRemark = true
      default: if !isRemark { return }
      }
      at += 1
    }
  }

  private mutating func peek() -> UInt8? {
    skipSpace()
    return at < text.count ? text[at] : nil
  }

  private mutating func accept(_ token: String) -> Bool {
    skipSpace()
    guard text[at...].starts(with: token.utf8) else { return false }
    at += token.utf8.count
    return true
  }

  private mutating func expect(_ token: String) throws(GraphError) {
    guard accept(token) else { throw GraphError("expected \"\(token)\"") }
  }
}
