import DuetRuntime

/// Turns a graph into steps over buffers: views become layouts, groups become tile programs, results are
/// written where the caller wants them.
package struct Lowering {
  package let graph: Graph
  package let locations: [Location]
  package private(set) var buffers: [Buffer] = []
  private(set) var constants: [ConstantArray] = []
  package private(set) var steps: [LoweredStep] = []
  /// Where every value that has memory begins.
  private var placeOfRoot: [ValueID: Place] = [:]
  /// Row-major copies of views, made for operations that take no strides.
  private var copies: [ValueID: StepOperand] = [:]
  private var isOftenRightFactor: [ValueID: Bool] = [:]
  private let users: [[Int]]

  private struct Place {
    let buffer: Int
    var byteOffset = 0
    /// Where the elements lie, if not one behind the other.
    var layout: Layout?
  }

  /// The shortest row of a part, in bytes, that is worth a tile of its own.
  private static let shortestRow = 256

  package init(
    _ graph: Graph, _ locations: [Location], _ fusion: FusionPlan, _ options: CompileOptions
  ) {
    self.graph = graph
    self.locations = locations
    users = graph.consumers()
    let direct = assignOutputs()
    assignParts()
    let schedule = Schedule(graph, locations, fusion, options.mayShare)
    var scalars: [ValueID] = []
    // One operation alone is worth it where it is done again and again.
    let fewest = options.isForRegion ? 1 : 2
    for unit in schedule.units {
      if options.fuse && isOnScalars(unit) {
        scalars += unit.members
        continue
      }
      lower(scalars: &scalars, fewest: fewest)
      if case .region(let region as GraphRegion) = graph[unit.members[0]].operation {
        lower(region, unit.members[0], options)
      } else if unit.members.count == 1 {
        lower(unit.members[0])
      } else {
        lower(group: unit.members)
      }
    }
    lower(scalars: &scalars, fewest: fewest)
    for (j, id) in graph.outputs.enumerated() where !direct.contains(j) { copyToOutput(j, id) }
  }

  // MARK: Buffers

  private mutating func addBuffer(_ kind: Buffer.Kind, _ byteCount: Int) -> Int {
    buffers.append(Buffer(kind: kind, byteCount: byteCount))
    return buffers.count - 1
  }

  /// Lets computed values lie in the caller's memory, where an output is all of such a value.
  private mutating func assignOutputs() -> Set<Int> {
    var direct: Set<Int> = []
    for (j, id) in graph.outputs.enumerated() {
      let location = locations[id.index]
      let root = graph[location.root]
      guard let op = root.operation, placeOfRoot[location.root] == nil, location.offset == 0,
        location.layout.isContiguous, graph.type(of: id).byteCount == root.type.byteCount
      else { continue }
      if case .fill = op { continue }
      placeOfRoot[location.root] = Place(buffer: addBuffer(.output(j), root.type.byteCount))
      direct.insert(j)
    }
    return direct
  }

  /// Lets the parts of a concatenation be computed where they will lie in it, so that nothing is left to copy.
  private mutating func assignParts() {
    // Later ones first: a concatenation may be a part of another.
    for (i, node) in graph.nodes.enumerated().reversed() {
      guard case .operation(.concatenate(let axis), let operands) = node.kind,
        node.type.byteCount > 0
      else { continue }
      guard node.type.shape[..<axis].allSatisfy({ $0 == 1 }) else {
        assignColumns(of: ValueID(i), axis, operands)
        continue
      }
      let base = place(of: ValueID(i))
      var byteOffset = base.byteOffset
      for operand in operands {
        let byteCount = graph.type(of: operand).byteCount
        defer { byteOffset += byteCount }
        let location = locations[operand.index]
        let root = graph[location.root]
        guard let op = root.operation, placeOfRoot[location.root] == nil, location.offset == 0,
          location.layout.isContiguous, byteCount == root.type.byteCount, byteCount > 0,
          byteOffset % MemoryPlan.alignment == 0
        else { continue }
        if case .fill = op { continue }
        placeOfRoot[location.root] = Place(buffer: base.buffer, byteOffset: byteOffset)
      }
    }
  }

  /// Lets the parts of a concatenation whose rows are joined be computed row by row in their places. Only groups
  /// write that way, and nobody else reads such a part.
  private mutating func assignColumns(of id: ValueID, _ axis: Int, _ operands: [ValueID]) {
    let type = graph.type(of: id)
    let base = place(of: id)
    guard base.layout == nil else { return }
    let whole = Layout(contiguous: type.shape)
    var slice = Slice(all: type.shape)
    for operand in operands {
      let part = graph.type(of: operand)
      slice.sizes[axis] = part.shape[axis]
      defer { slice.starts[axis] += part.shape[axis] }
      let (layout, offset) = whole.sliced(slice)
      let byteOffset = base.byteOffset + offset * type.dtype.size
      guard FusionPlan.canFuse(graph[operand]), placeOfRoot[operand] == nil,
        users[operand.index] == [id.index], !graph.outputs.contains(operand),
        byteOffset % MemoryPlan.alignment == 0,
        part.shape[axis...].reduce(part.dtype.size, *) >= Self.shortestRow
      else { continue }
      placeOfRoot[operand] = Place(buffer: base.buffer, byteOffset: byteOffset, layout: layout)
    }
  }

  private mutating func place(of root: ValueID) -> Place {
    if let known = placeOfRoot[root] { return known }
    let node = graph[root]
    let buffer: Int
    switch node.kind {
    case .input(let index, _): buffer = addBuffer(.input(index), node.type.byteCount)
    case .constant(let array): buffer = addConstant(array)
    case .operation(.fill(let type, let element), _):
      buffer = addConstant(ConstantArray([element], TensorType(type.dtype, [])))
    case .operation: buffer = addBuffer(.arena, node.type.byteCount)
    }
    placeOfRoot[root] = Place(buffer: buffer)
    return Place(buffer: buffer)
  }

  private mutating func addConstant(_ array: ConstantArray) -> Int {
    constants.append(array)
    return addBuffer(.constant(constants.count - 1), array.type.byteCount)
  }

  private mutating func operand(_ id: ValueID) -> StepOperand {
    let location = locations[id.index]
    let dtype = graph.type(of: id).dtype
    let place = place(of: location.root)
    return StepOperand(
      buffer: place.buffer, byteOffset: place.byteOffset + location.offset * dtype.size,
      dtype: dtype, layout: place.layout ?? location.layout)
  }

  // MARK: Steps

  private mutating func lower(_ id: ValueID) {
    let node = graph[id]
    guard case .operation(let op, let operands) = node.kind else { return }
    if placeOfRoot[id]?.layout != nil { return lower(group: [id]) }
    var inputs: [StepOperand] = []
    for (i, operand) in operands.enumerated() {
      let takesAsIs = op.takesStridedInputs && !(i == 1 && isWorthTransposing(operand, for: op))
      inputs.append(takesAsIs ? self.operand(operand) : contiguousOperand(operand))
    }
    steps.append(
      LoweredStep(
        work: .operation(op), outputs: [result(of: id)], inputs: inputs, nodes: [id]))
  }

  /// Whether a value is the right factor of so many products, and lies column by column, that products with its
  /// rows one behind the other are worth a copy: a weight that every step of a recurrence uses.
  private mutating func isWorthTransposing(_ id: ValueID, for op: Op) -> Bool {
    guard case .matmul = op else { return false }
    let layout = locations[id.index].layout
    guard layout.shape.rank == 2, layout.strides[0] == 1, layout.strides[1] != 1,
      layout.shape[1] > 1
    else { return false }
    if let known = isOftenRightFactor[id] { return known }
    let count = users[id.index].count { user in
      if case .operation(.matmul, let operands) = graph.nodes[user].kind {
        return operands[1] == id
      }
      return false
    }
    isOftenRightFactor[id] = count >= 8
    return count >= 8
  }

  private mutating func result(of id: ValueID) -> StepOperand {
    let type = graph.type(of: id)
    let place = place(of: id)
    return StepOperand(
      buffer: place.buffer, byteOffset: place.byteOffset, dtype: type.dtype,
      layout: place.layout ?? Layout(contiguous: type.shape))
  }

  private mutating func contiguousOperand(_ id: ValueID) -> StepOperand {
    let source = operand(id)
    return source.layout.isContiguous ? source : copy(of: id)
  }

  /// The value's elements one behind the other in memory of their own.
  private mutating func copy(of id: ValueID) -> StepOperand {
    if let known = copies[id] { return known }
    let type = graph.type(of: id)
    let target = StepOperand(
      buffer: addBuffer(.arena, type.byteCount), byteOffset: 0, dtype: type.dtype,
      layout: Layout(contiguous: type.shape))
    write(id, to: target)
    copies[id] = target
    return target
  }

  /// Adds the step that writes a value's elements to other memory.
  private mutating func write(_ id: ValueID, to target: StepOperand) {
    guard target.layout.shape.elementCount > 0 else { return }
    if case .operation(.fill(let type, let element), _) = graph[locations[id.index].root].kind {
      let fill = Op.fill(TensorType(type.dtype, target.layout.shape), element)
      steps.append(LoweredStep(work: .operation(fill), outputs: [target], inputs: [], nodes: []))
    } else {
      steps.append(
        LoweredStep(work: .operation(.copy), outputs: [target], inputs: [operand(id)], nodes: []))
    }
  }

  private mutating func copyToOutput(_ j: Int, _ id: ValueID) {
    let type = graph.type(of: id)
    let target = StepOperand(
      buffer: addBuffer(.output(j), type.byteCount), byteOffset: 0, dtype: type.dtype,
      layout: Layout(contiguous: type.shape))
    write(id, to: target)
  }

  private mutating func lower(group members: [ValueID]) {
    let inside = Set(members)
    let reduction = members.first { !FusionPlan.canFuse(graph[$0]) }
    let all = members
    let members = members.filter { $0 != reduction }
    let results = members.filter { member in
      placeOfRoot[member] != nil || users[member.index].contains { !inside.contains(ValueID($0)) }
    }
    let shape = graph.type(of: members[0]).shape
    var inputs = GroupInputs()
    for member in members {
      for id in graph[member].operands where !inside.contains(id) && !inputs.knows(id) {
        var input = operand(id)
        input.layout = input.layout.broadcast(to: shape)
        if Self.isTransposed(input.layout) {
          input = copy(of: id)
          input.layout = input.layout.broadcast(to: shape)
        }
        inputs.add(id, input)
      }
    }
    let group = TileGroup(graph, members: members, outputs: results, reduction: reduction) {
      inputs.index(of: $0)
    }
    var outputs: [StepOperand] = []
    for id in results { outputs.append(result(of: id)) }
    if let reduction { outputs.append(result(of: reduction)) }
    steps.append(
      LoweredStep(work: .tiles(group), outputs: outputs, inputs: inputs.operands, nodes: all))
  }

  // MARK: Scalars

  /// Whether a unit is elementwise operations on one element each.
  private func isOnScalars(_ unit: ScheduleUnit) -> Bool {
    unit.members.allSatisfy {
      FusionPlan.canFuse(graph[$0]) && graph.type(of: $0).shape.elementCount == 1
        && placeOfRoot[$0]?.layout == nil
    }
  }

  /// Lowers operations on one element each, if there are any, to one step.
  private mutating func lower(scalars members: inout [ValueID], fewest: Int) {
    defer { members = [] }
    if members.isEmpty { return }
    if members.count < fewest { return lower(members[0]) }
    let inside = Set(members)
    let results = members.filter { member in
      placeOfRoot[member] != nil || users[member.index].contains { !inside.contains(ValueID($0)) }
    }
    var inputs = GroupInputs()
    for member in members {
      for id in graph[member].operands where !inside.contains(id) && !inputs.knows(id) {
        var input = operand(id)
        input.layout = Layout(contiguous: [])
        inputs.add(id, input)
      }
    }
    let group = TileGroup(graph, members: members, outputs: results) { inputs.index(of: $0) }
    var outputs: [StepOperand] = []
    for id in results { outputs.append(result(of: id)) }
    outputs.append(scratch(members.count * 8))
    steps.append(
      LoweredStep(work: .scalars(group), outputs: outputs, inputs: inputs.operands, nodes: members))
  }

  /// A part of the arena for one step.
  private mutating func scratch(_ byteCount: Int) -> StepOperand {
    StepOperand(
      buffer: addBuffer(.arena, byteCount), byteOffset: 0, dtype: .uint8,
      layout: Layout(contiguous: [byteCount]))
  }

  // MARK: Regions

  /// Results that nobody uses get memory, too: the region writes them.
  private mutating func lower(_ region: GraphRegion, _ id: ValueID, _ options: CompileOptions) {
    var inputs: [StepOperand] = []
    for operand in graph[id].operands { inputs.append(contiguousOperand(operand)) }
    var outputs = region.outputTypes.map { type -> StepOperand? in nil }
    var nodes = [id]
    var doubles: [(id: ValueID, index: Int)] = []
    for user in users[id.index] {
      guard case .regionResult(let index, _) = graph.nodes[user].operation else { continue }
      nodes.append(ValueID(user))
      if outputs[index] == nil {
        outputs[index] = result(of: ValueID(user))
      } else {
        doubles.append((ValueID(user), index))
      }
    }
    var inner = CompileOptions(fuse: options.fuse)
    inner.isForRegion = true
    let lowered = LoweredRegion(region, inner)
    var all: [StepOperand] = []
    for (output, type) in zip(outputs, region.outputTypes) {
      all.append(output ?? scratch(type.byteCount))
    }
    all.append(scratch(lowered.scratchByteCount))
    steps.append(
      LoweredStep(work: .region(lowered), outputs: all, inputs: inputs, nodes: nodes))
    for (double, index) in doubles {
      let copy = LoweredStep(
        work: .operation(.copy), outputs: [result(of: double)], inputs: [all[index]],
        nodes: [double])
      if copy.outputs[0].layout.shape.elementCount > 0 { steps.append(copy) }
    }
  }

  /// Whether rows run across a large array's memory, so that a blocked copy costs less than tiles of rows.
  private static func isTransposed(_ layout: Layout) -> Bool {
    guard layout.shape.elementCount >= 1 << 14 else { return false }
    var innermost = 0
    var least = Int.max
    for axis in 0..<layout.shape.rank where layout.shape[axis] > 1 {
      innermost = abs(layout.strides[axis])
      if innermost != 0 { least = min(least, innermost) }
    }
    return innermost > least
  }
}

/// What a group reads, once: two values that are the same elements are one array.
private struct GroupInputs {
  private(set) var operands: [StepOperand] = []
  private var indices: [StepOperand: Int] = [:]
  private var indexOf: [ValueID: Int] = [:]

  func knows(_ id: ValueID) -> Bool { indexOf[id] != nil }

  mutating func add(_ id: ValueID, _ operand: StepOperand) {
    if indices[operand] == nil {
      indices[operand] = operands.count
      operands.append(operand)
    }
    indexOf[id] = indices[operand]
  }

  func index(of id: ValueID) -> Int { indexOf[id]! }
}
