// Unsafe: writes memory that the caller has. The descriptor is open while the object exists.

import Foundation

/// A file that is there as a whole or not at all: what is written goes to a temporary file in the same folder, which
/// takes the file's name once everything is on the disk.
final class OutputFile {
  private let url: URL
  private let temporaryPath: String
  private let descriptor: Int32
  private var buffer: [UInt8] = []
  private var flushed = 0

  private static let bufferSize = 1 << 16

  /// Writes a file, or replaces it. If anything fails, what was there before is still there.
  /// - Throws: `DataError` if the file cannot be written, and what the body throws.
  static func write(to url: URL, _ body: (OutputFile) throws -> Void) throws {
    guard url.isFileURL else { throw DataError(url, "is not the URL of a file") }
    // What a symbolic link points to is replaced, not the link.
    let target = url.resolvingSymlinksInPath()
    let file = try OutputFile(replacing: target, for: url)
    do {
      try body(file)
      try file.finish(as: target)
    } catch {
      unlink(file.temporaryPath)
      throw error
    }
  }

  private init(replacing target: URL, for url: URL) throws(DataError) {
    var status = stat()
    let exists = stat(target.path, &status) == 0
    guard !exists || status.st_mode & S_IFMT == S_IFREG else {
      throw DataError(url, "cannot be written: it is not a file")
    }
    self.url = url
    temporaryPath =
      target.deletingLastPathComponent().path + "/.duet-\(UUID().uuidString).temporary"
    // The user's mask takes away from these permissions, as for every new file.
    descriptor = open(temporaryPath, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else {
      throw DataError(url, "cannot be written: \(lastSystemError())")
    }
    if exists { _ = fchmod(descriptor, status.st_mode & 0o777) }
    buffer.reserveCapacity(Self.bufferSize)
  }

  deinit { close(descriptor) }

  /// How many bytes were written: where the next one goes.
  var position: Int { flushed + buffer.count }

  func write(_ bytes: [UInt8]) throws(DataError) {
    var failure: DataError?
    bytes.withUnsafeBytes { bytes in
      do throws(DataError) { try write(bytes) } catch { failure = error }
    }
    if let failure { throw failure }
  }

  func write(_ bytes: UnsafeRawBufferPointer) throws(DataError) {
    if bytes.count <= Self.bufferSize - buffer.count {
      buffer += bytes
      return
    }
    try flush()
    if bytes.count < Self.bufferSize {
      buffer += bytes
    } else {
      try put(bytes, at: flushed)
      flushed += bytes.count
    }
  }

  /// Replaces what was written at an earlier place.
  func patch(at offset: Int, _ bytes: [UInt8]) throws(DataError) {
    try flush()
    try put(bytes, at: offset)
  }

  private func flush() throws(DataError) {
    try put(buffer, at: flushed)
    flushed += buffer.count
    buffer.removeAll(keepingCapacity: true)
  }

  private func put(_ bytes: [UInt8], at offset: Int) throws(DataError) {
    var failure: DataError?
    bytes.withUnsafeBytes { bytes in
      do throws(DataError) { try put(bytes, at: offset) } catch { failure = error }
    }
    if let failure { throw failure }
  }

  private func put(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(DataError) {
    var done = 0
    while done < bytes.count {
      // Systems write at most 2 GiB at once.
      let count = pwrite(
        descriptor, bytes.baseAddress! + done, min(bytes.count - done, 1 << 30),
        off_t(offset) + off_t(done))
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { throw DataError(url, "cannot be written: \(lastSystemError())") }
      done += count
    }
  }

  private func finish(as target: URL) throws(DataError) {
    try flush()
    // Without this a power failure could leave the new name with nothing behind it.
    guard fsync(descriptor) == 0, rename(temporaryPath, target.path) == 0 else {
      throw DataError(url, "cannot be written: \(lastSystemError())")
    }
  }
}
