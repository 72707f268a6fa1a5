import DuetRuntime
import Foundation

/// What stands before the elements in an `.npy` file (NumPy Enhancement Proposal 1; versions 1.0, 2.0 and 3.0).
struct NPYHeader {
  let type: TensorType
  let isBigEndian: Bool
  /// Whether the first axis's elements lie one behind the other, not the last one's.
  let isFortranOrder: Bool

  private static let magic: [UInt8] = [0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59]
  /// NumPy itself reads no longer ones from files that it does not trust; those of plain arrays have about 128.
  private static let maximumSize = 10_000

  /// Reads a header, and nothing behind it.
  init(from source: some ByteSource) throws(DataError) {
    let url = source.url
    guard source.remaining >= 10, try source.bytes(6) == Self.magic else {
      throw DataError(url, "not an array in NumPy's .npy format")
    }
    let version = try source.bytes(2)
    guard (1...3).contains(version[0]), version[1] == 0 else {
      throw DataError(
        url, "has version \(version[0]).\(version[1]) of the .npy format, not 1.0 to 3.0")
    }
    let sizeBytes = try source.bytes(version[0] == 1 ? 2 : 4)
    let size = sizeBytes.reversed().reduce(0) { $0 << 8 | Int($1) }
    guard size <= Self.maximumSize else {
      throw DataError(url, "claims an .npy header of \(size) bytes")
    }
    try self.init(parsing: try source.bytes(size), url)
  }

  private init(parsing text: [UInt8], _ url: URL) throws(DataError) {
    func error(_ reason: String) -> DataError { DataError(url, "not an .npy header: \(reason)") }
    var (description, isFortranOrder, sizes): (PythonLiteral?, Bool?, [Int]?)
    let literal: PythonLiteral
    do throws(PythonLiteral.Failure) {
      literal = try PythonLiteral(parsing: text)
    } catch {
      throw DataError(url, "not an .npy header: \(error.reason)")
    }
    guard case .dictionary(let pairs) = literal else { throw error("no dictionary") }
    for pair in pairs {
      switch (pair.key, pair.value) {
      case (.string("descr"), let value) where description == nil: description = value
      case (.string("fortran_order"), .boolean(let value)) where isFortranOrder == nil:
        isFortranOrder = value
      case (.string("shape"), .tuple(let values)) where sizes == nil:
        sizes = values.compactMap { if case .integer(let size) = $0 { size } else { nil } }
        guard sizes!.count == values.count else { throw error("a shape that has no numbers") }
      default: throw error("an entry that does not belong there")
      }
    }
    guard let description, let isFortranOrder, let sizes else {
      throw error("descr, fortran_order or shape is missing")
    }
    guard case .string(let name) = description else {
      throw DataError(url, "holds structured elements, not numbers")
    }
    switch NPYDType.named(name) {
    case .unknown(let reason):
      throw DataError(url, "holds elements of type \(quoted(name)): \(reason)")
    case .dtype(let dtype, let isBigEndian):
      type = TensorType(dtype, try Shape(sizes, of: "the array", in: url))
      self.isBigEndian = isBigEndian
      self.isFortranOrder = isFortranOrder
    }
  }

  /// The header of an array as NumPy writes it: as long as a multiple of 64 bytes, and with room for its first size to
  /// grow to 21 digits. Nil for a dtype that NumPy has no name for.
  static func bytes(for type: TensorType) -> [UInt8]? {
    guard let name = NPYDType.name(of: type.dtype) else { return nil }
    let sizes = type.shape.map(String.init)
    let shape = sizes.count == 1 ? "(\(sizes[0]),)" : "(\(sizes.joined(separator: ", ")))"
    var text = "{'descr': '\(name)', 'fortran_order': False, 'shape': \(shape), }"
    if let first = sizes.first { text += String(repeating: " ", count: 21 - first.count) }
    let before = magic.count + 4
    let padding = 64 - (before + text.utf8.count + 1) % 64
    text += String(repeating: " ", count: padding) + "\n"
    let size = text.utf8.count
    return magic + [1, 0, UInt8(size & 0xFF), UInt8(size >> 8)] + Array(text.utf8)
  }
}
