import Duet
import DuetRuntime
import DuetTestSupport
import Testing

/// Closures whose inner values are computed again for the gradient: nothing changes but the memory that it takes.
@Suite struct CheckpointTests {
  private typealias Block = (Tensor) -> Tensor
  /// Wraps a closure, or leaves it as it is.
  private typealias Wrap = (@escaping Block) -> Block

  private static func random(_ shape: [Int], seed: Int, _ dtype: DType = .float32) -> Tensor {
    Random.normal(shape, dtype: dtype, generator: Generator(seed: seed))
  }

  private struct Program: CustomTestStringConvertible, @unchecked Sendable {
    // Sendable: the closures have no state.
    let testDescription: String
    /// Branches and loops refuse gradients of gradients.
    let isTwice: Bool
    let body: (@escaping Wrap, _ x: Tensor, _ w: [Tensor]) -> Tensor

    init(
      _ name: String, isTwice: Bool = true,
      _ body: @escaping (@escaping Wrap, Tensor, [Tensor]) -> Tensor
    ) {
      testDescription = name
      self.isTwice = isTwice
      self.body = body
    }

    /// The result and the gradients by all inputs, and of these the gradients.
    func gradients(_ wrap: @escaping Wrap, _ inputs: [Tensor], twice: Bool) -> [Tensor] {
      let leaves = inputs.map { $0.requiringGrad() }
      let y = body(wrap, leaves[0], Array(leaves[1...]))
      let first = Duet.gradients(of: [y], by: leaves, createGraph: twice)
      guard twice else { return [y.detached()] + first }
      let sum = first.reduce(Tensor(0.0)) { $0 + $1.tanh().sum() }
      return [y.detached()] + first.map { $0.detached() } + Duet.gradients(of: [sum], by: leaves)
    }
  }

  /// One program's own.
  private static let generator = Generator(seed: 7)

  private static let programs: [Program] = [
    Program("a layer with captured weights") { wrap, x, w in
      wrap { x in matmul(matmul(x, w[0]).tanh(), w[1]).sigmoid() }(x).square().sum()
    },
    Program("layers, each with a checkpoint, and one weight for all of them") { wrap, x, w in
      var x = x
      for i in 0..<3 { x = wrap { x in (matmul(x, w[0]) * w[i % 2]).tanh() + x }(x) }
      return (x * w[0].sum()).exp().mean()
    },
    Program("a result that is used inside and outside") { wrap, x, w in
      let y = wrap { x in (x.exp() * w[0]).softplus() }(x)
      return (y * y + y.sin() * x).sum()
    },
    Program("one inside another") { wrap, x, w in
      wrap { x in
        let y = matmul(x, w[0]).tanh()
        let z = wrap { y in wrap { y in (y * w[1]).exp() }(y) * x.cos() }(y)
        return (z * y).sigmoid() * y.exp()
      }(x).sum()
    },
    Program("one that captures what it works on") { wrap, x, w in
      let y = matmul(x, w[0]).sin()
      let z = wrap { _ in wrap { _ in (y * y.exp()).tanh() * x }(y) * y }(zeros([]))
      return (z * w[1]).sum()
    },
    Program("random numbers") { wrap, x, w in
      generator.seed(7)
      let drop = { (x: Tensor) in
        which(Random.bernoulli(0.5, x.shape, generator: generator), x * 2, zeros(like: x))
      }
      var x = drop(x.tanh())
      for i in 0..<2 { x = wrap { x in drop(matmul(drop(x), w[i]).tanh()) }(x) }
      return (drop(x) * x.exp()).sum()
    },
    Program("softmax, normalisation, products and parts") { wrap, x, w in
      wrap { x in
        let y = softmax(matmul(x, w[0]), axis: -1)
        let z = layerNorm(y, weight: w[1][0], bias: w[1][1])
        return concatenated([z[0..., 0..<2].exp(), z[0..., 2...] * y[0..., 2...]], axis: 1)
      }(x).square().sum()
    },
    Program("a function with a gradient of its own") { wrap, x, w in
      let swish = customFunction(
        name: "swish", forward: { (x: Tensor) in x * x.sigmoid() },
        vjp: { x, y, dy in
          let s = x.sigmoid()
          return dy * (s + y * (1 - s))
        })
      return wrap { x in swish(matmul(swish(x), w[0]).tanh()) * swish(x * w[1]) }(x).sum()
    },
    Program("a gradient inside") { wrap, x, w in
      wrap { x in
        let slope = grad { (x: Tensor) in (x.tanh() * w[0]).exp().sum() }(x)
        return (slope * x).sigmoid() * slope
      }(x).sum()
    },
    Program("operations that do nothing for the result") { wrap, x, w in
      wrap { x in
        let unused = (x * w[0]).exp()
        _ = wrap { x in unused.tanh() * x }(x)
        return x.sin() * w[1]
      }(x).sum()
    },
    Program("a branch", isTwice: false) { wrap, x, w in
      wrap { x in
        let y = matmul(x, w[0]).tanh()
        let z = cond(y.sum() .> 0, then: { (y * w[1]).exp() }, else: { y.sin() * x.cos() })
        return z * y.sigmoid()
      }(x).sum()
    },
    Program("loops", isTwice: false) { wrap, x, w in
      wrap { x in
        let y = whileLoop(
          x, maximumLength: 4, while: { $0.square().sum() .< 100 },
          do: { (($0 * w[0]).tanh() + $0) * 1.5 })
        let (last, all) = scan(y.tanh(), over: stacked([x, w[0], w[1]])) { h, x in
          let h = wrap { h in (h * x).sin() + wrap { h in h.tanh() * x }(h) }(h)
          return (h, h.exp())
        }
        return last * all.mean(axis: 0)
      }(x).sum()
    },
    Program("inside a branch", isTwice: false) { wrap, x, w in
      let y = cond(
        x.sum() .> 0, then: { wrap { x in (x * w[0]).exp().tanh() }(x) },
        else: { wrap { x in (x * w[1]).sin().exp() }(x) })
      return (y * x).sum()
    },
    Program("Swift's own control flow") { wrap, x, w in
      wrap { x in
        var y = x * w[0]
        while (y.square().sum() .> 0.5).item() { y = (y * 0.5).sin() }
        return y.exp() * w[1]
      }(x).sum()
    },
  ]

  private static func plain(_ body: @escaping Block) -> Block { body }
  private static func wrapped(_ body: @escaping Block) -> Block { checkpointed(body) }

  @Test(arguments: programs)
  private func sameBitsInEveryMode(_ program: Program) {
    for twice in program.isTwice ? [false, true] : [false] {
      for seed in 0..<2 {
        let inputs = (0..<3).map { Self.random([4, 4], seed: 10 * seed + $0) }
        let expected = program.gradients(Self.plain, inputs, twice: twice)
        func run(_ x: [Tensor]) -> [Tensor] { program.gradients(Self.wrapped, x, twice: twice) }
        expectSame(run(inputs), expected, "eager")
        let step = traced { (x: [Tensor]) in run(x) }
        for call in 0..<3 { expectSame(step(inputs), expected, "traced, call \(call)") }
        #expect(step.traceCount == 1)
        if program.testDescription != "Swift's own control flow" {
          let lowered = traced { (x: [Tensor]) in run(x) }
          _ = lowered.graph(for: inputs)
          expectSame(lowered(inputs), expected, "traced from types")
        }
        expectSame(withExecution(.deferred) { run(inputs) }, expected, "deferred")
        let verified = traced(verify: true) { (x: [Tensor]) in run(x) }
        for _ in 0..<2 { expectSame(verified(inputs), expected, "verified") }
      }
    }
  }

  @Test func transformsSeeNoDifference() {
    let w = Self.random([3, 3], seed: 1, .float64)
    let plain = { (x: Tensor) in matmul(x.tanh(), w).sigmoid() }
    let block = checkpointed(plain)
    let x = Self.random([3], seed: 2, .float64)
    expectSame(jacobian(block)(x), jacobian(plain)(x))
    expectSame(hessian { block($0).square().sum() }(x), hessian { plain($0).square().sum() }(x))
    let (y, product) = jvp(block, primals: x, tangents: x.cos())
    let expected = jvp(plain, primals: x, tangents: x.cos())
    expectSame([y, product], [expected.outputs, expected.jvps])
    let back = vjp(block, primals: x, cotangents: x.cos())
    expectSame(back.vjps, vjp(plain, primals: x, cotangents: x.cos()).vjps)
    expectSame(
      grad { checkpointed { (x: Tensor, scale: Double) in (plain(x) * scale).sum() }($0, 2) }(x),
      grad { (plain($0) * 2).sum() }(x))
  }

  @Test func aSessionRunsItWhenItIsFed() throws {
    try withExecution(.deferred) {
      let x = placeholder(.float32, shape: [2], name: "x")
      let y = checkpointed { (x: Tensor) in (x.tanh() * x).exp() }(x).sum()
      let slope = gradients(of: y, withRespectTo: [x])[0]
      let value = Tensor([0.5, -2.0])
      let expected = withExecution(.eager) {
        grad { (x: Tensor) in (x.tanh() * x).exp().sum() }(value)
      }
      expectSame(try Session().run(slope, feeding: [x: value]), expected)
    }
  }

  // MARK: State

  private struct Network {
    let first = Linear(6, 5), second = Linear(5, 4)
    let norm = BatchNorm2d(2)
    let dropout = Dropout(0.3)
    func callAsFunction(_ x: Tensor) -> Tensor {
      let h = dropout(relu(first(x)))
      let y = dropout(second(h)).reshaped([-1, 2, 2, 1])
      return norm(y).flattened(start: 1)
    }
    var parameters: [Parameter] {
      [first.weight, first.bias!, second.weight, second.bias!, norm.weight!, norm.bias!]
    }
  }

  /// Three training steps: parameters, running statistics, and the random numbers that come next.
  private static func train(isTraced: Bool, isCheckpointed: Bool) -> [Tensor] {
    Random.seed(3)
    let network = Network()
    let block = isCheckpointed ? checkpointed { (x: Tensor) in network(x) } : { network($0) }
    let optimizer = SGD(network.parameters, learningRate: 0.1, momentum: 0.9)
    func train(_ x: Tensor) -> Tensor {
      optimizer.zeroGrad()
      let loss = block(x).square().sum()
      loss.backward()
      optimizer.step()
      return loss.detached()
    }
    let step = traced { (x: Tensor) in train(x) }
    let losses = (0..<3).map { i in
      isTraced ? step(random([8, 6], seed: i)) : train(random([8, 6], seed: i))
    }
    return losses + network.parameters.map(\.value)
      + [network.norm.runningMean!.value, network.norm.runningVariance!.value, Random.normal([4])]
  }

  @Test func stateIsWrittenOnceAndRandomNumbersGoOn() async {
    // The global generator is this test's own.
    await #expect(processExitsWith: .success) {
      let expected = Self.train(isTraced: false, isCheckpointed: false)
      expectSame(Self.train(isTraced: false, isCheckpointed: true), expected, "eager")
      expectSame(Self.train(isTraced: true, isCheckpointed: true), expected, "traced")
      expectSame(
        withExecution(.deferred) { Self.train(isTraced: false, isCheckpointed: true) }, expected,
        "deferred")
    }
  }

  @Test func theSecondRunSeesStateAsItWasBeforeTheFirst() {
    let scale = Variable(Tensor([2.0, 3.0]), name: "scale")
    let count = Variable(Tensor(0), name: "count")
    let weight = Parameter(Tensor([1.0, 1.0]))
    let block = checkpointed { (x: Tensor) -> Tensor in
      count.value = count.value + 1
      let y = x * scale.value * weight.value
      scale.value = scale.value * 10
      return y * scale.value
    }
    let x = Tensor([1.0, 2.0], requiresGrad: true)
    let y = block(x)
    expectSame(y.detached(), Tensor([40.0, 180.0]))
    scale.value = Tensor([-1.0, -1.0])
    y.sum().backward()
    expectSame(x.grad!, Tensor([40.0, 90.0]))
    expectSame(weight.grad!, Tensor([40.0, 180.0]))
    expectSame(scale.value, Tensor([-1.0, -1.0]))
    #expect(count.value.item(Int.self) == 1)
  }

  @Test func callbacksAreMadeOnce() {
    final class Calls { var count = 0 }
    let calls = Calls()
    let block = checkpointed { (x: Tensor) -> Tensor in
      let y = x.exp()
      hostCallback(y) { _ in calls.count += 1 }
      return y * y
    }
    let slope = { (x: Tensor) in grad { block($0).sum() }(x) }
    _ = slope(Tensor([1.0]))
    #expect(calls.count == 1)
    let step = traced(slope)
    for call in 1...3 {
      _ = step(Tensor([1.0]))
      #expect(calls.count == 1 + call)
    }
  }

  @Test func aTracedFunctionInsideChangesItsStateOnce() {
    let count = Variable(Tensor(0.0), name: "count")
    let inner = traced { (x: Tensor) -> Tensor in
      count.value = count.value + 1
      return x.exp() * count.value
    }
    _ = inner(Tensor([1.0]))
    _ = inner(Tensor([1.0]))
    let x = Tensor([0.0, 1.0], requiresGrad: true)
    checkpointed { (x: Tensor) in inner(x).tanh() }(x).sum().backward()
    #expect(count.value.item(Int.self) == 3)
    expectSame(x.grad!, grad { ($0.exp() * 3).tanh().sum() }(x.detached()))
  }

  // MARK: The graph

  @Test func theGraphIsTheOneWithoutIt() {
    let x = Tensor([1.0], requiresGrad: true)
    let y = checkpointed { (x: Tensor) in x.exp() * x }(x)
    #expect(y.gradFn?.description == "MulBackward")
    #expect(noGrad { checkpointed { x.exp() }() }.gradFn == nil)
    y.backward(retainGraph: true)
    let once = x.grad!
    y.backward()
    expectSame(x.grad!, once + once)
    #expect(message { y.backward() }?.contains("was run through before") == true)
  }

  @Test func longChainsAreReleasedWithoutBackward() {
    func chain(_ count: Int) -> Tensor {
      var y = Tensor([0.5], requiresGrad: true)
      for _ in 0..<count { y = checkpointed { (x: Tensor) in x * 0.5 + x.sin() }(y) }
      return y
    }
    #expect(chain(3000).requiresGrad)
    let y = chain(3000)
    y.backward(ones([1]))
    #expect(y.gradFn != nil)
  }

  @Test func onlyAPartOfTheResultsMayBeDifferentiated() {
    let x = Self.random([3], seed: 4)
    let parts = { (x: Tensor) in [x.exp() * x, x.tanh().square(), x + 1] }
    let expected = grad { parts($0)[1].sum() }(x)
    let leaf = x.requiringGrad()
    let y = checkpointed(parts)(leaf)
    y[1].sum().backward()
    expectSame(leaf.grad!, expected)
    expectSame(gradients(of: [y[0].sum()], by: [leaf])[0], grad { parts($0)[0].sum() }(x))
  }

  // MARK: Mistakes

  @Test func doingSomethingElseTheSecondTimeIsAnError() {
    final class Calls { var count = 0 }
    let x = Tensor([1.0], requiresGrad: true)
    func complaint(_ body: @escaping (Tensor, Int) -> Tensor) -> String? {
      let calls = Calls()
      let y = checkpointed { (x: Tensor) -> Tensor in
        calls.count += 1
        return body(x, calls.count)
      }(x)
      return message { y.sum().backward() }
    }
    let other = complaint { x, count in count == 1 ? x.exp() : x.tanh() }
    #expect(
      other?.contains(
        "checkpointed: the closure did something else when it was run again for the gradient: exp, which gave "
          + "float32[1], is now tanh and gives float32[1]") == true)
    let more = complaint { x, count in count == 1 ? x.exp() : x.exp().tanh() }
    #expect(
      more?.contains("2 operations keep something for their gradients instead of 1") == true)
  }

  // MARK: Memory

  /// A chain of layers that keeps three arrays of 256 KiB for each.
  private static func chain(_ x: Tensor, _ weights: [Tensor], _ wrap: Wrap) -> Tensor {
    weights.reduce(x) { x, w in wrap { x in matmul(x, w).tanh().sin().exp().tanh() }(x) }.sum()
  }

  @Test func aPlanTakesLessMemory() {
    let weights = (0..<16).map { Self.random([64, 64], seed: $0) * 0.1 }
    let x = Self.random([1024, 64], seed: 20)
    func arena(_ wrap: @escaping Wrap) -> (bytes: Int, gradients: [Tensor]) {
      let step = traced { (x: Tensor, w: [Tensor]) in
        let leaves = w.map { $0.requiringGrad() }
        return gradients(of: [Self.chain(x, leaves, wrap)], by: leaves)
      }
      let found = step(x, weights)
      expectSame(step(x, weights), found)
      return (step.plan(for: x, weights).arenaByteCount, found)
    }
    let kept = arena(Self.plain)
    let again = arena(Self.wrapped)
    // Four segments, each of which is computed again as a whole, and its layers once more.
    let nested = arena { layer in checkpointed { x in checkpointed(layer)(checkpointed(layer)(x)) }
    }
    let layer = 1024 * 64 * 4
    expectSame(again.gradients, kept.gradients)
    #expect(kept.bytes >= 45 * layer, "without: \(kept.bytes)")
    // One array between each two layers, and one layer's own.
    #expect(again.bytes <= (16 + 10) * layer, "with: \(again.bytes)")
    #expect(nested.bytes <= 2 * again.bytes)
  }

  @Test func captureDoesNotHideTheSecondRunFromTheCompiler() {
    // Everything is captured: arguments, constants and parameters are behind barriers all the same.
    let weight = Parameter(Self.random([64, 64], seed: 1) * 0.1)
    func arena(_ isCheckpointed: Bool) -> Int {
      let step = traced { (x: Tensor) in
        var y = x.requiringGrad()
        let leaf = y
        for _ in 0..<12 {
          let z = y
          let layer = { matmul(z, weight.value).tanh().sin().exp().tanh() }
          y = isCheckpointed ? checkpointed(layer)() : layer()
        }
        return gradients(of: [y.sum()], by: [leaf])
      }
      let x = Self.random([1024, 64], seed: 2)
      _ = step(x)
      return step.plan(for: x).arenaByteCount
    }
    #expect(2 * arena(true) < arena(false))
  }

  @Test func eagerlyLessIsLiveAtOnce() async {
    await #expect(processExitsWith: .success) {
      func peak(_ wrap: Wrap) -> (bytes: Int, gradients: [Tensor]) {
        let weights = (0..<16).map { (Self.random([64, 64], seed: $0) * 0.1).requiringGrad() }
        let x = Self.random([1024, 64], seed: 20)
        let before = Allocator.statistics.liveBytes
        Allocator.resetPeak()
        let loss = Self.chain(x, weights, wrap)
        let found = gradients(of: [loss], by: weights)
        return (Allocator.statistics.peakBytes - before, found)
      }
      let kept = peak(Self.plain)
      let again = peak(Self.wrapped)
      let layer = 1024 * 64 * 4
      expectSame(again.gradients, kept.gradients)
      #expect(kept.bytes >= 45 * layer, "without: \(kept.bytes)")
      #expect(again.bytes <= (16 + 10) * layer, "with: \(again.bytes)")

      // One around all of them, and one for every four: what is inside the outer one is computed again in parts.
      func nested(_ wrap: @escaping Wrap) -> Int {
        let weights = (0..<16).map { (Self.random([64, 64], seed: $0) * 0.1).requiringGrad() }
        let x = Self.random([1024, 64], seed: 20)
        let before = Allocator.statistics.liveBytes
        Allocator.resetPeak()
        var y = x
        for i in 0..<4 {
          y = wrap { y in
            weights[4 * i..<4 * i + 4].reduce(y) { y, w in
              checkpointed { matmul($0, w).tanh().sin().exp().tanh() }(y)
            }
          }(y)
        }
        expectSame(gradients(of: [y.sum()], by: weights), kept.gradients)
        return Allocator.statistics.peakBytes - before
      }
      // Four arrays between the outer ones, four between the inner ones, and one layer's own.
      #expect(nested(Self.wrapped) <= (4 + 4 + 10) * layer)
    }
  }
}
