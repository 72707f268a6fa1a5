// Unsafe: fills memory that the caller has, and never more than it holds.

import Foundation

/// Bytes that come one after the other: those of a file, of a part of one, or what decompressing them gives.
protocol ByteSource: AnyObject {
  /// The file, for messages.
  var url: URL { get }
  /// How many bytes are left. What is compressed may claim any number.
  var remaining: Int { get }
  /// How many bytes the file justifies to ask of the system before they have come.
  var justified: Int { get }
  /// Puts the next bytes into a buffer that is not empty. Returns how many; 0 at the end.
  func read(into buffer: UnsafeMutableRawBufferPointer) throws(DataError) -> Int
}

extension ByteSource {
  /// Fills a buffer; ending before is an error.
  func fill(_ buffer: UnsafeMutableRawBufferPointer) throws(DataError) {
    var filled = 0
    while filled < buffer.count {
      let got = try read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[filled...]))
      guard got > 0 else {
        throw DataError(url, "truncated: it ends \(buffer.count - filled) bytes too early")
      }
      filled += got
    }
  }

  /// That many bytes; ending before is an error. For counts that are small, or known to be there.
  func bytes(_ count: Int) throws(DataError) -> [UInt8] {
    guard count <= remaining else {
      throw DataError(url, "truncated: it ends \(count - remaining) bytes too early")
    }
    var result = [UInt8](repeating: 0, count: count)
    var failure: DataError?
    result.withUnsafeMutableBytes { bytes in
      do throws(DataError) { try fill(bytes) } catch { failure = error }
    }
    if let failure { throw failure }
    return result
  }
}

/// The bytes of a part of a file.
final class FilePart: ByteSource {
  private let file: InputFile
  private var place: Int
  private let end: Int

  /// All of a file.
  convenience init(_ file: InputFile) { self.init(file, 0..<file.size) }

  /// A range that lies within the file.
  init(_ file: InputFile, _ range: Range<Int>) {
    self.file = file
    place = range.lowerBound
    end = range.upperBound
  }

  var url: URL { file.url }
  var remaining: Int { end - place }
  var justified: Int { remaining }

  func read(into buffer: UnsafeMutableRawBufferPointer) throws(DataError) -> Int {
    let count = min(buffer.count, remaining)
    try file.read(at: place, into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<count]))
    place += count
    return count
  }
}
