import DuetRuntime

/// Which operations run together, tile by tile.
///
/// Members of a group are elementwise, have one result shape, and are joined by values that one member
/// computes and another takes. No path leads from a group out and back in, so that a group can run as a whole.
/// Nothing is computed twice: a value that is needed outside of its group is one of the group's results.
package struct FusionPlan {
  /// Members in the graph's order, at least two to a group.
  package let groups: [[ValueID]]

  /// More members than this make no tile cheaper, and need more scratch memory.
  package static let largestGroup = 64
  /// Inputs and results of a group.
  package static let mostExternals = 60

  /// No groups.
  package init() { groups = [] }

  package init(_ graph: Graph) {
    var clusters = Clusters(graph)
    for (i, node) in graph.nodes.enumerated() where Self.canFuse(node) {
      for operand in Set(node.operands).sorted() {
        let producer = graph[operand]
        if Self.canFuse(producer) && producer.type.shape == node.type.shape {
          clusters.mergeIfPossible(operand.index, i)
        }
      }
    }
    groups = clusters.members.filter { $0.count > 1 }.map { $0.sorted().map { ValueID($0) } }
      .sorted { $0[0] < $1[0] }
  }

  package static func canFuse(_ node: Graph.Node) -> Bool {
    node.operation?.opClass == .elementwise && node.type.shape.elementCount > 0
  }
}

/// Groups of nodes that grow by merging while the graph of groups stays free of cycles.
private struct Clusters {
  private let consumers: [[Int]]
  private let operands: [[Int]]
  private let isOutput: [Bool]
  private var cluster: [Int]
  private(set) var members: [[Int]]
  // The round in which a cluster was last visited by a search.
  private var visited: [Int]
  private var round = 0

  init(_ graph: Graph) {
    consumers = graph.consumers()
    operands = graph.nodes.map { $0.operands.map(\.index) }
    var isOutput = [Bool](repeating: false, count: graph.nodes.count)
    for output in graph.outputs { isOutput[output.index] = true }
    self.isOutput = isOutput
    cluster = Array(graph.nodes.indices)
    members = graph.nodes.indices.map { [$0] }
    visited = [Int](repeating: 0, count: graph.nodes.count)
  }

  /// Merges the clusters of a producer and a consumer unless a path leads from one to the other around them,
  /// or the result would be too large.
  mutating func mergeIfPossible(_ producer: Int, _ consumer: Int) {
    let (a, b) = (cluster[producer], cluster[consumer])
    guard a != b, members[a].count + members[b].count <= FusionPlan.largestGroup,
      externalCount(a, b) <= FusionPlan.mostExternals, !leads(from: a, around: b)
    else { return }
    for member in members[b] { cluster[member] = a }
    members[a] += members[b]
    members[b] = []
  }

  private func externalCount(_ a: Int, _ b: Int) -> Int {
    var inputs: Set<Int> = []
    var results = 0
    for member in members[a] + members[b] {
      for operand in operands[member] where cluster[operand] != a && cluster[operand] != b {
        inputs.insert(operand)
      }
      let isUsedOutside = consumers[member].contains { cluster[$0] != a && cluster[$0] != b }
      if isUsedOutside || isOutput[member] { results += 1 }
    }
    return inputs.count + results
  }

  /// Whether a path leads from cluster a over other clusters to b.
  private mutating func leads(from a: Int, around b: Int) -> Bool {
    round += 1
    var pending: [Int] = []
    for member in members[a] {
      for next in consumers[member] where cluster[next] != a && cluster[next] != b {
        if visited[cluster[next]] != round {
          visited[cluster[next]] = round
          pending.append(cluster[next])
        }
      }
    }
    while let current = pending.popLast() {
      for member in members[current] {
        for next in consumers[member] {
          let other = cluster[next]
          if other == b { return true }
          if visited[other] != round {
            visited[other] = round
            pending.append(other)
          }
        }
      }
    }
    return false
  }
}
