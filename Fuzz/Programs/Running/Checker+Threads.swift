import Duet
import Foundation

extension Checker {
  private static let threadCount = 4

  /// Compares what four threads find that call one traced function at once; of programs with state, a function and
  /// state each.
  func threadsDifference(
    _ program: Program, _ inputs: Inputs, _ expected: [Outcome]
  ) -> Difference? {
    let state = State(program)
    let subject = Subject(program, state, .traced)
    let found = Lock<Difference?>(nil)
    let hasLeaves = program.arguments.contains(where: \.requiresGrad)
    // Where the order of calls does not matter, every thread begins with another.
    let mayRotate = !program.isStateful && !hasLeaves && expected.allSatisfy { $0.error == nil }
    onThreads(Self.threadCount) { thread in
      let ownState = program.isStateful ? State(program) : state
      let ownSubject = program.isStateful ? Subject(program, ownState, .traced) : subject
      var leaves = Leaves(program, inputs)
      for i in expected.indices {
        let call = mayRotate ? (i + thread) % expected.count : i
        let outcome = Outcome(ownSubject, program, call, leaves.arguments(call), ownState)
        // The counter of a program that accumulates is looked at when all are done.
        if let what = outcome.difference(
          from: expected[call], comparingState: !program.isAccumulating)
        {
          found.withLock {
            $0 = $0 ?? Difference(mode: .threads, call: call, what: "thread \(thread): \(what)")
          }
          return
        }
      }
    }
    if let difference = found.withLock({ $0 }) { return difference }
    // A closure that is run as it is adds like one that is not traced: not in one piece.
    let replays = subject.explanation()!.traces.allSatisfy { $0.runsEagerlyBecause == nil }
    return program.isAccumulating && replays && expected.allSatisfy { $0.error == nil }
      ? sumDifference(program, inputs, state, expected) : nil
  }

  /// Compares the counter with what as many calls one after the other leave there.
  private func sumDifference(
    _ program: Program, _ inputs: Inputs, _ state: State, _ outcomes: [Outcome]
  ) -> Difference? {
    let expected = State(program)
    let subject = Subject(program, expected, .plain)
    var leaves = Leaves(program, inputs)
    for _ in 0..<Self.threadCount {
      for call in program.calls.indices where !outcomes[call].hasThrown {
        _ = Outcome(subject, program, call, leaves.arguments(call), expected)
      }
    }
    for (own, other) in zip(state.contents, expected.contents) {
      if let what = Bits(own.content!).difference(from: Bits(other.content!)) {
        return Difference(
          mode: .threads, call: program.calls.count - 1,
          what: "\(own.name), to which all threads have added: \(what)")
      }
    }
    return nil
  }
}
