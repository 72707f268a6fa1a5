// Unsafe: passes the address of a number on the stack to a kernel, which does not keep it.

import DuetKernels
import DuetRuntime

/// A number beside a tensor, as the element that it becomes. It gets no memory of its own unless something
/// has to remember it.
@usableFromInline
package struct Number {
  @usableFromInline let element: Element
  @usableFromInline let dtype: DType

  /// A number as it goes with tensors of `other`: of that dtype, but for fractions with integers and
  /// numbers with `bool`.
  @inlinable
  package init<S: TensorScalar>(_ value: S, for other: DType) {
    let own = S.dtype
    if own.isFloatingPoint {
      self.init(value.tensorValue, other.isFloatingPoint ? other : .float32)
    } else {
      self.init(integer: value.tensorInteger, other == .bool && own != .bool ? own : other)
    }
  }

  @usableFromInline
  init(_ value: Double, _ dtype: DType) {
    self.dtype = dtype
    element =
      dtype == .float32 ? Element(bits: UInt64(Float(value).bitPattern)) : Element(value, dtype)
  }

  @usableFromInline
  init(integer value: Int64, _ dtype: DType) {
    self.dtype = dtype
    // Rounded once, not by way of Double.
    element =
      dtype == .float32
      ? Element(bits: UInt64(Float(value).bitPattern)) : Element(integer: Int(value), dtype)
  }
}

/// Does an operation on a tensor and a number.
package func apply(_ op: BinaryOp, _ a: Tensor, _ number: Number, numberIsFirst: Bool) -> Tensor {
  if isUnwatched(a.body, number) {
    if let result = fastBinary(op, a.body, number, numberIsFirst) { return Tensor(result) }
    if let result = unwatched(.binary(op), a.body, number, numberIsFirst) { return Tensor(result) }
  }
  let b = Tensor(number)
  return numberIsFirst ? promoting(op, b, a) : promoting(op, a, b)
}

/// Compares a tensor's elements with a number.
package func apply(_ op: ComparisonOp, _ a: Tensor, _ number: Number) -> Tensor {
  if isUnwatched(a.body, number), let result = unwatched(.compare(op), a.body, number, false) {
    return Tensor(result)
  }
  return promoting(op, a, Tensor(number))
}

/// Whether there is nothing to convert, nothing to differentiate and nobody to tell.
@inline(__always)
private func isUnwatched(_ a: TensorBody, _ number: Number) -> Bool {
  let flags = ThreadContext.state.pointee.flags
  return flags & ~harmlessFlags == 0 && a.dtype == number.dtype && a.storage != nil
    && (a.autograd == nil || flags & ThreadContext.Flags.noGrad != 0)
}

/// The loop at once, for few contiguous elements; nil for others.
@inline(__always)
private func fastBinary(
  _ op: BinaryOp, _ a: TensorBody, _ number: Number, _ numberIsFirst: Bool
) -> TensorBody? {
  guard a.isContiguous, a.count < threadedCount,
    let loop = duet_binary_loop(
      duet_binary(rawValue: op.rawValue), duet_dtype(rawValue: Int32(a.dtype.rawValue)))
  else { return nil }
  let size = a.dtype.size
  let result = TensorBody(allocatingLike: a, dtype: a.dtype)
  withNumber(number) { b in
    if numberIsFirst {
      runLoop(loop, a.count, result.pointer, size, b, 0, a.pointer, size)
    } else {
      runLoop(loop, a.count, result.pointer, size, a.pointer, size, b, 0)
    }
  }
  withExtendedLifetime(a) {}
  return result
}

/// The kernel on any tensor; nil where the operation would fail, which the general path explains.
@inline(never)
private func unwatched(
  _ op: Op, _ a: TensorBody, _ number: Number, _ numberIsFirst: Bool
) -> TensorBody? {
  let scalar = TensorType(number.dtype, [])
  let types = numberIsFirst ? (scalar, a.type) : (a.type, scalar)
  let type = withUnsafeBytes(of: types) {
    try? op.resultType(for: $0.assumingMemoryBound(to: TensorType.self))
  }
  guard let type, let storage = Storage.allocateIfPossible(byteCount: type.byteCount) else {
    return nil
  }
  let result = TensorBody(owning: storage, type, autograd: nil)
  let isDone = withNumber(number) { pointer in
    let b = TensorView(pointer, number.dtype, Layout(contiguous: []))
    return withUnsafeBytes(of: numberIsFirst ? (b, a.view) : (a.view, b)) {
      (try? op.execute(
        output: result.view, inputs: $0.assumingMemoryBound(to: TensorView.self))) != nil
    }
  }
  withExtendedLifetime(a) {}
  return isDone ? result : nil
}

@inline(__always)
private func withNumber<R>(_ number: Number, _ body: (UnsafeMutableRawPointer) -> R) -> R {
  var bits = number.element.bits.littleEndian
  return withUnsafeMutableBytes(of: &bits) { body($0.baseAddress!) }
}
