/// Offsets for allocations such that those alive at the same step do not overlap.
struct Placement {
  /// One per allocation.
  let offsets: [Int]
  /// Where the last one ends.
  let byteCount: Int

  typealias Allocation = MemoryPlan.Allocation

  /// The most bytes that are taken at one step.
  static func mostLive(_ allocations: [Allocation]) -> Int {
    let steps = (allocations.map(\.lastStep).max() ?? -1) + 2
    var change = [Int](repeating: 0, count: steps)
    for allocation in allocations {
      change[allocation.firstStep] += allocation.room
      change[allocation.lastStep + 1] -= allocation.room
    }
    var (now, most) = (0, 0)
    for step in change {
      now += step
      most = max(most, now)
    }
    return most
  }

  /// Largest first, each at the lowest offset that is free during its life.
  static func bySize(_ allocations: [Allocation]) -> Placement {
    struct Placed {
      let offset, end, firstStep, lastStep: Int
    }
    let order = allocations.indices.sorted {
      let (a, b) = (allocations[$0], allocations[$1])
      return a.byteCount != b.byteCount ? a.byteCount > b.byteCount : a.firstStep < b.firstStep
    }
    var offsets = [Int](repeating: 0, count: allocations.count)
    var byteCount = 0
    var placed: [Placed] = []  // by offset
    for i in order {
      let wanted = allocations[i]
      var offset = 0
      for other in placed
      where other.firstStep <= wanted.lastStep && wanted.firstStep <= other.lastStep {
        if offset + wanted.room <= other.offset { break }
        offset = max(offset, other.end)
      }
      offsets[i] = offset
      byteCount = max(byteCount, offset + wanted.room)
      // The first place behind all smaller offsets, by bisection.
      var (low, high) = (0, placed.count)
      while low < high {
        let middle = (low + high) / 2
        if placed[middle].offset <= offset { low = middle + 1 } else { high = middle }
      }
      placed.insert(
        Placed(
          offset: offset, end: offset + wanted.room, firstStep: wanted.firstStep,
          lastStep: wanted.lastStep), at: low)
    }
    return Placement(offsets: offsets, byteCount: byteCount)
  }

  /// In the order of their first steps, each in the smallest gap that holds it.
  static func byTime(_ allocations: [Allocation]) -> Placement {
    let starts = allocations.indices.sorted {
      let (a, b) = (allocations[$0], allocations[$1])
      return a.firstStep != b.firstStep ? a.firstStep < b.firstStep : a.byteCount > b.byteCount
    }
    let ends = allocations.indices.sorted { allocations[$0].lastStep < allocations[$1].lastStep }
    var offsets = [Int](repeating: 0, count: allocations.count)
    var gaps: [Range<Int>] = []  // ascending, never touching
    var byteCount = 0
    var nextEnd = 0
    for i in starts {
      while nextEnd < ends.count, case let e = ends[nextEnd],
        allocations[e].lastStep < allocations[i].firstStep
      {
        release(offsets[e]..<offsets[e] + allocations[e].room, &gaps)
        nextEnd += 1
      }
      let size = allocations[i].room
      var best: Int?
      for (g, gap) in gaps.enumerated() where gap.count >= size {
        if best.map({ gaps[$0].count > gap.count }) ?? true { best = g }
      }
      if let best {
        offsets[i] = gaps[best].lowerBound
        let rest = offsets[i] + size..<gaps[best].upperBound
        if rest.isEmpty { gaps.remove(at: best) } else { gaps[best] = rest }
      } else if let last = gaps.last, last.upperBound == byteCount {
        // The gap at the end grows.
        offsets[i] = last.lowerBound
        gaps.removeLast()
        byteCount = offsets[i] + size
      } else {
        offsets[i] = byteCount
        byteCount += size
      }
    }
    return Placement(offsets: offsets, byteCount: byteCount)
  }

  private static func release(_ range: Range<Int>, _ gaps: inout [Range<Int>]) {
    if range.isEmpty { return }
    var (low, high) = (0, gaps.count)
    while low < high {
      let middle = (low + high) / 2
      if gaps[middle].lowerBound < range.lowerBound { low = middle + 1 } else { high = middle }
    }
    var joined = range
    if low < gaps.count, gaps[low].lowerBound == range.upperBound {
      joined = joined.lowerBound..<gaps.remove(at: low).upperBound
    }
    if low > 0, gaps[low - 1].upperBound == range.lowerBound {
      gaps[low - 1] = gaps[low - 1].lowerBound..<joined.upperBound
    } else {
      gaps.insert(joined, at: low)
    }
  }
}
