import Duet

/// Ways to run a program that is built once, without its arguments' values.
extension Checker {
  // MARK: Sessions

  /// A program as deferred mode has built it.
  private struct Built {
    let placeholders: [Tensor]
    let results: [Tensor]
    let updates: Updates
  }

  func sessionDifference(
    _ program: Program, _ inputs: Inputs, _ expected: [Outcome]
  ) -> Difference? {
    guard program.fitsSessions else { return nil }
    return withExecution(.deferred) {
      let state = State(program)
      let subject = Subject(program, state, .plain)
      let session = Session()
      var known: [Program.Call: Built] = [:]
      for call in expected.indices where expected[call].error == nil {
        var form = program.calls[call]
        form.data = 0
        var outcome = Outcome()
        do {
          let built = try known[form] ?? build(subject, form, inputs.tensors[call])
          known[form] = built
          var feeds = Feeds()
          for (placeholder, value) in zip(built.placeholders, inputs.tensors[call]) {
            feeds[placeholder] = value
          }
          outcome.results = try session.run(
            built.results, running: built.updates, feeding: feeds
          ).map(Bits.init)
          outcome.look(at: state, [])
          coverage?.add("runs of sessions")
        } catch let error as TensorError {
          // Whether there is a gradient may change from call to call, and a loop begin with nothing that is fed.
          if ["was written down", "depends on the placeholder"].contains(
            where: error.reason.contains)
          {
            coverage?.add("programs that cannot be built once")
            return nil
          }
          outcome.error = "\(error.operation): \(error.reason)"
        } catch {
          outcome.error = "\(error)"
        }
        if let what = outcome.difference(from: expected[call]) {
          return Difference(mode: .session, call: call, what: what)
        }
      }
      return nil
    }
  }

  private func build(
    _ subject: Subject, _ call: Program.Call, _ arguments: [Tensor]
  ) throws -> Built {
    let placeholders = arguments.enumerated().map {
      // Cut off: gradients can be asked of a placeholder itself, but not of an argument.
      placeholder($1.dtype, shape: $1.shape, name: "x\($0)").detached()
    }
    let (results, updates) = try checked {
      try resultAndUpdates {
        call.isInsideNoGrad
          ? try noGrad { try subject.call(placeholders, call) }
          : try subject.call(placeholders, call)
      }
    }
    return Built(placeholders: placeholders, results: results, updates: updates)
  }

  // MARK: Unknown sizes

  func sizedDifference(
    _ program: Program, _ inputs: Inputs, _ expected: [Outcome]
  ) -> Difference? {
    guard program.isSized, expected.allSatisfy({ $0.error == nil }) else { return nil }
    let state = State(program)
    let subject = Subject(program, state, .traced)
    let specs = program.arguments.map { argument in
      TensorSpec(
        argument.axes.map { $0 == 0 ? nil : program.calls[0].sizes[$0] }, argument.dtype)
    }
    do {
      try subject.lower(specs)
      coverage?.add("programs lowered for unknown sizes")
    } catch let error as TensorError {
      if ["number of an unknown size", "sizes are unknown"].contains(where: error.reason.contains) {
        coverage?.add("programs that use the number of an unknown size")
        return nil
      }
      // Lowering tries sizes in the thousands: shapes with several such axes have too many elements.
      if error.reason.contains("more elements than any memory") {
        coverage?.add("programs too large for the sizes that lowering tries")
        return nil
      }
      return Difference(mode: .sized, call: 0, what: "lower: \(error)")
    } catch {
      return Difference(mode: .sized, call: 0, what: "lower: \(error)")
    }
    if let what = savedDifference(subject, program, inputs, expected) {
      return Difference(mode: .sized, call: 0, what: what)
    }
    var leaves = Leaves(program, inputs)
    for call in expected.indices {
      let count = subject.traceCount()
      let outcome = Outcome(subject, program, call, leaves.arguments(call), state)
      if let what = outcome.difference(from: expected[call]) {
        return Difference(mode: .sized, call: call, what: what)
      }
      // Small sizes may have programs of their own, and so may calls without gradients, and several sizes that are
      // equal.
      if subject.traceCount() > count && program.calls[call].sizes[0] > 16 && program.isPlain
        && program.arguments.axisCount(where: { $0 == 0 }) == 1
        && !program.calls.contains(where: \.isInsideNoGrad)
      {
        return Difference(mode: .sized, call: call, what: "the closure was recorded again")
      }
    }
    return nil
  }
}

extension [Program.Argument] {
  /// How many axes there are of such sizes.
  fileprivate func axisCount(where isMeant: (Int) -> Bool) -> Int {
    reduce(0) { $0 + $1.axes.count(where: isMeant) }
  }
}
