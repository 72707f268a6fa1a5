// Unsafe: passes the caller's memory on, and looks at the part of it that has just been filled.

import Foundation

/// The bytes of an archive's member, whose checksum is computed as they come.
final class ZipMemberReader: ByteSource {
  private let member: ZipReader.Member
  private let source: any ByteSource
  private let zlib: Zlib
  private var checksum: UInt32 = 0

  init(_ member: ZipReader.Member, _ part: FilePart) throws(DataError) {
    zlib = try Zlib.required(for: part.url)
    self.member = member
    guard member.isCompressed else {
      guard member.size == member.compressedSize else {
        throw DataError(part.url, "damaged: the member \(quoted(member.name)) has two sizes")
      }
      source = part
      return
    }
    guard member.size / Inflater.largestRatio <= member.compressedSize else {
      throw DataError(
        part.url,
        "claims \(member.size) bytes for the member \(quoted(member.name)), "
          + "more than \(member.compressedSize) compressed ones can hold")
    }
    source = try Inflater(part, size: member.size)
  }

  var url: URL { source.url }
  var remaining: Int { source.remaining }
  var justified: Int { source.justified }

  func read(into buffer: UnsafeMutableRawBufferPointer) throws(DataError) -> Int {
    let count = try source.read(into: buffer)
    checksum = zlib.checksum(checksum, UnsafeRawBufferPointer(rebasing: buffer[..<count]))
    return count
  }

  /// Checks that nothing is left, and that what was read is what was written.
  func finish() throws(DataError) {
    var rest: [UInt8] = [0]
    var (count, failure): (Int, DataError?) = (0, nil)
    rest.withUnsafeMutableBytes { rest in
      do throws(DataError) { count = try source.read(into: rest) } catch { failure = error }
    }
    if let failure { throw failure }
    guard count == 0, remaining == 0 else {
      throw DataError(
        url, "damaged: the member \(quoted(member.name)) has another size than its array")
    }
    guard checksum == member.checksum else {
      throw DataError(
        url, "damaged: the checksum of the member \(quoted(member.name)) is wrong")
    }
  }
}
