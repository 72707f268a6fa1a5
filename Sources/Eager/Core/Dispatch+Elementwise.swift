// Unsafe: hands addresses of elements to loops, while their tensors are held; overwrites elements that nobody but the
// operation has.
//
// The fast path: nothing to differentiate and nobody to tell. An operation that was handed the only reference to an
// operand (an intermediate result, as a rule) leaves its result in that operand's memory; others allocate the result
// and nothing else. What asks for more goes the general way.

import DuetKernels
import DuetRuntime

/// From so many elements on, a kernel may use threads.
let threadedCount = 65_536
// Tracing switched off matters to traced functions only, a checkpoint to gradient functions and state.
let harmlessFlags =
  ThreadContext.Flags.noGrad | ThreadContext.Flags.checked | ThreadContext.Flags.noTracing
  | ThreadContext.Flags.checkpoint

/// Does an elementwise operation on one input.
package func apply(_ op: UnaryOp, _ a: consuming Tensor) -> Tensor {
  let flags = ThreadContext.state.pointee.flags
  guard flags & ~harmlessFlags == 0, a.body.isUnwatched(flags),
    op.rawValue < UnaryOp.logicalNot.rawValue,
    let loop = op.loop(for: a.body.dtype)
  else { return apply(.unary(op), a) }
  let isSmall = a.body.count < threadedCount
  let size = a.body.dtype.size
  if a.mayBeOverwritten() {
    if isSmall {
      runLoop(loop, a.body.count, a.body.pointer, size, a.body.pointer, size)
    } else {
      execute(.unary(op), into: a.body, a.body)
    }
    return a
  }
  guard isSmall, a.body.isContiguous else { return apply(.unary(op), a) }
  let result = TensorBody(allocatingLike: a.body)
  runLoop(loop, result.count, result.pointer, size, a.body.pointer, size)
  withExtendedLifetime(a) {}
  return Tensor(result)
}

/// Does an elementwise operation on two inputs, whose dtypes the caller has made equal.
package func apply(_ op: BinaryOp, _ a: consuming Tensor, _ b: consuming Tensor) -> Tensor {
  let flags = ThreadContext.state.pointee.flags
  guard flags & ~harmlessFlags == 0, a.body.isUnwatched(flags), b.body.isUnwatched(flags),
    a.body.dtype == b.body.dtype,
    let loop = op.loop(for: a.body.dtype)
  else { return apply(.binary(op), a, b) }
  let size = a.body.dtype.size
  let isSame = a.body.layout.shape == b.body.layout.shape
  let isOne = (a: a.body.layout.shape.rank == 0, b: b.body.layout.shape.rank == 0)
  if a.body.count < threadedCount, b.body.count < threadedCount, a.body.isContiguous,
    b.body.isContiguous
  {
    // A loop at once: as many elements, or a number on either side.
    let isAligned =
      isSame
      || a.body.count == b.body.count && a.body.layout.shape.isOnes(before: b.body.layout.shape)
    if isAligned || isOne.b {
      let bStep = isAligned ? size : 0
      if a.mayBeOverwritten() {
        run(loop, into: a.body, a.body, size, b.body, bStep)
        return a
      }
      if isSame, b.mayBeOverwritten() {
        run(loop, into: b.body, a.body, size, b.body, size)
        return b
      }
      let result = TensorBody(allocatingLike: a.body)
      run(loop, into: result, a.body, size, b.body, bStep)
      return Tensor(result)
    }
    if isOne.a {
      if b.mayBeOverwritten() {
        run(loop, into: b.body, a.body, 0, b.body, size)
        return b
      }
      let result = TensorBody(allocatingLike: b.body)
      run(loop, into: result, a.body, 0, b.body, size)
      return Tensor(result)
    }
  }
  if a.mayBeOverwritten(), isSame || b.body.layout.shape.fits(in: a.body.layout.shape) {
    execute(.binary(op), into: a.body, a.body, b.body)
    return a
  }
  if b.mayBeOverwritten(), isSame || a.body.layout.shape.fits(in: b.body.layout.shape) {
    execute(.binary(op), into: b.body, a.body, b.body)
    return b
  }
  return apply(.binary(op), a, b)
}

/// The elements of `a` where `condition`, a tensor of `bool`, is true, else those of `b`, of the same dtype.
package func select(_ condition: Tensor, _ a: consuming Tensor, _ b: consuming Tensor) -> Tensor {
  let flags = ThreadContext.state.pointee.flags
  if flags & ~harmlessFlags == 0, condition.body.isUnwatched(flags), a.body.isUnwatched(flags),
    b.body.isUnwatched(flags)
  {
    let (shape, aShape, bShape) = (
      condition.body.layout.shape, a.body.layout.shape, b.body.layout.shape
    )
    if a.mayBeOverwritten(), shape.fits(in: aShape), bShape.fits(in: aShape) {
      execute(.select, into: a.body, condition.body, a.body, b.body)
      return a
    }
    if b.mayBeOverwritten(), shape.fits(in: bShape), aShape.fits(in: bShape) {
      execute(.select, into: b.body, condition.body, a.body, b.body)
      return b
    }
  }
  return apply(.select, condition, a, b)
}

extension Tensor {
  /// Whether a result of the same type may take over the memory: all of a storage that nobody else has.
  @inline(__always)
  mutating func mayBeOverwritten() -> Bool {
    isOwnedAlone() && body.storage!.byteCount == body.count &* body.dtype.size
  }
}

extension TensorBody {
  /// Whether there are elements to read, and nothing is to be noted for their gradient.
  @inline(__always)
  final func isUnwatched(_ flags: Int32) -> Bool {
    storage != nil && (autograd == nil || flags & ThreadContext.Flags.noGrad != 0)
  }

  /// Fresh memory for a result laid out as a contiguous tensor.
  @inline(__always)
  convenience init(allocatingLike other: TensorBody) {
    let storage = Storage.allocate(byteCount: other.count &* other.dtype.size)
    self.init(
      storage: storage, pointer: storage.base, dtype: other.dtype, layout: other.layout,
      isContiguous: true, count: other.count, autograd: nil)
  }
}

// MARK: Running

extension UnaryOp {
  /// The loop over elements of that dtype; nil if there is none.
  @inline(__always)
  fileprivate func loop(for dtype: DType) -> duet_loop? {
    duet_unary_loop(duet_unary(rawValue: rawValue), duet_dtype(rawValue: Int32(dtype.rawValue)))
  }
}

extension BinaryOp {
  /// The loop over elements of that dtype; nil if there is none.
  @inline(__always)
  func loop(for dtype: DType) -> duet_loop? {
    duet_binary_loop(duet_binary(rawValue: kernel), duet_dtype(rawValue: Int32(dtype.rawValue)))
  }
}

@inline(__always)
private func run(
  _ loop: duet_loop, into result: TensorBody, _ a: TensorBody, _ aStep: Int, _ b: TensorBody,
  _ bStep: Int
) {
  runLoop(
    loop, result.count, result.pointer, result.dtype.size, a.pointer, aStep, b.pointer, bStep)
  withExtendedLifetime((a, b)) {}
}

/// Runs a kernel that cannot fail.
private func execute(_ op: Op, into result: TensorBody, _ inputs: TensorBody...) {
  let views = inputs.map(\.view)
  do throws(OpError) {
    try views.withUnsafeBufferPointer { views throws(OpError) in
      try op.execute(output: result.view, inputs: views)
    }
  } catch {
    preconditionFailure("\(error)")
  }
  withExtendedLifetime(inputs) {}
}

@inline(__always)
func runLoop(
  _ loop: duet_loop, _ count: Int, _ out: UnsafeMutableRawPointer, _ outStep: Int,
  _ a: UnsafeMutableRawPointer, _ aStep: Int
) {
  var operands = (out, a)
  var strides = (Int64(outStep), Int64(aStep))
  withUnsafeBytes(of: &operands) { operands in
    withUnsafeBytes(of: &strides) { strides in
      loop(
        operands.baseAddress!.assumingMemoryBound(to: UnsafeMutablePointer<CChar>?.self),
        strides.baseAddress!.assumingMemoryBound(to: Int64.self), Int64(count))
    }
  }
}

@inline(__always)
func runLoop(
  _ loop: duet_loop, _ count: Int, _ out: UnsafeMutableRawPointer, _ outStep: Int,
  _ a: UnsafeMutableRawPointer, _ aStep: Int, _ b: UnsafeMutableRawPointer, _ bStep: Int
) {
  var operands = (out, a, b)
  var strides = (Int64(outStep), Int64(aStep), Int64(bStep))
  withUnsafeBytes(of: &operands) { operands in
    withUnsafeBytes(of: &strides) { strides in
      loop(
        operands.baseAddress!.assumingMemoryBound(to: UnsafeMutablePointer<CChar>?.self),
        strides.baseAddress!.assumingMemoryBound(to: Int64.self), Int64(count))
    }
  }
}
