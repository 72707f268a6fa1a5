import DuetCompiler
import DuetEager
import DuetRuntime

extension TracedFunction {
  /// A call that compares what it replays with what the closure does.
  func verified(_ frame: CallFrame, _ argument: repeat each Argument) throws(Failure) -> Result {
    // The contents are held, so that the replay puts new ones elsewhere.
    let before = core.lockToCompare(frame)
    switch core.attempt(frame) {
    case .record:
      guard core.addTraceForSizes(frame) else { return try record(repeat each argument) }
      core.unlock()
      return try verified(frame, repeat each argument)
    case .runEagerly:
      core.unlock()
      return try runEagerly(repeat each argument)
    case .failed(let trace, let error):
      core.unlock()
      return failed(trace, error)
    case .replayed: break
    }
    var run = Run()
    let check = GraphRecorder(isSymbolic: false)
    for (cell, content) in before { check.contents[ObjectIdentifier(cell)] = .some(content) }
    var visitor = TensorVisitor(recordingPaths: true)
    Self.visit(&visitor, repeat each argument)
    visitor.evaluateWhatIsPending()
    let arguments = zip(visitor.tensors, visitor.paths).map { check.addArgument($0, name: $1) }
    let results = ThreadContext.withRecorder(check) {
      tensors(of: &run, with: arguments, repeat each argument)
    }
    if let results { check.checkOrigins(results) }
    guard let results, !check.sawFailure, check.failure == nil else {
      for (cell, content) in before { cell.write(content) }
      core.unlock()
      if let error = run.error { throw error }
      // What could not be done was noted where it was asked for; what could not be recorded was not.
      if let failure = check.failure, !check.sawFailure { note(failure) }
      return run.result!
    }
    let difference = frame.difference(from: check, results: results, before)
    if difference != nil {
      for (cell, content) in before { cell.write(content) }
      // The cells are as the closure has seen them, unless another thread was faster, which counts as much.
      _ = check.commit()
    }
    core.unlock()
    guard let difference else { return replayed(frame) }
    note(OpError("traced", "verify: " + difference))
    check.performEffects()
    return run.result!
  }
}

extension CallFrame {
  /// What the replay that the frame was used for has done otherwise than the closure, and why, in words. Nil if the
  /// bits are the same.
  /// - Parameter before: The contents of the cells that it may have changed.
  fileprivate func difference(
    from check: GraphRecorder, results expected: [Tensor],
    _ before: [(cell: StateCell, content: Tensor?)]
  ) -> String? {
    guard let (place, effect) = effectThatDiffers(from: check, expected, before) else { return nil }
    guard let transcript else { return effect }
    let reason = transcript.difference(from: Transcript(check, results: expected), at: place)
    return effect + "; " + reason
  }

  /// The first result or cell that differs, and how.
  private func effectThatDiffers(
    from check: GraphRecorder, _ expected: [Tensor],
    _ before: [(cell: StateCell, content: Tensor?)]
  ) -> (Transcript.Place, String)? {
    if results.count != expected.count {
      return (
        .results,
        "\(results.count) tensors were recorded as results, and the closure gives \(expected.count)"
      )
    }
    for (i, (own, other)) in zip(results, expected).enumerated() {
      if let difference = own.firstDifference(from: other) {
        return (.result(i), (results.count == 1 ? "the result " : "result \(i) ") + difference)
      }
    }
    var contents: [ObjectIdentifier: Tensor?] = [:]
    for (cell, content) in before { contents[ObjectIdentifier(cell)] = content }
    let changed = check.state.filter(\.isChanged)
    for use in changed { contents[ObjectIdentifier(use.cell)] = use.current }
    let cells = before.map(\.cell) + changed.map(\.cell)
    for cell in cells.sorted(by: { $0.sequence < $1.sequence }) {
      guard let expected = contents[ObjectIdentifier(cell)] else { continue }
      let (name, place) = (cell.name, Transcript.Place.cell(ObjectIdentifier(cell)))
      switch (cell.read(), expected) {
      case (nil, nil): continue
      case (let own?, let other?):
        if let difference = own.firstDifference(from: other) {
          return (place, name + " " + difference)
        }
      case (nil, _): return (place, "\(name) is empty where the closure fills it")
      case (_, nil): return (place, "\(name) has a content where the closure leaves it empty")
      }
    }
    return nil
  }
}
