import Duet
import DuetEager
import DuetTestSupport
import Synchronization
import Testing

/// What traced closures make themselves: leaves with gradients, variables, layers, optimisers, generators. It begins
/// anew on every call, as without `traced`, unless somebody keeps it.
@Suite struct OwnStateTests {
  /// A closure that makes something.
  struct Program: Sendable, CustomTestStringConvertible {
    let name: String
    /// In how many ways calls go through it.
    var paths = 1
    let body: @Sendable (Tensor) -> [Tensor]

    var testDescription: String { name }
  }

  static let programs: [Program] = [
    Program(name: "a leaf") { x in
      let leaf = x.detached().requiringGrad()
      (leaf * leaf).sum().backward()
      return [leaf.grad!]
    },
    Program(name: "a leaf whose loss is a result") { x in
      let leaf = x.detached().requiringGrad()
      let loss = (leaf * leaf).sum()
      loss.backward()
      return [loss, leaf.grad!, leaf.detached()]
    },
    Program(name: "a leaf of constants") { x in
      let leaf = Tensor([1.0, 2.0, 3.0], requiresGrad: true)
      (leaf * x).exp().sum().backward()
      return [leaf.grad!]
    },
    Program(name: "a leaf that is shown") { x in
      let leaf = x.detached().requiringGrad()
      hostCallback(leaf, leaf.square()) { _, _ in }
      (leaf * leaf).sum().backward()
      return [leaf.grad!]
    },
    Program(name: "gradients that add up") { x in
      let leaf = x.detached().requiringGrad()
      for _ in 0..<3 { (leaf * leaf).sum().backward() }
      let loss = leaf.exp().sum()
      loss.backward(retainGraph: true)
      loss.backward()
      return [leaf.grad!]
    },
    Program(name: "a gradient that is forgotten, and one that is set") { x in
      let (one, other) = (x.detached().requiringGrad(), x.detached().requiringGrad())
      other.grad = ones(like: x)
      (one * other).sum().backward()
      let before = one.grad!
      one.grad = nil
      return [before, other.grad!, one.grad ?? zeros(like: x)]
    },
    Program(name: "two ways", paths: 2) { x in
      let leaf = x.detached().requiringGrad()
      (leaf * leaf).sum().backward()
      if (x.sum() .> 0).item() { (leaf * 3).sum().backward() }
      return [leaf.grad!]
    },
    Program(name: "a leaf on one of two ways", paths: 2) { x in
      guard (x.sum() .> 0).item() else { return [x] }
      let leaf = x.detached().requiringGrad()
      (leaf * leaf).sum().backward()
      return [leaf.grad!]
    },
    Program(name: "a gradient that is looked at", paths: 2) { x in
      let leaf = x.detached().requiringGrad()
      leaf.square().sum().backward()
      return [(leaf.grad!.sum() .> 0).item() ? leaf.grad! : -leaf.grad!]
    },
    Program(name: "the gradient of a result in between") { x in
      let leaf = x.detached().requiringGrad()
      let middle = leaf * 2
      middle.retainGrad()
      let loss = middle.square().sum()
      loss.backward()
      return [loss, middle.grad!, leaf.grad!]
    },
    Program(name: "a gradient of a gradient") { x in
      let leaf = x.detached().requiringGrad()
      leaf.square().exp().sum().backward(createGraph: true)
      let first = leaf.grad!
      leaf.grad = nil
      first.square().sum().backward()
      return [first.detached(), leaf.grad!]
    },
    Program(name: "nested traced functions") { x in
      let inner = traced { (x: Tensor) -> Tensor in
        let leaf = x.detached().requiringGrad()
        (leaf * leaf).sum().backward()
        return leaf.grad!
      }
      let leaf = x.detached().requiringGrad()
      (leaf * inner(leaf)).sum().backward()
      return [inner(leaf.grad!)]
    },
    Program(name: "a leaf around a branch of the graph") { x in
      let leaf = x.detached().requiringGrad()
      cond(x.sum() .> 0, then: { leaf * leaf }, else: { leaf.exp() }).sum().backward()
      return [leaf.grad!]
    },
    Program(name: "a leaf inside of a function that is differentiated") { x in
      let f = { (x: Tensor) -> Tensor in
        let leaf = x.detached().requiringGrad()
        (leaf * leaf).sum().backward()
        return (x * leaf.grad!).sum()
      }
      return [grad(f)(x)]
    },
    Program(name: "a variable") { x in
      let v = Variable(x * 2, name: "local")
      v.value = v.value + 1
      return [v.value]
    },
    Program(name: "a parameter that is trained") { x in
      let w = Parameter(Tensor([1.0, 2.0, 3.0]))
      let optimizer = SGD([w], learningRate: 0.1, momentum: 0.9)
      for _ in 0..<3 {
        optimizer.zeroGrad()
        (w.value * x).square().sum().backward()
        optimizer.step()
      }
      return [w.value.detached()]
    },
    Program(name: "a generator") { x in
      let generator = Generator(seed: 5)
      let first = Random.normal([3], generator: generator)
      return [x * first, Random.uniform([3], generator: generator)]
    },
    Program(name: "a layer") { x in
      let layer = LayerNorm(3)
      let loss = (layer(x) * x).square().sum()
      loss.backward()
      return [loss] + layer.parameters.map { $0.grad! }
    },
    Program(name: "a layer that is taken out of training") { x in
      let layer = Dropout(0.5)
      layer.eval()
      return [layer(x)]
    },
  ]

  private func inputs(_ count: Int) -> [Tensor] {
    (0..<count).map { Tensor([0.5, -1.5, 1.25]) * (Double($0 + 1) * ($0 % 2 == 0 ? 1 : -1)) }
  }

  @Test("beginning anew on every call", arguments: programs)
  func everyCallBeginsAnew(_ program: Program) {
    let f = traced(program.body)
    for (i, x) in inputs(6).enumerated() {
      expectSame(f(x), program.body(x), "call \(i)")
    }
    #expect(f.traceCount == program.paths, "\(f.explain())")
    #expect(f.explain().traces.allSatisfy { $0.runsEagerlyBecause == nil }, "\(f.explain())")
    #expect(f.explain().traces.allSatisfy { $0.state.isEmpty }, "\(f.explain())")
  }

  @Test("with the closure run beside every call", arguments: programs)
  func verifiedCallsAgree(_ program: Program) throws {
    let f = traced(verify: true, program.body)
    for (i, x) in inputs(6).enumerated() {
      expectSame(try checked { f(x) }, program.body(x), "call \(i)")
    }
    #expect(f.traceCount == program.paths, "\(f.explain())")
  }

  @Test("from several threads at once", arguments: programs)
  func threadsDoNotMeet(_ program: Program) {
    let f = traced(program.body)
    let expected = inputs(6).map { program.body($0).map(Bits.init) }
    let wrong = Lock<[String]>([])
    onThreads(4) { thread in
      for round in 0..<20 {
        for (i, x) in inputs(6).enumerated() {
          for (result, bits) in zip(f(x), expected[i]) {
            if let difference = Bits(result).difference(from: bits) {
              wrong.withLock {
                $0.append("thread \(thread), round \(round), call \(i): \(difference)")
              }
            }
          }
        }
      }
    }
    #expect(wrong.withLock { $0 } == [])
    #expect(f.traceCount == program.paths, "\(f.explain())")
  }

  @Test("in deferred mode", arguments: programs)
  func deferredModeAgrees(_ program: Program) {
    let f = traced(program.body)
    for (i, x) in inputs(3).enumerated() {
      expectSame(withExecution(.deferred) { f(x) }, program.body(x), "call \(i)")
    }
  }

  @Test func layersMayDrawTheirWeights() {
    let body = { (x: Tensor) -> [Tensor] in
      let layer = Linear(3, 2)
      for parameter in layer.parameters {
        noGrad { parameter.value = ones(like: parameter.value) * 0.5 }
      }
      let loss = layer(x.reshaped(1, 3)).square().sum()
      loss.backward()
      return [loss] + layer.parameters.map { $0.grad! }
    }
    let f = traced(body)
    for (i, x) in inputs(6).enumerated() { expectSame(f(x), body(x), "call \(i)") }
    #expect(f.traceCount == 1, "\(f.explain())")
  }

  @Test func functionsLoweredForUnknownSizesBeginAnew() throws {
    let body = { (x: Tensor) -> Tensor in
      let leaf = x.detached().requiringGrad()
      let loss = (leaf * leaf.exp()).sum()
      loss.backward()
      return leaf.grad! * loss.detached()
    }
    let f = traced(body)
    try f.lower(TensorSpec([nil]))
    for size in [2, 17, 5, 17, 2] {
      let x = arange(size).asType(.float32) * 0.1
      expectSame(f(x), body(x), "\(size) numbers")
    }
    #expect(f.traceCount == 1)
    let g = traced(body)
    try g.lower(TensorSpec([4]))
    for i in 0..<3 { expectSame(g(full([4], Float(i))), body(full([4], Float(i)))) }
    #expect(g.traceCount == 1)
  }

  @Test func aGraphFromTypesLeavesOutWhatNobodyAsksFor() {
    let f = traced { (x: Tensor) -> Tensor in
      let leaf = x.detached().requiringGrad()
      (leaf * leaf).sum().backward()
      return leaf.detached() + 1
    }
    let graph = f.graph(for: ones([3]))
    #expect(graph.optimised.outputs.count == 1)
    #expect(graph.description.contains("add"))
    #expect(!graph.description.contains("multiply"))
  }

  @Test func whatACallLeavesBehindDiesWithIt() {
    weak var cell: StateCell?
    let f = traced { (x: Tensor) -> Tensor in
      let leaf = x.detached().requiringGrad()
      cell = leaf.body.autograd!.gradientCell
      let loss = (leaf * leaf).sum()
      loss.backward()
      return loss
    }
    for i in 0..<3 { f(full([100], Float(i))) }
    #expect(cell == nil)
    let g = traced { (x: Tensor) -> Tensor in
      let v = Variable(x)
      cell = v.cell
      return v.value
    }
    for i in 0..<3 { g(full([100], Float(i))) }
    #expect(cell == nil)
  }

  // MARK: What is kept

  /// The results of a program with a memory of its own, called several times, traced and not.
  private func expectSameMemory(
    _ what: String, _ calls: Int = 6, _ make: () -> (Tensor) -> [Tensor]
  ) -> TracedFunction<[Tensor], Never, Tensor> {
    let (eager, body) = (make(), make())
    let f = traced(body)
    for (i, x) in inputs(calls).enumerated() { expectSame(f(x), eager(x), "\(what), call \(i)") }
    return f
  }

  @Test func aLeafMadeOnTheFirstCallAndKeptCollectsGradients() {
    let f = expectSameMemory("kept") {
      var kept: Tensor?
      return { x in
        kept = kept ?? ones([3]).requiringGrad()
        (kept! * x).sum().backward()
        return [kept!.grad!.detached()]
      }
    }
    #expect(f.traceCount == 2, "\(f.explain())")
    #expect(f.explain().traces.allSatisfy { $0.runsEagerlyBecause == nil })
  }

  @Test func aLeafKeptOnEveryCallHasThatCallsGradient() {
    var kept: [Tensor] = []
    let f = traced { (x: Tensor) -> Tensor in
      let leaf = x.detached().requiringGrad()
      kept.append(leaf)
      let loss = leaf.square().sum()
      loss.backward()
      return loss.detached()
    }
    for x in inputs(6) {
      f(x)
      expectSame(kept.last!.grad!, x * 2)
    }
    #expect(kept.count == 6)
    #expect(f.explain().traces.last!.runsEagerlyBecause!.contains("gradient"))
    #expect(f.traceCount == 3)
  }

  @Test func aTensorMadeOfALeafKeepsIt() {
    let f = expectSameMemory("a loss that is kept") {
      var first: (leaf: Tensor, loss: Tensor)?
      return { x in
        let leaf = x.detached().requiringGrad()
        leaf.square().sum().backward()
        first = first ?? (leaf, (leaf * 3).sum())
        first!.loss.backward(retainGraph: true)
        return [leaf.grad!, first!.leaf.grad!]
      }
    }
    #expect(f.explain().traces.last!.runsEagerlyBecause != nil)
  }

  @Test func aLeafThatIsLeftInStateIsKept() {
    _ = expectSameMemory("state") {
      let holder = Tensor([1.0, 1.0, 1.0], requiresGrad: true)
      return { x in
        let leaf = x.detached().requiringGrad()
        leaf.square().sum().backward()
        let before = holder.grad?.grad ?? zeros(like: x)
        holder.grad = leaf
        return [leaf.grad!, before]
      }
    }
  }

  @Test func aLeafThatIsReturnedHasItsGradient() {
    let f = traced { (x: Tensor) -> (Tensor, Tensor) in
      let leaf = x.detached().requiringGrad()
      leaf.square().sum().backward()
      return (leaf, leaf * 3)
    }
    var before: [Tensor] = []
    for (i, x) in inputs(5).enumerated() {
      let (leaf, product) = f(x)
      expectSame(leaf.grad!, x * 2, "call \(i)")
      product.sum().backward()
      expectSame(leaf.grad!, x * 2 + 3, "call \(i), added outside")
      before.append(leaf)
    }
    for (x, leaf) in zip(inputs(5), before) { expectSame(leaf.grad!, x * 2 + 3, "later") }
    #expect(f.traceCount == 1)
  }

  @Test func aLeafKeptWhileAFunctionIsLoweredIsTold() {
    var kept: Tensor?
    let f = traced { (x: Tensor) -> Tensor in
      kept = kept ?? ones([3]).requiringGrad()
      (kept! * x).sum().backward()
      return kept!.grad!
    }
    #expect {
      try f.lower(TensorSpec([3]))
    } throws: {
      "\($0)".contains("the function made gradient, which lives on")
    }
  }

  // MARK: Calls that fail

  @Test func aCallThatFailsLeavesNothing() throws {
    let f = traced { (x: Tensor, index: Tensor) -> Tensor in
      let leaf = x.detached().requiringGrad()
      leaf.take(index, axis: 0).square().sum().backward()
      return leaf.grad!
    }
    let x = Tensor([1.0, 2.0, 3.0])
    for index in [0, 2, 7, 1, 9, 0] {
      let result = try? checked { f(x, Tensor([index])) }
      if index > 2 {
        #expect(result == nil)
      } else {
        expectSame(result!, which(arange(3) .== Tensor(index), x * 2, Tensor(Float(0))))
      }
    }
    #expect(f.traceCount == 1)
  }

  @Test func aCallThatThrowsLeavesNothing() throws {
    struct Negative: Error {}
    let f = traced { (x: Tensor) throws(Negative) -> Tensor in
      let leaf = x.detached().requiringGrad()
      leaf.square().sum().backward()
      if (x.sum() .< 0).item() { throw Negative() }
      (leaf * 3).sum().backward()
      return leaf.grad!
    }
    for x in inputs(6) {
      if x.sum().item(Float.self) < 0 {
        #expect(throws: Negative.self) { try f(x) }
      } else {
        expectSame(try f(x), x * 2 + 3)
      }
    }
    #expect(f.traceCount == 1)
  }

  // MARK: Sessions

  @Test func updatesMayMakeLeaves() throws {
    let x = placeholder(.float32, shape: [2], name: "x")
    let v = Variable(zeros([2]), name: "v")
    let change = updates {
      let leaf = x.detached().requiringGrad()
      (leaf * leaf).sum().backward()
      v.value = v.value + leaf.grad!
    }
    let session = Session()
    var expected = zeros([2])
    for i in 1...4 {
      let input = Tensor([Float(i), -1])
      try session.run(change, feeding: [x: input])
      expected = expected + input * 2
      expectSame(v.value, expected, "run \(i)")
    }
  }
}
