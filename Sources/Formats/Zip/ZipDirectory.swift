import Foundation

/// Where an archive's central directory lies.
struct ZipDirectory {
  let start: Int
  private let size: Int
  private let count: Int

  /// Finds the record at the archive's end.
  init(of file: InputFile) throws(DataError) {
    let tailSize = min(file.size, ZipFormat.endSize + ZipFormat.longestComment)
    let tail = try file.bytes(at: file.size - tailSize, count: tailSize)
    // The comment behind the record may look like another one: only one that ends at the file's end counts.
    guard
      let place = stride(from: tailSize - ZipFormat.endSize, through: 0, by: -1).first(where: {
        tail[$0] == 0x50 && Self.isEnd(tail[$0...])
      })
    else { throw DataError(file.url, "not a zip archive, or truncated") }
    var reader = LittleEndianReader(tail[place...])
    _ = reader.take(8)
    guard reader.short() != nil, var count = reader.short(), var size = reader.word(),
      var start = reader.word()
    else { throw DataError(file.url, "not a zip archive, or truncated") }
    var end = file.size - tailSize + place
    let isFull =
      count == ZipFormat.full16 || size == ZipFormat.full32 || start == ZipFormat.full32
    if isFull, let found = try Self.end64(of: file, before: end) {
      (count, size, start, end) = found
    }
    guard start <= end, size <= end - start else {
      throw DataError(file.url, "damaged: the directory of the archive lies outside of it")
    }
    guard count <= size / ZipFormat.centralHeaderSize else {
      throw DataError(file.url, "damaged: a directory of \(size) bytes has no \(count) members")
    }
    (self.start, self.size, self.count) = (start, size, count)
  }

  private static func isEnd(_ bytes: ArraySlice<UInt8>) -> Bool {
    var reader = LittleEndianReader(bytes)
    guard reader.number(UInt32.self) == ZipFormat.end, reader.take(16) != nil,
      let comment = reader.short()
    else { return false }
    return comment == reader.remaining
  }

  /// What the record of a large archive says, which lies before the other one, if there is one.
  private static func end64(
    of file: InputFile, before end: Int
  ) throws(DataError) -> (count: Int, size: Int, start: Int, end: Int)? {
    let locatorPlace = end - ZipFormat.end64LocatorSize
    guard locatorPlace >= 0 else { return nil }
    var locator = LittleEndianReader(
      try file.bytes(at: locatorPlace, count: ZipFormat.end64LocatorSize))
    guard locator.number(UInt32.self) == ZipFormat.end64Locator else { return nil }
    let damage = DataError(
      file.url, "damaged: the record at the archive's end is not where it should be")
    guard locator.take(4) != nil, let place = locator.long(), place <= locatorPlace,
      ZipFormat.end64Size <= locatorPlace - place
    else { throw damage }
    var record = LittleEndianReader(try file.bytes(at: place, count: ZipFormat.end64Size))
    guard record.number(UInt32.self) == ZipFormat.end64, record.take(28) != nil,
      let count = record.long(), let size = record.long(), let start = record.long()
    else { throw damage }
    return (count, size, start, place)
  }

  /// The members as the directory lists them.
  func members(of file: InputFile) throws(DataError) -> [ZipReader.Member] {
    let bytes = try file.bytes(at: start, count: size)
    var reader = LittleEndianReader(bytes)
    var result: [ZipReader.Member] = []
    for _ in 0..<count {
      guard let member = try Self.member(&reader, file.url) else {
        throw DataError(file.url, "damaged: the directory of the archive ends too early")
      }
      result.append(member)
    }
    return result
  }

  private static func member(
    _ reader: inout LittleEndianReader, _ url: URL
  ) throws(DataError) -> ZipReader.Member? {
    guard reader.number(UInt32.self) == ZipFormat.centralHeader, reader.take(4) != nil,
      let flags = reader.number(UInt16.self), let method = reader.number(UInt16.self),
      reader.take(4) != nil, let checksum = reader.number(UInt32.self),
      var compressedSize = reader.word(), var size = reader.word(),
      let nameSize = reader.short(), let extraSize = reader.short(),
      let commentSize = reader.short(), reader.take(8) != nil, var start = reader.word(),
      let nameBytes = reader.take(nameSize), let extra = reader.take(extraSize),
      reader.take(commentSize) != nil
    else { return nil }
    guard let name = String(validating: nameBytes, as: UTF8.self) else {
      throw DataError(url, "has a member whose name is not UTF-8")
    }
    guard flags & ZipFormat.encryptedFlag == 0 else {
      throw DataError(url, "has an encrypted member: \(quoted(name))")
    }
    guard method == ZipFormat.stored || method == ZipFormat.deflated else {
      throw DataError(
        url,
        "compresses the member \(quoted(name)) by method \(method); 0 and 8 (Deflate) can be read")
    }
    guard fill(&size, &compressedSize, &start, from: extra) else { return nil }
    return ZipReader.Member(
      name: name, isCompressed: method == ZipFormat.deflated, checksum: checksum,
      compressedSize: compressedSize, size: size, start: start)
  }

  /// Takes the numbers that have no place in 32 bits from the extra fields. Whether they are there.
  private static func fill(
    _ size: inout Int, _ compressedSize: inout Int, _ start: inout Int,
    from extra: ArraySlice<UInt8>
  ) -> Bool {
    let full = ZipFormat.full32
    guard size == full || compressedSize == full || start == full else { return true }
    var fields = LittleEndianReader(extra)
    while let id = fields.number(UInt16.self), let length = fields.short(),
      let field = fields.take(length)
    {
      guard id == ZipFormat.extra64 else { continue }
      var numbers = LittleEndianReader(field)
      if size == full {
        guard let number = numbers.long() else { return false }
        size = number
      }
      if compressedSize == full {
        guard let number = numbers.long() else { return false }
        compressedSize = number
      }
      if start == full {
        guard let number = numbers.long() else { return false }
        start = number
      }
      return true
    }
    // Exactly so many bytes, without the field.
    return true
  }
}
