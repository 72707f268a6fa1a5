// Unsafe: owns raw memory. The address of the elements never changes during the object's life; whoever writes
// to it must own the only reference (a fresh result), which is what makes sharing it between threads safe.

/// Reference-counted memory for a tensor's elements.
///
/// Small tensors live inside the object itself, larger ones in a block of the caching allocator.
public final class Storage: ManagedBuffer<Storage.Header, UInt64> {
  /// Where the memory is and whom it belongs to. Public because the superclass needs it; its fields are not.
  public struct Header {
    let base: UnsafeMutableRawPointer
    let byteCount: Int
    /// The allocator's size class; -1: the memory lies behind the object; -2: someone else's.
    let sizeClass: Int
    /// Keeps memory that is someone else's alive.
    let owner: AnyObject?
  }

  private static let largestInline = 960

  /// Memory for that many bytes, with arbitrary contents. Ends the program where the system has no more.
  package static func allocate(byteCount: Int) -> Storage {
    guard let storage = allocateIfPossible(byteCount: byteCount) else {
      fatalError("out of memory: could not get \(byteCount) bytes for a tensor")
    }
    return storage
  }

  /// Memory for that many bytes, with arbitrary contents, or nil where the system has no more.
  package static func allocateIfPossible(byteCount: Int) -> Storage? {
    if byteCount <= largestInline {
      let buffer = Storage.create(minimumCapacity: (byteCount + 7) / 8) { buffer in
        Header(
          base: buffer.withUnsafeMutablePointerToElements { UnsafeMutableRawPointer($0) },
          byteCount: byteCount, sizeClass: -1, owner: nil)
      }
      Allocator.noteLive(byteCount)
      return unsafeDowncast(buffer, to: Storage.self)
    }
    let sizeClass = Allocator.sizeClass(for: byteCount)
    guard let block = Allocator.allocate(byteCount, sizeClass) else { return nil }
    let buffer = Storage.create(minimumCapacity: 0) { _ in
      Header(base: block, byteCount: byteCount, sizeClass: sizeClass, owner: nil)
    }
    return unsafeDowncast(buffer, to: Storage.self)
  }

  /// Memory that `owner` keeps alive and nobody writes to, a mapped file for example.
  package static func borrowing(
    _ base: UnsafeMutableRawPointer, byteCount: Int, owner: AnyObject
  ) -> Storage {
    let buffer = Storage.create(minimumCapacity: 0) { _ in
      Header(base: base, byteCount: byteCount, sizeClass: -2, owner: owner)
    }
    return unsafeDowncast(buffer, to: Storage.self)
  }

  /// The first byte.
  package var base: UnsafeMutableRawPointer {
    // As `header.base`, without looking for another access under way: the header never changes.
    withUnsafeMutablePointerToHeader { $0.pointee.base }
  }
  package var byteCount: Int { withUnsafeMutablePointerToHeader { $0.pointee.byteCount } }
  /// Whether the only owner may write to the memory.
  package var isWritable: Bool {
    withUnsafeMutablePointerToHeader { $0.pointee.sizeClass != -2 }
  }

  deinit {
    withUnsafeMutablePointerToHeader { header in
      switch header.pointee.sizeClass {
      case -1: Allocator.noteDead(header.pointee.byteCount)
      case -2: break
      default: Allocator.release(header.pointee.base, header.pointee.sizeClass)
      }
    }
  }
}
