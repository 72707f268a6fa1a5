import Foundation

/// Writes a zip archive, member by member, in the bytes that Python's `zipfile` gives it.
final class ZipWriter {
  private struct Member {
    var name: [UInt8]
    var start: Int
    var flags: UInt16
    var checksum: UInt32 = 0
    var compressedSize = 0
    var size = 0
  }

  private let url: URL
  private let file: OutputFile
  private let zlib: Zlib
  private let isCompressed: Bool
  private var members: [Member] = []

  // The first day that the format knows, so that equal arrays make equal files.
  private static let date: UInt16 = 1 << 5 | 1
  /// Version 4.5 of the format, which has sizes of 64 bits, and Unix as the system.
  private static let version: UInt16 = 45
  private static let madeBy: UInt16 = 3 << 8 | version
  /// Read and written by their owner.
  private static let permissions: UInt32 = 0o600 << 16

  /// - Parameter url: The file's, for messages.
  init(_ file: OutputFile, for url: URL, isCompressed: Bool) throws(DataError) {
    self.file = file
    self.url = url
    self.isCompressed = isCompressed
    zlib = try Zlib.required(for: url)
  }

  private var method: UInt16 { isCompressed ? ZipFormat.deflated : ZipFormat.stored }

  /// Adds a member whose bytes the body hands over part by part.
  func add(
    _ name: String, _ body: ((UnsafeRawBufferPointer) throws -> Void) throws -> Void
  ) throws {
    let bytes = Array(name.utf8)
    guard bytes.count < ZipFormat.full16 else {
      throw DataError(url, "cannot be written: the name \(quoted(name)) is too long for an archive")
    }
    let isASCII = bytes.allSatisfy { $0 < 0x80 }
    var member = Member(
      name: bytes, start: file.position, flags: isASCII ? 0 : ZipFormat.utf8Flag)
    // Sizes and checksum are put in when they are known.
    try file.write(localHeader(member))
    let start = file.position
    let deflater = isCompressed ? try Deflater(for: url) : nil
    try body { bytes in
      member.checksum = zlib.checksum(member.checksum, bytes)
      member.size += bytes.count
      if let deflater {
        try deflater.add(bytes) { try file.write($0) }
      } else {
        try file.write(bytes)
      }
    }
    try deflater?.finish { try file.write($0) }
    member.compressedSize = file.position - start
    try file.patch(at: member.start, localHeader(member))
    members.append(member)
  }

  private func localHeader(_ member: Member) -> [UInt8] {
    var record: [UInt8] = []
    record.append(littleEndian: ZipFormat.localHeader)
    for number in [Self.version, member.flags, method, 0, Self.date] {
      record.append(littleEndian: number)
    }
    for number in [member.checksum, .max, .max] { record.append(littleEndian: number) }
    record.append(littleEndian: UInt16(member.name.count))
    let extra = extra64([member.size, member.compressedSize])
    record.append(littleEndian: UInt16(extra.count))
    return record + member.name + extra
  }

  private func extra64(_ numbers: [Int]) -> [UInt8] {
    if numbers.isEmpty { return [] }
    var field: [UInt8] = []
    field.append(littleEndian: ZipFormat.extra64)
    field.append(littleEndian: UInt16(8 * numbers.count))
    for number in numbers { field.append(littleEndian: UInt64(number)) }
    return field
  }

  private func centralHeader(_ member: Member) -> [UInt8] {
    // As Python: numbers of more than 31 bits go into the extra field.
    let isLarge = max(member.size, member.compressedSize) > Int(Int32.max)
    let isFar = member.start > Int(Int32.max)
    let extra = extra64(
      (isLarge ? [member.size, member.compressedSize] : []) + (isFar ? [member.start] : []))
    var record: [UInt8] = []
    record.append(littleEndian: ZipFormat.centralHeader)
    for number in [Self.madeBy, Self.version, member.flags, method, 0, Self.date] {
      record.append(littleEndian: number)
    }
    record.append(littleEndian: member.checksum)
    record.append(littleEndian: isLarge ? .max : UInt32(member.compressedSize))
    record.append(littleEndian: isLarge ? .max : UInt32(member.size))
    for number in [UInt16(member.name.count), UInt16(extra.count), 0, 0, 0] {
      record.append(littleEndian: number)
    }
    record.append(littleEndian: Self.permissions)
    record.append(littleEndian: isFar ? .max : UInt32(member.start))
    return record + member.name + extra
  }

  /// Writes the directory, behind the last member.
  func finish() throws(DataError) {
    let start = file.position
    for member in members { try file.write(centralHeader(member)) }
    let size = file.position - start
    let count = members.count
    var record: [UInt8] = []
    if count >= ZipFormat.full16 || max(start, size) > Int(Int32.max) {
      record.append(littleEndian: ZipFormat.end64)
      record.append(littleEndian: UInt64(ZipFormat.end64Size - 12))
      record.append(littleEndian: Self.version)
      record.append(littleEndian: Self.version)
      record.append(littleEndian: UInt64(0))
      for number in [count, count, size, start] { record.append(littleEndian: UInt64(number)) }
      record.append(littleEndian: ZipFormat.end64Locator)
      record.append(littleEndian: UInt32(0))
      record.append(littleEndian: UInt64(start + size))
      record.append(littleEndian: UInt32(1))
    }
    record.append(littleEndian: ZipFormat.end)
    record.append(littleEndian: UInt32(0))
    let shortCount = UInt16(min(count, ZipFormat.full16))
    record.append(littleEndian: shortCount)
    record.append(littleEndian: shortCount)
    record.append(littleEndian: UInt32(min(size, ZipFormat.full32)))
    record.append(littleEndian: UInt32(min(start, ZipFormat.full32)))
    record.append(littleEndian: UInt16(0))
    try file.write(record)
  }
}
