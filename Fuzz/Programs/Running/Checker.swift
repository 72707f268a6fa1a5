import Duet
import DuetKernels

/// Runs programs in every mode and compares what they leave behind.
public struct Checker {
  /// A way to run a program beside calling its closure.
  public enum Mode: String, Sendable, CaseIterable {
    /// The nested functions are traced.
    case nested
    /// All is traced.
    case traced
    /// Traced, with every replay compared with the closure by the function itself.
    case verified
    /// Traced, called from four threads at once.
    case threads
    /// Operations are put off until something is looked at.
    case deferred
    /// Built once with placeholders for the arguments, and run by a session.
    case session
    /// Lowered for an unknown first size of its arguments, and called with several.
    case sized
    /// Traced, saved, and run without the closure.
    case saved
  }

  /// Where a mode has done something else than the closure.
  public struct Difference: Sendable, CustomStringConvertible {
    public let mode: Mode
    public let call: Int
    public let what: String

    public var description: String { "\(mode.rawValue), call \(call): \(what)" }
  }

  public var modes: [Mode]
  /// Whether the closure is run by instruction sets that take turns, and by one thread.
  public var variesReference = true
  public var coverage: Coverage?

  public init(modes: [Mode] = Mode.allCases, coverage: Coverage? = nil) {
    self.modes = modes
    self.coverage = coverage
  }

  /// The first difference, or nil.
  public func difference(in program: Program) -> Difference? {
    let inputs = Inputs(program)
    coverage?.begin()
    let expected = reference(program, inputs)
    var explanation: Explanation?
    for mode in modes {
      let found: Difference?
      switch mode {
      case .nested:
        if program.functions.isEmpty { continue }
        found = difference(.nested, .nestedTraced, program, inputs, expected).0
      case .traced:
        let result = difference(.traced, .traced, program, inputs, expected)
        found = result.0
        explanation = result.1
      case .verified: found = difference(.verified, .verified, program, inputs, expected).0
      case .threads: found = threadsDifference(program, inputs, expected)
      case .deferred: found = deferredDifference(program, inputs, expected)
      case .session: found = sessionDifference(program, inputs, expected)
      case .sized: found = sizedDifference(program, inputs, expected)
      case .saved: found = savedDifference(program, inputs, expected)
      }
      if let found { return found }
    }
    coverage?.end(program, explanation)
    if expected.contains(where: \.hasThrown) { coverage?.add("programs that throw") }
    if expected.last?.error != nil { coverage?.add("programs that make a mistake") }
    return inputs.difference.map { Difference(mode: modes.last ?? .traced, call: 0, what: $0) }
  }

  /// A mistake that only values tell is not made where nobody asks for the value.
  private func deferredDifference(
    _ program: Program, _ inputs: Inputs, _ expected: [Outcome]
  ) -> Difference? {
    withExecution(.deferred) {
      difference(.deferred, .plain, program, inputs, expected.filter { $0.error == nil }).0
    }
  }

  /// What the closure does, up to its first mistake.
  private func reference(_ program: Program, _ inputs: Inputs) -> [Outcome] {
    let (threads, isa) = (threadCount, duet_current_isa())
    defer {
      if variesReference {
        setThreadCount(threads)
        _ = duet_use_isa(isa)
      }
    }
    if variesReference {
      let sets = (0..<Int32(DUET_ISA_COUNT.rawValue)).map { duet_isa(rawValue: $0) }
        .filter { duet_isa_available($0) != 0 }
      _ = duet_use_isa(sets[program.number % sets.count])
      if program.sizeLimit > 10_000 { setThreadCount(1) }
    }
    var run = Run(program, inputs, .plain, coverage)
    var outcomes: [Outcome] = []
    for call in program.calls.indices {
      outcomes.append(run.outcome(call))
      if outcomes[call].error != nil { break }
    }
    return outcomes
  }

  /// Compares call by call, and with it that what was read from variables before stays as it was.
  private func difference(
    _ mode: Mode, _ form: Subject.Form, _ program: Program, _ inputs: Inputs,
    _ expected: [Outcome]
  ) -> (Difference?, Explanation?) {
    var run = Run(program, inputs, form)
    for call in expected.indices {
      let held = run.state.contents.compactMap(\.content)
      let before = held.map(Bits.init)
      let outcome = run.outcome(call)
      if let what = outcome.difference(from: expected[call]) {
        return (Difference(mode: mode, call: call, what: what), nil)
      }
      for (tensor, bits) in zip(held, before) {
        if let what = Bits(tensor).difference(from: bits) {
          let text = "a value that was read from a variable before the call: \(what)"
          return (Difference(mode: mode, call: call, what: text), nil)
        }
      }
    }
    // Without state, and without looks at values, a program is recorded once for each form of its arguments.
    if program.isPlain, expected.allSatisfy({ $0.error == nil }) {
      var forms = Set(program.calls)
      forms = Set(
        forms.map { form in
          var form = form
          form.data = 0
          return form
        })
      let count = run.subject.traceCount()
      if count > forms.count {
        let text = "\(count) traces for \(forms.count) forms of its arguments"
        return (Difference(mode: mode, call: program.calls.count - 1, what: text), nil)
      }
    }
    return (nil, run.subject.explanation())
  }
}
