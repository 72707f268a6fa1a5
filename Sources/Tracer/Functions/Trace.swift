// Unsafe: passes addresses of tensors' elements to a plan. Every tensor is held, or its cell locked, until the
// plan has run.

import DuetCompiler
import DuetEager
import DuetRuntime
import Synchronization

/// One recorded run of a closure, compiled: what a call with the same signature does instead of running it.
class Trace: @unchecked Sendable {
  // Sendable: constant once calls see it, raw memory included, but for `callCount` and `lastUse`, which are atomic, and the
  // table of cells, which sees to itself. The form's tensors are placeholders, and replays fill copies of it.

  let signature: Signature
  let tensorSignature: TensorSignature
  let paths: [String]
  let reason: String
  /// The plan that calls replay; of nothing, if they replay several plans.
  let compiled: CompiledGraph
  let unoptimized: Graph
  /// Whether calls run the closure itself.
  let runsEagerly: Bool
  /// Why calls run the closure itself; nil: they replay the plan.
  var reasonForEager: String? { reasonOfProgram }
  let reasonOfProgram: String?
  /// Why no file can hold the trace; nil: one can.
  private(set) var objectionToSaving: String?
  /// What there is to save: one path, or those that calls have taken.
  var recordedPaths: [RecordedPath] { [recordedPath] }
  private let recordedPath: RecordedPath
  let constantCount: Int
  let constantBytes: Int
  /// The result's form, which replays fill with their tensors; a `FormBox` of the function's result type.
  let form: AnyObject?
  private let plainForm: Unmanaged<AnyObject>?
  let callCount = Atomic<Int>(0)
  /// When it was last used; compares with other traces of the function.
  let lastUse = Atomic<Int>(0)
  /// What the trace was made from, if it is one for certain sizes of many. Set before calls see the trace.
  var lowered: SizedFunction?
  /// Callbacks that a replay asks for, and where their tensors come from.
  private let effects: [(effect: HostEffect, sources: [Source])]
  /// What the closure did, if it is to be compared with what it does later.
  private let transcript: Transcript?

  /// Where a result, or a cell's new content, comes from.
  private enum Source {
    case output(Int)
    case constant(Tensor)
    case nothing
  }

  /// How a cell is used.
  struct CellUse {
    let cell: StateCell
    let type: TensorType?
    var isRead: Bool
    var isWritten: Bool
  }

  private struct CellWrite {
    let cell: StateCell
    let source: Source
  }

  /// An input that is an argument.
  private struct ArgumentInput {
    let input: Int
    let argument: Int
  }

  /// An output that gets memory of its own.
  private struct FreshOutput {
    let output: Int
    var form: TensorForm
  }

  private let plan: Plan
  private let inputCount: Int
  private let outputCount: Int
  private let argumentInputs: UnsafeMutableBufferPointer<ArgumentInput>
  private let freshOutputs: UnsafeMutableBufferPointer<FreshOutput>
  /// Arguments whose own gradients the closure reads or writes, with where those lie.
  private let ownGradients: [(argument: Int, cell: StateCell)]
  private let cells: CellTable
  /// The cells whose new content is none of the plan's outputs.
  private let otherWrites: [CellWrite]
  private let results: [Source]
  /// The only result, if it is one of the plan's outputs; -1 otherwise.
  private let onlyResult: Int
  /// Whether a replay is one run of the plan from the arguments, all of which are tensors, to the only result.
  let isDirect: Bool
  /// The cells that the trace reads, writes, or both, in the order of their first use.
  let cellUses: [CellUse]
  /// Constants large enough to be worth a word, and where they were captured.
  let largeConstants: [(type: TensorType, callSite: CallSite)]

  /// Compiles what a recorder has seen.
  /// - Parameters:
  ///   - arguments: The tensors that the closure was given.
  ///   - results: The tensors that the closure returned.
  ///   - isCompiled: Whether calls replay the whole graph as one plan.
  ///   - earlierUses: Cells that other paths use.
  ///   - earlierReason: Why calls that take other paths run the closure.
  ///   - givesUp: Whether calls run the closure because of the values that it looks at.
  ///   - newState: What the closure makes and somebody keeps, on every call.
  ///   - earlierObjection: Why no file can hold other paths.
  init(
    _ recorder: GraphRecorder, signature: Signature, paths: [String], reason: String,
    arguments: [Tensor], results: [Tensor], form: AnyObject?, isCompiled: Bool = true,
    earlierUses: [CellUse] = [], earlierReason: String? = nil, newState: StateCell? = nil,
    givesUp: Bool = false, earlierObjection: String? = nil
  ) throws(OpError) {
    self.form = form
    plainForm = form.map { .passUnretained($0) }
    self.signature = signature
    tensorSignature = TensorSignature(signature)
    self.paths = paths
    self.reason = reason
    inputCount = recorder.inputs.count
    constantCount = recorder.constantCount
    constantBytes = recorder.constantBytes

    var outputs: [ValueID] = []
    var names: [String] = []
    var types: [TensorType] = []
    func source(_ tensor: Tensor, _ name: String) -> Source {
      guard let id = recorder.knownValue(of: tensor) else { return .constant(tensor) }
      outputs.append(id)
      names.append(name)
      types.append(tensor.type)
      return .output(outputs.count - 1)
    }
    self.results = results.enumerated().map { i, tensor in
      source(tensor, results.count == 1 ? "result" : "result \(i)")
    }
    effects = recorder.effects.map { effect in
      (effect.effect, effect.tensors.map { source($0, "callback") })
    }
    let freshTypes = types
    transcript = recorder.keepsTranscript ? Transcript(recorder, results: results) : nil
    if self.results.count == 1, case .output(let j) = self.results[0] {
      onlyResult = j
    } else {
      onlyResult = -1
    }
    var writes: [(use: GraphRecorder.CellUse, source: Source)] = []
    var sharing: [(output: Int, input: Int)] = []
    let uses = recorder.state
    for use in uses.sorted(by: { $0.cell.sequence < $1.cell.sequence })
    where use.isChanged {
      let from = use.current.map { source($0, use.cell.name) } ?? .nothing
      if case .output(let j) = from, let i = use.inputIndex { sharing.append((j, i)) }
      writes.append((use, from))
    }
    let graph = recorder.builder.finish(outputs: outputs, outputNames: names)
    unoptimized = graph
    recordedPath = RecordedPath(recorder, graph, results: results)
    compiled = try compile(
      isCompiled ? graph : .empty, CompileOptions(mayShare: isCompiled ? sharing : []))
    outputCount = types.count
    let plan = compiled.plan
    self.plan = plan
    argumentInputs = .plain(
      recorder.inputs.enumerated().compactMap { i, source in
        if case .argument(let index) = source {
          ArgumentInput(input: i, argument: index)
        } else {
          nil
        }
      })
    freshOutputs = .plain(
      freshTypes.enumerated().map { FreshOutput(output: $0, form: TensorForm($1)) })
    let isWritten = Set(writes.map { ObjectIdentifier($0.use.cell) })
    func reads(written: Bool) -> [CellTable.Read] {
      uses.compactMap { use in
        guard use.wasRead, isWritten.contains(ObjectIdentifier(use.cell)) == written else {
          return nil
        }
        return CellTable.Read(
          use.cell, type: use.initial?.type, requiresGrad: use.initial?.requiresGrad ?? false,
          input: use.inputIndex)
      }
    }
    cells = CellTable(
      onlyRead: reads(written: false), readAndWritten: reads(written: true),
      written: writes.map { use, source in
        var output: Int?
        if case .output(let j) = source { output = j }
        // A run that fails must leave every cell as it was.
        let inPlace = output.map {
          use.inputIndex == nil
            ? plan.lateOutputs.contains($0) : plan.shareableOutputs.contains($0)
        }
        // A leaf's own gradient cell goes on; results of recorded operations are detached.
        let autograd = use.current?.body.autograd.flatMap { $0.function == nil ? $0 : nil }
        return CellTable.Write(
          use.cell, type: use.current?.type ?? TensorType(.float32, []), autograd: autograd,
          output: output, replacesInPlace: inPlace ?? false)
      })
    otherWrites = writes.compactMap { use, source in
      if case .output = source { nil } else { CellWrite(cell: use.cell, source: source) }
    }
    cellUses = uses.reduce(into: earlierUses) { uses, use in
      let isRead = use.wasRead && use.initial != nil
      if let known = uses.firstIndex(where: { $0.cell === use.cell }) {
        uses[known].isRead = uses[known].isRead || isRead
        uses[known].isWritten = uses[known].isWritten || use.isChanged
      } else if isRead || use.isChanged {
        uses.append(
          CellUse(
            cell: use.cell, type: (use.initial ?? use.current)?.type, isRead: isRead,
            isWritten: use.isChanged))
      }
    }
    largeConstants = recorder.largeConstants
    let used = Set(uses.map { ObjectIdentifier($0.cell) })
    ownGradients = arguments.enumerated().compactMap { i, argument in
      argument.body.autograd?.gradientCell.flatMap {
        used.contains(ObjectIdentifier($0)) ? (argument: i, cell: $0) : nil
      }
    }
    if results.contains(where: \.isOpen) {
      reasonOfProgram =
        "a result can still be differentiated outside (call backward inside, or wrap the call in noGrad)"
    } else if recorder.wentOutside {
      reasonOfProgram = Self.wentOutside
    } else if let reason = recorder.reasonToDiffer {
      reasonOfProgram = reason
    } else if let newState {
      reasonOfProgram = Self.makesState(newState)
    } else {
      reasonOfProgram = earlierReason
    }
    runsEagerly = reasonOfProgram != nil || givesUp
    if let objection = recorder.objectionToSaving {
      objectionToSaving = objection
    } else if let newState {
      objectionToSaving = Self.makesState(newState)
    } else if !ownGradients.isEmpty {
      objectionToSaving =
        "it uses the gradient of an argument, which belongs to the caller's tensor"
    } else {
      objectionToSaving = earlierObjection
    }
    isDirect =
      isCompiled && reasonOfProgram == nil && uses.isEmpty && effects.isEmpty
      && transcript == nil && onlyResult >= 0
      && outputCount == 1
      && argumentInputs.count == inputCount && arguments.count == inputCount
  }

  static let wentOutside =
    "backward went into operations outside, through an argument or a tensor that the closure "
    + "captured (detach it, or do those operations inside)"
  private static func makesState(_ cell: StateCell) -> String {
    "it makes a new \(cell.name) on every call, which lives on (make it once, outside)"
  }
  static let callsBack =
    "it calls Swift code on every call (hostCallback, tracePrint), which no file can hold"

  deinit {
    argumentInputs.deallocate()
    freshOutputs.deallocate()
  }

  /// The trace of a function that does nothing.
  static var empty: Trace {
    // Nothing in an empty graph can fail to compile.
    try! Trace(
      GraphRecorder(isSymbolic: true), signature: Signature(types: []), paths: [], reason: "",
      arguments: [], results: [], form: nil)
  }

  /// Whether these are the arguments whose gradients the trace reads and writes.
  @inline(__always)
  final func ownsGradients(of arguments: UnsafePointer<Unmanaged<TensorBody>>) -> Bool {
    ownGradients.isEmpty || ownsSomeGradients(of: arguments)
  }

  @inline(never)
  private func ownsSomeGradients(of arguments: UnsafePointer<Unmanaged<TensorBody>>) -> Bool {
    ownGradients.allSatisfy { argument, cell in
      arguments[argument].takeUnretainedValue().autograd?.gradientCell === cell
    }
  }

  /// Tells the trace from others that are alive.
  @inline(__always)
  final var identity: UInt { UInt(bitPattern: Unmanaged.passUnretained(self).toOpaque()) }

  /// The values that the closure looks at.
  var guards: [Explanation.Guard] { [] }

  /// The cells that calls may write.
  var writtenCells: [StateCell] { cells.writtenCells }

  /// The whole graph, compiled: what there is to look at.
  func whole() throws(OpError) -> CompiledGraph { compiled }

  /// How many tensors a call gives.
  var resultCount: Int { results.count }

  /// Whether the state has the form that it had when the trace was recorded.
  func matchesState() -> Bool { cells.matches() }

  /// Evaluates what deferred mode has left pending in the cells that the trace reads.
  /// - Returns: Whether there was anything.
  func settleState() -> Bool { cells.settle() }

  // MARK: Replaying

  /// Runs the plan with the frame's arguments, which have the trace's signature, and leaves the results there.
  /// - Parameter times: Room for the nanoseconds that each step takes, if they are wanted.
  /// - Returns: False if the state that the function reads has changed its form since recording.
  /// - Throws: `OpError` for what only values tell. No state has changed then.
  func replay(
    _ frame: CallFrame, times: UnsafeMutablePointer<UInt64>? = nil
  ) throws(OpError) -> Bool {
    let inputs = frame.addresses(inputCount + outputCount + 1)
    let outputs = inputs + inputCount
    guard cells.readOthers(into: inputs, &frame.held) else {
      frame.letGo()
      return false
    }
    for i in 0..<argumentInputs.count {
      let place = argumentInputs[i]
      inputs[place.input] = frame.arguments[place.argument]._withUnsafeGuaranteedRef {
        $0.contiguousAddress(&frame.held)
      }
    }
    let fresh = frame.fresh(outputCount)
    for i in 0..<freshOutputs.count {
      let output = freshOutputs[i].output
      let body = Unmanaged.passRetained(TensorBody(allocating: &freshOutputs[i].form))
      outputs[output] = body._withUnsafeGuaranteedRef { $0.pointer }
      fresh[output] = body
    }
    guard let freshCells = cells.lock(inputs: inputs, outputs: outputs, fresh, &frame.held) else {
      frame.letGo()
      return false
    }
    defer { cells.unlock() }

    try plan.run(inputs: inputs, outputs: outputs, times: times)

    if freshCells > 0 { cells.commit(fresh) }
    for i in otherWrites.indices {
      otherWrites[i].cell.lockedContent = tensor(otherWrites[i].source, fresh)
    }
    if !effects.isEmpty {
      for (effect, sources) in effects {
        frame.effects.append((effect, sources.map { tensor($0, fresh)! }))
      }
    }
    frame.form = plainForm
    if transcript != nil { frame.transcript = transcript }
    if onlyResult >= 0 {
      frame.result = fresh[onlyResult]
      fresh[onlyResult] = nil
      if freshOutputs.count == 1 { frame.forgetFresh() }
    } else {
      for source in results { frame.results.append(tensor(source, fresh)!) }
    }
    return true
  }

  /// Runs the plan of a direct trace with the arguments noted in the frame, which have the trace's signature, and
  /// leaves the result there.
  /// - Throws: `OpError` for what only values tell.
  @inline(__always)
  final func replayDirectly(_ frame: CallFrame) throws(OpError) {
    let inputs = frame.addresses(inputCount + 1)
    for i in 0..<inputCount {
      inputs[i] = frame.arguments[i]._withUnsafeGuaranteedRef { $0.pointer }
    }
    let result = Unmanaged.passRetained(TensorBody(allocating: &freshOutputs[0].form))
    frame.form = plainForm
    frame.result = result
    inputs[inputCount] = result._withUnsafeGuaranteedRef { $0.pointer }
    try plan.run(inputs: inputs, outputs: inputs + inputCount)
  }

  private func tensor(
    _ source: Source, _ fresh: UnsafeMutablePointer<Unmanaged<TensorBody>?>
  ) -> Tensor? {
    switch source {
    case .output(let j): Tensor(fresh[j]!.takeUnretainedValue())
    case .constant(let tensor): tensor
    case .nothing: nil
    }
  }
}
