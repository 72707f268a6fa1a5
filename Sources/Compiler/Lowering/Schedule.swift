import DuetRuntime

/// A part of the program that is scheduled as a whole: a group, or one operation.
package struct ScheduleUnit {
  package let members: [ValueID]
}

/// The order of the units: as in the program, but that units which overwrite an input come after those that
/// read it, where dependencies allow.
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
      guard let op = node.operation, locations[i].root.index == i, node.type.byteCount > 0 else {
        continue
      }
      if case .fill = op { continue }
      unitOf[i] = units.count
      units.append(ScheduleUnit(members: [ValueID(i)]))
    }

    var successors = [Set<Int>](repeating: [], count: units.count)
    var readers: [Int: Set<Int>] = [:]  // of the graph's inputs
    for (u, unit) in units.enumerated() {
      for member in unit.members {
        for operand in graph[member].operands {
          let root = locations[operand.index].root
          let producer = unitOf[root.index]
          if producer >= 0 && producer != u { successors[producer].insert(u) }
          if case .input(let index, _) = graph[root].kind { readers[index, default: []].insert(u) }
        }
      }
    }
    for (output, input) in mayShare where output < graph.outputs.count {
      let writer = unitOf[locations[graph.outputs[output].index].root.index]
      guard writer >= 0 else { continue }
      for reader in readers[input, default: []].sorted() where reader != writer {
        if !Self.leads(from: writer, to: reader, successors) { successors[reader].insert(writer) }
      }
    }

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

  private static func leads(from start: Int, to end: Int, _ successors: [Set<Int>]) -> Bool {
    var seen: Set<Int> = [start]
    var pending = [start]
    while let current = pending.popLast() {
      if current == end { return true }
      for next in successors[current] where seen.insert(next).inserted { pending.append(next) }
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
