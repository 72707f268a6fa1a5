import DuetCompiler
import DuetEager
import DuetRuntime

/// The programs that pending values were computed with, by structure: all threads and sessions share them.
package final class PendingPrograms: Sendable {
  /// Those in use: one cache for the process. A test that counts what is compiled brings its own, which no other
  /// test can fill.
  @TaskLocal package static var shared = PendingPrograms()

  struct Structure: Hashable {
    let entries: [PendingGraph.Entry]
    let outputs: [Int]
    /// Outputs that may be computed in the place of an argument.
    let sharing: [Pair]

    struct Pair: Hashable {
      let output: Int
      let input: Int
    }
  }

  private struct Cached {
    let program: CompiledGraph
    var lastUse: Int
  }

  private struct State {
    var programs: [Structure: Cached] = [:]
    var uses = 0
  }

  private let state = Lock(State())
  /// The most programs that are kept; the one that was not used for longest goes first.
  private static let limit = 256

  package init() {}

  /// The program of that structure, compiled if none is known.
  func program(
    for graph: PendingGraph, sharing: [Structure.Pair] = []
  ) throws(OpError) -> CompiledGraph {
    let structure = Structure(entries: graph.entries, outputs: graph.outputs, sharing: sharing)
    let known = state.withLock { state -> CompiledGraph? in
      state.uses += 1
      state.programs[structure]?.lastUse = state.uses
      return state.programs[structure]?.program
    }
    if let known { return known }
    DeferredThread.current.compileCount += 1
    let options = CompileOptions(mayShare: sharing.map { ($0.output, $0.input) })
    let program = try compile(graph.graph(), options)
    state.withLock { state in
      if state.programs.count >= Self.limit,
        let oldest = state.programs.min(by: { $0.value.lastUse < $1.value.lastUse })
      {
        state.programs[oldest.key] = nil
      }
      state.programs[structure] = Cached(program: program, lastUse: state.uses)
    }
    return program
  }
}
