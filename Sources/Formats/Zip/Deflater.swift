// Unsafe: hands zlib the caller's memory and its own buffer's for the length of a call. zlib keeps the stream's
// address, which is that of memory allocated in init and freed in deinit.

import Foundation

/// Compresses bytes to raw Deflate data (RFC 1951).
final class Deflater {
  private let url: URL
  private let zlib: Zlib
  private let stream: UnsafeMutablePointer<ZlibStream>
  private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 1)

  // zlib's own defaults, which Python's zipfile takes, too.
  private static let level: Int32 = -1
  private static let memoryLevel: Int32 = 8
  private static let strategy: Int32 = 0

  /// - Parameter url: The file that is written, for messages.
  init(for url: URL) throws(DataError) {
    zlib = try Zlib.required(for: url)
    self.url = url
    stream = .allocate(capacity: 1)
    stream.initialize(to: ZlibStream())
    guard
      zlib.deflateInit(
        stream, Self.level, ZlibStream.deflated, ZlibStream.rawWindowBits, Self.memoryLevel,
        Self.strategy, Zlib.version, ZlibStream.size) == ZlibStream.okay
    else { throw DataError(url, "cannot be compressed") }
  }

  deinit {
    _ = zlib.deflateEnd(stream)
    stream.deallocate()
    buffer.deallocate()
  }

  /// Compresses more bytes. What comes of them and those before is handed over as it is ready.
  func add(
    _ bytes: UnsafeRawBufferPointer, _ put: (UnsafeRawBufferPointer) throws -> Void
  ) throws {
    var start = 0
    while start < bytes.count {
      let count = min(bytes.count - start, 1 << 30)
      stream.pointee.nextIn = bytes.baseAddress! + start
      stream.pointee.availableIn = UInt32(count)
      start += count
      try run(ZlibStream.noFlush, put)
    }
  }

  /// Hands over what is left.
  func finish(_ put: (UnsafeRawBufferPointer) throws -> Void) throws {
    stream.pointee.nextIn = nil
    stream.pointee.availableIn = 0
    try run(ZlibStream.finish, put)
  }

  private func run(
    _ flush: Int32, _ put: (UnsafeRawBufferPointer) throws -> Void
  ) throws {
    repeat {
      stream.pointee.nextOut = buffer.baseAddress
      stream.pointee.availableOut = UInt32(buffer.count)
      let result = zlib.deflate(stream, flush)
      let allowed = [ZlibStream.okay, ZlibStream.streamEnd, ZlibStream.bufferError]
      guard allowed.contains(result) else { throw DataError(url, "cannot be compressed") }
      let count = buffer.count - Int(stream.pointee.availableOut)
      if count > 0 { try put(UnsafeRawBufferPointer(rebasing: buffer[..<count])) }
    } while stream.pointee.availableOut == 0
  }
}
