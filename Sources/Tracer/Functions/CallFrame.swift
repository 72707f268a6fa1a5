// Unsafe: owns raw room for a plan's addresses and for arguments without a reference count of their own. Both
// are only used during a call, whose caller keeps the arguments alive.

import DuetEager

/// What one call of a traced function fills: kept from call to call, so that a replay allocates nothing but its
/// results. A frame belongs to one running call at a time.
final class CallFrame: @unchecked Sendable {
  // Sendable: changes hands under the lock of the function's core.

  /// The arguments, as trees seen in order.
  @exclusivity(unchecked) var visitor = TensorVisitor()
  /// What has to stay alive while the plan runs.
  @exclusivity(unchecked) var held: [Tensor] = []
  /// New memory by the plan's outputs; nil where an output lies in a cell.
  @exclusivity(unchecked) var fresh: [TensorBody?] = []
  @exclusivity(unchecked) var results: [Tensor] = []
  /// Callbacks that wait for the end of the call.
  @exclusivity(unchecked) var effects: [(effect: HostEffect, tensors: [Tensor])] = []
  /// What the closure did when the replayed path was recorded, if that is kept.
  @exclusivity(unchecked) var transcript: Transcript?
  /// The results' form; a `FormBox` of the function's result type.
  @exclusivity(unchecked) var form: AnyObject?

  /// The function's traces as they were when they had that version.
  @exclusivity(unchecked) var traces: [Trace] = []
  @exclusivity(unchecked) var version = -1

  /// The arguments of a call all of whose arguments are tensors.
  let arguments = UnsafeMutablePointer<Unmanaged<TensorBody>>.allocate(
    capacity: CallFrame.mostArguments)
  static let mostArguments = 8

  private var room = UnsafeMutableBufferPointer<UnsafeMutableRawPointer>.allocate(capacity: 16)

  /// What a call that looks at values knows of one of them.
  struct Value {
    let address: UnsafeMutableRawPointer
    /// The tensor, unless the value only exists within the call.
    let body: Unmanaged<TensorBody>?
  }

  private var known = UnsafeMutableBufferPointer<Value>.allocate(capacity: 0)
  /// Memory for values that only exist within the call; the last chunk has room.
  private var chunks: [UnsafeMutableRawBufferPointer] = []
  private var used = 0

  deinit {
    room.deallocate()
    arguments.deallocate()
    known.deallocate()
    for chunk in chunks { chunk.deallocate() }
  }

  /// Room for that many values. Earlier ones are forgotten.
  func values(_ count: Int) -> UnsafeMutablePointer<Value> {
    if known.count < count {
      known.deallocate()
      known = .allocate(capacity: count)
    }
    return known.baseAddress!
  }

  /// Memory for a value that only exists within the call.
  @inline(__always)
  func room(_ byteCount: Int) -> UnsafeMutableRawPointer {
    let size = (byteCount + 63) & ~63
    if let last = chunks.last, used + size <= last.count {
      defer { used += size }
      return last.baseAddress! + used
    }
    return roomInNewChunk(size)
  }

  @inline(never)
  private func roomInNewChunk(_ size: Int) -> UnsafeMutableRawPointer {
    let total = chunks.reduce(0) { $0 + $1.count }
    chunks.append(.allocate(byteCount: max(size, total, 4096), alignment: 64))
    used = size
    return chunks[chunks.count - 1].baseAddress!
  }

  /// Forgets an attempt to replay, but not the arguments.
  func restart() {
    if !held.isEmpty { held.removeAll(keepingCapacity: true) }
    while fresh.popLast() != nil {}
    while results.popLast() != nil {}
    if chunks.count > 1 {
      // The next call finds one chunk that is large enough for everything.
      let total = chunks.reduce(0) { $0 + $1.count }
      for chunk in chunks { chunk.deallocate() }
      chunks = [.allocate(byteCount: total, alignment: 64)]
    }
    used = 0
  }

  /// Makes the callbacks that wait, in order.
  func performEffects() {
    let waiting = effects
    effects = []
    for (effect, tensors) in waiting { effect.run(tensors) }
  }

  /// Notes an argument that is a tensor.
  @inline(__always)
  func note<Argument>(_ argument: borrowing Argument, at index: Int) {
    withUnsafePointer(to: argument) {
      UnsafeMutableRawPointer(arguments + index)
        .copyMemory(from: $0, byteCount: MemoryLayout<UnsafeRawPointer>.size)
    }
  }

  /// Room for that many addresses.
  func addresses(_ count: Int) -> UnsafeMutablePointer<UnsafeMutableRawPointer> {
    if room.count < count {
      room.deallocate()
      room = .allocate(capacity: count)
    }
    return room.baseAddress!
  }

  /// Lets go of the call's tensors.
  func clear() {
    visitor.clear()
    if !held.isEmpty { held.removeAll(keepingCapacity: true) }
    while fresh.popLast() != nil {}
    // One at a time costs less where there is one.
    while results.popLast() != nil {}
    if !effects.isEmpty { effects = [] }
    transcript = nil
    form = nil
  }
}
