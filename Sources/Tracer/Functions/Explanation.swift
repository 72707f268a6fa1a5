import DuetCompiler
import DuetEager
import DuetRuntime

/// What a traced function has recorded, and why.
public struct Explanation: Sendable, CustomStringConvertible {
  /// A value that a closure looks at, and where calls went on from it.
  public struct Guard: Sendable, CustomStringConvertible {
    /// What looks: `item`, `asArray`.
    public let operation: String
    /// The line of the program, if the program carries line tables.
    public let location: SourceLocation?
    public let outcomes: [Outcome]

    public var description: String {
      "\(operation)\(location.map { " at \($0)" } ?? ""): "
        + outcomes.map { "\($0.value) × \($0.count)" }.joined(separator: ", ")
    }
  }

  /// What a value was, and how many calls found it so.
  public struct Outcome: Sendable {
    public let value: String
    public let count: Int
  }

  /// One recorded trace.
  public struct Entry: Sendable {
    /// Path, dtype and shape of each tensor argument: `argument 0: float32[2, 3]`.
    public let arguments: [String]
    /// What made the trace necessary: the argument that differed from the closest earlier signature.
    public let reason: String
    /// Variables and other state that a call reads, by name.
    public let stateRead: [String]
    /// Variables and other state that a call writes, by name.
    public let stateWritten: [String]
    /// How many tensors from outside became constants, and their bytes.
    public let constants: (count: Int, bytes: Int)
    public let calls: Int
    /// The values that the closure looks at, in the order of its program; those behind a branch follow it.
    public let guards: [Guard]
    /// Why calls run the closure instead of the plan; nil: they replay.
    public let runsEagerlyBecause: String?
    /// What the plan does, in one line.
    public let plan: String
  }

  /// In the order of recording.
  public let traces: [Entry]

  init(_ traces: [Trace]) {
    self.traces = traces.map { trace in
      let state = trace.stateDescription
      let plan = (try? trace.whole())?.plan ?? trace.compiled.plan
      return Entry(
        arguments: zip(trace.paths, trace.signature.leaves).map { "\($0): \($1.type)" },
        reason: trace.reason, stateRead: state.read, stateWritten: state.written,
        constants: (trace.constantCount, trace.constantBytes),
        calls: trace.callCount.load(ordering: .relaxed), guards: trace.guards,
        runsEagerlyBecause: trace.reasonForEager,
        plan: "\(plan.stepCount) steps, \(plan.fusedGroupCount) fused groups, "
          + "\(plan.arenaByteCount) arena bytes")
    }
  }

  public var description: String {
    if traces.isEmpty { return "not traced yet" }
    return traces.enumerated().map { i, entry in
      var lines = ["trace \(i + 1) (\(entry.reason))"]
      lines.append(
        "  arguments: "
          + (entry.arguments.isEmpty ? "none" : entry.arguments.joined(separator: ", ")))
      if !entry.stateRead.isEmpty {
        lines.append("  reads: " + entry.stateRead.joined(separator: ", "))
      }
      if !entry.stateWritten.isEmpty {
        lines.append("  writes: " + entry.stateWritten.joined(separator: ", "))
      }
      lines += entry.guards.map { "  looks at: \($0)" }
      lines.append("  constants: \(entry.constants.count), \(entry.constants.bytes) bytes")
      lines.append("  plan: \(entry.plan)")
      lines.append(
        entry.runsEagerlyBecause.map { "  calls: \(entry.calls), run eagerly: \($0)" }
          ?? "  replays: \(entry.calls)")
      return lines.joined(separator: "\n")
    }.joined(separator: "\n")
  }
}

/// The graph behind a traced call.
public struct TracedGraph: Sendable, CustomStringConvertible {
  /// After all passes.
  public let optimised: Graph
  /// As recorded.
  public let unoptimised: Graph

  init(_ trace: Trace) {
    optimised = ((try? trace.whole()) ?? trace.compiled).optimized
    unoptimised = trace.unoptimized
  }

  /// The optimised graph as text.
  public var description: String { optimised.description }
  /// The optimised graph for Graphviz.
  public var dot: String { optimised.dot }
  /// The optimised graph as a page that needs no network.
  public var html: String { optimised.html }
}

/// A function compiled from types alone.
public struct LoweredFunction: Sendable, CustomStringConvertible {
  public let graph: TracedGraph
  public let plan: Plan

  init(_ trace: Trace) {
    graph = TracedGraph(trace)
    plan = ((try? trace.whole()) ?? trace.compiled).plan
  }

  public var description: String { "\(graph)\n\(plan)" }
}
