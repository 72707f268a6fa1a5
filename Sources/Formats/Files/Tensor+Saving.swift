// Unsafe: shows a tensor's elements as bytes while the tensor keeps them alive.

import DuetEager
import DuetRuntime

extension Tensor {
  /// This tensor with elements that can be written: what deferred mode has put off is computed.
  /// - Throws: `TensorError` if there can be no elements: the tensor is symbolic, or depends on a placeholder.
  func withElementsToSave() throws -> Tensor {
    if isFailed {
      throw TensorError(
        OpError("save", "a tensor is the result of an operation that failed"), at: CallSite())
    }
    if hasElements { return self }
    return try ThreadContext.withRecorder(nil) { try checked { evaluated(for: "save") } }
  }

  /// Calls the body with the bytes of the elements in row-major order. There are some to read.
  func withElementBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
    let source = ThreadContext.withRecorder(nil) { noGrad { contiguous() } }
    return try withExtendedLifetime(source) {
      try body(UnsafeRawBufferPointer(start: source.body.pointer, count: source.type.byteCount))
    }
  }
}

/// Throws where a function is being recorded: files are written and read once then, and never by replays.
package func requireNoRecording(_ operation: String, _ advice: String) throws(TensorError) {
  guard ThreadContext.recorder != nil else { return }
  throw TensorError(
    OpError(
      operation,
      "would happen once, while the function is recorded, and not when it is replayed; \(advice)"),
    at: CallSite())
}
