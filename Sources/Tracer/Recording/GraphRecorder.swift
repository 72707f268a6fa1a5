import DuetCompiler
import DuetEager
import DuetRuntime

/// Writes down, as a graph, what a closure does with tensors while it runs.
final class GraphRecorder: Recorder {
  /// Where a graph's input comes from at replay.
  enum InputSource {
    case argument(Int)
    case cell(StateCell)
  }

  /// What a closure did with a state cell.
  final class CellUse {
    private(set) var cell: StateCell
    /// The content before the function, if it was read before being written.
    var wasRead = false
    /// How many values the program had looked at before it first read the cell.
    var guardsBeforeRead = 0
    var initial: Tensor?
    var inputIndex: Int?
    /// The tensor that the program got for the initial content.
    var initialAlias: Tensor?
    /// What the program sees in the cell at this moment.
    var current: Tensor?
    var wasWritten = false

    init(_ cell: StateCell) { self.cell = cell }

    /// Whether the cell has another content now, and not only been written back unchanged.
    var isChanged: Bool {
      guard wasWritten else { return false }
      guard let current, let initialAlias else { return true }
      return initialAlias.body !== current.body
    }

    /// Whether nobody else refers to the cell.
    func isLastOwner() -> Bool { isKnownUniquelyReferenced(&cell) }

    /// Forgets the cell's contents. One that nobody else can reach loses its own.
    func letGo() {
      (initial, initialAlias, current) = (nil, nil, nil)
      guard isLastOwner() else { return }
      cell.lock()
      let content = cell.lockedContent
      cell.lockedContent = nil
      cell.unlock()
      withExtendedLifetime(content) {}
    }
  }

  /// A value that the program has looked at, and what it saw.
  struct Guard {
    let value: ValueID
    /// How many nodes the graph had.
    let position: Int
    /// The elements in row-major order.
    let bytes: [UInt8]
    /// The operation that looked: `item`.
    let operation: String
    let callSite: CallSite
  }

  /// A callback that the program wants made with these tensors' values.
  struct Effect {
    let effect: HostEffect
    let tensors: [Tensor]
  }

  private(set) var builder = GraphBuilder()
  private(set) var inputs: [InputSource] = []
  private(set) var cells: [CellUse] = []
  /// In the order of the program. No value is there twice.
  private(set) var guards: [Guard] = []
  /// In the order of the program.
  private(set) var effects: [Effect] = []
  /// Where operations were done and constants captured, by node; only large constants if not asked for.
  private(set) var callSites: [ValueID: CallSite] = [:]
  private(set) var largeConstants: [(type: TensorType, callSite: CallSite)] = []
  private(set) var constantBytes = 0
  private(set) var constantCount = 0
  /// The first thing that could not be recorded.
  private(set) var failure: OpError?

  /// Whether an operation could not be done; the thread that asked for it knows the error.
  private(set) var sawFailure = false
  /// Why the closure may do something else when it is called again.
  private(set) var reasonToDiffer: String?
  /// Whether `backward` went through operations that were not recorded.
  private(set) var wentOutside = false

  /// Whether the place of every operation is noted, which takes time.
  var notesCallSites = false
  /// Whether what was recorded is kept, to be compared with what the program does later.
  var keepsTranscript = false
  /// Contents of cells that the program sees instead of what is there.
  var contents: [ObjectIdentifier: Tensor?] = [:]
  /// Cells with greater numbers are the program's own.
  private let lastCellBefore = {
    // Made when it is first needed, but nobody's.
    _ = Generator.global
    return StateCell.lastSequence
  }()
  private var isCommitted = false
  private var values: [ObjectIdentifier: ValueID] = [:]
  private var cellIndex: [ObjectIdentifier: Int] = [:]
  private var guarded: Set<ValueID> = []
  // Holds tensors that have a value, so that no other one can get their identity.
  private var alive: [Tensor] = []
  /// The bytes of `alive` after those that nobody else knows were let go of, and those that came since.
  private var (keptBytes, newBytes) = (0, 0)

  /// The recorders of branches and loops, whose tensors are theirs alone.
  private var regions: [RegionRecorder] = []

  override func add(_ region: Recorder) {
    if let region = region as? RegionRecorder { regions.append(region) }
  }

  override func objection(to tensor: Tensor) -> OpError? {
    for region in regions {
      if let objection = region.objectionFromOutside(to: tensor) { return objection }
    }
    return nil
  }

  /// Finds out whether something that is left belongs to a branch or a loop. For the end of the recording.
  func checkOrigins(_ results: [Tensor]) {
    for tensor in results + cells.filter(\.wasWritten).compactMap(\.current)
    where failure == nil && knownValue(of: tensor) == nil { failure = objection(to: tensor) }
  }

  /// One that has seen nothing yet and notes the same.
  func another() -> GraphRecorder {
    let other = GraphRecorder(isSymbolic: isSymbolic)
    other.notesCallSites = notesCallSites
    other.keepsTranscript = keepsTranscript
    other.contents = contents
    return other
  }

  // MARK: Values

  /// A stand-in for an argument: the same elements under an identity of its own.
  func addArgument(_ tensor: Tensor, name: String) -> Tensor {
    let alias =
      tensor.hasElements
      ? Tensor(TensorBody(tensor.body, autograd: tensor.body.autograd))
      : Tensor(
        SymbolicBody(tensor.type, autograd: tensor.body.autograd, madeBy: name, in: origin))
    inputs.append(.argument(inputs.count))
    assign(builder.addInput(tensor.type, name: name), to: alias)
    return alias
  }

  /// The graph's value for a tensor; tensors from outside become constants.
  func value(of tensor: Tensor) -> ValueID {
    if let known = knownValue(of: tensor) { return known }
    if failure == nil { failure = objection(to: tensor) }
    let id = builder.addConstant(tensor.constant)
    constantBytes += tensor.type.byteCount
    constantCount += 1
    let isLarge = tensor.type.byteCount > Self.largeConstant
    if notesCallSites || isLarge {
      let callSite = CallSite()
      callSites[id] = callSite
      if isLarge { largeConstants.append((tensor.type, callSite)) }
    }
    assign(id, to: tensor)
    return id
  }

  /// Constants of more bytes are named by `explain()`.
  static let largeConstant = 1 << 20

  func knownValue(of tensor: Tensor) -> ValueID? { values[ObjectIdentifier(tensor.body)] }

  private func assign(_ id: ValueID, to tensor: Tensor) {
    values[ObjectIdentifier(tensor.body)] = id
    alive.append(tensor)
    guard tensor.hasElements else { return }
    newBytes += tensor.type.byteCount
    if newBytes > max(keptBytes / 8, 1 << 20) { letGo() }
  }

  /// Lets go of the tensors that the program has let go of: recording shall not need more memory than running.
  private func letGo() {
    (keptBytes, newBytes) = (0, 0)
    var kept = 0
    for i in alive.indices {
      if isKnownUniquelyReferenced(&alive[i].body) {
        values[ObjectIdentifier(alive[i].body)] = nil
      } else {
        keptBytes += alive[i].hasElements ? alive[i].type.byteCount : 0
        alive.swapAt(kept, i)
        kept += 1
      }
    }
    alive.removeLast(alive.count - kept)
  }

  // MARK: What the thread does

  override func record(_ op: Op, _ inputs: [Tensor], _ result: Tensor) {
    guard failure == nil else { return }
    if case .region(let region as GraphRegion) = op {
      constantCount += region.constants.count
      constantBytes += region.constants.bytes
    }
    do throws(OpError) {
      if op.canFail, reasonToDiffer == nil, ThreadContext.catchesMistakesInsideRecording {
        willDiffer(because: "it catches a mistake that values decide about: \(op.name)" + place)
      }
      let id = try builder.add(op, inputs.map(value(of:)))
      if notesCallSites { callSites[id] = CallSite() }
      assign(id, to: result)
    } catch {
      failure = error
    }
  }

  override func beginRecomputation(depth: Int) { builder.beginRecomputation(depth: depth) }

  override func endRecomputation() { builder.endRecomputation() }

  override func recordAlias(_ result: Tensor, of source: Tensor) {
    if let id = knownValue(of: source) { assign(id, to: result) }
  }

  override func read(_ cell: StateCell, _ value: Tensor?) -> Tensor? {
    let use = use(of: cell)
    if use.wasRead || use.wasWritten { return use.current }
    let value = contents[ObjectIdentifier(cell)] ?? value
    use.wasRead = true
    use.guardsBeforeRead = guards.count
    use.initial = value
    guard let value else { return nil }
    if isOwn(cell) {
      // What the program has put there itself.
      (use.current, use.initialAlias) = (value, value)
      return value
    }
    let alias =
      isSymbolic
      ? Tensor(
        SymbolicBody(value.type, autograd: value.body.autograd, madeBy: cell.name, in: origin))
      : Tensor(TensorBody(value.body, autograd: value.body.autograd))
    use.inputIndex = inputs.count
    inputs.append(.cell(cell))
    assign(builder.addInput(value.type, name: cell.name), to: alias)
    use.current = alias
    use.initialAlias = alias
    return alias
  }

  override func write(_ cell: StateCell, _ value: Tensor?) -> Bool {
    let use = use(of: cell)
    let isFirst = !use.wasWritten && !use.wasRead
    use.wasWritten = true
    use.current = value
    // What a new variable starts with is no change of state: it has to be there whatever becomes of the recording.
    return isFirst && isOwn(cell)
  }

  /// Gives the cells the contents that the program has written, all at once.
  /// - Returns: False, with nothing changed, if another thread has changed one of them that the program had read.
  func commit() -> Bool {
    let changed = cells.filter(\.isChanged).sorted { $0.cell.sequence < $1.cell.sequence }
    for use in changed { use.cell.lock() }
    // Old contents are released outside the locks.
    var old: [Tensor?] = []
    defer {
      for use in changed { use.cell.unlock() }
      withExtendedLifetime(old) {}
    }
    for use in changed
    where use.wasRead && use.cell.lockedContent?.body !== use.initial?.body { return false }
    for use in changed {
      if let current = use.current, current.isFailed { continue }
      old.append(use.cell.lockedContent)
      use.cell.lockedContent = use.current
    }
    isCommitted = true
    return true
  }

  override func perform(_ effect: HostEffect, on tensors: [Tensor]) -> Bool {
    // The values are all that it gets: places in the autograd graph need not be kept for it.
    effects.append(Effect(effect: effect, tensors: tensors.map { $0.detached() }))
    return true
  }

  override var effectCount: Int { effects.count }

  override func dropEffects(after count: Int) { effects.removeSubrange(count...) }

  /// Makes the callbacks that the program has asked for, if what it did counts.
  func performEffects() {
    guard isCommitted, !isSymbolic else { return }
    for effect in effects { effect.effect.run(effect.tensors) }
  }

  // MARK: What the program makes

  /// Whether the program has made the cell itself: a variable of its own, or the gradient of a tensor of its own.
  private func isOwn(_ cell: StateCell) -> Bool { cell.sequence > lastCellBefore }

  /// What the program did with state. Cells of its own are none: they begin anew on every call.
  var state: [CellUse] { cells.filter { !isOwn($0.cell) } }

  /// Whether the program has used gradients of tensors that it has made itself.
  var usesOwnGradients: Bool { cells.contains { isOwn($0.cell) && $0.cell.isGradient } }

  /// Something that the program has made and that lives on without it: a variable, a generator, or the gradient of a
  /// tensor that somebody keeps. For the end of the recording, of which only what a trace is made of is left.
  /// - Parameter results: Nobody has them but the caller, in whatever form.
  func cellThatOutlives(_ results: [Tensor]) -> StateCell? {
    let own = cells.filter { isOwn($0.cell) }
    if let use = own.first(where: { !$0.cell.isGradient && !$0.isLastOwner() }) { return use.cell }
    // Where calls run the closure whatever happens, nobody has to know.
    guard usesOwnGradients, !wentOutside, !results.contains(where: \.isOpen) else { return nil }
    letGo(except: results)
    var living = own.count
    var before: Int
    repeat {
      // What one cell holds may be what kept another alive.
      before = living
      for use in own { use.letGo() }
      living = own.count { !$0.isLastOwner() }
    } while living > 0 && living < before
    return own.first { !$0.isLastOwner() }?.cell
  }

  /// Cuts the results off from graphs that are used up, as replays give them: such a graph holds what it began with,
  /// a tensor of the program's own perhaps that nobody asks for any more.
  /// - Parameter replace: Puts them in the place of those that the caller has.
  func detach(_ results: inout [Tensor], _ replace: ([Tensor]) -> Void) {
    guard usesOwnGradients, !wentOutside, !results.contains(where: \.isOpen) else { return }
    results = ThreadContext.withRecorder(self) { results.map { $0.detached() } }
    replace(results)
  }

  /// - Throws: `OpError` if something that the program has made from types alone lives on.
  func checkOwnCells(
    _ results: inout [Tensor], _ replace: ([Tensor]) -> Void
  ) throws(OpError) {
    detach(&results, replace)
    guard let cell = cellThatOutlives(results) else { return }
    throw OpError(
      "lower",
      "the function made \(cell.name), which lives on; call it with tensors first, or make it before"
    )
  }

  /// Lets go of all tensors but results, and what callbacks and cells get.
  private func letGo(except results: [Tensor]) {
    let state = state.flatMap { [$0.initialAlias, $0.current].compactMap { $0 } }
    alive = (results + effects.flatMap(\.tensors) + state).filter { knownValue(of: $0) != nil }
    let kept = Set(alive.map { ObjectIdentifier($0.body) })
    values = values.filter { kept.contains($0.key) }
    regions = []
  }

  override func didFail(caughtBy catcher: Recorder?) {
    if catcher === self {
      willDiffer(because: "it catches a mistake" + place)
    } else {
      sawFailure = true
    }
  }

  override func willDiffer(because reason: String) {
    if reasonToDiffer == nil { reasonToDiffer = reason }
  }

  private var place: String { CallSite().location.map { " at \($0)" } ?? "" }

  override func didGoOutside() { wentOutside = true }

  override func willRead(_ tensor: Tensor, for operation: String) -> String? {
    guard let id = knownValue(of: tensor), !builder.isConstant(id) else { return nil }
    guard tensor.hasElements else {
      return
        "a tensor's value was read while a function is traced from types alone, where it has none; "
        + "call the function with tensors instead, or use which(condition, a, b)"
    }
    if failure == nil && !guarded.contains(id) {
      guarded.insert(id)
      guards.append(
        Guard(
          value: id, position: builder.count, bytes: tensor.bytes,
          operation: operation, callSite: CallSite()))
    }
    return nil
  }

  override func knows(_ tensor: Tensor) -> Bool { knownValue(of: tensor) != nil }

  override var recordsRegions: Bool { true }

  override func isVariable(_ tensor: Tensor) -> Bool {
    knownValue(of: tensor).map { !builder.isConstant($0) } ?? false
  }

  override func name(of tensor: Tensor) -> String? {
    knownValue(of: tensor).map { builder.label(of: $0) }
  }

  private func use(of cell: StateCell) -> CellUse {
    if let index = cellIndex[ObjectIdentifier(cell)] { return cells[index] }
    cellIndex[ObjectIdentifier(cell)] = cells.count
    cells.append(CellUse(cell))
    return cells[cells.count - 1]
  }
}

extension Tensor {
  /// Whether `backward` may still run from here, or arrive.
  var isOpen: Bool { body.autograd?.leadsToSavedValues ?? false }
}
