import Duet
import DuetTestSupport
import Testing

/// Programs of many operations, with state, gradients and random numbers.
@Suite struct RandomProgramTests {
  @Test(
    "a random program gives the same bits eagerly and traced, in results and in state",
    arguments: 0..<300)
  func tracedEqualsEager(_ seed: Int) {
    let program = RandomProgram(seed: seed)
    let (eager, recorded) = (RandomProgram.State(seed: seed), RandomProgram.State(seed: seed))
    let function = traced { (arguments: [Tensor]) in program.run(arguments, recorded) }
    for call in 0..<5 {
      let arguments = RandomProgram.arguments(seed: seed, call: call)
      // Values read before a call keep their elements, whatever the call does in place.
      let held = recorded.counters.map(\.value) + recorded.weights.map(\.value)
      let before = held.map(Bits.init)
      expectSame(
        function(arguments), program.run(arguments, eager),
        "results of program \(seed), call \(call)")
      expectSame(recorded.contents, eager.contents, "state of program \(seed), call \(call)")
      for (tensor, bits) in zip(held, before) {
        expectSame(Bits(tensor), bits, "a value read before call \(call) of program \(seed)")
      }
    }
    // Gradients that appear and disappear may take a trace each; the other calls replay.
    let traces = function.explain().traces
    #expect(traces.allSatisfy { $0.runsEagerlyBecause == nil }, "\(function.explain())")
    #expect(traces.reduce(0) { $0 + $1.calls } >= 2, "\(function.explain())")
  }
}
