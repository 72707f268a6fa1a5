// Unsafe: hands the addresses of its own arrays to kernels that stay within them.

import Duet
import DuetKernels
import DuetRuntime
import Foundation

/// What this processor and its memory can do at most, measured in this process with loops that do
/// nothing else.
final class Limits {
  /// One measured limit.
  struct Rate {
    let name: String
    let instructions: String
    let threads: Int
    /// The size of each array; nil for arithmetic.
    let mebibytes: Int?
    /// Operations or bytes per second: the best sample is the limit.
    let best: Double
    let median: Double
  }

  private(set) var rates: [Rate] = []
  private let sample: Double
  private let samples: Int
  private var fastest: [Traffic: Kind] = [:]

  /// How a case's bytes move.
  private struct Traffic: Hashable {
    let bytes: Int
    /// Arrays read for each that is written; 0 where next to nothing is written.
    let readsPerWrite: Int

    init(_ cost: Cost) {
      // What is written of larger arrays goes past the caches: more bytes tell no more.
      bytes = min(Int(cost.bytes), 768 << 20)
      let ratio = cost.reads / max(cost.writes, 1)
      readsPerWrite = ratio > 9 ? 0 : ratio < 1.5 ? 1 : ratio < 3 ? 2 : 4
    }
  }

  init(_ plan: SamplingPlan) {
    sample = plan.sample / 2
    samples = plan.minimumSamples + 2
  }

  // MARK: The whole table

  /// Measures multiply-adds for every instruction set of the processor, and bandwidths, on one
  /// thread and on all.
  func measureAll() {
    let threads = threadCount
    let isa = duet_current_isa()
    let counts = threads == 1 ? [1] : [1, threads]
    defer {
      _ = duet_use_isa(isa)
      setThreadCount(threads)
    }
    for code in (0..<Int32(DUET_ISA_COUNT.rawValue)).reversed() {
      guard duet_use_isa(duet_isa(rawValue: code)) != 0 else { continue }
      for count in counts {
        setThreadCount(count)
        rates.append(rate(of: arithmetic("fma_float32", DUET_LIMIT_FMA_FLOAT32, count)))
        rates.append(rate(of: arithmetic("fma_float64", DUET_LIMIT_FMA_FLOAT64, count)))
      }
    }
    _ = duet_use_isa(isa)
    for mebibytes in [4, 256] {
      let arrays = LimitArrays(count: 5, byteCount: mebibytes << 20)
      for count in counts {
        setThreadCount(count)
        for kind in Self.kinds {
          rates.append(rate(of: bandwidth(kind, arrays, count)))
        }
      }
    }
  }

  /// What bounds a case, with the instruction set and the threads in use: whichever takes longer for
  /// it, its operations or its bytes.
  func bound(of cost: Cost) -> LimitLoop {
    let operations = arithmetic("fma_float32", DUET_LIMIT_FMA_FLOAT32, threadCount)
    let traffic = bandwidth(of: cost)
    return cost.flops / operations.rate() > cost.bytes / traffic.rate() ? operations : traffic
  }

  /// That much traffic with as many reads for a write: of arrays that hold as many bytes
  /// altogether, so that what fits a cache is judged by that cache.
  private func bandwidth(of cost: Cost) -> LimitLoop {
    let traffic = Traffic(cost)
    func loop(_ kind: Kind) -> LimitLoop {
      let size = max(4096, traffic.bytes / kind.arrays) / 1024 * 1024
      return bandwidth(kind, LimitArrays(count: kind.arrays, byteCount: size), threadCount)
    }
    if let kind = fastest[traffic] { return loop(kind) }
    let kinds = Self.kinds.filter { $0.readsPerWrite == traffic.readsPerWrite }
    let kind = kinds.max { rate(of: loop($0)).best < rate(of: loop($1)).best }!
    fastest[traffic] = kind
    return loop(kind)
  }

  // MARK: One measurement

  private struct Kind {
    let name: String
    let limit: duet_limit
    let arrays: Int

    var readsPerWrite: Int { arrays - 1 }
  }

  private static let kinds = [
    Kind(name: "read", limit: DUET_LIMIT_READ, arrays: 1),
    Kind(name: "copy", limit: DUET_LIMIT_COPY, arrays: 2),
    Kind(name: "copy_streamed", limit: DUET_LIMIT_COPY_STREAMED, arrays: 2),
    Kind(name: "triad", limit: DUET_LIMIT_TRIAD, arrays: 3),
    Kind(name: "triad_streamed", limit: DUET_LIMIT_TRIAD_STREAMED, arrays: 3),
    Kind(name: "sum_of_4", limit: DUET_LIMIT_SUM_OF_4, arrays: 5),
    Kind(name: "sum_of_4_streamed", limit: DUET_LIMIT_SUM_OF_4_STREAMED, arrays: 5),
  ]

  private func arithmetic(_ name: String, _ limit: duet_limit, _ threads: Int) -> LimitLoop {
    var call = duet_limit_call()
    call.limit = limit
    call.tasks = 1
    call.count = 1000
    // Long enough that starting a task does not count.
    while seconds({ _ = duet_limit_run(&call) }) < sample / 4 { call.count *= 2 }
    call.tasks = Int64(4 * threads)
    let work = Double(duet_limit_round(limit)) * Double(call.count) * Double(call.tasks)
    return LimitLoop(name: name, threads: threads, arrays: nil, work: work, call: call)
  }

  private func bandwidth(_ kind: Kind, _ arrays: LimitArrays, _ threads: Int) -> LimitLoop {
    var call = duet_limit_call()
    call.limit = kind.limit
    call.tasks = Int64(arrays.byteCount < 1 << 20 ? 1 : 4 * threads)
    if threads == 1 { call.tasks = 1 }
    call.count = Int64(arrays.byteCount / 4)
    // `read` takes its array as operand 1; the others write the first and read the next ones.
    let bases = arrays.bases
    call.operand.0 = bases[0]
    call.operand.1 = bases[kind.arrays > 1 ? 1 : 0]
    call.operand.2 = bases[kind.arrays > 2 ? 2 : 0]
    call.operand.3 = bases[kind.arrays > 3 ? 3 : 0]
    call.operand.4 = bases[kind.arrays > 4 ? 4 : 0]
    let once = max(1e-7, seconds { _ = duet_limit_run(&call) })
    return LimitLoop(
      name: kind.name, threads: threads, arrays: arrays,
      work: Double(kind.arrays * arrays.byteCount), call: call, turns: max(1, Int(sample / once)))
  }

  private func rate(of loop: LimitLoop) -> Rate {
    _ = loop.rate()
    let found = (0..<samples).map { _ in loop.rate() }
    return Rate(
      name: loop.name, instructions: instructionSet, threads: loop.threads,
      mebibytes: loop.arrays.map { $0.byteCount >> 20 }, best: found.max()!, median: median(found))
  }
}

/// A loop that does nothing but come to one of the machine's limits.
struct LimitLoop {
  let name: String
  let threads: Int
  /// Nil for arithmetic.
  let arrays: LimitArrays?
  /// Operations or bytes of one turn.
  let work: Double
  var call: duet_limit_call
  var turns = 1

  /// Operations or bytes per second, measured now.
  func rate() -> Double {
    var call = call
    let time = seconds { for _ in 0..<turns { _ = duet_limit_run(&call) } }
    return work * Double(turns) / time
  }
}

/// Memory of the kind that tensors have.
final class LimitArrays {
  let byteCount: Int
  private let storages: [Storage]
  let bases: [UnsafeMutableRawPointer]

  init(count: Int, byteCount: Int) {
    self.byteCount = byteCount
    // Small blocks are not aligned to a cache line; the allocator's are.
    storages = (0..<count).map { _ in Storage.allocate(byteCount: max(byteCount, 1024)) }
    bases = storages.map(\.base)
    for base in bases { memset(base, 0, byteCount) }
  }
}
