// Unsafe: reads elements through the body's pointer, while the tensor keeps its storage alive.

import DuetRuntime

extension Tensor {
  /// The only element of a tensor, as any Swift type.
  ///
  /// - Parameter type: What to convert to; may be left out where the context tells it.
  @inlinable
  public func item<T: TensorScalar>(_ type: T.Type = T.self) -> T {
    if let pointer = plainElement(T.dtype) {
      return withExtendedLifetime(self) { pointer.load(as: T.self) }
    }
    return convertedItem()
  }

  /// The only element as a `Double`, where nothing tells what type it should have: `print(loss.item())`.
  @_disfavoredOverload
  public func item() -> Double { item(Double.self) }

  /// Where the only element is, if it can be read without further ado.
  @usableFromInline
  func plainElement(_ dtype: DType) -> UnsafeMutableRawPointer? {
    guard body.dtype == dtype, body.count == 1, body.storage != nil,
      !ThreadContext.has(ThreadContext.Flags.recording)
    else { return nil }
    return body.pointer
  }

  @usableFromInline
  func convertedItem<T: TensorScalar>() -> T {
    let zero = T(tensorInteger: 0)
    if isFailed { return zero }
    guard size == 1 else {
      note(OpError("item", "a tensor of shape \(shape) has \(size) elements, not one"))
      return zero
    }
    guard isReadable(for: "item") else { return zero }
    return elements(T.self)[0]
  }

  /// All elements in row-major order, as any Swift type.
  public func asArray<T: TensorScalar>(_ type: T.Type = T.self) -> [T] {
    guard isReadable(for: "asArray") else {
      return Array(repeating: T(tensorInteger: 0), count: isFailed ? 0 : size)
    }
    return elements(T.self)
  }

  /// Whether there are elements that the program may see now; if not, the reason has been noted.
  /// - Parameter alternative: What does the same without looking at values.
  package func isReadable(for operation: String, orUse alternative: String? = nil) -> Bool {
    if isFailed { return false }
    // What is seen again was looked at before.
    let isKnown = hasElements && ThreadContext.isRunningAgain
    if !isKnown, let reason = ThreadContext.recorder?.willRead(self, for: operation) {
      let hint = alternative.map { "; or use \($0), which looks at no value" } ?? ""
      note(OpError(operation, reason + hint))
      return false
    }
    return !evaluated(for: operation).isFailed
  }

  /// The elements' bytes in row-major order, whoever is watching. There are some to read.
  package var bytes: [UInt8] {
    let source = ThreadContext.withRecorder(nil) {
      noGrad { evaluated(for: "bytes").contiguous() }
    }
    return withExtendedLifetime(source) {
      Array(
        UnsafeRawBufferPointer(start: source.body.pointer, count: source.type.byteCount))
    }
  }

  /// A tensor with these elements in row-major order.
  package init(_ type: TensorType, _ bytes: [UInt8]) {
    let body = TensorBody(allocating: type)
    bytes.withUnsafeBytes { bytes in
      if let base = bytes.baseAddress {
        body.pointer.copyMemory(from: base, byteCount: Swift.min(bytes.count, type.byteCount))
      }
    }
    self.init(body)
  }

  /// The elements in row-major order, whoever is watching. There are some to read.
  func elements<T: TensorScalar>(_ type: T.Type) -> [T] { withElements(type) { Array($0) } }

  /// Hands the elements to a closure, in row-major order, whoever is watching. There are some to read.
  func withElements<T: TensorScalar, R>(_ type: T.Type, _ body: (UnsafeBufferPointer<T>) -> R) -> R
  {
    let source = ThreadContext.withRecorder(nil) {
      noGrad { evaluated(for: "elements").asType(T.dtype).contiguous() }
    }
    return withExtendedLifetime(source) {
      body(
        UnsafeBufferPointer(
          start: source.body.pointer.assumingMemoryBound(to: T.self), count: source.size))
    }
  }
}
