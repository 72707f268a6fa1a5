// Unsafe: passes addresses of tensors' elements to a plan. Every tensor is held, or its cell locked, until the
// plan has run.

import DuetCompiler
import DuetEager
import DuetRuntime
import Synchronization

/// One recorded run of a closure, compiled: what a call with the same signature does instead of running it.
final class Trace: @unchecked Sendable {
  // Sendable: constant after init but for `callCount`, which is atomic.

  let signature: Signature
  let paths: [String]
  let reason: String
  let compiled: CompiledGraph
  let unoptimized: Graph
  /// Why calls run the closure itself; nil: they replay the plan.
  let reasonForEager: String?
  let constantCount: Int
  let constantBytes: Int
  /// The result's form, which replays fill with their tensors.
  let form: Any?
  let callCount = Atomic<Int>(0)

  /// Where a result, or a cell's new content, comes from.
  private enum Source {
    case output(Int)
    case argument(Int)
    case constant(Tensor)
    case nothing
  }

  private struct CellRead {
    let cell: StateCell
    /// What the trace was recorded with; nil: the cell was empty.
    let type: TensorType?
    let requiresGrad: Bool
    /// The graph's input, if the content is one.
    let input: Int?
    /// Whether the cell is also written, so that it is locked during the run.
    let isWritten: Bool
  }

  private struct CellWrite {
    let cell: StateCell
    let source: Source
    let type: TensorType?
    let autograd: AutogradMeta?
    /// The plan may compute the new content where the old one is.
    let replacesInPlace: Bool
    /// The input that the old content is, if the plan reads it.
    let input: Int?
  }

  private let inputs: [GraphRecorder.InputSource]
  /// Arguments whose own gradients the closure reads or writes, with where those lie.
  private let ownGradients: [(argument: Int, cell: StateCell)]
  private let reads: [CellRead]
  private let writes: [CellWrite]  // in the order of the cells' making
  private let results: [Source]
  private let outputTypes: [TensorType]

  /// Compiles what a recorder has seen.
  /// - Parameters:
  ///   - arguments: The tensors that the closure was given.
  ///   - results: The tensors that the closure returned.
  init(
    _ recorder: GraphRecorder, signature: Signature, paths: [String], reason: String,
    arguments: [Tensor], results: [Tensor], form: Any?
  ) throws(OpError) {
    self.form = form
    self.signature = signature
    self.paths = paths
    self.reason = reason
    inputs = recorder.inputs
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
    var writes: [CellWrite] = []
    var sharing: [(output: Int, input: Int)] = []
    for use in recorder.cells.sorted(by: { $0.cell.sequence < $1.cell.sequence })
    where use.wasWritten {
      if let current = use.current, let alias = use.initialAlias, alias.body === current.body {
        continue  // written back unchanged
      }
      let from = use.current.map { source($0, use.cell.name) } ?? .nothing
      if case .output(let j) = from, let i = use.inputIndex { sharing.append((j, i)) }
      // A leaf's own gradient cell goes on; results of recorded operations are detached.
      let autograd = use.current?.body.autograd.flatMap { $0.function == nil ? $0 : nil }
      writes.append(
        CellWrite(
          cell: use.cell, source: from, type: use.current?.type, autograd: autograd,
          replacesInPlace: false, input: use.inputIndex))
    }
    let graph = recorder.builder.finish(outputs: outputs, outputNames: names)
    unoptimized = graph
    compiled = try compile(graph, CompileOptions(mayShare: sharing))
    outputTypes = types
    let shareable = compiled.plan.shareableOutputs
    self.writes = writes.map { write in
      var inPlace = false
      if case .output(let j) = write.source {
        inPlace = write.input == nil || shareable.contains(j)
      }
      return CellWrite(
        cell: write.cell, source: write.source, type: write.type, autograd: write.autograd,
        replacesInPlace: inPlace, input: write.input)
    }
    let written = Set(writes.map { ObjectIdentifier($0.cell) })
    reads = recorder.cells.filter(\.wasRead).map { use in
      CellRead(
        cell: use.cell, type: use.initial?.type, requiresGrad: use.initial?.requiresGrad ?? false,
        input: use.inputIndex, isWritten: written.contains(ObjectIdentifier(use.cell)))
    }
    let used = Set(recorder.cells.map { ObjectIdentifier($0.cell) })
    ownGradients = arguments.enumerated().compactMap { i, argument in
      argument.body.autograd?.gradientCell.flatMap {
        used.contains(ObjectIdentifier($0)) ? (argument: i, cell: $0) : nil
      }
    }
    if results.contains(where: { $0.body.autograd?.leadsToSavedValues ?? false }) {
      reasonForEager =
        "a result can still be differentiated outside (call backward inside, or wrap the call in noGrad)"
    } else if arguments.contains(where: { !($0.body.autograd?.leadsToSavedValues ?? true) }) {
      reasonForEager =
        "backward went through an argument into operations outside (detach it, or call backward outside)"
    } else {
      reasonForEager = nil
    }
  }

  /// The trace of a function that does nothing.
  static var empty: Trace {
    // Nothing in an empty graph can fail to compile.
    try! Trace(
      GraphRecorder(isSymbolic: true), signature: Signature(specs: []), paths: [], reason: "",
      arguments: [], results: [], form: nil)
  }

  /// Whether these are the arguments whose gradients the trace reads and writes.
  func ownsGradients(of arguments: [Tensor]) -> Bool {
    for (argument, cell) in ownGradients
    where arguments[argument].body.autograd?.gradientCell !== cell { return false }
    return true
  }

  /// The names of the cells that the trace reads, writes, or both.
  var stateDescription: (read: [String], written: [String]) {
    (reads.filter { $0.type != nil }.map(\.cell.name), writes.map(\.cell.name))
  }

  // MARK: Replaying

  /// Runs the plan with these arguments, which have the trace's signature, and gives the results.
  /// - Returns: Nil if the state that the function reads has changed its form since recording.
  func replay(_ arguments: [Tensor]) throws(OpError) -> [Tensor]? {
    var outcome: Result<[Tensor]?, OpError> = .success(nil)
    withUnsafeTemporaryAllocation(
      of: UnsafeMutableRawPointer.self, capacity: inputs.count + outputTypes.count + 1
    ) { pointers in
      let inputPointers = pointers.baseAddress!
      let outputPointers = inputPointers + inputs.count

      // Contents are held here while the plan runs. Cells that are only read are locked for a moment each and
      // before any other, so that plans cannot wait for each other in a circle.
      var held: [Tensor] = []
      held.reserveCapacity(reads.count + arguments.count)
      for read in reads where !read.isWritten {
        read.cell.lock()
        let content = read.cell.lockedContent
        read.cell.unlock()
        guard matches(read, content) else { return }
        if let input = read.input, let content {
          held.append(contiguous(content))
          inputPointers[input] = held[held.count - 1].body.pointer
        }
      }
      for write in writes { write.cell.lock() }
      defer { for write in writes { write.cell.unlock() } }
      for read in reads where read.isWritten {
        guard matches(read, read.cell.lockedContent) else { return }
        if let input = read.input, let body = read.cell.lockedContent?.body {
          if body.isContiguous {
            inputPointers[input] = body.pointer
          } else {
            held.append(contiguous(Tensor(body)))
            inputPointers[input] = held[held.count - 1].body.pointer
          }
        }
      }
      for (i, source) in inputs.enumerated() {
        if case .argument(let index) = source {
          held.append(contiguous(arguments[index]))
          inputPointers[i] = held[held.count - 1].body.pointer
        }
      }

      var fresh: [TensorBody?] = Array(repeating: nil, count: outputTypes.count)
      for write in writes {
        guard case .output(let j) = write.source else { continue }
        if write.replacesInPlace, write.cell.lockedContent?.body.autograd === write.autograd,
          let address = write.cell.addressIfOwned(outputTypes[j])
        {
          outputPointers[j] = address
        } else {
          let body = TensorBody(allocating: outputTypes[j], autograd: write.autograd)
          fresh[j] = body
          outputPointers[j] = body.pointer
        }
      }
      for source in results {
        guard case .output(let j) = source else { continue }
        let body = TensorBody(allocating: outputTypes[j])
        fresh[j] = body
        outputPointers[j] = body.pointer
      }

      do throws(OpError) {
        try compiled.plan.run(inputs: inputPointers, outputs: outputPointers)
      } catch {
        outcome = .failure(error)
        return
      }
      for write in writes {
        switch write.source {
        case .output(let j): if let body = fresh[j] { write.cell.lockedContent = Tensor(body) }
        case .argument(let i): write.cell.lockedContent = arguments[i]
        case .constant(let tensor): write.cell.lockedContent = tensor
        case .nothing: write.cell.lockedContent = nil
        }
      }
      outcome = .success(
        results.map { source in
          switch source {
          case .output(let j): Tensor(fresh[j]!)
          case .argument(let i): arguments[i]
          case .constant(let tensor): tensor
          case .nothing: preconditionFailure("a result is always a tensor")
          }
        })
      withExtendedLifetime(held) {}
    }
    return try outcome.get()
  }

  private func contiguous(_ tensor: Tensor) -> Tensor {
    tensor.body.isContiguous ? tensor : noGrad { apply(.copy, tensor) }
  }

  /// Whether the state has the form that it had when the trace was recorded.
  func matchesState() -> Bool {
    for read in reads {
      read.cell.lock()
      let fits = matches(read, read.cell.lockedContent)
      read.cell.unlock()
      if !fits { return false }
    }
    return true
  }

  private func matches(_ read: CellRead, _ content: Tensor?) -> Bool {
    guard let type = read.type else { return content == nil }
    guard let content else { return false }
    return content.body.dtype == type.dtype && content.body.layout.shape == type.shape
      && (content.body.autograd != nil) == read.requiresGrad
  }
}
