import DuetEager
import DuetRuntime
import Testing

/// Gradients of tensors that are used in parts: side by side, overlapping, with gaps, with steps, and as a whole
/// in between.
@Suite struct GradientSumTests {
  /// How a tensor is used, in the order of the program.
  enum Use: Sendable {
    case whole
    /// Starts, sizes and steps.
    case part([Int], [Int], [Int])
  }

  struct Program: CustomTestStringConvertible, Sendable {
    let name: String
    let shape: [Int]
    let uses: [Use]

    var testDescription: String { name }
  }

  private static func rows(_ starts: [Int], _ count: Int, _ step: Int = 1) -> [Use] {
    starts.map { .part([$0, 0], [count, 3], [step, 1]) }
  }

  private static let programs = [
    Program(name: "all rows", shape: [4, 3], uses: rows([0, 1, 2, 3], 1)),
    Program(name: "rows in no order", shape: [4, 3], uses: rows([2, 0, 3, 1], 1)),
    Program(name: "rows with gaps", shape: [7, 3], uses: rows([1, 5], 1)),
    Program(name: "one row", shape: [7, 3], uses: rows([3], 1)),
    Program(name: "overlapping rows", shape: [6, 3], uses: rows([0, 1, 2, 3], 3)),
    Program(name: "one row twice", shape: [4, 3], uses: rows([1, 1], 1)),
    Program(name: "rows backwards", shape: [4, 3], uses: rows([3], 4, -1)),
    Program(name: "every second row", shape: [4, 3], uses: rows([0, 1], 2, 2)),
    Program(name: "the whole first", shape: [4, 3], uses: [.whole] + rows([0, 1, 2, 3], 1)),
    Program(name: "the whole last", shape: [4, 3], uses: rows([0, 1, 2, 3], 1) + [.whole]),
    Program(
      name: "the whole in between", shape: [4, 3],
      uses: rows([0, 1], 1) + [.whole] + rows([1, 2], 2) + [.whole] + rows([3], 1)),
    Program(name: "everything as a slice", shape: [4, 3], uses: rows([0], 4)),
    Program(
      name: "corners", shape: [4, 3],
      uses: [.part([0, 0], [2, 2], [1, 1]), .part([2, 2], [2, 1], [1, 1])]),
    Program(
      name: "columns and rows", shape: [4, 3],
      uses: [.part([0, 1], [4, 1], [1, 1]), .part([1, 0], [1, 3], [1, 1])]),
    Program(name: "no elements", shape: [4, 3], uses: rows([0], 0) + rows([2], 1)),
    Program(name: "nothing but no elements", shape: [4, 3], uses: rows([0], 0)),
    Program(
      name: "many parts in no order", shape: [200, 3],
      uses: rows((0..<200).map { $0 * 77 % 200 }, 1)),
  ]

  private static func slice(_ starts: [Int], _ sizes: [Int], _ steps: [Int]) -> Slice {
    Slice(starts: Shape(starts), sizes: Shape(sizes), steps: Shape(steps))
  }

  private static func value(_ x: Tensor, _ program: Program, power: Int) -> Tensor {
    var sum = zeros([], dtype: .float64)
    for (i, use) in program.uses.enumerated() {
      var part = x
      if case .part(let starts, let sizes, let steps) = use {
        part = apply(.slice(slice(starts, sizes, steps)), x)
      }
      let weights = sample(part.shape, seed: i)
      sum = sum + ((power == 1 ? part : part * part) * weights).sum()
    }
    return sum
  }

  /// The weights added up element by element, the last use first.
  private static func expected(_ program: Program) -> [Double] {
    let (rows, columns) = (program.shape[0], program.shape[1])
    var result = [Double](repeating: 0, count: rows * columns)
    for (i, use) in program.uses.enumerated().reversed() {
      var (starts, sizes, steps) = ([0, 0], program.shape, [1, 1])
      if case .part(let a, let b, let c) = use { (starts, sizes, steps) = (a, b, c) }
      let weights = sample(sizes, seed: i).asArray(Double.self)
      for r in 0..<sizes[0] {
        for c in 0..<sizes[1] {
          let place = (starts[0] + r * steps[0]) * columns + starts[1] + c * steps[1]
          result[place] += weights[r * sizes[1] + c]
        }
      }
    }
    return result
  }

  @Test("a gradient is the sum over all uses, in the reverse of their order", arguments: programs)
  func sums(program: Program) {
    let x = sample(program.shape, seed: 99).requiringGrad()
    Self.value(x, program, power: 1).backward()
    expect(x.grad!, program.shape, .float64, Self.expected(program))
  }

  @Test("the gradient is differentiable in turn", arguments: programs)
  func secondDerivatives(program: Program) {
    let x = sample(program.shape, seed: 99).requiringGrad()
    let first = gradients(of: [Self.value(x, program, power: 2)], by: [x], createGraph: true)[0]
    guard first.requiresGrad else {
      // Nothing but empty parts.
      expect(first, program.shape, .float64, Self.expected(program).map { 2 * $0 })
      return
    }
    let second = gradients(of: [first.sum()], by: [x])[0]
    expect(
      second, program.shape, .float64, Self.expected(program).map { 2 * $0 }, tolerance: 1e-14)
  }

  @Test func gradientsThatSomebodyHoldsKeepTheirElements() {
    let x = sample([4, 3]).requiringGrad()
    let y = x * 1
    y.retainGrad()
    let seed = ones([4, 3], dtype: .float64)
    let held = seed
    (y + y.part(0, 2) + y).backward(seed, retainGraph: true)
    expect(held, equals: ones([4, 3], dtype: .float64))
    expect(y.grad!, [4, 3], .float64, [3, 3, 3, 3, 3, 3, 2, 2, 2, 2, 2, 2])
    let kept = y.grad!
    (y.part(0, 2) * 5).sum().backward(retainGraph: true)
    expect(kept, [4, 3], .float64, [3, 3, 3, 3, 3, 3, 2, 2, 2, 2, 2, 2])
  }

  @Test("one matrix for all rows of a batch", arguments: [[2, 3, 4, 5], [7, 1, 5], [3, 0, 5]])
  func productsOfABatchWithAMatrix(shape: [Int]) {
    let a = sample(shape, seed: 1).requiringGrad()
    let b = sample([5, 6], seed: 2).requiringGrad()
    let weights = sample(Array(shape.dropLast()) + [6], seed: 3)
    (matmul(a, b) * weights).sum().backward()
    let rows = shape.dropLast().reduce(1, *)
    let flat = matmul(a.detached().reshaped(rows, 5).T, weights.reshaped(rows, 6))
    expect(b.grad!, equals: flat, tolerance: 1e-14)
    expect(a.grad!, equals: matmul(weights, b.detached().T), tolerance: 1e-14)
  }
}

extension Tensor {
  /// The first rows twice: a tensor of the same shape that uses only a part.
  fileprivate func part(_ start: Int, _ count: Int) -> Tensor {
    let slice = Slice(
      starts: [start, 0], sizes: [count, 3], steps: [1, 1])
    let part = apply(.slice(slice), self)
    return concatenated([part, zeros([4 - count, 3], dtype: .float64)], axis: 0)
  }
}
