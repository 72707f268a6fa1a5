/// Reads JSON (RFC 8259) piece by piece. It makes no tree, so that a document takes no more memory than what is asked
/// of it, and looks at no more than `maximumDepth` values inside each other.
struct JSONScanner {
  /// Why the text is not what it should be, and where: the place counts bytes.
  struct Failure: Error {
    var reason: String
    var place: Int
  }

  static let maximumDepth = 32

  private let bytes: [UInt8]
  private var place = 0
  private var depth = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  func failure(_ reason: String) -> Failure { Failure(reason: reason, place: place) }

  /// The members of an object. The body gets each name in turn, and reads its value.
  mutating func object(
    _ member: (inout JSONScanner, String) throws(Failure) -> Void
  ) throws(Failure) {
    try list("{", "}") { scanner throws(Failure) in
      let name = try scanner.string()
      try scanner.expect(":")
      try member(&scanner, name)
    }
  }

  /// The elements of an array. The body reads each.
  mutating func array(_ element: (inout JSONScanner) throws(Failure) -> Void) throws(Failure) {
    try list("[", "]", element)
  }

  private mutating func list(
    _ opening: Unicode.Scalar, _ closing: Unicode.Scalar,
    _ item: (inout JSONScanner) throws(Failure) -> Void
  ) throws(Failure) {
    try expect(opening)
    depth += 1
    guard depth <= Self.maximumDepth else {
      throw failure("more than \(Self.maximumDepth) values inside each other")
    }
    defer { depth -= 1 }
    if take(closing) { return }
    repeat { try item(&self) } while take(",")
    try expect(closing)
  }

  /// A whole number that is not below 0.
  mutating func integer() throws(Failure) -> Int {
    skipSpace()
    let start = place
    var value = 0
    while let digit = next, (0x30...0x39).contains(digit) {
      let (ten, overflow) = value.multipliedReportingOverflow(by: 10)
      let (sum, carry) = ten.addingReportingOverflow(Int(digit - 0x30))
      guard !overflow, !carry else { throw failure("a number that is too large") }
      value = sum
      place += 1
    }
    let isPlain = place == start + 1 || place > start && bytes[start] != 0x30
    guard isPlain, next != 0x2E, next != 0x65, next != 0x45 else {
      throw failure("a whole number from 0 up was expected")
    }
    return value
  }

  mutating func string() throws(Failure) -> String {
    try expect("\"")
    var text: [UInt8] = []
    while true {
      guard let byte = next else { throw failure("the text ends inside a string") }
      place += 1
      switch byte {
      case 0x22:
        guard let result = String(validating: text, as: UTF8.self) else {
          throw failure("a string that is not UTF-8")
        }
        return result
      case 0x5C: text += Array(String(try escape()).utf8)
      case 0..<0x20: throw failure("a control character in a string")
      default: text.append(byte)
      }
    }
  }

  private mutating func escape() throws(Failure) -> Character {
    guard let byte = next else { throw failure("the text ends inside a string") }
    place += 1
    switch byte {
    case 0x22: return "\""
    case 0x5C: return "\\"
    case 0x2F: return "/"
    case 0x62: return "\u{8}"
    case 0x66: return "\u{C}"
    case 0x6E: return "\n"
    case 0x72: return "\r"
    case 0x74: return "\t"
    case 0x75:
      let unit = try hexadecimal()
      if let scalar = Unicode.Scalar(UInt32(unit)) { return Character(scalar) }
      // The first half of a pair (RFC 8259, section 7).
      guard unit < 0xDC00, take(raw: 0x5C), take(raw: 0x75) else {
        throw failure("half of a surrogate pair")
      }
      let second = try hexadecimal()
      guard (0xDC00..<0xE000).contains(second),
        let scalar = Unicode.Scalar(0x10000 + UInt32(unit - 0xD800) << 10 + UInt32(second - 0xDC00))
      else { throw failure("half of a surrogate pair") }
      return Character(scalar)
    default: throw failure("an unknown escape in a string")
    }
  }

  private mutating func hexadecimal() throws(Failure) -> UInt16 {
    var value: UInt16 = 0
    for _ in 0..<4 {
      guard let byte = next, let digit = Character(Unicode.Scalar(byte)).hexDigitValue,
        byte < 0x80
      else { throw failure("four hexadecimal digits were expected") }
      value = value << 4 | UInt16(digit)
      place += 1
    }
    return value
  }

  /// Goes on behind any value.
  mutating func skipValue() throws(Failure) {
    skipSpace()
    switch next {
    case UInt8(ascii: "{"):
      try object { scanner, _ throws(Failure) in try scanner.skipValue() }
    case UInt8(ascii: "["): try array { scanner throws(Failure) in try scanner.skipValue() }
    case UInt8(ascii: "\""): _ = try string()
    default:
      let start = place
      while let byte = next, byte.isPartOfWord { place += 1 }
      let word = String(decoding: bytes[start..<place], as: UTF8.self)
      let isNumber = word.allSatisfy { "0123456789+-.eE".contains($0) } && Double(word) != nil
      guard isNumber || ["true", "false", "null"].contains(word) else {
        throw failure("a value was expected")
      }
    }
  }

  /// Nothing but space is left.
  mutating func end() throws(Failure) {
    skipSpace()
    guard place == bytes.count else { throw failure("text behind the end") }
  }

  mutating func expect(_ scalar: Unicode.Scalar) throws(Failure) {
    guard take(scalar) else { throw failure("'\(scalar)' was expected") }
  }

  /// Whether the next character behind any space was that one, which is then behind.
  private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
    skipSpace()
    return take(raw: UInt8(ascii: scalar))
  }

  private mutating func take(raw byte: UInt8) -> Bool {
    guard next == byte else { return false }
    place += 1
    return true
  }

  private mutating func skipSpace() {
    while let byte = next,
      byte == 0x20 || (0x09...0x0D).contains(byte) && byte != 0x0B && byte != 0x0C
    {
      place += 1
    }
  }

  private var next: UInt8? { place < bytes.count ? bytes[place] : nil }
}

extension UInt8 {
  /// Whether a number or `true`, `false`, `null` may have it.
  fileprivate var isPartOfWord: Bool {
    (0x30...0x39).contains(self) || (0x61...0x7A).contains(self) || (0x41...0x5A).contains(self)
      || self == 0x2B || self == 0x2D || self == 0x2E
  }
}
