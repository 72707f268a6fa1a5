// Unsafe: gives out the address of the value that it guards, to the holder of the lock alone. `_Cell` is what
// `Mutex` itself keeps its value in: memory inside the object that may change while the object does not.

import DuetKernels
import Synchronization

/// A value that one thread at a time may use, as with `Mutex`.
///
/// A thread that has to wait for a `Mutex` gets it from the system, in a library that the thread sanitizer cannot see
/// into: to it, the sections of two threads that met look like a race, and real races are lost among them. Here the
/// lock always goes from hand to hand by atomic operations of this module, which the sanitizer follows; the system is
/// only asked to put threads to sleep (Drepper, "Futexes are tricky", 2011). It must not be taken twice by
/// one thread, which would wait for itself.
@usableFromInline
package struct Lock<Value: ~Copyable>: ~Copyable {
  @usableFromInline let word = Atomic<UInt32>(LockWord.free)
  @usableFromInline let cell: _Cell<Value>

  @inlinable
  package init(_ value: consuming sending Value) { cell = _Cell(value) }

  /// Waits until no other thread uses the value, and uses it.
  @inlinable @inline(__always)
  package borrowing func withLock<Result: ~Copyable, Failure>(
    _ body: (inout sending Value) throws(Failure) -> sending Result
  ) throws(Failure) -> sending Result {
    if !word.compareExchange(
      expected: LockWord.free, desired: LockWord.held, ordering: .acquiring
    ).exchanged {
      LockWord.wait(word)
    }
    defer {
      if word.exchange(LockWord.free, ordering: .releasing) == LockWord.awaited {
        LockWord.wake(word)
      }
    }
    // Through a pointer of its own: `&cell` would tell the sanitizer that all of the lock is written.
    let value = cell._address
    return try body(&value.pointee)
  }
}

// Sendable: the value is touched only by the holder of the lock, and was sent here.
extension Lock: @unchecked Sendable where Value: ~Copyable {}

/// The states of a lock, and what happens where it is not free.
@usableFromInline
enum LockWord {
  @usableFromInline static var free: UInt32 { @inlinable @inline(__always) get { 0 } }
  @usableFromInline static var held: UInt32 { @inlinable @inline(__always) get { 1 } }
  /// Held, and there may be threads that sleep until it is free.
  @usableFromInline static var awaited: UInt32 { @inlinable @inline(__always) get { 2 } }

  /// How often a thread looks before it sleeps: most sections are shorter than going to sleep and waking up.
  private static var looks: Int { 100 }

  @usableFromInline @inline(never)
  static func wait(_ word: borrowing Atomic<UInt32>) {
    for _ in 0..<looks {
      duet_pause()
      if word.load(ordering: .relaxed) == free,
        word.compareExchange(expected: free, desired: held, ordering: .acquiring).exchanged
      {
        return
      }
    }
    // One who has slept cannot know whether others still do, so that whoever releases the lock next has to wake one.
    while word.exchange(awaited, ordering: .acquiring) != free {
      withUnsafePointer(to: word) {
        duet_wait_while(UnsafeRawPointer($0).assumingMemoryBound(to: UInt32.self), awaited)
      }
    }
  }

  @usableFromInline @inline(never)
  static func wake(_ word: borrowing Atomic<UInt32>) {
    withUnsafePointer(to: word) {
      duet_wake_one(UnsafeRawPointer($0).assumingMemoryBound(to: UInt32.self))
    }
  }
}
