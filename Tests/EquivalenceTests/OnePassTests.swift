import Duet
import DuetTestSupport
import Testing

/// What is done in one pass where there are many elements: the bits are those of the operations one by one, which few
/// elements go through, and those of a traced function.
@Suite struct OnePassTests {
  struct Item: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let inputs: Int
    let run: @Sendable ([Tensor]) -> Tensor

    init(_ name: String, _ run: @escaping @Sendable (Tensor) -> Tensor) {
      (testDescription, inputs) = (name, 1)
      self.run = { run($0[0]) }
    }

    init(_ name: String, _ run: @escaping @Sendable (Tensor, Tensor) -> Tensor) {
      (testDescription, inputs) = (name, 2)
      self.run = { run($0[0], $0[1]) }
    }
  }

  static let functions =
    [
      Item("relu6") { relu6($0) }, Item("hardtanh") { hardtanh($0, min: -0.5, max: 2) },
      Item("clip") { clip($0, min: -1, max: Float(0.7)) },
      Item("clip, crossed") { clip($0, min: 1, max: -1) },
      Item("leakyRelu") { leakyRelu($0, negativeSlope: 0.3) }, Item("elu") { elu($0, alpha: 1.5) },
      Item("selu") { selu($0) }, Item("mish") { mish($0) }, Item("hardswish") { hardswish($0) },
      Item("hardsigmoid") { hardsigmoid($0) }, Item("softsign") { softsign($0) },
      Item("logSigmoid") { logSigmoid($0) },
    ] + [
      Item("mseLoss") { mseLoss($0, $1, reduction: .none) },
      Item("l1Loss") { l1Loss($0, $1, reduction: .none) },
      Item("smoothL1Loss") { smoothL1Loss($0, $1, beta: 0.5, reduction: .none) },
      Item("huberLoss") { huberLoss($0, $1, delta: 0.75, reduction: .none) },
      Item("binaryCrossEntropyWithLogits") {
        binaryCrossEntropyWithLogits($0, $1, reduction: .none)
      },
      Item("which") { which($0 .> $1, $0, $1) },
    ]

  private static let binary: [BinaryOp] = [
    .multiply, .divide, .power, .maximum, .minimum, .atLeast, .atMost, .atan2, .hypot, .remainder,
  ]
  static let operations =
    UnaryOp.allCases.filter { $0 != .logicalNot }.map { op in
      Item("\(op)") { (x: Tensor) in apply(.unary(op), [x]) }
    }
    + binary.map { op in Item("\(op)") { apply(.binary(op), [$0, $1]) } }

  private static let rows = 11
  /// Too few elements for one pass.
  private static let columns = 3996

  /// Inputs and a cotangent, `[rows, columns]`, with what is special among them.
  private func arguments(_ item: Item, _ dtype: DType) -> [Tensor] {
    var random = SplitMix64(item.testDescription.utf8.reduce(7) { $0 &* 31 &+ Int($1) })
    let special: [Double] = [
      0, -0.0, .nan, .infinity, -.infinity, 3, -3, 6, 1, -1, 0.75, 1e-40, -1e-40, 90, -90,
    ]
    return (0...item.inputs).map { i in
      let x = random.tensor(dtype, [Self.rows, Self.columns], .ordinary)
      let mask = random.tensor(.float32, [Self.rows, Self.columns], .ordinary) .> 1.8
      let places = Tensor(
        (0..<Self.rows * Self.columns).map { _ in Int64(random.int(below: special.count)) })
      let others = Tensor(special).asType(dtype).take(places, axis: 0)
      return i == item.inputs ? x : which(mask, others.reshaped(Self.rows, Self.columns), x)
    }
  }

  /// The result, and the gradients by all inputs.
  private func results(_ item: Item, _ arguments: [Tensor], wanting wanted: [Bool]) -> [Tensor] {
    let leaves = arguments.dropLast().enumerated().map { i, x in
      wanted[i] ? x.detached().requiringGrad() : x
    }
    let result = item.run(leaves)
    guard result.requiresGrad else { return [result] }
    result.backward(arguments.last!)
    return [result.detached()] + zip(leaves, wanted).compactMap { $1 ? $0.grad! : nil }
  }

  private func parts(_ tensors: [Tensor]) -> [[Tensor]] {
    (0..<Self.rows).map { row in tensors.map { $0[row] } }
  }

  private func joined(_ results: [[Tensor]]) -> [Tensor] {
    results[0].indices.map { i in stacked(results.map { $0[i] }, axis: 0) }
  }

  @Test(
    "functions and gradients in one pass, in parts, traced", arguments: functions + operations,
    [DType.float32, .float64, .float16, .bfloat16])
  func onePass(_ item: Item, _ dtype: DType) {
    let arguments = arguments(item, dtype)
    let isFloat = noGrad { item.run(parts(arguments)[0]).dtype.isFloatingPoint }
    let all = [Bool](repeating: true, count: item.inputs)
    let some = item.inputs == 1 ? [] : [[true, false], [false, true]]
    for wanted in isFloat ? [all] + some : [] {
      let expected = joined(parts(arguments).map { results(item, $0, wanting: wanted) })
      expectSame(results(item, arguments, wanting: wanted), expected, "\(wanted)")
      ProcessSettings.with(threads: 3) {
        expectSame(results(item, arguments, wanting: wanted), expected, "\(wanted), 3 threads")
      }
      let traced = traced { (arguments: [Tensor]) in results(item, arguments, wanting: wanted) }
      expectSame(traced(arguments), expected, "\(wanted), traced")
      expectSame(traced(arguments), expected, "\(wanted), replayed")
    }
    noGrad {
      let expected = joined(parts(arguments).map { [item.run($0)] })
      expectSame([item.run(arguments)], expected, "without gradients")
      // The same rows, at a distance from one another.
      let strided = arguments.map { $0.T.contiguous().T }
      expectSame([item.run(strided)], expected, "strided")
    }
  }

  /// A cotangent that is one number for all elements, as sums send it.
  @Test(arguments: functions + operations) func repeatedCotangents(_ item: Item) {
    let arguments = Array(arguments(item, .float32).dropLast())
    let one = zeros([1, 1]) + 0.75
    let all = [Bool](repeating: true, count: item.inputs)
    let repeated = one.broadcast(to: [Self.rows, Self.columns])
    if noGrad({ !item.run(arguments).dtype.isFloatingPoint }) { return }
    let whole = results(item, arguments + [repeated.contiguous()], wanting: all)
    expectSame(results(item, arguments + [repeated], wanting: all), whole)
  }

  /// Numbers that are equal, or never are.
  @Test func numbersAreToldApartByTheirBits() {
    let x = zeros([40_000])
    expectSame(clip(x, min: -0.0, max: 1), full([40_000], Float(0)), "-0 is not above 0")
    expectSame(clip(-x, min: 0.0, max: 1), full([40_000], Float(0)), "0")
    expectSame(clip(-x, min: -0.0, max: 1), full([40_000], -Float(0)), "-0")
    expectSame(clip(x, min: Double.nan, max: 1), full([40_000], Float.nan), "NaN")
    expectSame(clip(x, min: Double.nan, max: 1), full([40_000], Float.nan), "NaN again")
  }

  /// Where the hyperbolic tangent is 1 to the last digit.
  @Test(arguments: [DType.float16, .bfloat16, .float32, .float64])
  func largeNumbersHaveMishsSlope(_ dtype: DType) {
    let x = Tensor([5.5, 10, 50, 1000, 60_000, .infinity]).asType(dtype).requiringGrad()
    mish(x).sum().backward()
    let distance = abs(x.grad! - 1).asType(.float64).asArray(Double.self)
    let bound = dtype == .bfloat16 ? 0.02 : 0.002
    #expect(distance.allSatisfy { $0 < bound }, "\(distance)")
    #expect(
      distance[2...].allSatisfy { $0 < bound / 100 } || dtype == .float16 || dtype == .bfloat16)
  }

  static let losses = functions.filter { $0.inputs == 2 && $0.testDescription != "which" }

  @Test(
    "what is reduced in the same pass has the bits of the reduction by itself", arguments: losses,
    [DType.float32, .float64, .float16, .bfloat16])
  func reductions(_ item: Item, _ dtype: DType) {
    let run: @Sendable (Tensor, Tensor, Reduction) -> Tensor =
      switch item.testDescription {
      case "mseLoss": { mseLoss($0, $1, reduction: $2) }
      case "l1Loss": { l1Loss($0, $1, reduction: $2) }
      case "smoothL1Loss": { smoothL1Loss($0, $1, beta: 0.5, reduction: $2) }
      case "huberLoss": { huberLoss($0, $1, delta: 0.75, reduction: $2) }
      default: { binaryCrossEntropyWithLogits($0, $1, reduction: $2) }
      }
    let inputs = Array(arguments(item, dtype).dropLast())
    for reduction in [Reduction.mean, .sum] {
      let together = Item("") { run($0, $1, reduction) }
      // What has 16 bits is reduced before it is rounded.
      let wide: DType = dtype == .float64 ? dtype : .float32
      let apart = Item("") {
        let losses = item.run([$0.asType(wide), $1.asType(wide)])
        return (reduction == .mean ? losses.mean() : losses.sum()).asType(dtype)
      }
      let one = [Tensor(0.5).asType(dtype)]
      for wanted in [[false, false], [true, true], [true, false], [false, true]] {
        let expected = results(apart, inputs + one, wanting: wanted)
        expectSame(results(together, inputs + one, wanting: wanted), expected, "\(wanted)")
        ProcessSettings.with(threads: 3) {
          expectSame(results(together, inputs + one, wanting: wanted), expected, "3 threads")
        }
        let traced = traced { (inputs: [Tensor]) in results(together, inputs, wanting: wanted) }
        expectSame(traced(inputs + one), expected, "\(wanted), traced")
        expectSame(traced(inputs + one), expected, "\(wanted), replayed")
      }
    }
  }

  @Test(arguments: [DType.float32, .float64, .float16, .bfloat16]) func norms(_ dtype: DType) {
    var random = SplitMix64(5)
    for shape in [[9000], [3, 3000], [40, 256], [40, 257], [4, 3, 1030], [33, 1000]] {
      let x = random.tensor(dtype, shape, .ordinary)
      let special = which(x .> 1.5, Float.nan, x)
      for x in [x, special, x.T, -abs(x) * 0] {
        let text = "\(dtype) \(x.shape)"
        let wide = dtype == .float64 ? x : x.asType(.float32)
        func root(_ sum: Tensor) -> Tensor { sqrt(sum).asType(dtype) }
        let whole = root(wide.square().sum())
        expectSame(x.norm(), whole, text)
        let axes = Array((1..<x.ndim))
        expectSame(x.norm(axes: axes), root(wide.square().sum(axes: axes)), text)
        expectSame(
          x.norm(axis: -1, keepDims: true), root(wide.square().sum(axis: -1, keepDims: true)), text)
        expectSame(x.norm(axis: 0), root(wide.square().sum(axis: 0)), text)
        let product = traced { (x: Tensor) in (x * x).mean() }
        expectSame(product(x), x.square().mean(), text)
        expectSame(product(x), x.square().mean(), text + ", replayed")
        ProcessSettings.with(threads: 3) { expectSame(x.norm(), whole, text) }
      }
    }
  }

  @Test(
    "optimizers move many elements like few", arguments: 0..<9,
    [DType.float32, .float64, .bfloat16])
  func optimizers(_ kind: Int, _ dtype: DType) {
    func optimizer(_ p: [Parameter]) -> any Optimizer {
      switch kind {
      case 0: SGD(p, learningRate: 0.1)
      case 1: SGD(p, learningRate: 0.1, weightDecay: 0.01)
      case 2: SGD(p, learningRate: 0.1, momentum: 0.9)
      case 3: SGD(p, learningRate: 0.1, momentum: 0.9, dampening: 0.2, weightDecay: 0.01)
      case 4: SGD(p, learningRate: 0.1, momentum: 0.9, nesterov: true)
      case 5: Adam(p, learningRate: 0.01)
      case 6: Adam(p, learningRate: 0.01, weightDecay: 0.01, amsgrad: true)
      case 7: AdamW(p, learningRate: 0.01)
      default: AdamW(p, learningRate: 0.01, weightDecay: 0, amsgrad: true)
      }
    }
    var random = SplitMix64(kind)
    let shape = [Self.rows, Self.columns]
    let start = random.tensor(dtype, shape, .ordinary)
    let gradients = (0..<3).map { _ in random.tensor(dtype, shape, .ordinary) }
    func moved(_ start: [Tensor], _ gradients: [[Tensor]]) -> [Tensor] {
      let parameters = start.map { Parameter($0) }
      let optimizer = optimizer(parameters)
      for gradients in gradients {
        for (parameter, gradient) in zip(parameters, gradients) { parameter.grad = gradient }
        optimizer.step()
      }
      return parameters.map { $0.value.detached() }
    }
    let few = moved(
      parts([start]).map { $0[0] }, gradients.map { whole in parts([whole]).map { $0[0] } })
    expectSame(moved([start], gradients.map { [$0] })[0], stacked(few, axis: 0))
  }
}
