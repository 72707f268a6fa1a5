// Unsafe: holds an owned reference as a number. It is set once, and released with its holder.

import Synchronization

/// An object that is made when it is first needed, on whatever thread that is.
///
/// What `AtomicLazyReference` is, but with atomic operations of this module, which the thread sanitizer can see, and
/// without counting a reference where the caller knows that the holder lives.
@usableFromInline
package struct LazyReference<Object: AnyObject & Sendable>: ~Copyable, Sendable {
  /// The address of the object; 0: not there yet.
  @usableFromInline let address = Atomic<UInt>(0)

  @inlinable package init() {}

  /// The object, if it has been made. It lives as long as its holder.
  @inlinable @inline(__always)
  package var unretained: Unmanaged<Object>? {
    UnsafeRawPointer(bitPattern: address.load(ordering: .acquiring)).map { .fromOpaque($0) }
  }

  /// Keeps an object, unless another thread was faster.
  /// - Returns: The object that is kept.
  package func storeIfNil(_ object: Object) -> Unmanaged<Object> {
    let new = Unmanaged.passRetained(object)
    let (isStored, known) = address.compareExchange(
      expected: 0, desired: UInt(bitPattern: new.toOpaque()), ordering: .acquiringAndReleasing)
    if isStored { return new }
    new.release()
    return .fromOpaque(UnsafeRawPointer(bitPattern: known)!)
  }

  @inlinable deinit { unretained?.release() }
}
