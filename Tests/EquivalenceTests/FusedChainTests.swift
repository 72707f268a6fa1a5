import Duet
import DuetTestSupport
import Testing

/// Groups of floating-point operations along rows of some length: values stay in registers, one of them beside the
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
    let kinds = (0..<random.int(1...5)).map { _ in random.int(below: 31) }
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

  private func apply(_ step: Step, _ values: [Tensor], _ mask: Tensor) -> Tensor {
    let (x, y, number, low) = (values[step.x], values[step.y], step.number, step.number - 1)
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
    case 17: return sigmoid(x)
    case 18: return which(x .> y, x, y)
    case 19: return which(x .<= low, y, x)
    case 20: return which(x .!= y, y, number)
    case 21: return which(x .> low, number, x)
    case 22: return which(mask, x, y)
    case 23: return which(mask, y, 0)
    case 24: return relu(which(x .>= y, x, 0) * y)
    case 25: return maximum(x, low)
    case 26: return minimum(maximum(x, -number), number)
    // A mask that is needed again behind another one.
    case 27:
      let (isGreater, isLow) = (x .> y, y .< low)
      return which(isLow, which(isGreater, x, y), which(isGreater, y, number))
    case 28: return which(x .< -low, 0, which(x .> number, y, x * y))
    // To another dtype and back.
    case 29: return x.asType(x.dtype == .float32 ? .bfloat16 : .float32).square().asType(x.dtype)
    default: return abs(x.asType(x.dtype == .bfloat16 ? .float16 : .bfloat16)).asType(x.dtype)
    }
  }

  /// What becomes of the last value.
  private func ended(_ x: Tensor, _ choice: Int) -> Tensor {
    switch choice {
    case 0: return x.sum()
    case 1: return x.sum(axis: -1)
    case 2: return x.max(axis: -1)
    case 3: return x.mean()
    case 4: return x.sum(axis: 0)
    default: return x
    }
  }

  @Test("random chains give the bits of their operations one by one", arguments: 0..<600)
  func chains(_ seed: Int) {
    var random = SplitMix64(seed)
    let shape = random.pick([
      [64], [100], [4096], [5003], [64, 256], [33, 256], [17, 300], [40, 128], [9, 1030],
      [3, 7, 256],
      [5, 4, 1025], [2, 3, 3, 320], [1000, 10], [70, 1000],
    ])
    let others: [DType] = [.float64, .float16, .bfloat16]
    let dtype = random.chance(0.5) ? .float32 : random.pick(others)
    // Whole arrays, rows, columns, planes, single elements.
    var inputs = [random.tensor(dtype, shape)]
    for _ in 0..<random.int(0...3) {
      let part = random.chance(0.5) ? shape : random.broadcastable(with: shape)
      inputs.append(random.tensor(dtype, part))
    }
    let steps = steps(&random, inputs: inputs.count)
    let mask =
      random.tensor(.float32, random.chance(0.5) ? shape : random.broadcastable(with: shape)) .> 0
    let isSecond = random.chance(0.3)
    let second = random.int(below: steps.count)
    let end = random.int(below: 10)
    func run(_ inputs: [Tensor], _ mask: Tensor) -> [Tensor] {
      var values = inputs
      for step in steps { values.append(apply(step, values, mask)) }
      let result = ended(values.last! + inputs[0], end)
      return isSecond ? [result, values[inputs.count + second]] : [result]
    }
    let expected = run(inputs, mask).map { Bits($0) }
    for instructionSet in ProcessSettings.instructionSets {
      ProcessSettings.with(threads: 1 + seed % 3, instructionSet: instructionSet) {
        let f = traced { (inputs: [Tensor], mask: Tensor) in run(inputs, mask) }
        for _ in 0..<2 {
          for (found, expected) in zip(f(inputs, mask), expected) {
            let difference = Bits(found).difference(from: expected)
            #expect(difference == nil, "\(instructionSet): \(difference ?? "")")
          }
        }
      }
    }
  }

  @Test(
    "results larger than the caches take the narrow form",
    arguments: [DType.float32, .float64, .bfloat16, .float16])
  func large(_ dtype: DType) {
    var random = SplitMix64(7)
    // Whole lines, not whole blocks.
    let n = 312_501 * 64 / dtype.size
    let (x, a) = (random.tensor(dtype, [n]), random.tensor(dtype, [n]))
    func chain(_ x: Tensor, _ a: Tensor) -> Tensor { (x * a + x) * a - (x + a) * (x - a) * a }
    let f = traced { (x: Tensor, a: Tensor) in chain(x, a) }
    let expected = Bits(chain(x, a))
    #expect(Bits(f(x, a)).difference(from: expected) == nil)
    #expect(Bits(f(x, a)).difference(from: expected) == nil)

    // Rows of whole lines and of others; a reduction beside a result.
    for columns in [4160 / dtype.size, 4120 / dtype.size] {
      let y = random.tensor(dtype, [8000, columns])
      let (row, column) = (random.tensor(dtype, [columns]), random.tensor(dtype, [8000, 1]))
      func norm(_ y: Tensor) -> [Tensor] {
        let z = (y - column) * row + column * row
        return [z, (z * y).sum(axis: -1)]
      }
      let g = traced { (y: Tensor) in norm(y) }
      for (found, expected) in zip(g(y), norm(y)) {
        #expect(Bits(found).difference(from: Bits(expected)) == nil)
      }
    }
  }

  @Test("integers are selected by comparisons of numbers of their size")
  func integers() {
    var random = SplitMix64(11)
    for (real, integer) in [(DType.float32, DType.int32), (.float64, .int64)] {
      let (x, y) = (random.tensor(real, [50, 300]), random.tensor(real, [50, 300]))
      let (a, b) = (random.tensor(integer, [50, 300]), random.tensor(integer, [300]))
      func chosen(_ v: [Tensor]) -> Tensor {
        which(v[1] .< v[0], which(v[0] * v[1] .> 1, v[2], v[3]), 7)
      }
      let f = traced { (v: [Tensor]) in chosen(v) }
      let expected = Bits(chosen([x, y, a, b]))
      for _ in 0..<2 { #expect(Bits(f([x, y, a, b])).difference(from: expected) == nil) }
    }
  }
}
