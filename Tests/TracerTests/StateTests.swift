import Duet
import DuetTestSupport
import Testing

/// Variables, gradients, optimisers and random generators inside of traced functions.
@Suite struct StateTests {
  @Test func variablesAreUpdatedInProgramOrder() {
    let v = Variable(Tensor(1.0), name: "v")
    let f = traced { (x: Tensor) -> [Tensor] in
      let first = v.value
      v.value = first * 2 + x
      let second = v.value
      v.value = second * 10
      return [first, second, v.value]
    }
    var expected: Float = 1
    for call in 0..<4 {
      let x = Float(call)
      let results = f(Tensor(x)).map { $0.item(Float.self) }
      #expect(results == [expected, expected * 2 + x, (expected * 2 + x) * 10])
      expected = (expected * 2 + x) * 10
      #expect(v.value.item(Float.self) == expected)
    }
    #expect(f.traceCount == 1)
  }

  @Test func aVariableSetFromOutsideIsSeenByTheNextReplay() {
    let v = Variable(zeros([2]), name: "v")
    let f = traced { (x: Tensor) in x + v.value }
    for i in 0..<4 {
      v.value = full([2], Float(i))
      expectSame(f(ones([2])), full([2], Float(i + 1)))
    }
    #expect(f.traceCount == 1)
  }

  @Test func valuesReadBeforeAReplayKeepTheirElements() {
    let v = Variable(arange(1000).asType(.float32), name: "v")
    let f = traced { v.value = v.value * 2 + 1 }
    f()
    for _ in 0..<3 {
      let held = v.value
      let view = v.value[10..<20]
      let (before, part) = (Bits(held), Bits(view))
      f()
      expectSame(Bits(held), before, "the value")
      expectSame(Bits(view), part, "a view of the value")
      expectSame(v.value, held * 2 + 1, "the new value")
    }
  }

  @Test func viewsOfAVariableKeepTheirElementsThoughNobodyHoldsTheValue() {
    let v = Variable(arange(1000).asType(.float32), name: "v")
    let w = Parameter(arange(1000).asType(.float32), name: "w")
    let f = traced {
      v.value = v.value * 2 + 1
      noGrad { w.value = w.value * 2 + 1 }
    }
    f()
    for _ in 0..<3 {
      let views = [v.value[10..<20], v.value.reshaped(10, 100).T, w.value.detached()]
      let before = views.map(Bits.init)
      f()
      for (view, bits) in zip(views, before) { expectSame(Bits(view), bits) }
    }
    expectSame(v.value, w.value.detached())
  }

  @Test func resultsKeepTheirElementsWhenTheFunctionIsCalledAgain() {
    let v = Variable(zeros([500]), name: "v")
    let f = traced { (x: Tensor) in
      v.value = v.value + x
      return v.value
    }
    var results: [Tensor] = []
    for _ in 0..<4 { results.append(f(ones([500]))) }
    for (i, result) in results.enumerated() { expectSame(result, full([500], Float(i + 1))) }
  }

  @Test func aVariableReadAndReplacedByAnotherExchangesContents() {
    let a = Variable(Tensor([1.0, 2.0]), name: "a")
    let b = Variable(Tensor([3.0, 4.0]), name: "b")
    let swap = traced {
      let old = a.value
      a.value = b.value
      b.value = old
    }
    for i in 1...5 {
      swap()
      expectSame(a.value, i % 2 == 1 ? Tensor([3.0, 4.0]) : Tensor([1.0, 2.0]), "a, call \(i)")
      expectSame(b.value, i % 2 == 1 ? Tensor([1.0, 2.0]) : Tensor([3.0, 4.0]), "b, call \(i)")
    }
  }

  @Test func aVariableMayBecomeAnArgumentOrAConstant() {
    let v = Variable(zeros([2]), name: "v")
    let constant = Tensor([5.0, 6.0])
    let fromArgument = traced { (x: Tensor) in v.value = x }
    let fromConstant = traced { v.value = constant }
    for i in 0..<3 {
      let x = full([2], Float(i))
      fromArgument(x)
      expectSame(v.value, x)
      fromConstant()
      expectSame(v.value, constant)
    }
    let update = traced { v.value = v.value + 1 }
    for _ in 0..<3 { update() }
    expectSame(v.value, Tensor([8.0, 9.0]))
    expectSame(constant, Tensor([5.0, 6.0]), "the constant itself")
  }

  @Test func twoFunctionsShareAVariable() {
    let v = Variable(Tensor(1.0), name: "shared")
    let double = traced { v.value = v.value * 2 }
    let add = traced { (x: Tensor) in
      v.value = v.value + x
      return v.value
    }
    var expected: Float = 1
    for i in 0..<5 {
      double()
      expected = expected * 2 + Float(i)
      #expect(add(Tensor(Float(i))).item(Float.self) == expected)
    }
  }

  @Test func optimiserStepsReplay() {
    struct Run {
      let w = Parameter(Tensor([0.5, -0.25, 1.0]), name: "w")
      let optimizer: SGD
      init() { optimizer = SGD([w], learningRate: 0.1, momentum: 0.9) }
      func step(_ x: Tensor) -> Tensor {
        optimizer.zeroGrad()
        let loss = ((w.value * x).tanh() - 0.3).square().sum()
        loss.backward()
        optimizer.step()
        return loss.detached()
      }
    }
    let (eager, recorded) = (Run(), Run())
    let f = traced { (x: Tensor) in recorded.step(x) }
    for i in 0..<10 {
      let x = Tensor([1.0 + Double(i), 2.0, -1.5])
      expectSame(f(x), eager.step(x), "loss \(i)")
      expectSame(recorded.w.value, eager.w.value, "parameter \(i)")
      expectSame(recorded.w.grad!, eager.w.grad!, "gradient \(i)")
    }
    #expect(f.traceCount <= 2, "\(f.explain())")
    #expect(f.explain().traces.allSatisfy { $0.runsEagerlyBecause == nil })
  }

  @Test func gradientsLeftAloneAddUp() {
    let (a, b) = (Parameter(Tensor([1.0, 2.0])), Parameter(Tensor([1.0, 2.0])))
    let f = traced { (x: Tensor) in (a.value * x).sum().backward() }
    for i in 0..<4 {
      let x = Tensor([Double(i), 3.0])
      f(x)
      (b.value * x).sum().backward()
      expectSame(a.grad!, b.grad!, "after \(i + 1) calls")
    }
    a.grad = nil
    f(Tensor([1.0, 1.0]))
    expectSame(a.grad!, Tensor([1.0, 1.0]), "after forgetting the gradient")
  }

  @Test func theRandomStreamGoesOnAcrossReplays() {
    let (eager, recorded) = (Generator(seed: 3), Generator(seed: 3))
    let f = traced { (x: Tensor) in
      x + Random.normal([5], generator: recorded) * Random.uniform([5], generator: recorded)
    }
    for i in 0..<5 {
      let expected =
        ones([5]) + Random.normal([5], generator: eager) * Random.uniform([5], generator: eager)
      expectSame(f(ones([5])), expected, "call \(i)")
      expectSame(
        Random.normal([3], generator: recorded), Random.normal([3], generator: eager),
        "a draw between calls")
    }
    recorded.seed(9)
    eager.seed(9)
    _ = (Random.normal([5], generator: eager), Random.uniform([5], generator: eager))
    _ = f(ones([5]))
    expectSame(Random.normal([4], generator: recorded), Random.normal([4], generator: eager))
  }

  @Test func aResultThatCanBeDifferentiatedOutsideIsNotCutOff() {
    let w = Parameter(Tensor([2.0, 3.0]), name: "w")
    let f = traced { (x: Tensor) in (w.value * x).sum() }
    for i in 1...3 {
      w.grad = nil
      f(full([2], Float(i))).backward()
      expectSame(w.grad!, full([2], Float(i)), "call \(i)")
    }
    #expect(f.explain().traces[0].runsEagerlyBecause != nil)
  }

  @Test func argumentsThatRequireGradientsGetThem() {
    let f = traced { (x: Tensor) in (x * x).sum() }
    for i in 1...3 {
      let x = Tensor([Double(i)], requiresGrad: true)
      f(x).backward()
      expectSame(x.grad!, Tensor([2.0 * Double(i)]), "call \(i)")
    }
  }

  @Test func gradientsGoToTheArgumentsOfTheCall() {
    let f = traced { (x: Tensor) in
      let loss = (x * x).sum()
      loss.backward()
      return loss
    }
    let leaves = (1...20).map { Tensor([Float($0)], requiresGrad: true) }
    for _ in 0..<2 { for leaf in leaves { _ = f(leaf) } }
    for (i, leaf) in leaves.enumerated() {
      #expect(leaf.grad?.asArray(Float.self) == [Float(4 * (i + 1))])
    }
    #expect(f.traceCount < leaves.count)
  }

  @Test func gradientsGoThroughArgumentsThatWereComputed() {
    let f = traced { (x: Tensor) in (x * x).sum().backward() }
    for i in 1...4 {
      let leaf = Tensor([Float(i)], requiresGrad: true)
      f(leaf * 3)
      #expect(leaf.grad?.asArray(Float.self) == [Float(18 * i)])
    }
  }

  @Test func gradientsGoThroughTheOperationsOfEachCallsArgumentThoughTheyAreKept() {
    let f = traced { (x: Tensor) in (x * x).sum().backward(retainGraph: true) }
    for i in 1...4 {
      let leaf = Tensor([Float(i)], requiresGrad: true)
      f(leaf * 3)
      #expect(leaf.grad?.asArray(Float.self) == [Float(18 * i)])
    }
  }

  @Test func gradientsGoThroughCapturedTensorsThatWereComputed() throws {
    let leaf = Tensor([2.0], requiresGrad: true)
    let captured = leaf * leaf
    let keeping = traced { (x: Tensor) in (captured * x).sum().backward(retainGraph: true) }
    for i in 1...4 {
      leaf.grad = nil
      keeping(full([1], Float(i)))
      #expect(leaf.grad?.asArray(Float.self) == [Float(4 * i)])
    }
    // The graph of a type has no gradients to give, and uses nothing up.
    let f = traced { (x: Tensor) in (captured * x).sum().backward() }
    try f.lower(TensorSpec([1]))
    leaf.grad = nil
    f(full([1], 5))
    #expect(leaf.grad?.asArray(Float.self) == [20])
    // As without tracing: the first call has let go of what the captured tensor was made of.
    #expect(throws: TensorError.self) { try checked { f(full([1], 5)) } }
    #expect(leaf.grad?.asArray(Float.self) == [20])
    #expect(f.explain().description.contains("captured"))
  }

  @Test func aTraceFromTypesLeavesNoGradientsBehind() {
    let f = traced { (x: Tensor) in (x * x).sum().backward() }
    let leaf = Tensor([3.0], requiresGrad: true)
    _ = f.graph(for: leaf)
    f(leaf)
    #expect(leaf.grad?.asArray(Float.self) == [6])
    #expect(throws: TensorError.self) { try f.lower(TensorSpec([1]), TensorSpec([1])) }
    #expect(throws: TensorError.self) { try f.lower() }
    #expect(throws: TensorError.self) { try checked { TensorSpec([-1]) } }
  }
}
