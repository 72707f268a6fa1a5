import Duet
import DuetTestSupport
import Testing

/// Every operation gives the same bits whatever the process is set to: threads, instruction set.
@Suite(.serialized) struct ProcessWideTests {
  @Test("results do not depend on the number of threads", arguments: Subject.all)
  func threads(_ subject: Subject) throws {
    for dtype in subject.dtypes {
      for (seed, placement) in [Placement.contiguous, .strided].enumerated() {
        var generator = CaseGenerator(seed: seed, .large, placement: placement)
        let item = try generator.next(subject, dtype)
        let expected = ProcessSettings.with(threads: 1) { Bits(apply(item.op, item.inputs)) }
        for threads in [2, 3, 7] {
          let result = ProcessSettings.with(threads: threads) { Bits(apply(item.op, item.inputs)) }
          expectSame(result, expected, "\(threads) threads, \(item), seed \(seed)")
        }
      }
    }
  }

  @Test("results do not depend on the instruction set", arguments: Subject.all)
  func instructionSets(_ subject: Subject) throws {
    for dtype in subject.dtypes {
      var items: [OpCase] = []
      for seed in 0..<5 {
        var generator = CaseGenerator(
          seed: seed &+ 300, seed == 0 ? .large : .small,
          placement: seed % 2 == 0 ? .contiguous : .strided)
        items.append(try generator.next(subject, dtype))
      }
      let results = ProcessSettings.instructionSets.map { set in
        ProcessSettings.with(instructionSet: set) { items.map { Bits(apply($0.op, $0.inputs)) } }
      }
      for (set, actual) in zip(ProcessSettings.instructionSets, results).dropFirst() {
        for (i, item) in items.enumerated() {
          expectSame(actual[i], results[0][i], "\(set) against scalar, \(item)")
        }
      }
    }
  }

  @Test("plans do not depend on threads or instruction set", arguments: 0..<12)
  func plans(_ seed: Int) throws {
    var random = SplitMix64(seed)
    let x = random.tensor(.float32, [300, 257], .ordinary)
    let w = random.tensor(.float32, [257, 64], .ordinary)
    let function = traced { (x: Tensor, w: Tensor) in
      let hidden = (matmul(x, w) + 0.5).tanh() * 1.25
      return (hidden.softmax(axis: -1) * hidden).sum(axis: 0) - hidden.mean(axis: 0).square()
    }
    let expected = Bits(function(x, w))
    for set in ProcessSettings.instructionSets {
      for threads in [1, 2, 3, 7] {
        ProcessSettings.with(threads: threads, instructionSet: set) {
          expectSame(Bits(function(x, w)), expected, "\(set), \(threads) threads")
        }
      }
    }
  }
}
