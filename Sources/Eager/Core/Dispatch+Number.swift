// Unsafe: passes the address of a number on the stack to a kernel, which does not keep it; overwrites elements that
// nobody but the operation has.

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

/// Does an operation on a tensor and a number. Where nobody else has the tensor, the result takes its memory.
package func apply(
  _ op: BinaryOp, _ a: consuming Tensor, _ number: Number, numberIsFirst: Bool
) -> Tensor {
  if isUnwatched(a.body, number) {
    if let loop = op.loop(for: a.body.dtype) {
      let isSmall = a.body.count < threadedCount
      if a.mayBeOverwritten() {
        if isSmall {
          run(loop, into: a.body, a.body, number, numberIsFirst)
        } else {
          execute(.binary(op), into: a.body, a.body, number, numberIsFirst)
        }
        return a
      }
      if isSmall, a.body.isContiguous {
        let result = TensorBody(allocatingLike: a.body)
        run(loop, into: result, a.body, number, numberIsFirst)
        return Tensor(result)
      }
    }
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
  return flags & ~harmlessFlags == 0 && a.dtype == number.dtype && a.isUnwatched(flags)
}

/// The loop at once, for few contiguous elements.
@inline(__always)
private func run(
  _ loop: duet_loop, into result: TensorBody, _ a: TensorBody, _ number: Number,
  _ numberIsFirst: Bool
) {
  let size = a.dtype.size
  withNumber(number) { b in
    if numberIsFirst {
      runLoop(loop, a.count, result.pointer, size, b, 0, a.pointer, size)
    } else {
      runLoop(loop, a.count, result.pointer, size, a.pointer, size, b, 0)
    }
  }
  withExtendedLifetime(a) {}
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
  return execute(op, into: result, a, number, numberIsFirst) ? result : nil
}

/// Runs the kernel.
/// - Returns: Whether it could be done.
@discardableResult
private func execute(
  _ op: Op, into result: TensorBody, _ a: TensorBody, _ number: Number, _ numberIsFirst: Bool
) -> Bool {
  let isDone = withNumber(number) { pointer in
    let b = TensorView(pointer, number.dtype, Layout(contiguous: []))
    return withUnsafeBytes(of: numberIsFirst ? (b, a.view) : (a.view, b)) {
      (try? op.execute(
        output: result.view, inputs: $0.assumingMemoryBound(to: TensorView.self))) != nil
    }
  }
  withExtendedLifetime((a, result)) {}
  return isDone
}

@inline(__always)
private func withNumber<R>(_ number: Number, _ body: (UnsafeMutableRawPointer) -> R) -> R {
  var bits = number.element.bits.littleEndian
  return withUnsafeMutableBytes(of: &bits) { body($0.baseAddress!) }
}
