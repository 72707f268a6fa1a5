import DuetRuntime

/// Which operations run together, tile by tile.
///
/// Members of a group are elementwise, have one result shape, and are joined by values that one member
/// computes and another takes. No path leads from a group out and back in, so that a group can run as a whole:
/// every node has a stage, and groups are connected parts of one stage. Takes time in proportion to the graph.
///
/// One reduction of a member's rows may end a group: it takes the elements as they are computed. Its users have
/// later stages, so it makes no circle either.
///
/// Nothing is computed twice: a value that is needed outside of its group is one of the group's results.
package struct FusionPlan {
  /// Members in the graph's order, at least two to a group; at most one is a reduction.
  package let groups: [[ValueID]]

  /// More members than this make no tile cheaper, and need more scratch memory.
  package static let largestGroup = 64
  /// Inputs and results of a group.
  package static let mostExternals = 60

  /// No groups.
  package init() { groups = [] }

  package init(_ graph: Graph) { self.init(graph, graph.locations()) }

  package init(_ graph: Graph, _ locations: [Location]) {
    let stages = Stages(graph, locations)
    // Union-find over the values that one member hands to another at the same stage.
    var parent = Array(graph.nodes.indices)
    func root(_ i: Int) -> Int {
      var i = i
      while parent[i] != i {
        parent[i] = parent[parent[i]]
        i = parent[i]
      }
      return i
    }
    for (i, node) in graph.nodes.enumerated() {
      for operand in node.operands
      where stages.isFusible(operand.index, i) && stages.latest[operand.index] == stages.latest[i] {
        parent[root(i)] = root(operand.index)
      }
    }
    var parts: [Int: Part] = [:]
    var groups: [[ValueID]] = []
    let users = UserCounts(graph)
    for (i, node) in graph.nodes.enumerated() where Self.canFuse(node) {
      let key = root(i)
      // Parts of too large a group are cut in the graph's order, so that one never needs a later one.
      if !parts[key, default: Part()].insert(i, graph, users) {
        groups.append(parts[key]!.members)
        parts[key] = Part()
        _ = parts[key]!.insert(i, graph, users)
      }
    }
    for part in parts.values { groups.append(part.members) }
    var groupOf: [Int: Int] = [:]
    for (g, group) in groups.enumerated() { for member in group { groupOf[member.index] = g } }
    for (i, node) in graph.nodes.enumerated() where Self.canEndGroup(node, graph) {
      // Once only.
      guard let g = groupOf.removeValue(forKey: node.operands[0].index),
        groups[g].allSatisfy({ Self.canFuse(graph[$0]) })
      else { continue }
      let place = groups[g].firstIndex { $0.index > i } ?? groups[g].count
      groups[g].insert(ValueID(i), at: place)
    }
    self.groups = groups.filter { $0.count > 1 }.sorted { $0[0] < $1[0] }
  }

  /// Shorter rows cost more as a part of tiles than by themselves.
  private static let shortestRow = 64

  /// Whether a node reduces rows of a result that a group could compute.
  private static func canEndGroup(_ node: Graph.Node, _ graph: Graph) -> Bool {
    guard case .operation(.reduce(let op, let axes, _), let operands) = node.kind,
      canFuse(graph[operands[0]]), case let type = graph.type(of: operands[0]),
      type.dtype.isFloatingPoint
    else { return false }
    switch op {
    case .sum, .mean, .product, .max, .min: break
    case .all, .any, .argMax, .argMin: return false
    }
    let kept = type.shape.rank - axes.axes.count
    return axes == AxisSet(kept..<type.shape.rank)
      && type.shape[kept...].reduce(1, *) >= shortestRow
  }

  package static func canFuse(_ node: Graph.Node) -> Bool {
    node.operation?.opClass == .elementwise && node.type.shape.elementCount > 0
  }
}

/// When nodes can run, counted in edges that no group can contain.
///
/// Between nodes of one stage lead only edges that a group may contain, and along all others the stage ascends.
/// So the connected parts of a stage depend on each other nowhere, and any of them can run as a whole.
private struct Stages {
  /// The last stage that delays no user; for nodes without users the first possible one.
  private(set) var latest: [Int]
  private let canFuse: [Bool]
  private let shapes: [Shape]

  init(_ graph: Graph, _ locations: [Location]) {
    canFuse = graph.nodes.map(FusionPlan.canFuse)
    shapes = graph.nodes.map(\.type.shape)
    // Arguments, constants and their views are there from the start.
    let isFree = locations.map { location -> Bool in
      switch graph[location.root].kind {
      case .input, .constant, .operation(.fill, _): true
      case .operation: false
      }
    }
    var earliest = [Int](repeating: 0, count: graph.nodes.count)
    latest = []
    for (i, node) in graph.nodes.enumerated() where !isFree[i] {
      for operand in node.operands where !isFree[operand.index] {
        let step = isFusible(operand.index, i) ? 0 : 1
        earliest[i] = max(earliest[i], earliest[operand.index] + step)
      }
    }
    var latest = [Int?](repeating: nil, count: graph.nodes.count)
    for (i, node) in graph.nodes.enumerated().reversed() {
      let own = latest[i] ?? earliest[i]
      latest[i] = own
      for operand in node.operands {
        let limit = own - (isFusible(operand.index, i) ? 0 : 1)
        latest[operand.index] = min(latest[operand.index] ?? limit, limit)
      }
    }
    self.latest = latest.map { $0! }
  }

  /// Whether a group may hold both a value's producer and this user of it.
  func isFusible(_ producer: Int, _ user: Int) -> Bool {
    canFuse[producer] && canFuse[user] && shapes[producer] == shapes[user]
  }
}

/// How often every node is used, by nodes and as an output.
private struct UserCounts {
  private(set) var counts: [Int]
  init(_ graph: Graph) {
    counts = [Int](repeating: 0, count: graph.nodes.count)
    for node in graph.nodes {
      for operand in node.operands { counts[operand.index] += 1 }
    }
    for output in graph.outputs { counts[output.index] += 1 }
  }
}

/// A group that grows in the graph's order.
private struct Part {
  private(set) var members: [ValueID] = []
  private var inside: Set<Int> = []
  private var inputs: Set<Int> = []
  /// The uses of each member that lie outside so far.
  private var outsideUses: [Int: Int] = [:]

  /// Adds a node unless the group gets too large.
  mutating func insert(_ node: Int, _ graph: Graph, _ users: UserCounts) -> Bool {
    var newInputs = 0
    var lost = 0
    var uses: [Int: Int] = [:]
    for operand in graph.nodes[node].operands { uses[operand.index, default: 0] += 1 }
    for (operand, count) in uses {
      if inside.contains(operand) {
        if outsideUses[operand] == count { lost += 1 }
      } else if !inputs.contains(operand) {
        newInputs += 1
      }
    }
    let results = outsideUses.count - lost + (users.counts[node] > 0 ? 1 : 0)
    if !members.isEmpty,
      members.count == FusionPlan.largestGroup
        || inputs.count + newInputs + results > FusionPlan.mostExternals
    {
      return false
    }
    for (operand, count) in uses {
      if inside.contains(operand) {
        outsideUses[operand]! -= count
        if outsideUses[operand] == 0 { outsideUses[operand] = nil }
      } else {
        inputs.insert(operand)
      }
    }
    members.append(ValueID(node))
    inside.insert(node)
    if users.counts[node] > 0 { outsideUses[node] = users.counts[node] }
    return true
  }
}
