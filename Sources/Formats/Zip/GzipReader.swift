// Unsafe: calls zlib. `file` is valid from init to deinit.

import Foundation

/// Reads a file from its beginning, decompressed if it is gzip-compressed and as it is if not.
final class GzipReader {
  private let url: URL
  private let zlib: Zlib
  private let file: OpaquePointer

  init(_ url: URL) throws(DataError) {
    self.url = url
    let zlib = try Zlib.required(for: url)
    guard let file = url.withUnsafeFileSystemRepresentation({ zlib.open($0, "rb") }) else {
      throw DataError(url, "cannot be opened")
    }
    self.zlib = zlib
    self.file = file
  }

  deinit { _ = zlib.close(file) }

  /// Up to `count` bytes; fewer only at the end of the file. Memory grows with what the file really has.
  func read(_ count: Int) throws(DataError) -> [UInt8] {
    var bytes: [UInt8] = []
    let block = 1 << 20
    bytes.reserveCapacity(min(count, block))
    while bytes.count < count {
      let wanted = min(block, count - bytes.count)
      var got: Int32 = 0
      let part = [UInt8](unsafeUninitializedCapacity: wanted) { buffer, filled in
        got = zlib.read(file, buffer.baseAddress, UInt32(wanted))
        filled = max(0, Int(got))
      }
      bytes += part
      if got < 0 || got < wanted, let damage { throw DataError(url, damage) }
      if got < wanted { break }
    }
    return bytes
  }

  /// What is wrong with the compressed data, if anything.
  private var damage: String? {
    var code: Int32 = 0
    let message = zlib.error(file, &code).map { String(cString: $0) } ?? ""
    return code == 0 || code == 1 ? nil : "damaged: \(message)"
  }
}
