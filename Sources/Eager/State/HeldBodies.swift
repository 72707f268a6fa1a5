// Unsafe: keeps references that it counts itself. Whoever has asked for an address keeps what is held until it is no
// longer used.

import DuetRuntime

/// What a running program knows of one of its values.
package struct HeldValue {
  package let address: UnsafeMutableRawPointer
  /// The tensor, unless the value only exists within the call.
  package let body: Unmanaged<TensorBody>?

  @inlinable @inline(__always)
  package init(address: UnsafeMutableRawPointer, body: Unmanaged<TensorBody>?) {
    self.address = address
    self.body = body
  }
}

/// Tensors that have to stay alive during a run, in memory that is kept from run to run: some are counted, others
/// pinned in their cells, which have to live as long.
package struct HeldBodies {
  private struct Pin {
    let cell: Unmanaged<StateCell>
    let body: Unmanaged<TensorBody>
    let number: UInt64
  }

  private var bodies: UnsafeMutableBufferPointer<Unmanaged<TensorBody>>
  private var count = 0
  private var pins: UnsafeMutableBufferPointer<Pin>
  private var pinCount = 0

  package init() {
    bodies = .allocate(capacity: 16)
    pins = .allocate(capacity: 16)
  }

  @inline(__always)
  package mutating func hold(_ body: Unmanaged<TensorBody>) {
    if count == bodies.count { Self.grow(&bodies) }
    bodies.baseAddress![count] = body.retain()
    count += 1
  }

  /// As `hold`, for one that is counted already.
  package mutating func keep(_ body: Unmanaged<TensorBody>) {
    if count == bodies.count { Self.grow(&bodies) }
    bodies.baseAddress![count] = body
    count += 1
  }

  /// Notes a content that is pinned in its cell.
  @inline(__always)
  mutating func notePin(
    _ cell: Unmanaged<StateCell>, _ body: Unmanaged<TensorBody>, number: UInt64
  ) {
    if pinCount == pins.count { Self.grow(&pins) }
    (pins.baseAddress! + pinCount).initialize(to: Pin(cell: cell, body: body, number: number))
    pinCount += 1
  }

  @inline(never)
  private static func grow<T>(_ buffer: inout UnsafeMutableBufferPointer<T>) {
    let more = UnsafeMutableBufferPointer<T>.allocate(capacity: 2 * buffer.count)
    _ = more.moveInitialize(fromContentsOf: buffer)
    buffer.deallocate()
    buffer = more
  }

  /// Lets go of them.
  package mutating func releaseAll() {
    for i in 0..<pinCount {
      let pin = pins.baseAddress! + i
      pin.pointee.cell._withUnsafeGuaranteedRef {
        $0.unpin(pin.pointee.body, number: pin.pointee.number)
      }
    }
    pinCount = 0
    for i in 0..<count { bodies.baseAddress![i].release() }
    count = 0
  }

  /// Ends the use of the memory. Nothing is held any more.
  package func deallocate() {
    bodies.deallocate()
    pins.deallocate()
  }
}

extension TensorBody {
  /// The address of the elements, one behind the other; of a copy if they do not lie so.
  @inlinable @inline(__always)
  package func contiguousAddress(_ held: inout HeldBodies) -> UnsafeMutableRawPointer {
    isContiguous ? pointer : copiedAddress(&held)
  }

  @usableFromInline @inline(never)
  package func copiedAddress(_ held: inout HeldBodies) -> UnsafeMutableRawPointer {
    let copy = ThreadContext.withRecorder(nil) { noGrad { apply(.copy, Tensor(self)) } }
    held.keep(.passRetained(copy.body))
    return copy.body.pointer
  }
}
