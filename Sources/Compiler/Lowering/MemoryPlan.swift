/// Where values between steps lie in the arena.
///
/// A result takes over the memory of an operand that is read for the last time where the step allows it.
/// What remains is placed by `Placement`.
package struct MemoryPlan: Sendable {
  /// Memory in the arena and the steps during which it holds values.
  package struct Allocation: Sendable {
    package let buffer: Int
    package let byteCount: Int
    package var firstStep: Int
    package var lastStep: Int
    package var offset = 0

    /// The bytes with what keeps the next allocation aligned.
    var room: Int { MemoryPlan.aligned(byteCount) }
  }

  /// For every buffer the one whose memory it lies in: itself, unless it took over another's.
  package private(set) var owner: [Int]
  private(set) var allocations: [Allocation] = []
  package private(set) var arenaByteCount = 0
  private(set) var byteCountBeforeReuse = 0
  /// The most bytes that hold values at one time: no arena can be smaller.
  private(set) var mostLiveByteCount = 0
  private var place: [Int: Int] = [:]

  package static let alignment = 64

  package init(_ steps: [LoweredStep], _ buffers: [Buffer]) {
    owner = Array(buffers.indices)
    var first = [Int?](repeating: nil, count: buffers.count)
    var last = [Int](repeating: -1, count: buffers.count)
    for (s, step) in steps.enumerated() {
      for operand in step.outputs + step.inputs { last[operand.buffer] = s }
      for operand in step.outputs where first[operand.buffer] == nil { first[operand.buffer] = s }
    }
    takeOver(steps, buffers, first, last)

    var index: [Int: Int] = [:]
    for (b, buffer) in buffers.enumerated() where buffer.kind == .arena && buffer.byteCount > 0 {
      guard let start = first[b] else { continue }
      byteCountBeforeReuse += Self.aligned(buffer.byteCount)
      if let i = index[owner[b]] {
        allocations[i].firstStep = min(allocations[i].firstStep, start)
        allocations[i].lastStep = max(allocations[i].lastStep, last[b])
      } else {
        index[owner[b]] = allocations.count
        allocations.append(
          Allocation(
            buffer: owner[b], byteCount: buffer.byteCount, firstStep: start, lastStep: last[b]))
      }
    }
    placeAll()
  }

  /// The offset in the arena of a buffer that is its own owner; 0 for one without bytes.
  package func offset(of buffer: Int) -> Int { place[buffer] ?? 0 }

  static func aligned(_ byteCount: Int) -> Int {
    (byteCount + alignment - 1) / alignment * alignment
  }

  private mutating func takeOver(
    _ steps: [LoweredStep], _ buffers: [Buffer], _ first: [Int?], _ last: [Int]
  ) {
    for (s, step) in steps.enumerated() {
      var taken: Set<Int> = []
      for (o, output) in step.outputs.enumerated() {
        let target = buffers[output.buffer]
        guard target.kind == .arena, target.byteCount > 0, first[output.buffer] == s else {
          continue
        }
        for input in step.inputs {
          let source = input.buffer
          // A step may read, as a view, what it has itself written: that is there for all of the step.
          guard buffers[source].kind == .arena, buffers[source].byteCount == target.byteCount,
            first[source] != s, last[source] == s, !taken.contains(source),
            step.mayOverwrite(source, with: o)
          else { continue }
          taken.insert(source)
          owner[output.buffer] = owner[source]
          break
        }
      }
    }
  }

  private mutating func placeAll() {
    var best = Placement.byTime(allocations)
    // Trying every place that was given before takes square time, and mostly saves little where there are so
    // many values.
    if allocations.count <= 4096 {
      let other = Placement.bySize(allocations)
      if other.byteCount < best.byteCount { best = other }
    }
    for i in allocations.indices {
      allocations[i].offset = best.offsets[i]
      place[allocations[i].buffer] = best.offsets[i]
    }
    arenaByteCount = best.byteCount
    mostLiveByteCount = Placement.mostLive(allocations)
  }
}
