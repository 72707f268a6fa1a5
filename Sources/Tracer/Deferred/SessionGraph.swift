import DuetCompiler
import DuetEager
import DuetRuntime

/// What a session's run computes: placeholders and variables are arguments, tensors of the program constants.
public struct SessionGraph: Sendable, CustomStringConvertible {
  /// As the program built it.
  public let unoptimised: Graph
  /// After all passes.
  public let optimised: Graph
  /// The name of every node, with its name scope; empty for constants.
  private let labels: [String]

  init(_ fetches: [Tensor], _ updates: Updates?) throws(OpError) {
    let uses = updates?.uses ?? []
    let graph = try PendingGraph(fetching: fetches, uses, [], mayBeMissing: true)
    let names =
      fetches.indices.map { fetches.count == 1 ? "result" : "result \($0)" }
      + uses.written.filter { $0.current != nil }.map(\.cell.name)
    unoptimised = try graph.graph(names: names, showsElements: true)
    optimised = try compile(unoptimised).optimized
    labels = graph.nodes.map { $0.flatMap { $0.scope.isEmpty ? nil : $0.label } ?? "" }
  }

  /// The graph as the program built it, as text. Behind what was made in a name scope stands its whole name.
  public var description: String {
    var lines = unoptimised.description.split(separator: "\n", omittingEmptySubsequences: false)
      .map(String.init)
    var line = 1
    for (node, label) in zip(unoptimised.nodes, labels) {
      if case .input = node.kind { continue }
      if !label.isEmpty { lines[line] += "  # \(label)" }
      line += 1
    }
    return lines.joined(separator: "\n")
  }
}
