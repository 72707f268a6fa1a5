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
    public var location: SourceLocation? { callSite.location }
    /// One per value found so far.
    public let outcomes: [Outcome]

    // Lines are looked up when somebody asks for them.
    let callSite: CallSite

    public var description: String {
      "\(operation)\(location.map { " at \($0)" } ?? ""): "
        + outcomes.map { "\($0.value) × \($0.count)" }.joined(separator: ", ")
    }
  }

  /// What a value was, and how many calls found it so.
  public struct Outcome: Sendable {
    /// The elements as printed, or `other elements` if they are more than eight.
    public let value: String
    /// The number of calls, the one that was recorded included.
    public let count: Int
  }

  /// A variable, or other state, that calls read or write: captured by identity, so that they see what it holds then.
  public struct StateUse: Sendable, CustomStringConvertible {
    /// The variable's name; of other state the framework's: `training`, `weight.grad`.
    public let name: String
    /// What it held when the trace was recorded, or was given; nil if it was empty.
    public let type: TensorType?
    /// Whether calls need what it holds before them.
    public let isRead: Bool
    /// Whether calls give it another content.
    public let isWritten: Bool

    public var description: String {
      let uses = (isRead ? ["read"] : []) + (isWritten ? ["written"] : [])
      return "\(name) \(type.map { "\($0)" } ?? "empty") (\(uses.joined(separator: ", ")))"
    }
  }

  /// A tensor from outside of more than a mebibyte that is part of the trace, as it was.
  public struct LargeConstant: Sendable, CustomStringConvertible {
    /// Its dtype and shape.
    public let type: TensorType
    /// The line that used it, if the program carries line tables.
    public let location: SourceLocation?

    public var description: String {
      "\(type), \(type.byteCount) bytes, captured\(location.map { " at \($0)" } ?? "") as it was; "
        + "a Variable would be captured by identity, an argument not at all"
    }
  }

  /// One recorded trace.
  public struct Entry: Sendable {
    /// Path, dtype and shape of each tensor argument: `argument 0: float32[2, 3]`.
    public let arguments: [String]
    /// What made the trace necessary: the argument that differed from the closest earlier signature.
    public let reason: String
    /// Variables and other state that calls use, on any path recorded so far.
    public let state: [StateUse]
    /// Variables and other state that a call reads, by name.
    public var stateRead: [String] { state.filter(\.isRead).map(\.name) }
    /// Variables and other state that a call writes, by name.
    public var stateWritten: [String] { state.filter(\.isWritten).map(\.name) }
    /// How many tensors and numbers from outside became constants, and their bytes; on the path recorded last.
    public let constants: (count: Int, bytes: Int)
    /// Those among them of more than a mebibyte, one by one.
    public let largeConstants: [LargeConstant]
    /// The calls that used the trace, without those that were recorded.
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
  /// The arguments of unknown sizes that the function was lowered for: `argument 0: float32[n, 784]`. Sizes with the
  /// same letter are the same. Calls that fit share one recording, and have an entry for each size among the traces.
  public let lowered: [String]

  init(_ traces: [Trace], lowered: [String]) {
    self.lowered = lowered
    self.traces = traces.map { trace in
      let plan = (try? trace.whole())?.plan ?? trace.compiled.plan
      return Entry(
        arguments: zip(trace.paths, trace.signature.leaves).map { "\($0): \($1.type)" },
        reason: trace.reason,
        state: trace.cellUses.map {
          StateUse(
            name: $0.cell.name, type: $0.type, isRead: $0.isRead, isWritten: $0.isWritten)
        },
        constants: (trace.constantCount, trace.constantBytes),
        largeConstants: trace.largeConstants.map {
          LargeConstant(type: $0.type, location: $0.callSite.location)
        },
        calls: trace.callCount.load(ordering: .relaxed), guards: trace.guards,
        runsEagerlyBecause: trace.reasonForEager,
        plan: "\(plan.stepCount) steps, \(plan.fusedGroupCount) fused groups, "
          + "\(plan.arenaByteCount) arena bytes")
    }
  }

  public var description: String {
    if traces.isEmpty && lowered.isEmpty { return "not traced yet" }
    let sized = lowered.map { "lowered for all sizes of \($0)" }
    let entries = traces.enumerated().map { i, entry in
      var lines = ["trace \(i + 1) (\(entry.reason))"]
      lines.append(
        "  arguments: "
          + (entry.arguments.isEmpty ? "none" : entry.arguments.joined(separator: ", ")))
      if !entry.state.isEmpty {
        lines.append("  state: " + entry.state.map(\.description).joined(separator: ", "))
      }
      lines += entry.guards.map { "  looks at: \($0)" }
      lines.append("  constants: \(entry.constants.count), \(entry.constants.bytes) bytes")
      lines += entry.largeConstants.map { "  large constant: \($0)" }
      lines.append("  plan: \(entry.plan)")
      lines.append(
        entry.runsEagerlyBecause.map { "  calls: \(entry.calls), run eagerly: \($0)" }
          ?? "  replays: \(entry.calls)")
      return lines.joined(separator: "\n")
    }
    return (sized + entries).joined(separator: "\n")
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
  /// What was recorded, before and after all passes.
  public let graph: TracedGraph
  /// The steps that a call takes, with their memory.
  public let plan: Plan

  init(_ trace: Trace) {
    graph = TracedGraph(trace)
    plan = ((try? trace.whole()) ?? trace.compiled).plan
  }

  public var description: String { "\(graph)\n\(plan)" }
}
