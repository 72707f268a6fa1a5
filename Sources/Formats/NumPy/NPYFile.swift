// Unsafe: turns the bytes of elements around in memory that nobody else has yet.

import DuetEager
import DuetRuntime
import Foundation

/// Arrays in NumPy's `.npy` format.
enum NPYFile {
  /// Reads an array, and nothing behind it.
  static func read(from source: some ByteSource) throws(DataError) -> Tensor {
    try elements(NPYHeader(from: source), from: source)
  }

  /// Reads the elements behind a header.
  static func elements(
    _ header: NPYHeader, from source: some ByteSource
  ) throws(DataError) -> Tensor {
    let type = header.type
    guard type.byteCount <= source.remaining else {
      throw DataError(
        source.url,
        "truncated: \(source.remaining) bytes of elements, \(type) takes \(type.byteCount)")
    }
    let isFortranOrder = header.isFortranOrder && type.shape.rank > 1
    let stored =
      isFortranOrder ? TensorType(type.dtype, Shape(type.shape.reversed())) : type
    let tensor = try Tensor(stored, from: source.url, justified: source.justified) {
      buffer throws(DataError) in
      try source.fill(buffer)
      if header.isBigEndian { buffer.reverseElements(ofSize: type.dtype.size) }
    }
    guard isFortranOrder else { return tensor }
    return ThreadContext.withRecorder(nil) { noGrad { tensor.transposed().contiguous() } }
  }

  /// Writes an array in row-major order, byte by byte as `numpy.save` does.
  /// - Parameters:
  ///   - name: For messages.
  ///   - url: The file that is written, for messages.
  ///   - put: Writes the next bytes.
  static func write(
    _ tensor: Tensor, named name: String?, url: URL,
    _ put: (UnsafeRawBufferPointer) throws -> Void
  ) throws {
    guard let header = NPYHeader.bytes(for: tensor.type) else {
      let subject = name.map { quoted($0) + " is" } ?? "the tensor is"
      throw DataError(
        url,
        "cannot be written: \(subject) \(tensor.dtype), which NumPy has no name for; "
          + "convert it to float32, or write a .safetensors file")
    }
    try header.withUnsafeBytes { try put($0) }
    try tensor.withElementBytes { try put($0) }
  }
}
