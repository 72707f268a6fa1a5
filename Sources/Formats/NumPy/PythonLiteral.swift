/// A literal of the language Python, as the headers of `.npy` files are.
indirect enum PythonLiteral: Equatable {
  case none
  case boolean(Bool)
  case integer(Int)
  case string(String)
  case tuple([PythonLiteral])
  case list([PythonLiteral])
  case dictionary([Pair])

  /// A key with its value.
  struct Pair: Equatable {
    var key: PythonLiteral
    var value: PythonLiteral
  }

  /// What is wrong with a text.
  struct Failure: Error {
    var reason: String
  }

  /// Reads one literal and nothing behind it but space.
  init(parsing text: [UInt8]) throws(Failure) {
    var parser = PythonParser(text)
    self = try parser.value(depth: 0)
    try parser.end()
  }
}

/// Reads literals by recursive descent, of a limited depth.
private struct PythonParser {
  typealias Failure = PythonLiteral.Failure

  private static let maximumDepth = 16
  private let text: [UInt8]
  private var place = 0

  init(_ text: [UInt8]) { self.text = text }

  mutating func value(depth: Int) throws(Failure) -> PythonLiteral {
    guard depth <= Self.maximumDepth else { throw Failure(reason: "too many brackets") }
    skipSpace()
    guard let byte = next else { throw Failure(reason: "it ends too early") }
    switch byte {
    case UInt8(ascii: "'"), UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "{"): return .dictionary(try dictionary(depth))
    case UInt8(ascii: "["): return .list(try items(until: "]", depth).values)
    case UInt8(ascii: "("):
      let (values, hasComma) = try items(until: ")", depth)
      // One value in parentheses is that value.
      return values.count == 1 && !hasComma ? values[0] : .tuple(values)
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .integer(try integer())
    default: return try word()
    }
  }

  private mutating func items(
    until closing: Unicode.Scalar, _ depth: Int
  ) throws(Failure) -> (values: [PythonLiteral], hasComma: Bool) {
    place += 1
    var values: [PythonLiteral] = []
    var hasComma = false
    while !take(closing) {
      guard values.isEmpty || hasComma else { throw Failure(reason: "a comma is missing") }
      values.append(try value(depth: depth + 1))
      hasComma = take(",")
    }
    return (values, hasComma)
  }

  private mutating func dictionary(_ depth: Int) throws(Failure) -> [PythonLiteral.Pair] {
    place += 1
    var pairs: [PythonLiteral.Pair] = []
    var hasComma = true
    while !take("}") {
      guard hasComma else { throw Failure(reason: "a comma is missing") }
      let key = try value(depth: depth + 1)
      guard take(":") else { throw Failure(reason: "a colon is missing") }
      pairs.append(PythonLiteral.Pair(key: key, value: try value(depth: depth + 1)))
      hasComma = take(",")
    }
    return pairs
  }

  private mutating func integer() throws(Failure) -> Int {
    let isNegative = take("-")
    var value = 0
    let start = place
    while let digit = next, (0x30...0x39).contains(digit) {
      let (ten, overflow) = value.multipliedReportingOverflow(by: 10)
      let (sum, carry) = ten.addingReportingOverflow(Int(digit - 0x30))
      guard !overflow, !carry else { throw Failure(reason: "a number is too large") }
      value = sum
      place += 1
    }
    guard place > start else { throw Failure(reason: "a number is missing") }
    // Python 2 wrote long integers so.
    _ = takeRaw(UInt8(ascii: "L"))
    return isNegative ? -value : value
  }

  private mutating func string() throws(Failure) -> String {
    let quote = text[place]
    place += 1
    var bytes: [UInt8] = []
    while let byte = next, byte != quote {
      place += 1
      guard byte == UInt8(ascii: "\\") else {
        bytes.append(byte)
        continue
      }
      // Names of dtypes have no escapes; in names of fields they only have to be passed over.
      guard let escaped = next else { break }
      place += 1
      bytes += [byte, escaped]
    }
    guard takeRaw(quote) else { throw Failure(reason: "a string has no end") }
    return String(decoding: bytes, as: UTF8.self)
  }

  private mutating func word() throws(Failure) -> PythonLiteral {
    let start = place
    while let byte = next, (0x61...0x7A).contains(byte | 0x20) { place += 1 }
    switch String(decoding: text[start..<place], as: UTF8.self) {
    case "True": return .boolean(true)
    case "False": return .boolean(false)
    case "None": return .none
    default: throw Failure(reason: "it is no Python literal")
    }
  }

  mutating func end() throws(Failure) {
    skipSpace()
    guard place == text.count else { throw Failure(reason: "something follows the literal") }
  }

  private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
    skipSpace()
    return takeRaw(UInt8(ascii: scalar))
  }

  private mutating func takeRaw(_ byte: UInt8) -> Bool {
    guard next == byte else { return false }
    place += 1
    return true
  }

  private mutating func skipSpace() {
    while let byte = next, byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D {
      place += 1
    }
  }

  private var next: UInt8? { place < text.count ? text[place] : nil }
}
