// Unsafe: passes addresses of tensors' elements to a plan. Every tensor is held, or its cell locked, until the
// plan has run.

import DuetCompiler
import DuetEager
import DuetRuntime

/// What a session runs for certain fetches, feeds and updates.
final class SessionProgram: @unchecked Sendable {
  // Sendable: constant after init but for the table of cells, which sees to itself; nobody changes the graph.

  private let graph: PendingGraph
  private let plan: Plan
  private let cells: CellTable
  /// What cells have to hold; nil: nothing.
  private let expectations: [(cell: StateCell, type: TensorType?)]
  private let cleared: [StateCell]
  private let fetchCount: Int
  private let outputCount: Int
  // Nobody else may get their identities as long as the session knows them by those.
  private let named: (fetches: [Tensor], feeds: [PendingNode], updates: Updates?)

  init(
    _ fetches: [Tensor], _ updates: Updates?, _ fed: [PendingNode]
  ) throws(OpError) {
    named = (fetches, fed, updates)
    let uses = updates?.uses ?? []
    let graph = try PendingGraph(fetching: fetches, uses, fed)
    self.graph = graph
    fetchCount = fetches.count

    // Outputs are the fetched values and then the new contents of cells, in the order of the cells' locks.
    var inputOfCell: [ObjectIdentifier: Int] = [:]
    var expectations: [(cell: StateCell, type: TensorType?)] = []
    for (i, argument) in graph.arguments.enumerated() {
      guard case .cell(let cell) = argument.source else { continue }
      inputOfCell[ObjectIdentifier(cell)] = i
      expectations.append((cell, graph.type(of: argument.entry)))
    }
    // What the block found decided what it did, even where no operation needs it: whether there is a gradient,
    // whether a layer is in training. Tensors that it has made itself have no gradient when a run begins.
    for use in uses where use.wasRead && inputOfCell[ObjectIdentifier(use.cell)] == nil {
      if use.isOwn && use.found == nil { continue }
      expectations.append((use.cell, use.found?.type))
    }
    self.expectations = expectations
    let written = uses.written
    cleared = written.filter { $0.current == nil }.map(\.cell)
    var next = fetches.count
    var outputs: [Int?] = []
    var sharing: [PendingPrograms.Structure.Pair] = []
    for use in written {
      guard use.current != nil else {
        outputs.append(nil)
        continue
      }
      if let input = inputOfCell[ObjectIdentifier(use.cell)] {
        sharing.append(PendingPrograms.Structure.Pair(output: next, input: input))
      }
      outputs.append(next)
      next += 1
    }
    outputCount = next
    let plan = try PendingPrograms.shared.program(for: graph, sharing: sharing).plan
    self.plan = plan
    let isWritten = Set(written.map { ObjectIdentifier($0.cell) })
    func reads(written: Bool) -> [CellTable.Read] {
      expectations.filter { isWritten.contains(ObjectIdentifier($0.cell)) == written }.map {
        cell, type in
        CellTable.Read(
          cell, type: type, requiresGrad: cell.requiresGrad,
          input: inputOfCell[ObjectIdentifier(cell)])
      }
    }
    cells = CellTable(
      onlyRead: reads(written: false), readAndWritten: reads(written: true),
      written: zip(written, outputs).map { use, output in
        // A run that fails must leave every cell as it was.
        let inPlace = output.map {
          inputOfCell[ObjectIdentifier(use.cell)] == nil
            ? plan.lateOutputs.contains($0) : plan.shareableOutputs.contains($0)
        }
        return CellTable.Write(
          use.cell, type: use.current?.type ?? TensorType(.float32, []),
          autograd: use.current?.body.autograd.flatMap { $0.function == nil ? $0 : nil },
          output: output, replacesInPlace: inPlace ?? false)
      })
  }

  /// Computes the fetched values and changes the cells.
  /// - Returns: Nil, with nothing changed, if a cell's content has another form than it had.
  func run(_ feeds: [Tensor]) throws -> [Tensor]? {
    for (cell, _) in expectations { cell.settle() }
    let inputCount = graph.arguments.count
    let room = UnsafeMutablePointer<UnsafeMutableRawPointer>.allocate(
      capacity: inputCount + outputCount + 1)
    defer { room.deallocate() }
    let outputs = room + inputCount
    var held = HeldBodies()
    let fresh = UnsafeMutablePointer<Unmanaged<TensorBody>?>.allocate(
      capacity: outputCount + 1)
    fresh.initialize(repeating: nil, count: outputCount + 1)
    defer {
      for j in 0..<outputCount { fresh[j]?.release() }
      fresh.deallocate()
      held.releaseAll()
      held.deallocate()
    }
    for (i, argument) in graph.arguments.enumerated() {
      switch argument.source {
      case .tensor(let body): room[i] = body.contiguousAddress(&held)
      case .feed(let number): room[i] = feeds[number].body.pointer
      case .cell: continue
      }
    }
    let results = graph.outputs[..<fetchCount].map { TensorBody(allocating: graph.type(of: $0)) }
    for (j, result) in results.enumerated() { outputs[j] = result.pointer }
    guard cells.readOthers(into: room, &held),
      cells.lock(inputs: room, outputs: outputs, fresh, &held) != nil
    else { return nil }
    var failure: (error: OpError, inputs: [TensorBody])?
    do throws(OpError) {
      try plan.run(inputs: room, outputs: outputs)
      cells.commit(fresh)
      for cell in cleared { cell.lockedContent = nil }
    } catch {
      failure = (error, inputs(feeds))
    }
    cells.unlock()
    if let failure { throw graph.explained(failure.error, failure.inputs) }
    withExtendedLifetime(feeds) {}
    return results.map { Tensor($0) }
  }

  /// The arguments of a run that has failed, while the cells that it writes are locked.
  private func inputs(_ feeds: [Tensor]) -> [TensorBody] {
    let locked = Set(cells.writtenCells.map { ObjectIdentifier($0) })
    return graph.arguments.map { argument in
      switch argument.source {
      case .tensor(let body): body
      case .feed(let number): feeds[number].body
      case .cell(let cell):
        (locked.contains(ObjectIdentifier(cell)) ? cell.lockedContent : cell.current)!.body
      }
    }
  }

  /// Why a run was not possible, in words.
  func whatChanged(_ updates: Updates?) -> String {
    for (cell, type) in expectations {
      let now = cell.currentType
      if now == type { continue }
      let before = type.map { "\($0)" } ?? "nothing"
      let after = now.map { "\($0)" } ?? "nothing"
      let remedy =
        type == nil ? "; begin the block with zeroGrad() where gradients are not to add up" : ""
      return "\(cell.name) held \(before) when updates { } was written down and holds \(after) now"
        + remedy
    }
    return "other threads keep changing the form of the state that the run reads"
  }
}

extension PendingGraph {
  /// What a session computes: the fetched values, and the new contents of cells in the order of their locks.
  init(
    fetching fetches: [Tensor], _ uses: [StateUpdates.Use], _ fed: [PendingNode],
    mayBeMissing: Bool = false
  ) throws(OpError) {
    var feeds = Feeds()
    feeds.mayBeMissing = mayBeMissing
    for (i, node) in fed.enumerated() {
      feeds.byNode[ObjectIdentifier(node)] = i
      if let cell = node.cell { feeds.byCell[ObjectIdentifier(cell)] = i }
    }
    self.init(feeds: feeds)
    for tensor in fetches { _ = try addOutput(tensor.body) }
    for use in uses.written {
      if let current = use.current { _ = try addOutput(current.body) }
    }
    guard metEvaluated else { return }
    for (i, node) in fed.enumerated() where feedPlaces[i] == nil {
      if case .placeholder = node.kind { continue }
      throw OpError(
        "Session.run",
        "what is run does not depend on \"\(node.label)\", which was fed: it never did, or what depends on it was "
          + "read, and so evaluated, before")
    }
  }
}

extension [StateUpdates.Use] {
  /// The cells that get new contents, in the order of their locks.
  var written: [StateUpdates.Use] {
    filter(\.wasWritten).sorted { $0.cell.sequence < $1.cell.sequence }
  }
}

extension StateCell {
  fileprivate var current: Tensor? {
    lock()
    defer { unlock() }
    return lockedContent
  }

  fileprivate var requiresGrad: Bool { current?.requiresGrad ?? false }
  fileprivate var currentType: TensorType? { current?.type }
}
