// Unsafe: keeps a counted reference as an address.

import DuetRuntime
import Synchronization

/// The frames of a function that no call uses. One of them changes hands by an atomic exchange, which is all that most
/// calls need; the others are in a list.
struct FramePool: ~Copyable {
  /// The address of a frame; 0: none.
  private let spare = Atomic<UInt>(0)
  private let list = Lock<[CallFrame]>([])

  deinit {
    if let frame = Self.frame(at: spare.load(ordering: .acquiring)) { frame.release() }
  }

  /// A frame, counted.
  @inline(__always)
  borrowing func take() -> Unmanaged<CallFrame> {
    Self.frame(at: spare.exchange(0, ordering: .acquiring)) ?? takeFromList()
  }

  @inline(never)
  private borrowing func takeFromList() -> Unmanaged<CallFrame> {
    .passRetained(list.withLock { $0.popLast() } ?? CallFrame())
  }

  @inline(__always)
  borrowing func giveBack(_ frame: Unmanaged<CallFrame>) {
    let (isSpare, _) = spare.compareExchange(
      expected: 0, desired: UInt(bitPattern: frame.toOpaque()), ordering: .releasing)
    if !isSpare { putIntoList(frame) }
  }

  @inline(never)
  private borrowing func putIntoList(_ frame: Unmanaged<CallFrame>) {
    let frame = frame.takeRetainedValue()
    list.withLock { $0.append(frame) }
  }

  /// Lets go of the frames, which keep traces that the function may have dropped.
  borrowing func drop() {
    let dropped = list.withLock { list in
      defer { list = [] }
      return list
    }
    if let frame = Self.frame(at: spare.exchange(0, ordering: .acquiring)) { frame.release() }
    withExtendedLifetime(dropped) {}
  }

  @inline(__always)
  private static func frame(at address: UInt) -> Unmanaged<CallFrame>? {
    UnsafeRawPointer(bitPattern: address).map { .fromOpaque($0) }
  }
}
