import DuetKernels
import DuetRuntime

/// A branch or a loop as a step: the plans of its graphs, and the part of the arena that they work in.
package final class LoweredRegion: Sendable {
  package let region: GraphRegion
  let plans: [Plan]
  /// Bytes of each value that a loop carries, as in the two sets of places for them.
  private let carried: [Int]
  /// The plans are never at work at the same time, so their arenas are one.
  private let arenaByteCount: Int

  init(_ region: GraphRegion, _ options: CompileOptions) {
    self.region = region
    plans = region.graphs.map { graph in
      let program = LoweredProgram(graph, options)
      return PlanEncoder(program.lowering, program.memory).finish(shareable: [], late: [])
    }
    if case .loop(let loop) = region.form {
      carried = region.graphs[0].inputs.prefix(loop.carried).map {
        region.graphs[0].type(of: $0).byteCount
      }
    } else {
      carried = []
    }
    arenaByteCount = plans.reduce(0) { max($0, $1.arenaByteCount) }
  }

  /// The places of carried values from the start of the step's part of the arena: of both sets, and of what a
  /// condition gives.
  private var places: (offsets: [Int], end: Int) {
    if case .branch = region.form { return ([], 0) }
    var offsets: [Int] = []
    var end = 0
    for byteCount in carried + carried + [1] {
      offsets.append(end)
      end += MemoryPlan.aligned(max(1, byteCount))
    }
    return (offsets, end)
  }

  /// The bytes of the step's part of the arena.
  var scratchByteCount: Int { places.end + arenaByteCount }

  /// What is known of a step before its operands' places.
  struct Encoded {
    let kernel: duet_kernel
    let block: [UInt8]
    /// Where the block has the addresses of operands, results, and of places in the step's part of the arena.
    let operandsAt: Int
    let resultsAt: Int
    let places: [(offset: Int, scratch: Int)]
    let parts: [(offset: Int, plan: Plan, scratch: Int)]
  }

  func encoded() -> Encoded {
    switch region.form {
    case .branch: encodedBranch()
    case .loop(let loop): encoded(loop)
    }
  }

  private func encodedBranch() -> Encoded {
    var call = duet_branch_call()
    let operandsAt = MemoryLayout<duet_branch_call>.stride
    let resultsAt = operandsAt + region.inputTypes.count * 8
    call.operands = Int32(operandsAt)
    call.results = Int32(resultsAt)
    var block = [UInt8](repeating: 0, count: resultsAt + region.outputTypes.count * 8)
    block.store(call, at: 0)
    return Encoded(
      kernel: duet_branch, block: block, operandsAt: operandsAt, resultsAt: resultsAt, places: [],
      parts: plans.enumerated().map { ($0 * 8, $1, 0) })
  }

  private func encoded(_ loop: GraphRegion.Loop) -> Encoded {
    let body = region.graphs[0]
    let types = body.inputs.map(body.type(of:))
    let outputs = body.outputs.map(body.type(of:))
    let slices = types[loop.carried..<loop.carried + loop.sequences]
    let sizes = (types.prefix(loop.carried) + slices + outputs[loop.carried...]).map(\.byteCount)
    let (offsets, arena) = places

    var call = duet_iteration_call()
    var end = MemoryLayout<duet_iteration_call>.stride
    func room(_ count: Int) -> Int {
      defer { end += count * 8 }
      return end
    }
    let operandsAt = room(region.inputTypes.count)
    let resultsAt = room(region.outputTypes.count)
    let placesAt = room(offsets.count)
    let sizesAt = room(sizes.count)
    let boundAt = room(types.count + max(1, outputs.count))
    call.operands = Int32(operandsAt)
    call.results = Int32(resultsAt)
    call.places = Int32(placesAt)
    call.sizes = Int32(sizesAt)
    call.bound = Int32(boundAt)
    call.carried = Int32(loop.carried)
    call.sequences = Int32(loop.sequences)
    call.captured = Int32(types.count - loop.carried - loop.sequences)
    call.stacked = Int32(loop.stacked)
    call.is_counted = loop.isCounted ? 1 : 0
    call.is_reversed = loop.isReversed ? 1 : 0
    call.gives_count = loop.givesCount ? 1 : 0
    call.length = Int64(loop.length ?? -1)
    var block = [UInt8](repeating: 0, count: end)
    block.store(call, at: 0)
    for (i, size) in sizes.enumerated() { block.store(Int64(size), at: sizesAt + i * 8) }

    // The second instances are for loops in which nothing but carried values changes.
    let instances = loop.sequences + loop.stacked == 0 ? 2 : 1
    let parts = plans.enumerated().flatMap { p, plan in
      (0..<instances).map { (offset: (2 * p + $0) * 8, plan: plan, scratch: arena) }
    }
    return Encoded(
      kernel: duet_iterate, block: block, operandsAt: operandsAt, resultsAt: resultsAt,
      places: offsets.enumerated().map { (placesAt + $0 * 8, $1) }, parts: parts)
  }
}
