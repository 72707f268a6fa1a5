// Unsafe: hands out raw memory. Every block belongs to one size class, which is recorded in the `Storage`
// that owns it; free blocks of a class form a list through their first word.

import Foundation
import Synchronization

/// The memory that tensors live in: blocks are kept and handed out again, because a fresh page costs more
/// than most kernels.
public enum Allocator {
  /// What the allocator holds at this moment.
  public struct Statistics: Sendable, Hashable {
    /// Bytes in use by tensors and plans.
    public var liveBytes: Int
    /// The most bytes that were ever in use at once.
    public var peakBytes: Int
    /// Bytes kept for later use.
    public var cachedBytes: Int
    /// Blocks that had to be asked from the system.
    public var systemAllocations: Int
  }

  public static var statistics: Statistics {
    Statistics(
      liveBytes: live.load(ordering: .relaxed), peakBytes: peak.load(ordering: .relaxed),
      cachedBytes: cached.load(ordering: .relaxed),
      systemAllocations: system.load(ordering: .relaxed))
  }

  /// Sets the peak back to what is in use now.
  public static func resetPeak() { peak.store(live.load(ordering: .relaxed), ordering: .relaxed) }

  /// The most bytes that are kept for later use; more go back to the system at once. A quarter of the
  /// machine's memory unless set.
  public static var cacheLimit: Int {
    get { limit.load(ordering: .relaxed) }
    set {
      limit.store(max(0, newValue), ordering: .relaxed)
      if cached.load(ordering: .relaxed) > newValue { trim() }
    }
  }

  /// Gives everything that is kept back to the system.
  public static func trim() {
    for sizeClass in classes {
      var list = sizeClass.lock.withLock { head in
        let all = Link(head)
        head = 0
        return all
      }
      while let block = list.block {
        list = Link(block.load(as: UInt.self))
        cached.subtract(sizeClass.byteCount, ordering: .relaxed)
        free(block)
      }
    }
  }

  // Size classes: four to a doubling, from 1 KiB up.
  final class SizeClass: Sendable {
    let byteCount: Int
    /// The address of the first free block; 0: none.
    let lock = Mutex<UInt>(0)
    init(_ byteCount: Int) { self.byteCount = byteCount }
  }

  private struct Link {
    let block: UnsafeMutableRawPointer?
    init(_ address: UInt) { block = UnsafeMutableRawPointer(bitPattern: address) }
  }

  private static let smallestShift = 10
  private static let classes: [SizeClass] = (0..<(4 * 36)).map { index in
    SizeClass((4 + index % 4) << (index / 4 + smallestShift - 2))
  }
  private static let live = Atomic<Int>(0)
  private static let peak = Atomic<Int>(0)
  private static let cached = Atomic<Int>(0)
  private static let system = Atomic<Int>(0)
  private static let limit = Atomic<Int>(Int(ProcessInfo.processInfo.physicalMemory / 4))
  private static let hugePage = 2 << 20

  /// The class of the smallest blocks that hold so many bytes.
  static func sizeClass(for byteCount: Int) -> Int {
    if byteCount <= 1 << smallestShift { return 0 }
    let top = byteCount - 1
    let shift = Int.bitWidth - 1 - top.leadingZeroBitCount
    return (shift - smallestShift) * 4 + ((top >> (shift - 2)) & 3) + 1
  }

  /// A block of at least that many bytes, aligned to 64, with arbitrary contents; nil where the system has none.
  static func allocate(_ byteCount: Int, _ index: Int) -> UnsafeMutableRawPointer? {
    guard index < classes.count else { return nil }
    let sizeClass = classes[index]
    let found = sizeClass.lock.withLock { head -> UInt in
      let block = head
      if let pointer = UnsafeMutableRawPointer(bitPattern: block) {
        head = pointer.load(as: UInt.self)
      }
      return block
    }
    if let block = UnsafeMutableRawPointer(bitPattern: found) {
      cached.subtract(sizeClass.byteCount, ordering: .relaxed)
      noteLive(sizeClass.byteCount)
      return block
    }
    guard let block = systemBlock(sizeClass.byteCount) else { return nil }
    noteLive(sizeClass.byteCount)
    return block
  }

  static func release(_ block: UnsafeMutableRawPointer, _ index: Int) {
    let sizeClass = classes[index]
    live.subtract(sizeClass.byteCount, ordering: .relaxed)
    let kept = cached.add(sizeClass.byteCount, ordering: .relaxed).newValue
    if kept > limit.load(ordering: .relaxed) {
      cached.subtract(sizeClass.byteCount, ordering: .relaxed)
      free(block)
      return
    }
    sizeClass.lock.withLock { head in
      block.storeBytes(of: head, as: UInt.self)
      head = UInt(bitPattern: block)
    }
  }

  static func noteLive(_ byteCount: Int) {
    let now = live.add(byteCount, ordering: .relaxed).newValue
    if now > peak.load(ordering: .relaxed) { peak.max(now, ordering: .relaxed) }
  }

  static func noteDead(_ byteCount: Int) { live.subtract(byteCount, ordering: .relaxed) }

  private static func systemBlock(_ byteCount: Int) -> UnsafeMutableRawPointer? {
    // Work worth sharing between threads has operands of this kind, so the pool is there before it.
    ThreadPool.install()
    var block: UnsafeMutableRawPointer?
    let huge = byteCount >= hugePage
    let alignment = huge ? hugePage : 64
    if posix_memalign(&block, alignment, byteCount) != 0 {
      // What is kept for later use may be what is missing now.
      trim()
      guard posix_memalign(&block, alignment, byteCount) == 0 else { return nil }
    }
    guard let block else { return nil }
    #if os(Linux)
      if huge { madvise(block, byteCount, MADV_HUGEPAGE) }
    #endif
    system.add(1, ordering: .relaxed)
    return block
  }
}
