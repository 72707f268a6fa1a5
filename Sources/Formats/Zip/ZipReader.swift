import Foundation

/// A zip archive, opened: what members it has, and where.
struct ZipReader: Sendable {
  /// A file in an archive.
  struct Member: Sendable {
    var name: String
    var isCompressed: Bool
    var checksum: UInt32
    var compressedSize: Int
    /// The number of bytes that it has, as the archive claims.
    var size: Int
    /// Where its record begins, and its data, in the archive.
    var start: Int
    var dataStart = 0
  }

  let url: URL
  let members: [Member]
  private let file: InputFile

  init(_ url: URL) throws(DataError) {
    let file = try InputFile(url)
    let directory = try ZipDirectory(of: file)
    var members = try directory.members(of: file)
    var names: Set<String> = []
    for i in members.indices {
      guard names.insert(members[i].name).inserted else {
        throw DataError(url, "has two members \(quoted(members[i].name))")
      }
      members[i].dataStart = try Self.dataStart(of: members[i], in: file, before: directory.start)
    }
    // Members that share bytes could claim more than the archive has.
    var end = 0
    for member in members.sorted(by: { $0.start < $1.start }) {
      guard member.start >= end else {
        throw DataError(url, "damaged: the member \(quoted(member.name)) begins inside another")
      }
      end = member.dataStart + member.compressedSize
    }
    self.url = url
    self.file = file
    self.members = members
  }

  /// The place behind a member's own header, which is checked.
  private static func dataStart(
    of member: Member, in file: InputFile, before end: Int
  ) throws(DataError) -> Int {
    let damage = DataError(
      file.url, "damaged: no member \(quoted(member.name)) at byte \(member.start)")
    let nameSize = member.name.utf8.count
    let headSize = ZipFormat.localHeaderSize + nameSize
    guard member.start <= end, headSize <= end - member.start else { throw damage }
    var reader = LittleEndianReader(try file.bytes(at: member.start, count: headSize))
    guard reader.number(UInt32.self) == ZipFormat.localHeader,
      let flags = reader.take(4).map({ UInt16($0.last!) << 8 | UInt16($0[$0.endIndex - 2]) }),
      flags & ZipFormat.encryptedFlag == 0, reader.take(18) != nil,
      reader.short() == nameSize, let extraSize = reader.short(),
      reader.take(nameSize)?.elementsEqual(member.name.utf8) == true
    else { throw damage }
    let start = member.start + headSize + extraSize
    guard start <= end, member.compressedSize <= end - start else { throw damage }
    return start
  }

  /// A member's bytes from the first on.
  func open(_ member: Member) throws(DataError) -> ZipMemberReader {
    let end = member.dataStart + member.compressedSize
    return try ZipMemberReader(member, FilePart(file, member.dataStart..<end))
  }
}
