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
    /// How often memory had to be asked from the system.
    public var systemAllocations: Int
  }

  /// What is held now, and the peak. Counters are read one by one: other threads may allocate in between.
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

  /// Gives what is kept back to the system; blocks under 2 MiB only if nothing else on their page is in use.
  public static func trim() {
    for sizeClass in classes[slabClassCount...] {
      for address in sizeClass.takeAll() {
        cached.subtract(sizeClass.byteCount, ordering: .relaxed)
        free(UnsafeMutableRawPointer(bitPattern: address))
      }
    }
    trimSlabs()
  }

  private static func trimSlabs() {
    var blocks: [(address: UInt, sizeClass: Int)] = []
    for (index, sizeClass) in classes[..<slabClassCount].enumerated() {
      blocks += sizeClass.takeAll().map { ($0, index) }
    }
    var released = blocks.reduce(0) { $0 + classes[$1.sizeClass].byteCount }
    for block in Slabs.release(blocks, size: { classes[$0].byteCount }) {
      let sizeClass = classes[block.sizeClass]
      released -= sizeClass.byteCount
      sizeClass.put(block.address)
    }
    cached.subtract(released, ordering: .relaxed)
  }

  /// Makes room for a large block that stays, and does the work that the blocks kept for later use were there for:
  /// they go back to the system, so that both are not there at once.
  static func prepareForLongUse(of byteCount: Int) {
    if byteCount >= Slabs.byteCount && cached.load(ordering: .relaxed) >= byteCount { trim() }
  }

  // Size classes: four to a doubling, from 1 KiB up.
  final class SizeClass: Sendable {
    let byteCount: Int
    /// The address of the first free block; 0: none.
    let lock = Lock<UInt>(0)
    init(_ byteCount: Int) { self.byteCount = byteCount }

    /// The address of a free block; 0 where there is none.
    @inline(__always)
    func take() -> UInt {
      lock.withLock { head in
        let block = head
        if let pointer = UnsafeMutableRawPointer(bitPattern: block) {
          head = pointer.load(as: UInt.self)
        }
        return block
      }
    }

    /// Keeps a free block.
    @inline(__always)
    func put(_ address: UInt) {
      lock.withLock { head in
        UnsafeMutableRawPointer(bitPattern: address)!.storeBytes(of: head, as: UInt.self)
        head = address
      }
    }

    /// The addresses of all free blocks.
    func takeAll() -> [UInt] {
      var next = lock.withLock { head in
        defer { head = 0 }
        return head
      }
      var all: [UInt] = []
      while let block = UnsafeMutableRawPointer(bitPattern: next) {
        all.append(next)
        next = block.load(as: UInt.self)
      }
      return all
    }
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
  /// Blocks of the classes before this one are cut from slabs.
  private static let slabClassCount = classes.firstIndex { $0.byteCount >= Slabs.byteCount }!
  /// What was released beyond the limit since the slabs were last looked through.
  private static let beyondLimit = Atomic<Int>(0)

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
    if let block = UnsafeMutableRawPointer(bitPattern: sizeClass.take()) {
      cached.subtract(sizeClass.byteCount, ordering: .relaxed)
      noteLive(sizeClass.byteCount)
      return block
    }
    guard let block = systemBlock(index) else { return nil }
    noteLive(sizeClass.byteCount)
    return block
  }

  static func release(_ block: UnsafeMutableRawPointer, _ index: Int) {
    let sizeClass = classes[index]
    live.subtract(sizeClass.byteCount, ordering: .relaxed)
    let kept = cached.add(sizeClass.byteCount, ordering: .relaxed).newValue
    if kept > limit.load(ordering: .relaxed) {
      releaseBeyondLimit(block, index)
    } else {
      sizeClass.put(UInt(bitPattern: block))
    }
  }

  /// A large block goes back to the system; a small one can only be part of a page that does.
  @inline(never)
  private static func releaseBeyondLimit(_ block: UnsafeMutableRawPointer, _ index: Int) {
    let sizeClass = classes[index]
    if index >= slabClassCount {
      cached.subtract(sizeClass.byteCount, ordering: .relaxed)
      free(block)
      return
    }
    sizeClass.put(UInt(bitPattern: block))
    // Looking through everything for every block would be slow where pages stay in use.
    let waiting = beyondLimit.add(sizeClass.byteCount, ordering: .relaxed).newValue
    if waiting > min(limit.load(ordering: .relaxed) / 16, Slabs.byteCount) {
      beyondLimit.store(0, ordering: .relaxed)
      trimSlabs()
    }
  }

  static func noteLive(_ byteCount: Int) {
    let now = live.add(byteCount, ordering: .relaxed).newValue
    if now > peak.load(ordering: .relaxed) { peak.max(now, ordering: .relaxed) }
  }

  static func noteDead(_ byteCount: Int) { live.subtract(byteCount, ordering: .relaxed) }

  private static func systemBlock(_ index: Int) -> UnsafeMutableRawPointer? {
    // Work worth sharing between threads has operands of this kind, so the pool is there before it.
    ThreadPool.install()
    if let block = freshBlock(index) { return block }
    // What is kept for later use may be what is missing now.
    trim()
    return freshBlock(index)
  }

  private static func freshBlock(_ index: Int) -> UnsafeMutableRawPointer? {
    let size = classes[index].byteCount
    if index >= slabClassCount {
      guard let block = Slabs.pages(size) else { return nil }
      system.add(1, ordering: .relaxed)
      return block
    }
    guard let (block, isFresh) = Slabs.block(size, leftOver: keep) else { return nil }
    if isFresh { system.add(1, ordering: .relaxed) }
    return block
  }

  /// Cuts the end of a slab into free blocks.
  /// - Returns: Their bytes; the last few hundred are not worth a block.
  private static func keep(_ rest: Range<UInt>) -> Int {
    var next = rest.lowerBound
    for sizeClass in classes[..<slabClassCount].reversed() {
      while rest.upperBound - next >= sizeClass.byteCount {
        sizeClass.put(next)
        next += UInt(sizeClass.byteCount)
      }
    }
    let kept = Int(next - rest.lowerBound)
    cached.add(kept, ordering: .relaxed)
    return kept
  }
}
