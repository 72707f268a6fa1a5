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
  /// For every node the number of its value, the same in all paths that begin alike.
  let values: [Int]
  let inputs: [SavedForm.Input]
  let reads: [Read]
  let looks: [Look]
  let results: [Int]
  let writes: [SavedForm.Write]
  /// For every node whether calls need it.
  let isNeeded: [Bool]

  init(
    _ path: SavedForm.Path, _ arguments: [LoadedProgram.Argument], points: [[Int]]?,
    _ state: [SavedForm.State], _ constants: [String: ConstantArray]
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
    guard path.values.count == graph.nodes.count,
      Set(path.values).count == path.values.count
    else { throw SavedFormError("the values of a path have no numbers of their own") }
    values = path.values
    inputs = path.inputs
    results = path.results
    writes = path.writes
    sized = try points.map { points throws(SavedFormError) in try Self.followed(graphs, points) }

    var reads: [Read] = []
    for read in path.reads {
      guard state.indices.contains(read.state), 0...path.looks.count ~= read.after,
        !reads.contains(where: { $0.state == read.state })
      else { throw SavedFormError("it reads state that it does not have") }
      reads.append(
        Read(state: read.state, type: try .saved(read.dtype, read.shape), after: read.after))
    }
    self.reads = reads
    try Self.check(graph, path.inputs, arguments, reads)

    func isArray(_ value: Int) -> Bool {
      guard graph.nodes.indices.contains(value) else { return false }
      if case .region = graph.nodes[value].operation { return false }
      return true
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
      path.writes.allSatisfy({
        state.indices.contains($0.state) && $0.value.map(isArray) ?? true
      })
    else { throw SavedFormError("it gives a value that there is not") }
    // The generator is everybody's.
    let generatorState = TensorType(.int64, [2])
    let isSafe =
      reads.allSatisfy {
        $0.type == generatorState || !(state[$0.state].isGlobalGenerator ?? false)
      }
      && path.writes.allSatisfy { write in
        write.value.map { graph.nodes[$0].type == generatorState } ?? false
          || !(state[write.state].isGlobalGenerator ?? false)
      }
    guard isSafe else { throw SavedFormError("it makes a generator something else") }

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
  /// By the numbers that values have in all paths.
  private var values: [Int: Tensor] = [:]
  /// The results of branches and loops.
  private var regionResults: [Int: [Tensor]] = [:]

  init(_ arguments: [Tensor], _ sizes: [Int], _ cells: [StateCell]) {
    self.arguments = arguments
    self.sizes = sizes
    self.cells = cells
  }

  /// Computes what the path needs before it looks at its next value.
  mutating func advance(_ path: LoadedPath, _ part: Int) throws(OpError) {
    for read in path.reads where read.after == part {
      guard cells[read.state].read()?.type == read.type else {
        throw OpError(
          SavedFormError.operation,
          "\(cells[read.state].name) has another form than it had in any call that was recorded")
      }
    }
    let end = part < path.looks.count ? path.looks[part].position : path.graph.nodes.count
    for i in 0..<end
    where path.isNeeded[i] && values[path.values[i]] == nil && regionResults[path.values[i]] == nil
    {
      switch path.graph.nodes[i].kind {
      case .input(let index, _):
        if let place = path.inputs[index].argument {
          values[path.values[i]] = arguments[place]
        } else if let place = path.inputs[index].state,
          path.reads.contains(where: { $0.state == place && $0.after <= part })
        {
          // State that the path reads later is read later.
          values[path.values[i]] = cells[place].read()
        }
      case .constant(let array):
        if case .number(let formula, let type) = path.sized?[i] {
          values[path.values[i]] = Tensor(ConstantArray([formula(sizes)], type))
        } else {
          values[path.values[i]] = Tensor(array)
        }
      case .operation(var op, let operands):
        if case .operation(let operation, _) = path.sized?[i] {
          op = try operation(sizes, in: path.sized!)
        }
        try compute(op, operands.map { path.values[$0.index] }, as: path.values[i])
      }
    }
  }

  private mutating func compute(
    _ op: Op, _ operands: [Int], as number: Int
  ) throws(OpError) {
    if case .regionResult(let index, _) = op {
      guard let results = regionResults[operands[0]], results.indices.contains(index) else {
        throw unknown
      }
      values[number] = results[index]
      return
    }
    var inputs: [Tensor] = []
    for operand in operands { inputs.append(try value(operand)) }
    if case .region(let region as GraphRegion) = op {
      regionResults[number] = emit(region, inputs)
    } else {
      values[number] = apply(op, inputs)
    }
  }

  private var unknown: OpError {
    OpError(SavedFormError.operation, "a value is asked for that is not known yet")
  }

  private func value(_ number: Int) throws(OpError) -> Tensor {
    guard let value = values[number] else { throw unknown }
    return value
  }

  /// What the program sees in a value.
  func bytes(of look: LoadedPath.Look, on path: LoadedPath) throws(OpError) -> [UInt8] {
    let value = try value(path.values[look.value])
    guard value.isReadable(for: look.operation) else { throw unknown }
    return value.bytes
  }

  func text(of look: LoadedPath.Look, on path: LoadedPath) -> String {
    guard let tensor = values[path.values[look.value]], tensor.size <= 8 else {
      return "other elements"
    }
    return ThreadContext.withRecorder(nil) { tensor.detached().description }
  }

  /// Changes the state and gives the results.
  func finish(_ path: LoadedPath) throws(OpError) -> [Tensor] {
    var results: [Tensor] = []
    for result in path.results { results.append(try value(path.values[result])) }
    var contents: [Tensor?] = []
    for write in path.writes {
      guard let place = write.value else {
        contents.append(nil)
        continue
      }
      let content = try value(path.values[place]).detached()
      if content.isFailed { return results }
      contents.append(content.body.isContiguous ? content : apply(.copy, content))
    }
    for (write, content) in zip(path.writes, contents) { cells[write.state].write(content) }
    return results
  }
}
