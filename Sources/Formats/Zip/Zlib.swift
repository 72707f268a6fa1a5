// Unsafe: calls zlib through addresses looked up at run time, with the types that zlib.h gives them.

import Foundation

/// The functions of zlib that are used. Looked up at run time: every Linux and macOS has the library, not every
/// one its header.
struct Zlib: Sendable {
  typealias Open =
    @convention(c) @Sendable (UnsafePointer<CChar>?, UnsafePointer<CChar>) -> OpaquePointer?
  typealias Read =
    @convention(c) @Sendable (OpaquePointer, UnsafeMutableRawPointer?, UInt32) -> Int32
  typealias Close = @convention(c) @Sendable (OpaquePointer) -> Int32
  typealias ErrorText =
    @convention(c) @Sendable (OpaquePointer, UnsafeMutablePointer<Int32>) -> UnsafePointer<CChar>?
  typealias Checksum = @convention(c) @Sendable (UInt, UnsafeRawPointer?, UInt32) -> UInt
  /// To a `ZlibStream`, a type that C function types cannot name.
  typealias StreamPointer = UnsafeMutableRawPointer
  typealias InflateInit =
    @convention(c) @Sendable (StreamPointer, Int32, UnsafePointer<CChar>, Int32) -> Int32
  typealias DeflateInit =
    @convention(c) @Sendable (
      StreamPointer, Int32, Int32, Int32, Int32, Int32, UnsafePointer<CChar>, Int32
    ) -> Int32
  typealias Step = @convention(c) @Sendable (StreamPointer, Int32) -> Int32
  typealias End = @convention(c) @Sendable (StreamPointer) -> Int32

  let open: Open
  let read: Read
  let close: Close
  let error: ErrorText
  let crc32: Checksum
  let inflateInit: InflateInit
  let inflate: Step
  let inflateEnd: End
  let deflateInit: DeflateInit
  let deflate: Step
  let deflateEnd: End

  /// The interface that this is: zlib refuses another first digit.
  static let version = "1.2.0"

  #if canImport(Darwin)
    static let fileName = "libz.1.dylib"
  #else
    static let fileName = "libz.so.1"
  #endif

  private static let shared = Zlib()

  /// The library, which reading or writing a file needs.
  static func required(for url: URL) throws(DataError) -> Zlib {
    guard let shared else {
      throw DataError(url, "needs zlib, but this machine has no \(fileName)")
    }
    return shared
  }

  private init?() {
    guard let library = dlopen(Self.fileName, RTLD_NOW),
      let open = dlsym(library, "gzopen"), let read = dlsym(library, "gzread"),
      let close = dlsym(library, "gzclose"), let error = dlsym(library, "gzerror"),
      let crc32 = dlsym(library, "crc32"),
      let inflateInit = dlsym(library, "inflateInit2_"),
      let inflate = dlsym(library, "inflate"), let inflateEnd = dlsym(library, "inflateEnd"),
      let deflateInit = dlsym(library, "deflateInit2_"),
      let deflate = dlsym(library, "deflate"), let deflateEnd = dlsym(library, "deflateEnd")
    else { return nil }
    // The types are those of the declarations in zlib.h.
    self.open = unsafeBitCast(open, to: Open.self)
    self.read = unsafeBitCast(read, to: Read.self)
    self.close = unsafeBitCast(close, to: Close.self)
    self.error = unsafeBitCast(error, to: ErrorText.self)
    self.crc32 = unsafeBitCast(crc32, to: Checksum.self)
    self.inflateInit = unsafeBitCast(inflateInit, to: InflateInit.self)
    self.inflate = unsafeBitCast(inflate, to: Step.self)
    self.inflateEnd = unsafeBitCast(inflateEnd, to: End.self)
    self.deflateInit = unsafeBitCast(deflateInit, to: DeflateInit.self)
    self.deflate = unsafeBitCast(deflate, to: Step.self)
    self.deflateEnd = unsafeBitCast(deflateEnd, to: End.self)
  }

  /// The CRC-32 of bytes that follow others of a known one; that of none is 0.
  func checksum(_ before: UInt32, _ bytes: UnsafeRawBufferPointer) -> UInt32 {
    var (value, start) = (UInt(before), 0)
    while start < bytes.count {
      let count = min(bytes.count - start, 1 << 30)
      value = crc32(value, bytes.baseAddress! + start, UInt32(count))
      start += count
    }
    return UInt32(truncatingIfNeeded: value)
  }
}

/// `z_stream` of zlib.h, field by field: Swift, too, places fields in their order by natural alignment, and zlib checks
/// the size. `UInt` is the `unsigned long` of every 64-bit system but Windows.
struct ZlibStream {
  var nextIn: UnsafeRawPointer?
  var availableIn: UInt32 = 0
  var totalIn: UInt = 0
  var nextOut: UnsafeMutableRawPointer?
  var availableOut: UInt32 = 0
  var totalOut: UInt = 0
  var message: UnsafePointer<CChar>?
  var state: OpaquePointer?
  var allocate: OpaquePointer?
  var free: OpaquePointer?
  var opaque: OpaquePointer?
  var dataType: Int32 = 0
  var adler: UInt = 0
  var reserved: UInt = 0

  static let size = Int32(MemoryLayout<ZlibStream>.size)
  /// Results and arguments of zlib's functions, and raw Deflate data: windows of 2^15 bytes without a header.
  static let okay: Int32 = 0
  static let streamEnd: Int32 = 1
  static let bufferError: Int32 = -5
  static let noFlush: Int32 = 0
  static let finish: Int32 = 4
  static let rawWindowBits: Int32 = -15
  static let deflated: Int32 = 8
}
