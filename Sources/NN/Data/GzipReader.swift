// Unsafe: calls zlib through addresses looked up at run time, with the types that zlib.h gives them. `file` is
// valid from init to deinit.

import Foundation

/// Reads a file from its beginning, decompressed if it is gzip-compressed and as it is if not.
final class GzipReader {
  private let url: URL
  private let zlib: Zlib
  private let file: OpaquePointer

  init(_ url: URL) throws(DataError) {
    self.url = url
    guard let zlib = Zlib.shared else {
      throw DataError(url, "needs zlib to read, but this machine has no \(Zlib.fileName)")
    }
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

/// The functions of zlib that are used. Looked up at run time: every Linux and macOS has the library, not every
/// one its header.
private struct Zlib: Sendable {
  typealias Open =
    @convention(c) @Sendable (UnsafePointer<CChar>?, UnsafePointer<CChar>) -> OpaquePointer?
  typealias Read =
    @convention(c) @Sendable (OpaquePointer, UnsafeMutableRawPointer?, UInt32) -> Int32
  typealias Close = @convention(c) @Sendable (OpaquePointer) -> Int32
  typealias ErrorText =
    @convention(c) @Sendable (OpaquePointer, UnsafeMutablePointer<Int32>) -> UnsafePointer<CChar>?

  let open: Open
  let read: Read
  let close: Close
  let error: ErrorText

  #if canImport(Darwin)
    static let fileName = "libz.1.dylib"
  #else
    static let fileName = "libz.so.1"
  #endif

  static let shared = Zlib()

  private init?() {
    guard let library = dlopen(Self.fileName, RTLD_NOW),
      let open = dlsym(library, "gzopen"), let read = dlsym(library, "gzread"),
      let close = dlsym(library, "gzclose"), let error = dlsym(library, "gzerror")
    else { return nil }
    // The types are those of the declarations in zlib.h.
    self.open = unsafeBitCast(open, to: Open.self)
    self.read = unsafeBitCast(read, to: Read.self)
    self.close = unsafeBitCast(close, to: Close.self)
    self.error = unsafeBitCast(error, to: ErrorText.self)
  }
}
