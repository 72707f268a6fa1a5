import DuetRuntime

/// A part of the program that is scheduled as a whole: a group, or one operation.
package struct ScheduleUnit {
  package let members: [ValueID]
}

/// The order of the units: as in the program, but that units which overwrite an input come after those that
/// read it and after those that can fail, where dependencies allow.
package struct Schedule {
  package let units: [ScheduleUnit]

  package init(
    _ graph: Graph, _ locations: [Location], _ fusion: FusionPlan,
    _ mayShare: [(output: Int, input: Int)]
  ) {
    var unitOf = [Int](repeating: -1, count: graph.nodes.count)
    var units: [ScheduleUnit] = []
    for group in fusion.groups {
      for member in group { unitOf[member.index] = units.count }
      units.append(ScheduleUnit(members: group))
    }
    for (i, node) in graph.nodes.enumerated() where unitOf[i] < 0 {
      guard let op = node.operation, locations[i].root.index == i else { continue }
      switch op {
      case .fill: continue
      case .region: break
      case .regionResult:
        unitOf[i] = unitOf[node.operands[0].index]
        continue
      default: if node.type.byteCount == 0 { continue }
      }
      unitOf[i] = units.count
      units.append(ScheduleUnit(members: [ValueID(i)]))
    }

    var edges = Edges(count: units.count)
    var readers: [Int: [Int]] = [:]  // of the graph's inputs
    var fallible: [Int] = []
    for (u, unit) in units.enumerated() {
      for member in unit.members {
        if graph[member].operation!.canFail { fallible.append(u) }
        for operand in graph[member].operands {
          let root = locations[operand.index].root
          let producer = unitOf[root.index]
          if producer >= 0 && producer != u { edges.insert(from: producer, to: u) }
          if case .input(let index, _) = graph[root].kind, readers[index]?.last != u {
            readers[index, default: []].append(u)
          }
        }
      }
    }
    for (output, input) in mayShare where output < graph.outputs.count {
      let writer = unitOf[locations[graph.outputs[output].index].root.index]
      guard writer >= 0 else { continue }
      // A step that fails must not find an argument overwritten; of many the last ones come late anyway.
      for earlier in readers[input, default: []] + fallible.prefix(16) where earlier != writer {
        if !edges.lead(from: writer, to: earlier) { edges.insert(from: earlier, to: writer) }
      }
    }
    let successors = edges.successors

    var waiting = [Int](repeating: 0, count: units.count)
    for next in successors.joined() { waiting[next] += 1 }
    // A unit's place in the program is that of its last member.
    var ready = PriorityQueue()
    let key = units.map { $0.members.last!.index }
    for u in units.indices where waiting[u] == 0 { ready.insert(key[u], u) }
    var order: [ScheduleUnit] = []
    while let u = ready.popFirst() {
      order.append(units[u])
      for next in successors[u] {
        waiting[next] -= 1
        if waiting[next] == 0 { ready.insert(key[next], next) }
      }
    }
    precondition(order.count == units.count, "the groups depend on each other in a circle")
    self.units = order
  }
}

/// Which units have to wait for which.
private struct Edges {
  private(set) var successors: [[Int]]
  // The round in which a unit was last visited by a search.
  private var visited: [Int]
  private var round = 0

  init(count: Int) {
    successors = Array(repeating: [], count: count)
    visited = Array(repeating: 0, count: count)
  }

  /// Adds an edge; one that is there already may be counted twice.
  mutating func insert(from first: Int, to second: Int) {
    if successors[first].last != second { successors[first].append(second) }
  }

  /// Whether one unit has to wait for another.
  mutating func lead(from start: Int, to end: Int) -> Bool {
    round += 1
    visited[start] = round
    var pending = [start]
    while let current = pending.popLast() {
      if current == end { return true }
      for next in successors[current] where visited[next] != round {
        visited[next] = round
        pending.append(next)
      }
    }
    return false
  }
}

/// A binary heap of units by key.
private struct PriorityQueue {
  private var heap: [(key: Int, unit: Int)] = []

  mutating func insert(_ key: Int, _ unit: Int) {
    heap.append((key, unit))
    var i = heap.count - 1
    while i > 0, heap[i].key < heap[(i - 1) / 2].key {
      heap.swapAt(i, (i - 1) / 2)
      i = (i - 1) / 2
    }
  }

  mutating func popFirst() -> Int? {
    guard let first = heap.first else { return nil }
    let last = heap.removeLast()
    if heap.isEmpty { return first.unit }
    heap[0] = last
    var i = 0
    while true {
      var least = i
      for child in [2 * i + 1, 2 * i + 2]
      where child < heap.count && heap[child].key < heap[least].key {
        least = child
      }
      if least == i { return first.unit }
      heap.swapAt(i, least)
      i = least
    }
  }
}
