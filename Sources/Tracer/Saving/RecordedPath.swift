import DuetCompiler
import DuetEager
import DuetRuntime

/// One path of a recorded closure as data: its graph, and what is outside of it.
struct RecordedPath {
  /// A value that the program looks at.
  struct Look {
    let value: Int
    /// How many nodes there were.
    let position: Int
    let bytes: [UInt8]
    let operation: String
  }

  /// A cell that the program reads.
  struct Read {
    let cell: StateCell
    /// What its content has to be; nil: there must be none.
    let type: TensorType?
    let requiresGrad: Bool
    /// How many values were looked at before.
    let part: Int
  }

  struct Write {
    let cell: StateCell
    let source: PathEnd.Source
  }

  let nodes: [Graph.Node]
  /// Where the values of the graph's inputs come from, in the order of the nodes.
  let inputs: [GraphRecorder.InputSource]
  let looks: [Look]
  let reads: [Read]
  let results: [PathEnd.Source]
  let writes: [Write]
}

extension RecordedPath {
  /// What a recorder has seen, as one path.
  init(_ recorder: GraphRecorder, _ graph: Graph, results: [Tensor]) {
    func source(_ tensor: Tensor) -> PathEnd.Source {
      recorder.knownValue(of: tensor).map { .value($0.index) } ?? .constant(tensor.detached())
    }
    nodes = graph.nodes
    inputs = recorder.inputs
    looks = []
    reads = recorder.state.filter(\.wasRead).map {
      Read(
        cell: $0.cell, type: $0.initial?.type, requiresGrad: $0.initial?.requiresGrad ?? false,
        part: 0)
    }
    self.results = results.map(source)
    writes = recorder.state.filter(\.isChanged).map {
      Write(cell: $0.cell, source: $0.current.map(source) ?? .nothing)
    }
  }
}

extension Segment {
  /// All paths from here to an end.
  /// - Parameter before: What lies before this segment.
  func recordedPaths(
    after before: (
      inputs: [GraphRecorder.InputSource], looks: [RecordedPath.Look], reads: [RecordedPath.Read]
    ) = ([], [], [])
  ) -> [RecordedPath] {
    let inputs = before.inputs + inputs.map(\.source)
    let reads =
      before.reads
      + self.reads.map {
        RecordedPath.Read(
          cell: $0.cell, type: $0.type, requiresGrad: $0.requiresGrad, part: before.looks.count)
      }
    if let end {
      return [
        RecordedPath(
          nodes: nodes, inputs: inputs, looks: before.looks, reads: reads, results: end.results,
          writes: end.writes.map { RecordedPath.Write(cell: $0.cell, source: $0.source) })
      ]
    }
    guard let lookedAt else { return [] }
    return branches.flatMap { branch in
      let look = RecordedPath.Look(
        value: lookedAt.value, position: range.upperBound, bytes: branch.bytes,
        operation: lookedAt.operation)
      return branch.next.recordedPaths(after: (inputs, before.looks + [look], reads))
    }
  }
}

extension GraphRecorder {
  /// Why no file can hold what was recorded; nil: one can.
  var objectionToSaving: String? {
    if wentOutside { return Trace.wentOutside }
    if let reasonToDiffer { return reasonToDiffer }
    return effects.isEmpty ? nil : Trace.callsBack
  }
}
