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

  /// The function's traces as they were when they had that version.
  @exclusivity(unchecked) var traces: [Trace] = []
  @exclusivity(unchecked) var version = -1

  /// The arguments of a call all of whose arguments are tensors.
  let arguments = UnsafeMutablePointer<Unmanaged<TensorBody>>.allocate(
    capacity: CallFrame.mostArguments)
  static let mostArguments = 8

  private var room = UnsafeMutableBufferPointer<UnsafeMutableRawPointer>.allocate(capacity: 16)

  deinit {
    room.deallocate()
    arguments.deallocate()
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
  }
}
