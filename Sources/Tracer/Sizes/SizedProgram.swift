import DuetCompiler
import DuetEager
import DuetRuntime

/// What a closure does for any sizes of its arguments: a recording in which the numbers that depend on them are
/// formulas.
struct SizedProgram: @unchecked Sendable {
  // Sendable: constant after init. The form's tensors are placeholders, and calls fill copies of it.

  /// What an input of the recording stands for.
  private enum Input {
    case argument(Int)
    case cell(StateCell)
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

  private let nodes: [SizedNode]
  private let inputs: [Input]
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
    let recordings = probes.map(\.nodes)
    let follower = SizeFollower(recordings, at: points)
    var nodes: [SizedNode] = []
    for i in first.nodes.indices {
      do throws(SizeFollower.Objection) {
        nodes.append(try follower.node(i, in: recordings))
      } catch {
        throw SizeDependence(i, error.what)
      }
    }
    self.nodes = nodes
    inputs = first.recorder.inputs.map { input in
      switch input {
      case .argument(let place): .argument(place)
      case .cell(let cell): .cell(cell)
      }
    }

    func source(_ tensor: Tensor) -> Source {
      first.recorder.knownValue(of: tensor).map { .node($0.index) } ?? .constant(tensor)
    }
    uses = first.recorder.state.map { use in
      Use(
        cell: use.cell, type: use.initial?.type, requiresGrad: use.initial?.requiresGrad ?? false,
        wasRead: use.wasRead, isWritten: use.isChanged, content: use.current.map(source),
        autograd: use.current?.body.autograd.flatMap { $0.function == nil ? $0 : nil })
    }
    results = first.results.map {
      (source($0), $0.isOpen)
    }
    effects = first.recorder.effects.map { ($0.effect, $0.tensors.map(source)) }
    wentOutside = first.recorder.wentOutside
    form = first.form
    knownSizes = follower.knownSizes
  }

  /// Why no file can hold the program; nil: one can.
  var objectionToSaving: String? {
    if wentOutside { return Trace.wentOutside }
    return effects.isEmpty ? nil : Trace.callsBack
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
          case (.cell(let p), .cell(let q)): p === q
          default: false
          }
        default: x.isAlike(y)
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
    let areUsesSame = a.recorder.state.elementsEqual(b.recorder.state) { x, y in
      x.cell === y.cell && x.wasRead == y.wasRead && x.isChanged == y.isChanged
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
    return zip(nodes, probe.nodes).allSatisfy { $0.fits($1, probe.sizes, in: nodes) }
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
      let content = use.cell.read()
      guard content?.type == use.type, content?.requiresGrad ?? false == use.requiresGrad else {
        return nil
      }
    }
    for node in nodes {
      switch node {
      case .input(let index, _, _):
        switch inputs[index] {
        case .argument(let i):
          let argument = recorder.addArgument(
            Tensor(TensorBody(withoutElements: types[i])), name: "argument \(i)")
          arguments.append(argument)
          values.append(argument)
        case .cell(let cell):
          guard let content = recorder.read(cell, cell.read()) else { return nil }
          values.append(content)
        }
      case .constant(let array): values.append(Tensor(array))
      case .number(let formula, let type):
        values.append(Tensor(ConstantArray([formula(sizes)], type)))
      case .operation(let operation, let operands):
        let op = try operation(sizes, in: nodes)
        values.append(try record(op, operands.map { values[$0] }, recorder))
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
