import Duet
import Foundation

/// What programs have met. One thread's.
public final class Coverage {
  private(set) var kinds: [Kind: Int] = [:]
  private(set) var dtypes: [DType: Int] = [:]
  private var kindsOfProgram: Set<Kind> = []
  private var dtypesOfProgram: Set<DType> = []
  private var counts: [(name: String, count: Int)] = []

  /// In the program that is being run: values looked at, gradients taken, calls of nested functions, branches and loops of the
  /// graph.
  var looks = 0
  var gradients = 0
  var nestedCalls = 0
  var regions = 0

  public private(set) var programs = 0

  public init() {}

  func met(_ kind: Kind) { kindsOfProgram.insert(kind) }
  func met(_ dtype: DType) { dtypesOfProgram.insert(dtype) }

  func add(_ name: String, _ count: Int = 1) {
    if let place = counts.firstIndex(where: { $0.name == name }) {
      counts[place].count += count
    } else {
      counts.append((name, count))
    }
  }

  /// Begins with another program.
  func begin() {
    kindsOfProgram = []
    dtypesOfProgram = []
    (looks, gradients, nestedCalls, regions) = (0, 0, 0, 0)
  }

  /// Ends a program whose traced calls have left this explanation.
  func end(_ program: Program, _ explanation: Explanation?) {
    programs += 1
    for kind in kindsOfProgram { kinds[kind, default: 0] += 1 }
    for dtype in dtypesOfProgram { dtypes[dtype, default: 0] += 1 }
    add("statements", program.statementCount)
    add("calls", program.calls.count)
    add("programs that look at values", looks > 0 ? 1 : 0)
    add("values looked at", looks)
    add("programs with gradients", gradients > 0 ? 1 : 0)
    add("gradients taken", gradients)
    add("programs with nested traced functions called", nestedCalls > 0 ? 1 : 0)
    add("programs with branches and loops of the graph", regions > 0 ? 1 : 0)
    add("branches and loops of the graph", regions)
    add("programs with state", program.isStateful ? 1 : 0)
    add(
      "programs with arguments of changing shapes",
      Set(program.calls.map(\.sizes)).count > 1 ? 1 : 0)
    guard let traces = explanation?.traces else { return }
    add("traces kept", traces.count)
    add("programs traced for several signatures", traces.count > 1 ? 1 : 0)
    add("guards", traces.reduce(0) { $0 + $1.guards.count })
    add(
      "ways on from guards",
      traces.reduce(0) { $0 + $1.guards.reduce(0) { $0 + $1.outcomes.count } })
    add(
      "programs with guards that went several ways",
      traces.contains { $0.guards.contains { $0.outcomes.count > 1 } } ? 1 : 0)
    let replays = traces.filter { $0.runsEagerlyBecause == nil }.reduce(0) { $0 + $1.calls }
    add("replays", replays)
    add("programs that replayed", replays > 0 ? 1 : 0)
    add(
      "programs that gave up because a value keeps changing",
      traces.contains { $0.runsEagerlyBecause?.contains("changing") ?? false } ? 1 : 0)
    add(
      "programs run eagerly because of gradients outside",
      traces.contains { $0.runsEagerlyBecause?.contains("outside") ?? false } ? 1 : 0)
  }

  /// How often something was met, by its name in the report.
  public func count(of name: String) -> Int { counts.first { $0.name == name }?.count ?? 0 }

  /// A table of everything.
  public var report: String {
    var lines = ["\(programs) programs"]
    for (name, count) in counts where count > 0 { lines.append("  \(name): \(count)") }
    lines.append("programs that met an operation:")
    let sorted = Kind.allCases.map { ($0.rawValue, kinds[$0] ?? 0) }
    for start in stride(from: 0, to: sorted.count, by: 6) {
      lines.append(
        "  "
          + sorted[start..<min(start + 6, sorted.count)].map { "\($0.0) \($0.1)" }
          .joined(separator: ", "))
    }
    lines.append(
      "programs that made a value of a dtype: "
        + DType.allCases.map { "\($0) \(dtypes[$0] ?? 0)" }.joined(separator: ", "))
    return lines.joined(separator: "\n")
  }
}
