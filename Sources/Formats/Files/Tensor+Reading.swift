// Unsafe: fills fresh memory of exactly a tensor's size before anybody else has it.

import DuetEager
import DuetRuntime
import Foundation

extension Tensor {
  /// A tensor whose elements a closure puts into memory, in row-major order and this machine's byte order, which is
  /// little-endian wherever Duet runs.
  ///
  /// - Parameters:
  ///   - url: The file, for the error where memory is short.
  ///   - justified: How many bytes may be asked of the system before any have come. More are asked for as they come,
  ///     each time as many as there are already, so that a file that lies about its size costs no more than it has.
  ///   - fill: Is called with each part in turn, and fills it.
  init(
    _ type: TensorType, from url: URL, justified: Int = .max,
    filling fill: (UnsafeMutableRawBufferPointer) throws(DataError) -> Void
  ) throws(DataError) {
    func allocate(_ count: Int) throws(DataError) -> Storage {
      guard let storage = Storage.allocateIfPossible(byteCount: count) else {
        throw DataError(url, "needs \(type.byteCount) bytes of memory for \(type)")
      }
      return storage
    }
    let byteCount = type.byteCount
    var capacity = Swift.min(byteCount, Swift.max(justified, 1))
    var storage = try allocate(capacity)
    try fill(UnsafeMutableRawBufferPointer(start: storage.base, count: capacity))
    while capacity < byteCount {
      let filled = capacity
      capacity = byteCount - filled < filled ? byteCount : 2 * filled
      let larger = try allocate(capacity)
      larger.base.copyMemory(from: storage.base, byteCount: filled)
      storage = larger
      try fill(
        UnsafeMutableRawBufferPointer(start: storage.base + filled, count: capacity - filled))
    }
    if type.dtype == .bool {
      // Kernels rely on booleans being 0 or 1; other programs take every byte but 0 as true.
      let bytes = UnsafeMutableRawBufferPointer(start: storage.base, count: byteCount)
      for i in bytes.indices where bytes[i] > 1 { bytes[i] = 1 }
    }
    self.init(TensorBody(owning: storage, type, autograd: nil))
  }
}

extension UnsafeMutableRawBufferPointer {
  /// Turns the bytes of each element of that size around.
  func reverseElements(ofSize size: Int) {
    guard size > 1 else { return }
    for start in stride(from: 0, to: count, by: size) {
      for i in 0..<(size / 2) { swapAt(start + i, start + size - 1 - i) }
    }
  }
}
