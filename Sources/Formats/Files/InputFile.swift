// Unsafe: reads into memory that the caller has, and never more than fits there. The descriptor is open from init to
// deinit.

import Foundation

/// A file that is read by place: what is asked for, and nothing else of it.
///
/// Nothing is mapped: where another program shortens a mapped file, looking at it ends the process.
final class InputFile: Sendable {
  let url: URL
  /// The size when the file was opened.
  let size: Int
  private let descriptor: Int32

  init(_ url: URL) throws(DataError) {
    guard url.isFileURL else { throw DataError(url, "is not the URL of a file") }
    // Opening a named pipe would wait for a writer.
    let descriptor = url.withUnsafeFileSystemRepresentation { path in
      path.map { open($0, O_RDONLY | O_CLOEXEC | O_NONBLOCK) } ?? -1
    }
    guard descriptor >= 0 else {
      throw DataError(url, "does not exist or cannot be read: \(lastSystemError())")
    }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG,
      let size = Int(exactly: status.st_size)
    else {
      close(descriptor)
      throw DataError(url, "is not a file")
    }
    self.url = url
    self.size = size
    self.descriptor = descriptor
  }

  deinit { close(descriptor) }

  /// Fills the buffer with the bytes from that place on.
  func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(DataError) {
    var filled = 0
    while filled < buffer.count {
      // Systems read at most 2 GiB at once.
      let wanted = min(buffer.count - filled, 1 << 30)
      let got = pread(
        descriptor, buffer.baseAddress! + filled, wanted, off_t(offset) + off_t(filled))
      if got < 0 && errno == EINTR { continue }
      guard got >= 0 else { throw DataError(url, "cannot be read: \(lastSystemError())") }
      guard got > 0 else { throw DataError(url, "truncated while it was read") }
      filled += got
    }
  }

  /// The bytes of a part; it is an error if the file has none there.
  func bytes(at offset: Int, count: Int) throws(DataError) -> [UInt8] {
    guard offset >= 0, count >= 0, offset <= size, count <= size - offset else {
      throw DataError(url, "truncated: \(size) bytes, too few for \(count) at \(offset)")
    }
    if count == 0 { return [] }
    var failure: DataError?
    let result = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
      do throws(DataError) {
        try read(at: offset, into: UnsafeMutableRawBufferPointer(buffer))
        filled = count
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    return result
  }
}

/// What the system says about its last refusal.
func lastSystemError() -> String { String(cString: strerror(errno)) }
