import DuetCompiler
import DuetEager
import DuetRuntime

/// One path of a saved program: a graph, checked, and what is outside of it.
struct LoadedPath: Sendable {
  struct Read: Sendable {
    let state: Int
    let type: TensorType?
    let after: Int
  }

  struct Look: Sendable {
    let value: Int
    let position: Int
    let bytes: [UInt8]
    let operation: String
  }

  /// The graph; where sizes are unknown, for the first of those that it was recorded with.
  let graph: Graph
  /// The graph for all sizes; nil: they are known.
  let sized: [SizedNode]?
  let inputs: [SavedForm.Input]
  let reads: [Read]
  let looks: [Look]
  let results: [Int]
  let writes: [SavedForm.Write]
  /// For every node whether calls need it.
  let isNeeded: [Bool]

  init(
    _ path: SavedForm.Path, _ arguments: [LoadedProgram.Argument], points: [[Int]]?,
    stateCount: Int, _ constants: [String: ConstantArray]
  ) throws(SavedFormError) {
    guard path.graphs.count == points?.count ?? 1 else {
      throw SavedFormError("a path has \(path.graphs.count) graphs")
    }
    var graphs: [Graph] = []
    for text in path.graphs {
      do throws(GraphError) { graphs.append(try Graph(parsing: text, constants: constants)) } catch
      {
        throw SavedFormError("a graph cannot be read: \(error)")
      }
    }
    let graph = graphs[0]
    self.graph = graph
    inputs = path.inputs
    results = path.results
    writes = path.writes
    sized = try points.map { points throws(SavedFormError) in try Self.followed(graphs, points) }

    var reads: [Read] = []
    for read in path.reads {
      guard 0..<stateCount ~= read.state, 0...path.looks.count ~= read.after else {
        throw SavedFormError("it reads state that it does not have")
      }
      reads.append(
        Read(state: read.state, type: try .saved(read.dtype, read.shape), after: read.after))
    }
    self.reads = reads
    try Self.check(graph, path.inputs, arguments, reads)

    func isArray(_ value: Int) -> Bool {
      graph.nodes.indices.contains(value) && graph.nodes[value].type != Region.type
    }
    var looks: [Look] = []
    var position = graph.inputs.count
    for look in path.looks {
      guard isArray(look.value), look.value < look.position, look.position >= position,
        look.position <= graph.nodes.count, let bytes = [UInt8](hexadecimal: look.bytes),
        bytes.count == graph.nodes[look.value].type.byteCount
      else { throw SavedFormError("it looks at a value that there is not") }
      position = look.position
      looks.append(
        Look(
          value: look.value, position: look.position, bytes: bytes, operation: look.operation))
    }
    self.looks = looks
    guard path.results.allSatisfy(isArray),
      path.writes.allSatisfy({ 0..<stateCount ~= $0.state && $0.value.map(isArray) ?? true })
    else { throw SavedFormError("it gives a value that there is not") }

    var isNeeded = [Bool](repeating: false, count: graph.nodes.count)
    for check in graph.checks { isNeeded[check.index] = true }
    for value in looks.map(\.value) + path.results + path.writes.compactMap(\.value) {
      isNeeded[value] = true
    }
    for i in graph.nodes.indices.reversed() where isNeeded[i] {
      for operand in graph.nodes[i].operands { isNeeded[operand.index] = true }
    }
    self.isNeeded = isNeeded
  }

  /// Whether what the graph takes is there.
  private static func check(
    _ graph: Graph, _ inputs: [SavedForm.Input], _ arguments: [LoadedProgram.Argument],
    _ reads: [Read]
  ) throws(SavedFormError) {
    guard inputs.count == graph.inputs.count else {
      throw SavedFormError("a graph has \(graph.inputs.count) inputs, not \(inputs.count)")
    }
    for (input, id) in zip(inputs, graph.inputs) {
      let type = graph.type(of: id)
      var fits = false
      if let place = input.argument, input.state == nil, arguments.indices.contains(place) {
        let argument = arguments[place]
        fits =
          argument.dtype == type.dtype && argument.shape.count == type.shape.rank
          && zip(argument.shape, type.shape).allSatisfy { $0 == nil || $0 == $1 }
      } else if let place = input.state, input.argument == nil {
        fits = reads.contains { $0.state == place && $0.type == type }
      }
      guard fits else { throw SavedFormError("a graph's input is nothing that there is") }
    }
  }

  /// The graph for all sizes, from those for several.
  private static func followed(
    _ graphs: [Graph], _ points: [[Int]]
  ) throws(SavedFormError) -> [SizedNode] {
    let first = graphs[0].nodes
    for graph in graphs {
      let isAlike = graph.nodes.elementsEqual(first) { a, b in
        switch (a.kind, b.kind) {
        case (.input(let i, _), .input(let j, _)): i == j && a.isAlikeInType(b)
        default: a.isAlike(b)
        }
      }
      guard isAlike else { throw SavedFormError("the graphs for unknown sizes differ") }
    }
    let recordings = graphs.map(\.nodes)
    let follower = SizeFollower(recordings, at: points)
    var nodes: [SizedNode] = []
    for i in first.indices {
      do throws(SizeFollower.Objection) { nodes.append(try follower.node(i, in: recordings)) } catch
      {
        throw SavedFormError("a graph for unknown sizes: \(error.what)")
      }
    }
    return nodes
  }
}

/// A call on its way along a path.
struct PathRun {
  private let arguments: [Tensor]
  private let sizes: [Int]
  private let cells: [StateCell]
  private var values: [Tensor?]
  /// The results of branches and loops, by node.
  private var regionResults: [Int: [Tensor]] = [:]

  init(_ arguments: [Tensor], _ sizes: [Int], _ cells: [StateCell], _ path: LoadedPath) {
    self.arguments = arguments
    self.sizes = sizes
    self.cells = cells
    values = Array(repeating: nil, count: path.graph.nodes.count)
  }

  /// Computes what the path needs before it looks at its next value.
  mutating func advance(_ path: LoadedPath, _ part: Int) throws(OpError) {
    let nodes = path.graph.nodes
    while values.count < nodes.count { values.append(nil) }
    for read in path.reads where read.after == part {
      guard cells[read.state].read()?.type == read.type else {
        throw OpError(
          SavedFormError.operation,
          "\(cells[read.state].name) has another form than it had in any call that was recorded")
      }
    }
    let end = part < path.looks.count ? path.looks[part].position : nodes.count
    for i in 0..<end where path.isNeeded[i] && values[i] == nil {
      switch nodes[i].kind {
      case .input(let index, _):
        // State that the path reads later is read later.
        if let place = path.inputs[index].state,
          !path.reads.contains(where: { $0.state == place && $0.after <= part })
        {
          continue
        }
        values[i] =
          path.inputs[index].argument.map { arguments[$0] }
          ?? cells[path.inputs[index].state!].read()
      case .constant(let array):
        if case .number(let formula, let type) = path.sized?[i] {
          values[i] = Tensor(ConstantArray([formula(sizes)], type))
        } else {
          values[i] = Tensor(array)
        }
      case .operation(var op, let operands):
        if case .operation(let operation, _) = path.sized?[i] {
          op = try operation(sizes, in: path.sized!)
        }
        try compute(i, op, operands)
      }
    }
  }

  private mutating func compute(_ i: Int, _ op: Op, _ operands: [ValueID]) throws(OpError) {
    if case .regionResult(let index, _) = op {
      values[i] = regionResults[operands[0].index]![index]
      return
    }
    let inputs = operands.map { values[$0.index]! }
    guard case .region(let region as GraphRegion) = op else {
      values[i] = apply(op, inputs)
      return
    }
    if isGradEnabled, inputs.contains(where: \.requiresGrad) {
      throw OpError(
        SavedFormError.operation,
        "gradients do not go through the \(region.name) of a saved function")
    }
    regionResults[i] = emit(region, inputs)
  }

  /// What the program sees in a value.
  func bytes(of look: LoadedPath.Look) throws(OpError) -> [UInt8] {
    guard let value = values[look.value], value.isReadable(for: look.operation) else {
      throw OpError(SavedFormError.operation, "a value that decides where to go is not known")
    }
    return value.bytes
  }

  func text(_ value: Int) -> String {
    guard let tensor = values[value], tensor.size <= 8 else { return "other elements" }
    return ThreadContext.withRecorder(nil) { tensor.detached().description }
  }

  /// Changes the state and gives the results.
  func finish(_ path: LoadedPath) throws(OpError) -> [Tensor] {
    let contents = path.writes.map { write in write.value.map { values[$0]!.detached() } }
    if contents.contains(where: { $0?.isFailed ?? false }) {
      return path.results.map { values[$0]! }
    }
    for (write, content) in zip(path.writes, contents) {
      cells[write.state].write(
        content.map { $0.body.isContiguous ? $0 : apply(.copy, $0) })
    }
    return path.results.map { values[$0]! }
  }
}
