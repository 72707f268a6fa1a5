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
      }
      if let found { return found }
    }
    coverage?.end(program, explanation)
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
    let state = State(program)
    let subject = Subject(program, state, .plain, coverage: coverage)
    return run(subject, state, program, inputs)
  }

  private func run(
    _ subject: Subject, _ state: State, _ program: Program, _ inputs: Inputs
  ) -> [Outcome] {
    var leaves = Leaves(program, inputs)
    var outcomes: [Outcome] = []
    for call in program.calls.indices {
      outcomes.append(Outcome(subject, program, call, leaves.arguments(call), state))
      if outcomes[call].error != nil { break }
    }
    return outcomes
  }

  /// Compares call by call, and with it that what was read from variables before stays as it was.
  private func difference(
    _ mode: Mode, _ form: Subject.Form, _ program: Program, _ inputs: Inputs,
    _ expected: [Outcome]
  ) -> (Difference?, Explanation?) {
    let state = State(program)
    let subject = Subject(program, state, form)
    var leaves = Leaves(program, inputs)
    for call in expected.indices {
      let held = state.contents.compactMap(\.content)
      let before = held.map(Bits.init)
      let outcome = Outcome(subject, program, call, leaves.arguments(call), state)
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
    return (nil, subject.explanation())
  }
}
