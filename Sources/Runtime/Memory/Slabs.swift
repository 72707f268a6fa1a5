// Unsafe: cuts raw memory into blocks. A slab goes back to the system only when all that was cut from it is free.

import Foundation

/// Huge pages that blocks smaller than one are cut from.
///
/// A block of its own for every tensor would lie on small pages scattered over physical memory: the cache sets
/// that they happen to share fill up before the cache does, and the processor translates addresses more than it
/// reads. On a huge page, a weight of half the second-level cache's size stays there whole.
enum Slabs {
  /// The size of a slab and its alignment: a huge page of x86-64 and of ARM with 4 KiB pages.
  static let byteCount = 2 << 20

  private struct State {
    /// What is left of the slab that blocks are being cut from.
    var rest: Range<UInt> = 0..<0
    /// The bytes cut from each slab, by its address.
    var cut: [UInt: Int] = [:]
  }

  private static let state = Lock(State())

  /// A block cut from a slab.
  /// - Parameter leftOver: Takes what is too small for the block at the end of a slab, before a new one is begun, and
  ///   gives back how many bytes of it have become free blocks.
  /// - Returns: The block, and whether a new slab was asked from the system for it; nil where there is none.
  static func block(
    _ size: Int, leftOver: (Range<UInt>) -> Int
  ) -> (block: UnsafeMutableRawPointer, isFresh: Bool)? {
    state.withLock { state -> (UInt, Bool)? in
      let isFresh = state.rest.count < size
      if isFresh {
        guard let slab = pages(byteCount) else { return nil }
        if !state.rest.isEmpty {
          state.cut[base(of: state.rest.lowerBound)]! += leftOver(state.rest)
        }
        let start = UInt(bitPattern: slab)
        state.rest = start..<start + UInt(byteCount)
        state.cut[start] = 0
      }
      let block = state.rest.lowerBound
      state.rest = block + UInt(size)..<state.rest.upperBound
      state.cut[base(of: block)]! += size
      return (block, isFresh)
    }.map { (UnsafeMutableRawPointer(bitPattern: $0.0)!, $0.1) }
  }

  /// Takes free blocks and gives the slabs back to the system that consist of nothing else.
  /// - Returns: The blocks of the other slabs, which are still there.
  static func release(
    _ blocks: [(address: UInt, sizeClass: Int)], size: (Int) -> Int
  ) -> [(address: UInt, sizeClass: Int)] {
    state.withLock { state in
      var free: [UInt: Int] = [:]
      for block in blocks { free[base(of: block.address), default: 0] += size(block.sizeClass) }
      let empty = free.filter { state.cut[$0.key] == $0.value }
      for (slab, _) in empty {
        if !state.rest.isEmpty && base(of: state.rest.lowerBound) == slab { state.rest = 0..<0 }
        state.cut[slab] = nil
        Foundation.free(UnsafeMutableRawPointer(bitPattern: slab))
      }
      return blocks.filter { empty[base(of: $0.address)] == nil }
    }
  }

  private static func base(of address: UInt) -> UInt { address & ~UInt(byteCount - 1) }

  /// Fresh memory in huge pages, where the system grants them, and aligned to one; nil where there is none.
  static func pages(_ size: Int) -> UnsafeMutableRawPointer? {
    var block: UnsafeMutableRawPointer?
    guard posix_memalign(&block, byteCount, size) == 0, let block else { return nil }
    #if os(Linux)
      madvise(block, size, MADV_HUGEPAGE)
    #endif
    return block
  }
}
