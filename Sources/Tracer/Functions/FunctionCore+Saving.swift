import DuetEager
import DuetRuntime

extension FunctionCore {
  /// All that the function has recorded, as a file has it.
  /// - Throws: `OpError` if there is nothing, or something that no file can hold.
  func archive() throws(OpError) -> FunctionArchive {
    lockRecording()
    defer { unlock() }
    let (traces, functions) = (traces, sized)
    if traces.isEmpty && functions.isEmpty {
      throw OpError("save", "the function has not been traced yet; call it, or lower it, before")
    }
    var writer = ArchiveWriter()
    var programs: [SavedForm.Program] = []
    var seen: Set<SavedKey> = []
    // Calls whose arguments require gradients, and those whose do not, are one to a saved function: the latter come
    // first.
    let ordered =
      traces.filter { !$0.signature.takesLeaves } + traces.filter(\.signature.takesLeaves)
    for trace in ordered where trace.lowered == nil {
      if let objection = trace.objectionToSaving { throw OpError("save", objection) }
      let program = writer.program(trace.signature, names: trace.paths, trace.recordedPaths)
      if seen.insert(SavedKey(program)).inserted { programs.append(program) }
    }
    for function in functions { programs += try function.saved(&writer) }
    return try writer.archive(programs)
  }
}

/// What tells one saved program from another.
private struct SavedKey: Hashable {
  let types: [String]
  let structureNumber: Int
  let state: [String]
  let isGradEnabled: Bool

  init(_ program: SavedForm.Program) {
    types = program.arguments.map { "\($0.dtype)\($0.shape)" }
    structureNumber = program.structureNumber
    state = program.paths[0].reads.map {
      "\($0.state) \($0.dtype ?? "") \($0.shape ?? []) \($0.requiresGrad)"
    }
    isGradEnabled = program.isGradEnabled
  }
}

extension Signature {
  /// Whether an argument requires gradients.
  fileprivate var takesLeaves: Bool { leaves.contains(where: \.requiresGrad) }
}

extension SizedFunction {
  /// The program for all sizes, and those for certain ones.
  func saved(_ writer: inout ArchiveWriter) throws(OpError) -> [SavedForm.Program] {
    if let objection = program.objectionToSaving { throw OpError("save", objection) }
    var paths: [RecordedPath] = []
    let points = Self.points(symbols.count)
    for point in points {
      guard let recorded = try program.recorded(at: point, symbols.types(point)) else {
        throw OpError("save", "the state that the function reads has another form than it had")
      }
      let graph = recorded.recorder.builder.finish(outputs: [])
      paths.append(RecordedPath(recorded.recorder, graph, results: recorded.results))
    }
    var programs: [SavedForm.Program] = []
    for (sizes, probe) in exceptions.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
      if let objection = probe.recorder.objectionToSaving { throw OpError("save", objection) }
      let graph = probe.recorder.builder.finish(outputs: [])
      programs.append(
        writer.program(
          Signature(types: symbols.types(sizes), isGradEnabled: isGradEnabled), names: [],
          [RecordedPath(probe.recorder, graph, results: probe.results)]))
    }
    let sizes = SavedForm.Sizes(
      places: symbols.places, points: points, excluded: excluded.map { $0.sorted() },
      differing: differing.sorted { $0.lexicographicallyPrecedes($1) }, excludesOnes: excludesOnes)
    return programs + [writer.program(symbols, sizes, isGradEnabled: isGradEnabled, paths)]
  }
}

extension TracedFunction {
  /// All that has been recorded, as a file has it.
  /// - Throws: `TensorError` if there is nothing, or something that no file can hold.
  package func archive() throws -> FunctionArchive {
    try checked {
      if ThreadContext.isRecordingOrDeferred {
        throw TensorError(
          OpError("save", "a function cannot be saved inside a traced one, or in deferred mode"),
          at: CallSite())
      }
      do throws(OpError) { return try core.archive() } catch {
        throw TensorError(error, at: CallSite())
      }
    }
  }
}
