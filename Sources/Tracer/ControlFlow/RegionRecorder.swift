import DuetCompiler
import DuetEager
import DuetRuntime

/// Writes down what the closure of a branch or a loop does, as a graph by itself.
///
/// The closure runs once, with tensors that have types and no elements. What it uses from outside becomes an argument
/// of the graph if the recorder around knows it as a value, and a constant otherwise. State is read from around, as
/// it was before the region; what is written is kept here for whoever makes the region to deal with.
final class RegionRecorder: Recorder {
  /// What the closure did with a state cell.
  struct CellUse {
    let cell: StateCell
    /// The content before the region, as the recorder around knows it.
    let initial: Tensor?
    /// What the closure got to see of it, and the graph's value for that.
    let alias: Tensor?
    let value: ValueID?
    /// What the closure sees in the cell at this moment.
    var current: Tensor?
    var wasWritten = false
    /// Whether the closure has looked at the elements of the content before the region.
    var wasLookedAt = false

    var isChanged: Bool { wasWritten && current?.body !== alias?.body }
  }

  /// An argument of the graph that stands for a tensor from outside.
  struct Capture {
    let tensor: Tensor
    let name: String
    let value: ValueID
  }

  // Weak: it holds this one.
  private weak var outer: Recorder?
  /// What messages call the region by.
  private var region = ""
  /// Whether the closure is called for the form of what it gives, and nothing else: it is the body of a loop without
  /// iterations, or inside one.
  var isForForm = false
  /// State cells with greater numbers were made by the closure itself.
  private var lastCell = StateCell.lastSequence

  private(set) var builder = GraphBuilder()
  private(set) var captures: [Capture] = []
  private(set) var cells: [CellUse] = []
  private(set) var failure: OpError?
  private(set) var sawFailure = false

  private var values: [ObjectIdentifier: ValueID] = [:]
  private var alive: [Tensor] = []
  /// For every value whether it depends on an argument.
  private var varies: [Bool] = []
  /// The content of cells that the closure itself made.
  private var ownCells: [ObjectIdentifier: Tensor?] = [:]

  convenience init(_ region: String, outer: Recorder?) {
    self.init(for: outer)
    self.region = region
    self.outer = outer
    isForForm = (outer as? RegionRecorder)?.isForForm ?? false
    outer?.add(self)
  }

  /// A recorder that goes on where another one is, and leaves that one as it is.
  convenience init(continuing other: RegionRecorder, outer: Recorder?) {
    self.init(for: other)
    region = other.region
    isForForm = other.isForForm
    self.outer = outer
    lastCell = other.lastCell
    builder = other.builder
    captures = other.captures
    cells = other.cells
    values = other.values
    alive = other.alive
    varies = other.varies
    ownCells = other.ownCells
    outer?.add(self)
  }

  /// Recorders of regions inside this one.
  private var inner: [RegionRecorder] = []

  override func add(_ region: Recorder) {
    if let region = region as? RegionRecorder { inner.append(region) }
  }

  /// Why a tensor that is used outside cannot be, if it was made in here: its elements, if it has some, are those of
  /// one call.
  func objectionFromOutside(to tensor: Tensor) -> OpError? {
    if let id = values[ObjectIdentifier(tensor.body)], varies[id.index] {
      return OpError(
        region, "a tensor that was made inside is used outside; return it from the closure instead")
    }
    for region in inner {
      if let objection = region.objectionFromOutside(to: tensor) { return objection }
    }
    return nil
  }

  override func objection(to tensor: Tensor) -> OpError? {
    for region in inner {
      if let objection = region.objectionFromOutside(to: tensor) { return objection }
    }
    return outer?.objection(to: tensor)
  }

  // MARK: Values

  /// A new argument of the graph.
  func addInput(_ type: TensorType, _ name: String, isLeaf: Bool = false) -> (Tensor, ValueID) {
    let plain = Tensor(TensorBody(withoutElements: type))
    let tensor = isLeaf ? plain.asRegionLeaf() : plain
    let id = builder.addInput(type, name: name)
    assign(id, to: tensor, isVariable: true)
    return (tensor, id)
  }

  /// The graph's value for a tensor; what is from outside becomes an argument or a constant.
  func value(of tensor: Tensor) -> ValueID {
    if let known = knownValue(of: tensor) { return known }
    if let known = tensor.isPending ? tensor.evaluated(for: region).evaluatedBody : nil {
      // Deferred mode has made it, for all that this recorder knows before the recording.
      let id = value(of: Tensor(known))
      assign(id, to: tensor, isVariable: false)
      return id
    }
    if tensor.hasElements {
      if failure == nil { failure = objection(to: tensor) }
      let id = builder.addConstant(tensor.constant)
      assign(id, to: tensor, isVariable: false)
      return id
    }
    if failure == nil {
      failure = OpError(
        region, "uses a symbolic tensor that was made inside another closure; return it from there")
    }
    return addInput(tensor.type, "unknown").1
  }

  /// The graph's value for a tensor that differs from call to call.
  private func knownValue(of tensor: Tensor) -> ValueID? {
    if let known = values[ObjectIdentifier(tensor.body)] { return known }
    guard let outer, outer.isVariable(tensor) else { return nil }
    let name = outer.name(of: tensor) ?? "captured"
    let id = builder.addInput(tensor.type, name: name)
    captures.append(Capture(tensor: tensor, name: name, value: id))
    assign(id, to: tensor, isVariable: true)
    return id
  }

  private func assign(_ id: ValueID, to tensor: Tensor, isVariable: Bool) {
    values[ObjectIdentifier(tensor.body)] = id
    alive.append(tensor)
    while varies.count <= id.index { varies.append(false) }
    self.varies[id.index] = isVariable
  }

  // MARK: What the thread does

  override func record(_ op: Op, _ inputs: [Tensor], _ result: Tensor) {
    guard failure == nil else { return }
    if op.canFail, ThreadContext.catchesMistakesInsideRecording {
      willDiffer(
        because: "it catches a mistake that values decide about: \(op.name) inside \(region)")
    }
    do throws(OpError) {
      let operands = inputs.map(value(of:))
      let id = try builder.add(op, operands)
      // What a branch on constants gives has no elements that could be used in its place.
      let isVariable = !result.hasElements || operands.contains { varies[$0.index] }
      assign(id, to: result, isVariable: isVariable)
    } catch {
      failure = error
    }
  }

  override func beginRecomputation(depth: Int) { builder.beginRecomputation(depth: depth) }

  override func endRecomputation() { builder.endRecomputation() }

  override func recordAlias(_ result: Tensor, of source: Tensor) {
    if let id = knownValue(of: source) {
      assign(id, to: result, isVariable: varies[id.index])
    }
  }

  override var recordsRegions: Bool { true }

  override var takesPending: Bool { outer?.takesPending ?? false }

  override func perform(_ effect: HostEffect, on tensors: [Tensor]) -> Bool {
    if isForForm { return true }
    note(
      OpError(
        region,
        "callbacks such as tracePrint cannot be made inside; give the values as results and make them there"
      ))
    return true
  }

  override func isVariable(_ tensor: Tensor) -> Bool {
    if let id = values[ObjectIdentifier(tensor.body)] { return varies[id.index] }
    return outer?.isVariable(tensor) ?? false
  }

  override func name(of tensor: Tensor) -> String? {
    values[ObjectIdentifier(tensor.body)].map { builder.label(of: $0) } ?? outer?.name(of: tensor)
  }

  override func didFail(caughtBy catcher: Recorder?) {
    if catcher === self {
      willDiffer(because: "it catches a mistake inside \(region)")
      return
    }
    sawFailure = true
    outer?.didFail(caughtBy: catcher)
  }

  override func willDiffer(because reason: String) { outer?.willDiffer(because: reason) }

  override func didGoOutside() { outer?.didGoOutside() }

  override func willRead(_ tensor: Tensor, for operation: String) -> String? {
    guard let id = values[ObjectIdentifier(tensor.body)] else {
      return outer?.willRead(tensor, for: operation)
    }
    // What was there before the region is looked at before the region.
    if let c = cells.firstIndex(where: { $0.value == id }) {
      cells[c].wasLookedAt = true
      return outer?.willRead(cells[c].initial!, for: operation)
    }
    if let capture = captures.first(where: { $0.value == id }) {
      return outer?.willRead(capture.tensor, for: operation)
    }
    if !varies[id.index] { return nil }
    if isForForm {
      return
        "\(name(of: tensor) ?? "a tensor") was made inside \(region) over arrays of length 0: the body is called once "
        + "for the form of what would be stacked, with tensors that have no values. Compute with tensors instead: "
        + "cond(predicate, then:, else:) or which(condition, a, b)"
    }
    return
      "\(name(of: tensor) ?? "a tensor") was made inside \(region), which is recorded once for all values: "
      + "its own differs from call to call. Compute with tensors instead: cond(predicate, then:, else:), "
      + "whileLoop(_:while:do:) or which(condition, a, b)"
  }

  // MARK: State

  override func read(_ cell: StateCell, _ value: Tensor?) -> Tensor? {
    if cell.sequence > lastCell {
      return ownCells[ObjectIdentifier(cell)] ?? value
    }
    return cells[use(of: cell, value)].current
  }

  override func write(_ cell: StateCell, _ value: Tensor?) -> Bool {
    if cell.sequence > lastCell {
      // What a new variable starts with is no change of state.
      return ownCells.updateValue(value, forKey: ObjectIdentifier(cell)) == nil
    }
    let c = use(of: cell, nil)
    cells[c].wasWritten = true
    cells[c].current = value
    return false
  }

  /// - Parameter value: The cell's content, if the caller has it.
  private func use(of cell: StateCell, _ value: Tensor?) -> Int {
    if let known = cells.firstIndex(where: { $0.cell === cell }) { return known }
    let initial = ThreadContext.withRecorder(outer) { cell.read() }
    var alias: Tensor?
    var id: ValueID?
    if let initial {
      alias = Tensor(TensorBody(initial.body, autograd: initial.autograd))
      id = builder.addInput(initial.type, name: cell.name)
      assign(id!, to: alias!, isVariable: true)
    }
    cells.append(CellUse(cell: cell, initial: initial, alias: alias, value: id, current: alias))
    return cells.count - 1
  }
}
