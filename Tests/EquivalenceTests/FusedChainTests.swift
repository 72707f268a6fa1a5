import Duet
import DuetTestSupport
import Testing

/// Groups of float32 operations on arrays that are laid out alike: values stay in registers, one of them beside the
/// one that is worked on, and each repeated step comes from another copy.
@Suite struct FusedChainTests {
  /// An operation on two of the values so far.
  private struct Step {
    let operation: Int
    let x, y: Int
    let number: Float
  }

  private func steps(_ random: inout SplitMix64, inputs: Int) -> [Step] {
    // Few kinds, so that they repeat.
    let kinds = (0..<random.int(1...5)).map { _ in random.int(below: 18) }
    return (0..<random.int(2...28)).map { i in
      // Mostly what was just computed, and what is wanted again some steps later.
      func operand() -> Int {
        let count = inputs + i
        return random.chance(0.6)
          ? max(0, count - 1 - random.int(below: 3)) : random.int(below: count)
      }
      return Step(
        operation: random.pick(kinds), x: operand(), y: operand(),
        number: Float(random.int(1...4)) / 2)
    }
  }

  private func apply(_ step: Step, _ values: [Tensor]) -> Tensor {
    let (x, y, number) = (values[step.x], values[step.y], step.number)
    switch step.operation {
    case 0, 1: return x + y
    case 2, 3: return x * y
    case 4: return x - y
    case 5: return x / (abs(y) + 1)
    case 6: return maximum(x, y)
    case 7: return minimum(x, y)
    case 8: return x * number
    case 9: return number - x
    case 10: return x + number
    case 11: return number / (x * x + 1)
    case 12: return relu(x)
    case 13: return -x
    case 14: return tanh(x)
    case 15: return x.square() * 0.25
    case 16: return abs(x).sqrt()
    default: return sigmoid(x)
    }
  }

  @Test("random chains give the bits of their operations one by one", arguments: 0..<150)
  func chains(_ seed: Int) {
    var random = SplitMix64(seed)
    let n = random.pick([64, 100, 128, 1000, 4096, 5003])
    let inputs = (0..<random.int(1...4)).map { _ in random.tensor(.float32, [n]) }
    let steps = steps(&random, inputs: inputs.count)
    let isSecond = random.chance(0.3)
    let second = random.int(below: steps.count)
    func run(_ inputs: [Tensor]) -> [Tensor] {
      var values = inputs
      for step in steps { values.append(apply(step, values)) }
      return isSecond ? [values.last!, values[inputs.count + second]] : [values.last!]
    }
    let expected = run(inputs).map { Bits($0) }
    for instructionSet in ProcessSettings.instructionSets {
      ProcessSettings.with(instructionSet: instructionSet) {
        let f = traced { (inputs: [Tensor]) in run(inputs) }
        for _ in 0..<2 {
          for (found, expected) in zip(f(inputs), expected) {
            let difference = Bits(found).difference(from: expected)
            #expect(difference == nil, "\(instructionSet): \(difference ?? "")")
          }
        }
      }
    }
  }

  @Test("results larger than the caches take the narrow form")
  func large() {
    var random = SplitMix64(7)
    let n = 5_000_003
    let (x, a) = (random.tensor(.float32, [n]), random.tensor(.float32, [n]))
    func chain(_ x: Tensor, _ a: Tensor) -> Tensor { (x * a + x) * a - (x + a) * (x - a) * a }
    let f = traced { (x: Tensor, a: Tensor) in chain(x, a) }
    let expected = Bits(chain(x, a))
    #expect(Bits(f(x, a)).difference(from: expected) == nil)
    #expect(Bits(f(x, a)).difference(from: expected) == nil)
  }
}
