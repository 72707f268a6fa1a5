import Duet
import DuetTestSupport
import Testing

/// Functions lowered for unknown sizes: one trace for all of them.
@Suite struct SizeTests {
  private static let sizes = [3, 1, 2, 64, 7, 12, 1009, 5, 3]

  /// Compares a function of one argument `[n, columns]`, lowered for every n, with the same program run eagerly.
  private func expectSameForEverySize(
    _ columns: Int = 12, sizes: [Int] = sizes,
    sourceLocation: Testing.SourceLocation = #_sourceLocation,
    _ body: @escaping (Tensor) -> [Tensor]
  ) throws {
    var runs = 0
    let f = traced { (x: Tensor) -> [Tensor] in
      runs += 1
      return body(x)
    }
    try f.lower(TensorSpec([nil, columns]))
    let before = runs
    var random = SplitMix64(11)
    for size in sizes {
      let x = random.tensor(.float32, [size, columns])
      expectSame(f(x), body(x), "n = \(size)", sourceLocation: sourceLocation)
    }
    #expect(runs == before, "no call runs the closure", sourceLocation: sourceLocation)
    #expect(f.traceCount == 1, sourceLocation: sourceLocation)
  }

  @Test func reductionsAndMovementsTakeAnyNumberOfRows() throws {
    try expectSameForEverySize { x in
      [
        x.mean(), x.sum(axis: 0), x.mean(axis: 0), x.max(axis: 1), softmax(x, axis: 0),
        (x - x.mean(axis: 0, keepDims: true)).square().mean(axis: 0), matmul(x.T, x),
        matmul(x, x.T),
        x.reshaped(-1, 3, 4).transposed(), x.flattened(), x[0...], x.argMax(axis: 0),
        concatenated([x, x * 2], axis: 0), x.flipped(axis: 0), x[.newAxis],
      ]
    }
  }

  @Test func numbersTakenFromShapesAreFollowed() throws {
    try expectSameForEverySize { x in
      let n = x.dim(0)
      return [
        x.reshaped(n, 3, 4), x.reshaped(n * 2, 6), x.sum() / Double(n), x * (1 / Double(x.size)),
        ones([n, 2]), arange(n) * 2, full([n], 1 / Double(n)), x / Double(n).squareRoot(),
        x[(n - 1)...], concatenated([zeros([1, 12]), x], axis: 0),
      ]
    }
  }

  @Test func gradientsInsideWorkForAnySize() throws {
    try expectSameForEverySize { x in
      let leaf = x.requiringGrad()
      let centred = leaf - leaf.mean(axis: 0, keepDims: true)
      let y = softmax(centred * leaf.sum(axis: 1, keepDims: true), axis: 0).square().mean()
      return [y.detached(), gradients(of: [y], by: [leaf])[0]]
    }
  }

  @Test func branchesAndLoopsTakeAnyNumberOfRows() throws {
    let random = Generator(seed: 3)
    try expectSameForEverySize { x in
      random.seed(4)
      let (state, rows) = scan(zeros([12]), over: x) { s, row in
        (s + row, cond(row.sum() .> 0, then: { s }, else: { row * 2 }))
      }
      let (_, y) = whileLoop(
        (Tensor(0), x), maximumLength: 5, while: { i, _ in i .< 3 },
        do: { i, y in
          let noise = Random.normal(y.shape, generator: random)
          let moved = y * 2 + y.mean(axis: 0)
          return (i + 1, moved + noise / Double(y.size))
        })
      let slope = grad { (x: Tensor) in scan(x[0], over: x) { s, row in (s * row, s) }.0.sum() }
      return [state, rows, y, slope(x)]
    }
  }

  /// A model with a batch norm and random numbers, trained on batches of any size.
  private struct Trial {
    let random = Generator(seed: 7)
    let hidden = Linear(12, 16), output = Linear(16, 5), norm = BatchNorm1d(16)
    let optimizer: SGD
    var parameters: [Parameter] {
      [hidden.weight, hidden.bias!, output.weight, output.bias!, norm.weight!, norm.bias!]
    }
    var state: [Tensor] {
      parameters.map(\.value) + [norm.runningMean!.value, norm.runningVariance!.value]
    }

    init() {
      optimizer = SGD(
        [hidden.weight, hidden.bias!, output.weight, output.bias!, norm.weight!, norm.bias!],
        learningRate: 0.1, momentum: 0.9)
      let draw = Generator(seed: 2)
      for parameter in parameters {
        parameter.value = Random.normal(parameter.shape, generator: draw)
      }
    }

    func step(_ x: Tensor, _ labels: Tensor) -> Tensor {
      optimizer.zeroGrad()
      let noisy = x + Random.normal(x.shape, generator: random)
      let loss = crossEntropy(output(relu(norm(hidden(noisy)))), labels)
      loss.backward()
      optimizer.step()
      return loss.detached()
    }
  }

  @Test func aTrainingStepWithStateTakesBatchesOfAnySize() throws {
    let (own, other) = (Trial(), Trial())
    var runs = 0
    let step = traced { (x: Tensor, labels: Tensor) -> Tensor in
      runs += 1
      return own.step(x, labels)
    }
    let before = own.state.map(Bits.init)
    try step.lower(TensorSpec([nil, 12]), TensorSpec([nil], .int64))
    for (x, y) in zip(own.state, before) { expectSame(Bits(x), y, "lowering touches no state") }
    let tried = runs
    var random = SplitMix64(3)
    for size in [4, 2, 16, 5, 31, 4, 12, 128, 2] {
      let x = random.tensor(.float32, [size, 12])
      let labels = arange(size) % 5
      expectSame(step(x, labels), other.step(x, labels), "n = \(size)")
      expectSame(own.state, other.state, "n = \(size)")
    }
    #expect(runs == tried)
    #expect(step.traceCount == 1)
    #expect(
      step.explain().lowered == ["argument 0: float32[n, 12], argument 1: int64[n]"])
    // One row is a mistake of the batch norm, here as without tracing.
    #expect(throws: TensorError.self) { try checked { step(ones([1, 12]), Tensor([0])) } }
    expectSame(own.state, other.state)
  }

  @Test func convolutionsTakeBatchesOfAnySize() throws {
    let conv = Conv2d(2, 4, kernelSize: 3, padding: 1)
    let norm = BatchNorm2d(4)
    let classes = Linear(4 * 9, 3)
    func body(_ x: Tensor) -> [Tensor] {
      let y = maxPool2d(relu(norm(conv(x))), kernelSize: 2)
      let loss = classes(y.flattened(start: 1)).square().mean()
      let weights = [conv.weight.value, classes.weight.value]
      return [loss.detached()] + gradients(of: [loss], by: weights)
    }
    let f = traced { (x: Tensor) in body(x) }
    try f.lower(TensorSpec([nil, 2, 6, 6]))
    let (mean, variance) = (norm.runningMean!, norm.runningVariance!)
    var random = SplitMix64(5)
    for size in [2, 1, 9, 4, 33] {
      let x = random.tensor(.float32, [size, 2, 6, 6])
      let before = [mean.value, variance.value]
      let results = f(x)
      let after = [mean.value, variance.value]
      (mean.value, variance.value) = (before[0], before[1])
      expectSame(results, body(x), "n = \(size)")
      expectSame(after, [mean.value, variance.value], "n = \(size)")
    }
    #expect(f.traceCount == 1)
  }

  @Test func independentSizesMayDiffer() throws {
    let f = traced { (x: Tensor, y: Tensor) in softmax(matmul(x, y.T) / Double(y.dim(0)), axis: 1) }
    try f.lower(TensorSpec([nil, 4]), TensorSpec([nil, 4]))
    var random = SplitMix64(1)
    for (n, m) in [(3, 5), (5, 3), (4, 4), (1, 7), (7, 1), (1, 1)] {
      let (x, y) = (random.tensor(.float32, [n, 4]), random.tensor(.float32, [m, 4]))
      expectSame(f(x, y), withTracingDisabled { f(x, y) }, "\(n), \(m)")
    }
    #expect(f.traceCount == 1)
    #expect(f.explain().lowered == ["argument 0: float32[n, 4], argument 1: float32[m, 4]"])
  }

  @Test func sizesThatMustBeEqualAreOneAndOthersStayFree() throws {
    let f = traced { (x: Tensor, y: Tensor, z: Tensor) in (x * y).sum() + z.sum() }
    try f.lower(TensorSpec([nil, 3]), TensorSpec([nil, 3]), TensorSpec([nil]))
    #expect(
      f.explain().lowered == [
        "argument 0: float32[n, 3], argument 1: float32[n, 3], argument 2: float32[m]"
      ])
    for (n, m) in [(2, 9), (5, 2), (1, 1), (6, 6)] {
      let (x, z) = (full([n, 3], Float(0.3)), full([m], Float(0.7)))
      expectSame(f(x, x, z), (x * x).sum() + z.sum())
    }
    #expect(f.traceCount == 1)
    #expect(throws: TensorError.self) { try checked { f(ones([2, 3]), ones([4, 3]), ones([1])) } }
  }

  @Test func sizesThatMakeAnotherProgramAreRight() throws {
    let bias = Variable(arange(10).asType(.float32), name: "bias")
    try expectSameForEverySize(4, sizes: [10, 1, 3, 11, 10]) { x in
      let y = x.sum(axis: 1)
      return [y.shape == bias.shape ? y + bias.value : y + bias.value.sum()]
    }
  }

  @Test func aNumberThatCannotBeFollowedIsNamedWithItsLine() {
    func message(_ body: @escaping (Tensor) -> Tensor) -> String {
      let f = traced(body)
      do {
        try f.lower(TensorSpec([nil, 3]))
        return "no error"
      } catch {
        #expect(f.traceCount == 0)
        return "\(error)"
      }
    }
    let line = #line
    let loop = message { x in
      (0..<x.dim(0)).reduce(zeros([3])) { sum, i in
        sum + x[i]
      }
    }
    #expect(loop.contains("used the number of an unknown size"), "\(loop)")
    #expect((1...4).contains { loop.contains("SizeTests.swift:\(line + $0)") }, "\(loop)")
    let condition = message { x in x.dim(0) % 2 == 0 ? x + 1 : x * 2 }
    #expect(condition.contains("SizeTests.swift:"), "\(condition)")
    let table = message { x in x + Tensor((0..<x.dim(0)).map(Double.init)).reshaped(-1, 1) }
    #expect(table.contains("SizeTests.swift:"), "\(table)")
    let odd = message { x in x * Double(x.dim(0) % 7) }
    #expect(odd.contains("a number depends on it"), "\(odd)")
    let value = message { x in (x.sum() .> 0).item() ? x : -x }
    #expect(value.contains("traced from types alone"), "\(value)")
    let mistake = message { x in matmul(x, ones([4, 4])) }
    #expect(mistake.contains("inner dimensions differ"), "\(mistake)")
  }

  @Test func theCacheOfSizesIsBounded() throws {
    let f = traced(maximumTraces: 3) { (x: Tensor) in x.mean(axis: 0) }
    try f.lower(TensorSpec([nil, 2]))
    f.forbidRetracing = true
    for n in 1...20 {
      expectSame(f(full([n, 2], Float(0.1))), full([n, 2], Float(0.1)).mean(axis: 0))
    }
    #expect(f.explain().traces.count == 3)
    #expect(f.traceCount == 1)
  }

  @Test func otherArgumentsAreRecordedAsAlways() throws {
    let f = traced { (x: Tensor) in x * 2 }
    try f.lower(TensorSpec([nil, 2]))
    for x in [
      ones([4]), ones([3, 3]), ones([3, 2], dtype: .float64), ones([0, 2]), ones([5, 2]),
    ] {
      expectSame(f(x), x * 2)
    }
    #expect(f.traceCount == 5)
  }

  @Test func callbacksAndVerificationWorkForAnySize() throws {
    var seen: [Float] = []
    var factor: Float = 2
    let f = traced(verify: true) { (x: Tensor) -> Tensor in
      hostCallback(x.sum()) { seen.append($0.item()) }
      return x * factor
    }
    try f.lower(TensorSpec([nil]))
    for n in 1...3 { expectSame(f(ones([n])), full([n], Float(2))) }
    #expect(seen == [1, 2, 3])
    factor = 3
    let error = #expect(throws: TensorError.self) { try checked { f(ones([2])) } }
    #expect(error?.description.contains("is 2.0 at [0] where the closure gives 3.0") == true)
    #expect(f.traceCount == 1)
  }

  @Test func anUnknownSizeIsNoNumber() {
    let error = #expect(throws: TensorError.self) { try checked { TensorSpec([nil, -1]) } }
    #expect(error?.description.contains("[nil, -1] is not a shape") == true)
    #expect(TensorSpec([nil, 2]).type == nil)
    #expect(TensorSpec([3, 2]).type == TensorType(.float32, [3, 2]))
  }
}
