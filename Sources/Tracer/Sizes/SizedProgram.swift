import DuetCompiler
import DuetEager
import DuetRuntime

/// What a closure does for any sizes of its arguments: a recording in which the numbers that depend on them are
/// formulas.
struct SizedProgram: @unchecked Sendable {
  // Sendable: constant after init; the form is a value that nobody changes.

  private enum Node {
    case argument(Int)
    case cell(StateCell)
    case constant(Tensor)
    case number(NumberFormula, TensorType)
    case operation(Op, [SizeFormula], NumberFormula?, [Int])
    /// The state after the draw that another node makes.
    case advance(draw: Int, [Int])
  }

  private enum Source {
    case node(Int)
    case constant(Tensor)
  }

  private struct Use {
    let cell: StateCell
    let type: TensorType?
    let requiresGrad: Bool
    let wasRead: Bool
    let isWritten: Bool
    let content: Source?
    /// The place in the autograd graph of what is written.
    let autograd: AutogradMeta?
  }

  private let nodes: [Node]
  private let uses: [Use]
  private let results: [(source: Source, isOpen: Bool)]
  private let effects: [(effect: HostEffect, sources: [Source])]
  private let wentOutside: Bool
  let form: AnyObject?
  /// Sizes that occur in the program whatever the unknown ones are.
  let knownSizes: Set<Int>

  /// What recordings with several sizes have in common.
  /// - Throws: `SizeDependence` where they do not do the same.
  init(_ probes: [SizeProbe]) throws(SizeDependence) {
    let first = probes[0]
    let points = probes.map(\.sizes)
    for probe in probes.dropFirst() {
      try Self.compare(first, probe)
    }
    var counts: Set<SizeFormula>?
    func number(_ elements: [Element], _ dtype: DType, _ node: Int) throws(SizeDependence)
      -> NumberFormula
    {
      if counts == nil { counts = Self.counts(probes) }
      guard let formula = NumberFormula(elements, dtype, at: points, counts: counts!) else {
        throw SizeDependence(node, "a number depends on it in a way that cannot be followed")
      }
      return formula
    }
    var nodes: [Node] = []
    for (i, node) in first.nodes.enumerated() {
      switch node.kind {
      case .input(let index, _):
        switch first.recorder.inputs[index] {
        case .argument(let argument): nodes.append(.argument(argument))
        case .cell(let cell): nodes.append(.cell(cell))
        }
      case .constant(let array):
        let arrays = probes.map { $0.nodes[i].constant! }
        let bytes = Tensor(array).bytes
        if arrays.allSatisfy({ $0.type == array.type && Tensor($0).bytes == bytes }) {
          nodes.append(.constant(Tensor(array)))
        } else if array.type.shape.elementCount == 1, arrays.allSatisfy({ $0.type == array.type }) {
          let formula = try number(arrays.map { $0.elements[0] }, array.type.dtype, i)
          nodes.append(.number(formula, array.type))
        } else {
          throw SizeDependence(i, "a tensor from outside depends on it")
        }
      case .operation(let op, let operands):
        let operands = operands.map(\.index)
        if case .advanceRandom = op {
          guard let draw = Self.draw(before: i, in: probes) else {
            throw SizeDependence(i, "how many random numbers are drawn cannot be followed")
          }
          nodes.append(.advance(draw: draw, operands))
          continue
        }
        let all = probes.map { $0.nodes[i].operation! }
        let sizes = all.map(\.sizes)
        var formulas: [SizeFormula] = []
        for place in sizes[0].indices {
          guard let formula = SizeFormula(sizes.map { $0[place] }, at: points) else {
            throw SizeDependence(i, "\(op.name) depends on it in a way that cannot be followed")
          }
          formulas.append(formula)
        }
        var element: NumberFormula?
        let elements = all.compactMap {
          if case .fill(_, let element) = $0 { element } else { nil }
        }
        if let same = elements.first, !elements.allSatisfy({ $0 == same }) {
          element = try number(elements, node.type.dtype, i)
        }
        nodes.append(.operation(op, formulas, element, operands))
      }
    }
    self.nodes = nodes

    func source(_ tensor: Tensor) -> Source {
      first.recorder.knownValue(of: tensor).map { .node($0.index) } ?? .constant(tensor)
    }
    uses = first.recorder.cells.map { use in
      Use(
        cell: use.cell, type: use.initial?.type, requiresGrad: use.initial?.requiresGrad ?? false,
        wasRead: use.wasRead, isWritten: use.isChanged, content: use.current.map(source),
        autograd: use.current?.body.autograd.flatMap { $0.function == nil ? $0 : nil })
    }
    results = first.results.map {
      (source($0), $0.body.autograd?.leadsToSavedValues ?? false)
    }
    effects = first.recorder.effects.map { ($0.effect, $0.tensors.map(source)) }
    wentOutside = first.recorder.wentOutside
    form = first.form
    var known: Set<Int> = []
    for (i, node) in first.nodes.enumerated() {
      for (axis, size) in node.type.shape.enumerated()
      where probes.allSatisfy({ $0.nodes[i].type.shape[axis] == size }) { known.insert(size) }
    }
    knownSizes = known
  }

  /// The numbers of elements, and of parts along an axis, of all that the program computes.
  private static func counts(_ probes: [SizeProbe]) -> Set<SizeFormula> {
    let points = probes.map(\.sizes)
    var seen: Set<[Int]> = []
    var result: Set<SizeFormula> = []
    func add(_ values: [Int]) {
      if seen.insert(values).inserted, let formula = SizeFormula(values, at: points) {
        result.insert(formula)
      }
    }
    for i in probes[0].nodes.indices {
      let shapes = probes.map { $0.nodes[i].type.shape }
      add(shapes.map(\.elementCount))
      for axis in 0..<shapes[0].rank {
        add(shapes.map { $0[axis] })
        add(shapes.map { $0.elementCount / max($0[axis], 1) })
      }
    }
    return result
  }

  /// The draw whose numbers an `advanceRandom` counts, the same in all recordings.
  private static func draw(before node: Int, in probes: [SizeProbe]) -> Int? {
    let operands = probes[0].nodes[node].operands
    guard
      let draw = probes[0].nodes[..<node].lastIndex(where: {
        if case .random = $0.operation { $0.operands == operands } else { false }
      })
    else { return nil }
    let fits = probes.allSatisfy { probe in
      guard case .random(let distribution, let type) = probe.nodes[draw].operation,
        case .advanceRandom(let blocks) = probe.nodes[node].operation
      else { return false }
      return blocks == distribution.blocks(for: type)
    }
    return fits ? draw : nil
  }

  // MARK: Comparing

  /// - Throws: `SizeDependence` where two recordings do different things.
  private static func compare(_ a: SizeProbe, _ b: SizeProbe) throws(SizeDependence) {
    let program = "what the closure does depends on it"
    for (i, (x, y)) in zip(a.nodes, b.nodes).enumerated() {
      let isSame: Bool =
        switch (x.kind, y.kind) {
        case (.input(let i, _), .input(let j, _)):
          switch (a.recorder.inputs[i], b.recorder.inputs[j]) {
          case (.argument(let p), .argument(let q)): p == q
          case (.cell(let p), .cell(let q)): a.isSame(p, as: q, of: b)
          default: false
          }
        case (.constant, .constant): true
        case (.operation(let p, let u), .operation(let q, let v)):
          u == v && p.withoutSizes == q.withoutSizes && p.sizes.count == q.sizes.count
        default: false
        }
      guard isSame, x.type.dtype == y.type.dtype, x.type.shape.rank == y.type.shape.rank else {
        throw SizeDependence(i, program)
      }
    }
    if a.nodes.count != b.nodes.count {
      throw SizeDependence(min(a.nodes.count, b.nodes.count), program)
    }
    func isSame(_ x: Tensor, _ y: Tensor) -> Bool {
      let (p, q) = (a.recorder.knownValue(of: x), b.recorder.knownValue(of: y))
      if p == nil && q == nil { return x.type == y.type && x.bytes == y.bytes }
      return p == q
    }
    func isSame(_ x: [Tensor], _ y: [Tensor]) -> Bool { x.elementsEqual(y, by: isSame) }
    guard isSame(a.results, b.results) else {
      throw SizeDependence(nil, "what the closure returns depends on it")
    }
    let areUsesSame = a.recorder.cells.elementsEqual(b.recorder.cells) { x, y in
      a.isSame(x.cell, as: y.cell, of: b) && x.wasRead == y.wasRead && x.isChanged == y.isChanged
        && isSame(
          x.isChanged ? [x.current].compactMap { $0 } : [],
          y.isChanged ? [y.current].compactMap { $0 } : [])
    }
    let areEffectsSame = a.recorder.effects.elementsEqual(b.recorder.effects) {
      isSame($0.tensors, $1.tensors)
    }
    guard areUsesSame, areEffectsSame, a.recorder.wentOutside == b.recorder.wentOutside else {
      throw SizeDependence(nil, "what the closure does to state depends on it")
    }
  }

  /// Whether a recording does what the program says for its sizes.
  func fits(_ probe: SizeProbe, like other: SizeProbe) -> Bool {
    guard (try? Self.compare(other, probe)) != nil else { return false }
    return zip(nodes, probe.nodes).allSatisfy { node, recorded in
      switch node {
      case .argument, .cell: return true
      case .constant(let tensor):
        guard let array = recorded.constant else { return false }
        return array.type == tensor.type && Tensor(array).bytes == tensor.bytes
      case .number(let formula, let type):
        guard let array = recorded.constant, array.type == type else { return false }
        return array.elements == [formula(probe.sizes)]
      case .operation(let op, let formulas, let element, _):
        return Self.operation(op, formulas, element, probe.sizes) == recorded.operation
      case .advance(let draw, _):
        guard case .random(let distribution, let type) = probe.nodes[draw].operation else {
          return false
        }
        return recorded.operation == .advanceRandom(blocks: distribution.blocks(for: type))
      }
    }
  }

  private static func operation(
    _ op: Op, _ formulas: [SizeFormula], _ element: NumberFormula?, _ sizes: [Int]
  ) -> Op {
    var rest = formulas[...]
    let op = op.mappingSizes { _ in rest.removeFirst()(sizes) }
    if let element, case .fill(let type, _) = op { return .fill(type, element(sizes)) }
    return op
  }

  // MARK: For certain sizes

  /// A recorder that has seen the program for these sizes, with the arguments and results that it saw. Nil if the
  /// state has another form than it had.
  /// - Throws: `OpError` if operations do not take such sizes.
  func recorded(
    at sizes: [Int], _ types: [TensorType]
  ) throws(OpError) -> (recorder: GraphRecorder, arguments: [Tensor], results: [Tensor])? {
    let recorder = GraphRecorder(isSymbolic: true)
    var arguments: [Tensor] = []
    var values: [Tensor] = []
    func tensor(_ source: Source) -> Tensor {
      switch source {
      case .node(let i): values[i]
      case .constant(let tensor): tensor
      }
    }
    for use in uses where use.wasRead {
      // Only what others can have changed: a cell of the program's own begins anew.
      let content = use.cell.read()
      guard content?.type == use.type, content?.requiresGrad ?? false == use.requiresGrad else {
        return nil
      }
    }
    for node in nodes {
      switch node {
      case .argument(let i):
        let argument = recorder.addArgument(
          Tensor(TensorBody(withoutElements: types[i])), name: "argument \(i)")
        arguments.append(argument)
        values.append(argument)
      case .cell(let cell):
        guard let content = recorder.read(cell, cell.read()) else { return nil }
        values.append(content)
      case .constant(let tensor): values.append(tensor)
      case .number(let formula, let type):
        values.append(Tensor(ConstantArray([formula(sizes)], type)))
      case .operation(let op, let formulas, let element, let operands):
        values.append(
          try record(
            Self.operation(op, formulas, element, sizes), operands.map { values[$0] }, recorder))
      case .advance(let draw, let operands):
        guard case .operation(let op, let formulas, let element, _) = nodes[draw],
          case .random(let distribution, let type) = Self.operation(op, formulas, element, sizes)
        else { return nil }
        let advance = Op.advanceRandom(blocks: distribution.blocks(for: type))
        values.append(try record(advance, operands.map { values[$0] }, recorder))
      }
    }
    for use in uses {
      if use.wasRead && use.type == nil { _ = recorder.read(use.cell, nil) }
      guard use.isWritten else { continue }
      let content = use.content.map { source in
        let plain = tensor(source)
        let result = Tensor(TensorBody(plain.body, autograd: use.autograd))
        recorder.recordAlias(result, of: plain)
        return result
      }
      _ = recorder.write(use.cell, content)
    }
    for (effect, sources) in effects { _ = recorder.perform(effect, on: sources.map(tensor)) }
    if wentOutside { recorder.didGoOutside() }
    let results = results.map { source, isOpen in
      let plain = tensor(source).detached()
      let autograd = isOpen ? AutogradMeta(leafNamed: "result") : nil
      let result = Tensor(TensorBody(plain.body, autograd: autograd))
      recorder.recordAlias(result, of: tensor(source))
      return result
    }
    return (recorder, arguments, results)
  }

  private func record(
    _ op: Op, _ inputs: [Tensor], _ recorder: GraphRecorder
  ) throws(OpError) -> Tensor {
    let types = inputs.map(\.type)
    let type = try types.withUnsafeBufferPointer { (types) throws(OpError) in
      try op.resultType(for: types)
    }
    let result = Tensor(TensorBody(withoutElements: type))
    recorder.record(op, inputs, result)
    if let failure = recorder.failure { throw failure }
    return result
  }
}
