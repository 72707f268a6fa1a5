import DuetRuntime

/// How a tile program walks its arrays: the iteration space with neighbouring axes merged, the tile's extent,
/// how each array is reached, and where registers and expanded tiles lie in the scratch memory.
package struct TileLayout: Sendable {
  package enum Access: Int32, Sendable {
    case contiguous, scalar, direct, expanded, rows
  }

  package struct External: Sendable {
    package var access: Access
    package var elementSize: Int
    /// The byte offset of the expanded tile.
    package var scratch = 0
    /// Bytes, over the merged axes.
    package var strides: [Int]
    /// Bytes between the elements of a tile as a loop sees it.
    package var innerStride: Int
  }

  private(set) var shape: [Int]
  private let outputCount: Int
  /// Outputs first, then inputs.
  package private(set) var externals: [External]
  private(set) var tileAxis = 0
  private(set) var tileStep = 1
  private(set) var scratchByteCount = 0
  /// The byte offset of each instruction's result, where it is a register.
  private(set) var registers: [Int?]

  /// Elements of a tile, and the most bytes that it may take: scratch memory and the arrays' parts together
  /// leave room in a first-level cache of 32 KiB. Groups with more values at once get smaller tiles and, in
  /// the end, a part of the second-level cache. The last size fits any group.
  private static let tileSizes: [(elements: Int, bytes: Int, countsArrays: Bool)] = [
    (1024, 28 << 10, true), (512, 28 << 10, true), (256, 28 << 10, false), (128, 60 << 10, false),
    (32, 64 << 10, false),
  ]

  /// Elements.
  private static let shortTile = 128
  /// Bytes of a result's part in the short tile of a group with arrays of 16 bits, where loops of floats convert whole
  /// buffers: as many as are written past the caches at a time.
  private static let shortHalfTileBytes = 1024
  /// What the caches hold of a group's arrays: more is read from memory at least in part.
  private static let nearBytes = 16 << 20

  package init(_ group: TileGroup, outputs: [StepOperand], inputs: [StepOperand]) {
    shape = Array(group.shape)
    outputCount = group.outputCount
    externals = (outputs.prefix(group.outputCount) + inputs).map { operand in
      let size = operand.dtype.size
      let layout = operand.layout.broadcast(to: group.shape)
      return External(
        access: .contiguous, elementSize: size,
        strides: (0..<group.shape.rank).map {
          group.shape[$0] == 1 ? 0 : layout.strides[$0] * size
        },
        innerStride: size)
    }
    registers = []
    mergeAxes()
    // Where the arrays come from memory, short tiles let the processor fetch the next array's lines while it
    // computes; a longer tile is one array's stream after the other.
    let widest = externals[..<outputCount].map(\.elementSize).max() ?? 2
    chooseTile(
      externals.contains { $0.elementSize == 2 }
        ? Self.shortHalfTileBytes / max(2, widest) : Self.shortTile)
    classify()
    assignScratch(group)
    let whole = externals.filter { $0.access == .contiguous }
      .reduce(0) { $0 + $1.elementSize * elementCount }
    if whole > Self.nearBytes && scratchByteCount <= Self.tileSizes[0].bytes
      && !externals.contains(where: { $0.access == .expanded })
    {
      return
    }
    for size in Self.tileSizes {
      chooseTile(size.elements)
      classify()
      assignScratch(group)
      let arrays = externals.filter { [.contiguous, .direct, .rows].contains($0.access) }
        .reduce(0) { $0 + $1.elementSize * tileElements }
      if scratchByteCount + (size.countsArrays ? arrays : 0) <= size.bytes { break }
    }
  }

  package var elementCount: Int { shape.reduce(1, *) }
  package var innerCount: Int { shape[(tileAxis + 1)...].reduce(1, *) }
  package var tileElements: Int { tileStep * innerCount }
  package var tilesPerRun: Int { (shape[tileAxis] + tileStep - 1) / tileStep }
  package var tileCount: Int { shape[..<tileAxis].reduce(1, *) * tilesPerRun }

  /// Merges axes that lie one behind the other in every array; leaves at least one axis.
  private mutating func mergeAxes() {
    var merged: [Int] = []
    var strides = [[Int]](repeating: [], count: externals.count)
    for axis in shape.indices where shape[axis] != 1 {
      let fits =
        !merged.isEmpty
        && externals.indices.allSatisfy {
          strides[$0].last! == externals[$0].strides[axis] * shape[axis]
        }
      if fits { merged[merged.count - 1] *= shape[axis] } else { merged.append(shape[axis]) }
      for i in externals.indices {
        if fits { strides[i].removeLast() }
        strides[i].append(externals[i].strides[axis])
      }
    }
    if merged.isEmpty {
      merged = [1]
      strides = strides.map { _ in [0] }
    }
    shape = merged
    for i in externals.indices { externals[i].strides = strides[i] }
  }

  /// Shorter rows of an input are copied into tiles.
  private static let shortestRow = 32

  /// Takes as many whole trailing axes as fit into a tile, and a part of the axis before them. Results have no
  /// gaps within the whole axes.
  private mutating func chooseTile(_ tileSize: Int) {
    var axis = shape.count - 1
    var inner = 1
    func hasGap(_ axis: Int) -> Bool {
      externals[..<outputCount].contains { !$0.isContiguous(from: axis, shape) }
    }
    while axis > 0 && inner * shape[axis] <= tileSize && !hasGap(axis) {
      inner *= shape[axis]
      axis -= 1
    }
    tileAxis = axis
    let most = min(shape[axis], max(1, tileSize / inner))
    // Tiles of equal size, whole vectors where a tile is a part of a row.
    let tiles = (shape[axis] + most - 1) / most
    tileStep = (shape[axis] + tiles - 1) / tiles
    if inner == 1 && tiles > 1 { tileStep = min(most, (tileStep + 63) & ~63) }
  }

  private mutating func classify() {
    for i in externals.indices {
      let size = externals[i].elementSize
      let strides = externals[i].strides
      var isContiguous = true
      var isContiguousInTile = true
      var repeatsInTile = true
      var expected = size
      for axis in shape.indices.reversed() {
        let extent = axis == tileAxis ? tileStep : shape[axis]
        if shape[axis] > 1 && strides[axis] != expected { isContiguous = false }
        if axis >= tileAxis && extent > 1 {
          if strides[axis] != expected { isContiguousInTile = false }
          if strides[axis] != 0 { repeatsInTile = false }
        }
        expected *= shape[axis]
      }
      let repeats = strides.allSatisfy { $0 == 0 }
      externals[i].access =
        isContiguous
        ? .contiguous
        : repeats
          ? .scalar
          : isContiguousInTile || repeatsInTile
            ? .direct : comesInRows(i) ? .rows : .expanded
      externals[i].innerStride =
        externals[i].access == .scalar || (externals[i].access == .direct && !isContiguousInTile)
        ? 0 : size
    }
  }

  private func comesInRows(_ i: Int) -> Bool {
    // A row that repeats is copied once for many tiles.
    let isWorthACall = innerCount >= Self.shortestRow && externals[i].strides[tileAxis] != 0
    return (i < outputCount || isWorthACall)
      && externals[i].isContiguous(from: tileAxis + 1, shape)
  }

  /// Gives registers by linear scan: a result may take the register of an operand that is read for the last
  /// time, if its elements have the same size.
  private mutating func assignScratch(_ group: TileGroup) {
    var used = 0
    func room(_ elementSize: Int) -> Int {
      // A line more than needed keeps tiles apart in the low bits of their addresses.
      defer { used += (elementSize * tileElements + 63) & ~63 + 64 }
      return used
    }
    for i in externals.indices where externals[i].access == .expanded {
      externals[i].scratch = room(externals[i].elementSize)
    }
    var lastUse = [Int](repeating: -1, count: group.instructions.count)
    for (i, instruction) in group.instructions.enumerated() {
      for case .register(let value) in instruction.operands { lastUse[value] = i }
    }
    if case .register(let value) = group.reduction?.operand { lastUse[value] = .max }
    var free: [Int: [Int]] = [:]
    registers = [Int?](repeating: nil, count: group.instructions.count)
    for (i, instruction) in group.instructions.enumerated() {
      for case .register(let value) in Set(instruction.operands) where lastUse[value] == i {
        free[group.instructions[value].dtype.size, default: []].append(registers[value]!)
      }
      if case .register = instruction.result {
        let size = instruction.dtype.size
        registers[i] = free[size, default: []].popLast() ?? room(size)
      }
    }
    scratchByteCount = used
  }
}

extension TileLayout.External {
  /// Whether the elements over those trailing axes lie one behind the other.
  fileprivate func isContiguous(from axis: Int, _ shape: [Int]) -> Bool {
    var expected = elementSize
    for axis in (axis..<shape.count).reversed() {
      if shape[axis] > 1 && strides[axis] != expected { return false }
      expected *= shape[axis]
    }
    return true
  }
}
