import DuetCompiler
import DuetEager
import DuetRuntime

/// Collects what a file has to have, each cell and each array once.
struct ArchiveWriter {
  private var cells: [StateCell] = []
  private var places: [ObjectIdentifier: Int] = [:]
  /// The cells whose content some program needs.
  private var read: Set<Int> = []
  private var constants: [(name: String, tensor: Tensor)] = []
  private var known: Set<String> = []
  /// The forms of arguments that programs have.
  private var structures: [[StructureToken]] = [[]]

  private mutating func place(of cell: StateCell) -> Int {
    if let known = places[ObjectIdentifier(cell)] { return known }
    places[ObjectIdentifier(cell)] = cells.count
    cells.append(cell)
    return cells.count - 1
  }

  // MARK: Programs

  mutating func program(
    _ signature: Signature, names: [String], _ paths: [RecordedPath]
  ) -> SavedForm.Program {
    let arguments = signature.leaves.enumerated().map { i, leaf in
      SavedForm.Argument(
        name: i < names.count ? names[i] : "argument \(i)", dtype: "\(leaf.type.dtype)",
        shape: leaf.type.shape.map { $0 })
    }
    let structureNumber =
      structures.firstIndex(of: signature.structure)
      ?? {
        structures.append(signature.structure)
        return structures.count - 1
      }()
    return SavedForm.Program(
      arguments: arguments, structure: signature.structureText, structureNumber: structureNumber,
      isGradEnabled: signature.isGradEnabled, paths: paths.map { path([$0]) })
  }

  mutating func program(
    _ symbols: SizeSymbols, _ sizes: SavedForm.Sizes, isGradEnabled: Bool, _ path: [RecordedPath]
  ) -> SavedForm.Program {
    let arguments = symbols.specs.enumerated().map { i, spec in
      SavedForm.Argument(name: "argument \(i)", dtype: "\(spec.dtype)", shape: spec.shape)
    }
    return SavedForm.Program(
      arguments: arguments, structure: nil, structureNumber: 0, isGradEnabled: isGradEnabled,
      paths: [self.path(path)], sizes: sizes)
  }

  /// - Parameter points: One path as it was recorded with several sizes; all sources are the same.
  private mutating func path(_ points: [RecordedPath]) -> SavedForm.Path {
    let first = points[0]
    // For unknown sizes how far a generator moves is told by what was drawn.
    let needed = first.needed(withDraws: points.count > 1)
    var graphs: [String] = []
    var (numbers, values): ([Int], [Int]) = ([], [])
    for point in points {
      let graph: Graph
      (graph, numbers, values) = point.graph(of: needed)
      for (name, array) in graph.namedConstants.sorted(by: { $0.key < $1.key })
      where known.insert(name).inserted {
        constants.append((name, Tensor(array)))
      }
      graphs.append(graph.description)
    }
    // Constants that are results stand behind the nodes.
    var constantCount = 0
    func number(_ source: PathEnd.Source) -> Int? {
      switch source {
      case .value(let value): return numbers[value]
      case .constant:
        constantCount += 1
        return needed.count { $0 } + constantCount - 1
      case .nothing: return nil
      }
    }
    let inputCount = first.inputs.count
    return SavedForm.Path(
      graphs: graphs, values: values,
      inputs: first.inputs.map { input in
        switch input {
        case .argument(let place): SavedForm.Input(argument: place)
        case .cell(let cell): SavedForm.Input(state: place(of: cell))
        }
      },
      reads: first.reads.map { read in
        let place = place(of: read.cell)
        self.read.insert(place)
        return SavedForm.Read(
          state: place, dtype: read.type.map { "\($0.dtype)" },
          shape: read.type.map { Array($0.shape) }, requiresGrad: read.requiresGrad,
          after: read.part)
      },
      looks: first.looks.map { look in
        let before = (0..<look.position).count { needed[$0] && first.nodes[$0].isComputed }
        return SavedForm.Look(
          value: numbers[look.value], position: inputCount + before,
          bytes: look.bytes.hexadecimal, operation: look.operation)
      },
      results: first.results.map { number($0)! },
      writes: first.writes.map { write in
        SavedForm.Write(state: place(of: write.cell), value: number(write.source))
      })
  }

  // MARK: The end

  /// Everything, with the contents that cells have now. Programs for state of another form, to which no call can
  /// lead from here, are left out: those of a model in training, if it is in use now.
  /// - Throws: `OpError` if no program is left.
  func archive(_ programs: [SavedForm.Program]) throws(OpError) -> FunctionArchive {
    let contents = StateCell.contents(of: cells)
    let written = Set(programs.flatMap { $0.paths.flatMap { $0.writes.map(\.state) } })
    func misfit(_ program: SavedForm.Program) -> SavedForm.Read? {
      program.paths[0].reads.first { read in
        let content = contents[read.state]
        if let content, read.dtype != nil, content.requiresGrad != read.requiresGrad { return true }
        return read.after == 0 && !written.contains(read.state)
          && (content.map { "\($0.dtype)" } != read.dtype || content?.shape != read.shape)
      }
    }
    let all = programs
    let programs = all.filter { misfit($0) == nil }
    if programs.isEmpty, let read = misfit(all[0]) {
      func text(_ type: String?, _ requiresGrad: Bool) -> String {
        type.map { $0 + (requiresGrad ? " with gradients" : "") } ?? "nothing"
      }
      let content = contents[read.state]
      let now = text(content.map { "\($0.type)" }, content?.requiresGrad ?? false)
      let then = text(read.dtype.map { "\($0)\(read.shape ?? [])" }, read.requiresGrad)
      throw OpError(
        "save",
        "\(cells[read.state].name) holds \(now), and held \(then) when the function was traced; call it with the "
          + "state that it is to be saved with")
    }
    var arrays = constants
    var names = ArchiveNames(taken: known)
    let state = cells.indices.map { i -> SavedForm.State in
      let name = cells[i].name
      if cells[i] === Generator.global.state {
        return SavedForm.State(name: name, content: nil, isGlobalGenerator: true)
      }
      guard read.contains(i), let content = contents[i] else {
        return SavedForm.State(name: name)
      }
      let unique = names.name(name)
      arrays.append((unique, content.detached()))
      return SavedForm.State(name: name, content: unique)
    }
    return FunctionArchive(form: SavedForm(state: state, programs: programs), arrays: arrays)
  }
}

/// Names for arrays, each given once.
struct ArchiveNames {
  private var taken: Set<String>

  init(taken: some Sequence<String>) { self.taken = Set(taken) }

  /// That name, or, if another array has it, one with a number.
  mutating func name(_ wanted: String) -> String {
    // The names of constants begin so.
    let base =
      wanted.isEmpty || wanted.hasPrefix("@") || wanted.hasPrefix("__") ? "state" + wanted : wanted
    var name = base
    var number = 1
    while !taken.insert(name).inserted {
      number += 1
      name = "\(base).\(number)"
    }
    return name
  }
}

extension Graph.Node {
  /// Whether it is no argument.
  fileprivate var isComputed: Bool {
    if case .input = kind { false } else { true }
  }
}

extension RecordedPath {
  /// For every node whether calls need it; inputs always.
  fileprivate func needed(withDraws: Bool) -> [Bool] {
    var isNeeded = nodes.map { if case .input = $0.kind { true } else { false } }
    let graph = Graph(nodes: nodes, inputs: [], outputs: [], outputNames: [])
    for check in graph.checks { isNeeded[check.index] = true }
    for look in looks { isNeeded[look.value] = true }
    for i in nodes.indices where withDraws {
      if case .random = nodes[i].operation { isNeeded[i] = true }
    }
    for case .value(let value) in results + writes.map(\.source) { isNeeded[value] = true }
    for i in nodes.indices.reversed() where isNeeded[i] {
      for operand in nodes[i].operands { isNeeded[operand.index] = true }
    }
    return isNeeded
  }

  /// The graph of the nodes that are needed, then the constants among results and new contents; the number that every
  /// node has in its text, inputs first; and the other way round, which goes on behind the nodes for constants.
  fileprivate func graph(
    of needed: [Bool]
  ) -> (graph: Graph, numbers: [Int], values: [Int]) {
    var numbers = [Int](repeating: -1, count: nodes.count)
    var values: [Int] = []
    var new: [Graph.Node] = []
    var inputs: [ValueID] = []
    for isInput in [true, false] {
      for (i, node) in nodes.enumerated() where needed[i] && node.isComputed != isInput {
        numbers[i] = new.count
        values.append(i)
        switch node.kind {
        case .input(_, let name):
          inputs.append(ValueID(new.count))
          new.append(
            Graph.Node(kind: .input(index: inputs.count - 1, name: name), type: node.type))
        case .constant: new.append(node)
        case .operation(let op, let operands):
          let operands = operands.map { ValueID(numbers[$0.index]) }
          new.append(Graph.Node(kind: .operation(op, operands), type: node.type))
        }
      }
    }
    var outputs: [ValueID] = []
    var next = nodes.count
    for source in results + writes.map(\.source) {
      switch source {
      case .value(let value): outputs.append(ValueID(numbers[value]))
      case .constant(let tensor):
        outputs.append(ValueID(new.count))
        values.append(next)
        next += 1
        let array = tensor.constant
        new.append(Graph.Node(kind: .constant(array), type: array.type))
      case .nothing: break
      }
    }
    let graph = Graph(
      nodes: new, inputs: inputs, outputs: outputs,
      outputNames: Array(repeating: "", count: outputs.count))
    return (graph, numbers, values)
  }
}

extension StateCell {
  /// What several cells hold at one moment.
  static func contents(of cells: [StateCell]) -> [Tensor?] {
    for cell in cells { cell.settle() }
    let ordered = cells.sorted { $0.sequence < $1.sequence }
    for cell in ordered { cell.lock() }
    defer { for cell in ordered { cell.unlock() } }
    return cells.map(\.lockedContent)
  }
}

extension [UInt8] {
  /// Two digits for each byte.
  fileprivate var hexadecimal: String {
    var digits: [UInt8] = []
    digits.reserveCapacity(2 * count)
    for byte in self {
      for digit in [byte >> 4, byte & 15] { digits.append(digit < 10 ? 48 + digit : 87 + digit) }
    }
    return String(decoding: digits, as: UTF8.self)
  }

  /// Nil: not that.
  init?(hexadecimal text: String) {
    func value(_ digit: UInt8) -> UInt8? {
      switch digit {
      case 48...57: digit - 48
      case 97...102: digit - 87
      default: nil
      }
    }
    let digits = Array(text.utf8)
    guard digits.count % 2 == 0 else { return nil }
    var bytes: [UInt8] = []
    for i in stride(from: 0, to: digits.count, by: 2) {
      guard let high = value(digits[i]), let low = value(digits[i + 1]) else { return nil }
      bytes.append(high << 4 | low)
    }
    self = bytes
  }
}
