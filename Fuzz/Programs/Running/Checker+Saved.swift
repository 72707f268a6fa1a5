import Duet
import Foundation

/// Programs that are saved once they have been traced, and run without their closures.
extension Checker {
  func savedDifference(
    _ program: Program, _ inputs: Inputs, _ expected: [Outcome]
  ) -> Difference? {
    guard program.fitsSaving, expected.allSatisfy({ $0.error == nil }) else { return nil }
    // The state that a function is saved with is that behind all calls, so they come once more.
    var plain = Run(program, inputs, .plain)
    var traced = Run(program, inputs, .traced)
    for call in expected.indices {
      _ = plain.outcome(call)
      _ = traced.outcome(call)
    }
    let function: LoadedFunction
    do {
      function = try reloaded(try traced.subject.archive())
    } catch let error as TensorError {
      coverage?.add("programs that cannot be saved")
      return error.operation == "save"
        ? nil : Difference(mode: .saved, call: 0, what: "save: \(error)")
    } catch {
      return Difference(mode: .saved, call: 0, what: "load: \(error)")
    }
    coverage?.add("programs that are saved")
    for call in expected.indices {
      let later = plain.outcome(call)
      if later.error != nil { return nil }
      do {
        let what = try difference(of: function, program.calls[call], inputs.tensors[call], later)
        if let what { return Difference(mode: .saved, call: call, what: what) }
      } catch let error as TensorError {
        // Other values lead elsewhere, and state has taken another form.
        if ["no call that was recorded", "another form than it had"].contains(
          where: error.reason.contains)
        {
          coverage?.add("saved programs that meet something new")
          return nil
        }
        return Difference(mode: .saved, call: call, what: "\(error)")
      } catch {
        return Difference(mode: .saved, call: call, what: "\(error)")
      }
    }
    return nil
  }

  /// Saves what was lowered for unknown sizes, of which no call has happened.
  func savedDifference(
    _ subject: Subject, _ program: Program, _ inputs: Inputs, _ expected: [Outcome]
  ) -> String? {
    guard program.fitsSaving else { return nil }
    do {
      let function = try reloaded(try subject.archive())
      for call in expected.indices {
        let (options, tensors) = (program.calls[call], inputs.tensors[call])
        // A program may do something else there, and was not lowered inside.
        if options.isInsideNoGrad { break }
        let what = try difference(of: function, options, tensors, expected[call])
        if let what { return "saved, call \(call): \(what)" }
      }
      coverage?.add("programs that are saved for unknown sizes")
      return nil
    } catch let error as TensorError {
      // Some sizes have programs of their own, which lowering does not know.
      let isKnown =
        error.operation == "save"
        || ["SavedFunction: takes", "another form than it had"].contains(
          where: error.description.contains)
      return isKnown ? nil : "saved: \(error)"
    } catch {
      return "saved: \(error)"
    }
  }

  private func difference(
    of function: LoadedFunction, _ options: Program.Call, _ arguments: [Tensor],
    _ expected: Outcome
  ) throws -> String? {
    var outcome = Outcome()
    try checked {
      let found =
        options.isInsideNoGrad
        ? noGrad { function(arguments, program: nil) } : function(arguments, program: nil)
      outcome.results = found.map(Bits.init)
    }
    if let what = outcome.difference(from: expected, comparingState: false) { return what }
    for (name, value) in function.state {
      guard let other = expected.state.first(where: { $0.name == name })?.bits, let value else {
        continue
      }
      if let what = Bits(value).difference(from: other) { return "\(name): \(what)" }
    }
    return nil
  }

  /// The function as another process gets it.
  private func reloaded(_ archive: FunctionArchive) throws -> LoadedFunction {
    let text = try JSONEncoder().encode(archive.form)
    return try LoadedFunction(
      try JSONDecoder().decode(SavedForm.self, from: text),
      arrays: Dictionary(uniqueKeysWithValues: archive.arrays.map { ($0.name, $0.tensor) }))
  }
}

extension Program {
  /// Whether a file can hold it, and say what its arguments are.
  fileprivate var fitsSaving: Bool {
    let takesTensors = form == .oneTensor || form == .twoTensors || form == .threeTensors
    return takesTensors && detachesResults && !isAccumulating && !mayThrow
      && !arguments.contains(where: \.requiresGrad)
  }
}
