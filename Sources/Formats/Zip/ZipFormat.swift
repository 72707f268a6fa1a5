/// The records of zip archives (PKWARE, "APPNOTE.TXT", 6.3), and their numbers, which are little-endian.
enum ZipFormat {
  static let localHeader: UInt32 = 0x0403_4B50
  static let centralHeader: UInt32 = 0x0201_4B50
  static let end: UInt32 = 0x0605_4B50
  static let end64: UInt32 = 0x0606_4B50
  static let end64Locator: UInt32 = 0x0706_4B50

  static let localHeaderSize = 30
  static let centralHeaderSize = 46
  static let endSize = 22
  static let end64Size = 56
  static let end64LocatorSize = 20
  static let longestComment = 0xFFFF

  /// The extra field with numbers of 64 bits, for those that are `full` in their places.
  static let extra64: UInt16 = 1
  static let full16 = 0xFFFF
  static let full32 = 0xFFFF_FFFF

  static let stored: UInt16 = 0
  static let deflated: UInt16 = 8
  static let encryptedFlag: UInt16 = 1
  static let utf8Flag: UInt16 = 0x800
}

/// Reads numbers from bytes, one behind the other. Past the end there is none.
struct LittleEndianReader {
  private let bytes: ArraySlice<UInt8>
  private var place: Int

  init(_ bytes: ArraySlice<UInt8>) {
    self.bytes = bytes
    place = bytes.startIndex
  }

  init(_ bytes: [UInt8]) { self.init(bytes[...]) }

  var remaining: Int { bytes.endIndex - place }

  mutating func take(_ count: Int) -> ArraySlice<UInt8>? {
    guard count >= 0, count <= remaining else { return nil }
    defer { place += count }
    return bytes[place..<(place + count)]
  }

  mutating func number<N: FixedWidthInteger & UnsignedInteger>(_ type: N.Type) -> N? {
    take(N.bitWidth / 8)?.reversed().reduce(0) { $0 << 8 | N($1) }
  }

  /// A number of 16 or 32 bits.
  mutating func short() -> Int? { number(UInt16.self).map { Int($0) } }
  mutating func word() -> Int? { number(UInt32.self).map { Int($0) } }
  /// A number of 64 bits, if it is below 2^63.
  mutating func long() -> Int? { number(UInt64.self).flatMap { Int(exactly: $0) } }
}

extension [UInt8] {
  /// Adds a number.
  mutating func append<N: FixedWidthInteger>(littleEndian number: N) {
    for shift in stride(from: 0, to: N.bitWidth, by: 8) {
      append(UInt8(truncatingIfNeeded: number >> N(shift)))
    }
  }
}
