// Unsafe: hands zlib the caller's memory and its own buffer's for the length of a call. zlib keeps the stream's
// address, which is that of memory allocated in init and freed in deinit.

import Foundation

/// What decompressing raw Deflate data gives (RFC 1951).
final class Inflater: ByteSource {
  /// More bytes do not come of one compressed one (zlib's technical notes).
  static let largestRatio = 1_032

  private let source: FilePart
  private let zlib: Zlib
  private let stream: UnsafeMutablePointer<ZlibStream>
  private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 1)
  private var hasEnded = false
  private(set) var remaining: Int
  let justified: Int

  /// - Parameter size: How many bytes are said to come.
  init(_ source: FilePart, size: Int) throws(DataError) {
    zlib = try Zlib.required(for: source.url)
    self.source = source
    remaining = size
    // What data usually shrink by. Where they claim more, memory is asked for as they come.
    justified = max(1 << 20, 8 * min(source.remaining, 1 << 50))
    stream = .allocate(capacity: 1)
    stream.initialize(to: ZlibStream())
    guard
      zlib.inflateInit(
        stream, ZlibStream.rawWindowBits, Zlib.version, ZlibStream.size) == ZlibStream.okay
    else { throw DataError(source.url, "cannot be decompressed") }
  }

  deinit {
    _ = zlib.inflateEnd(stream)
    stream.deallocate()
    buffer.deallocate()
  }

  var url: URL { source.url }

  func read(into target: UnsafeMutableRawBufferPointer) throws(DataError) -> Int {
    let wanted = UInt32(min(target.count, 1 << 30))
    stream.pointee.nextOut = target.baseAddress
    stream.pointee.availableOut = wanted
    while !hasEnded && stream.pointee.availableOut == wanted {
      if stream.pointee.availableIn == 0 {
        let count = source.remaining > 0 ? try source.read(into: buffer) : 0
        guard count > 0 else { throw DataError(url, "truncated: compressed data have no end") }
        stream.pointee.nextIn = UnsafeRawPointer(buffer.baseAddress)
        stream.pointee.availableIn = UInt32(count)
      }
      switch zlib.inflate(stream, ZlibStream.noFlush) {
      case ZlibStream.okay, ZlibStream.bufferError: break
      case ZlibStream.streamEnd: hasEnded = true
      default:
        let message = stream.pointee.message.map { String(cString: $0) }
        throw DataError(url, "damaged: \(message ?? "not compressed data")")
      }
    }
    let count = Int(wanted - stream.pointee.availableOut)
    remaining = max(0, remaining - count)
    return count
  }
}
