import Duet
import DuetTestSupport
import DuetTracer
import Foundation
import Testing

/// Traced functions that come back without their closures.
@Suite struct SavingTests {
  @Test func everySignatureComesBackWithItsBits() throws {
    let w = Random.normal([3, 4], generator: Generator(seed: 1))
    let f = traced { (x: Tensor, y: Tensor) in (matmul(x, w).tanh() * y - 0.5).sum(axis: 0) }
    let calls = [
      (Random.normal([2, 3]), Random.normal([2, 4])), (Random.normal([5, 3]), ones([4])),
    ]
    for (x, y) in calls { _ = f(x, y) }
    let h = try reloaded(f)
    #expect(
      h.signatures == [
        "argument 0: float32[5, 3], argument 1: float32[4]",
        "argument 0: float32[2, 3], argument 1: float32[2, 4]",
      ])
    for (x, y) in calls {
      for call in 1...3 { expectSame(h([x, y], program: nil), [f(x, y)], "call \(call)") }
    }
    #expect(h.function.traceCount == 2, "later calls replay")
  }

  @Test func trainingGoesOnWhereTheFunctionWasSaved() throws {
    let model = Sequential {
      Linear(6, 8)
      Tanh()
      Linear(8, 3)
    }
    let optimizer = Adam(model.parameters, learningRate: 0.01)
    let step = traced { (x: Tensor, labels: Tensor) in
      optimizer.zeroGrad()
      let loss = crossEntropy(model(x), labels)
      loss.backward()
      optimizer.step()
      return loss
    }
    let x = Random.normal([10, 6])
    let labels = Random.randInt(0..<3, [10])
    for _ in 0..<3 { _ = step(x, labels) }
    let h = try reloaded(step)
    let before = model.parameters.map(\.value)
    var losses: [Tensor] = []
    for _ in 0..<5 { losses += h([x, labels], program: nil) }
    expectSame(model.parameters.map(\.value), before, "the saved function has state of its own")
    for (i, loss) in losses.enumerated() { expectSame(step(x, labels), loss, "step \(i)") }
    let state = Dictionary(h.state.map { ($0.name, $0.value) }) { first, _ in first }
    for (name, parameter) in model.parameters.named {
      expectSame(try #require(state[name] ?? nil), parameter.value, name)
    }
  }

  @Test func layersThatCanStillBeTrainedAreSavedToo() throws {
    let layer = Linear(4, 2)
    let f = traced { (x: Tensor) in layer(x) }
    let x = Random.normal([3, 4])
    let expected = f(x)
    let h = try reloaded(f)
    let y = h([x], program: nil)[0]
    expectSame(y, expected.detached())
    #expect(!y.requiresGrad)
    let leaf = x.requiringGrad()
    let error = #expect(throws: TensorError.self) { try checked { h([leaf], program: nil) } }
    #expect(error?.description.contains("a saved function gives none") == true)
    expectSame(noGrad { h([leaf], program: nil)[0] }, expected.detached())
  }

  @Test func pathsThatComputeOtherThingsAreToldApart() throws {
    let w = Parameter(Tensor([2.0]), name: "w")
    let f = traced { (x: Tensor, y: Tensor) -> Tensor in
      let (s, d) = (x + y, x - y)
      if (x.sum() .> 0).item() { return s }
      if (y.sum() .> 0).item() { return d * w.value.detached() }
      let first = Random.uniform([1], generator: Generator(seed: 1))
      return (s .> 10).item() ? d : s * 0 + first
    }
    let calls = [(1, 5), (-1, 5), (-1, -5), (2, 3)].map {
      (Tensor([Float($0)]), Tensor([Float($1)]))
    }
    for (x, y) in calls { _ = f(x, y) }
    let h = try reloaded(f)
    for _ in 0..<2 {
      for (x, y) in calls { expectSame(h([x, y], program: nil), [f(x, y)], "\(x), \(y)") }
    }
  }

  @Test func frozenParametersStayFrozen() throws {
    let (p, q) = (Parameter(Tensor([1.0]), name: "p"), Parameter(Tensor([1.0]), name: "q"))
    let optimizer = SGD([p, q], learningRate: 0.1)
    let step = traced { (x: Tensor) in
      optimizer.zeroGrad()
      let loss = (p.value * q.value * x - 2).square().sum()
      loss.backward()
      optimizer.step()
      return loss
    }
    let x = Tensor([1.0])
    for isFrozen in [false, true, false, true] {
      q.requiresGrad = !isFrozen
      for _ in 0..<3 { _ = step(x) }
      let h = try reloaded(step)
      for i in 0..<3 { expectSame(h([x], program: nil), [step(x)], "\(isFrozen), step \(i)") }
    }
  }

  @Test func staticValuesThatReadAlikeAreOthers() throws {
    struct Mode: Hashable, CustomStringConvertible {
      let factor: Int
      let description = "mode"
    }
    let f = traced { (x: Tensor, mode: Static<Mode>) in x * mode.value.factor }
    for factor in [2, 3] { _ = f(ones([1]), Static(Mode(factor: factor))) }
    let h = try reloaded(f)
    #expect(throws: TensorError.self) { try checked { h([ones([1])], program: nil) } }
    expectSame(h([ones([1])], program: 0), [full([1], 3.0)])
    expectSame(h([ones([1])], program: 1), [full([1], 2.0)])
  }

  @Test func callbacksAndMistakesOfSingleSizesAreNotLost() throws {
    let printing = traced { (x: Tensor) -> Tensor in
      if x.dim(0) == 1 { hostCallback(x) { _ in } }
      return x * 2
    }
    try printing.lower(TensorSpec([nil]))
    #expect(throws: TensorError.self) { try printing.archive() }
    let catching = traced { (x: Tensor) -> Tensor in
      (try? checked { x.reshaped([7, 7, 7]).sum() }) ?? x.sum() * 0
    }
    #expect(throws: TensorError.self) { try catching.lower(TensorSpec([nil])) }
    expectSame(catching(ones([343])), Tensor(343.0))
  }

  @Test func damagedFormsAreRefused() throws {
    let generator = Generator(seed: 1)
    let v = Variable(ones([2]), name: "v")
    let f = traced { (x: Tensor) -> Tensor in
      let y = x * v.value + Random.uniform([2], generator: generator)
      return (y.sum() .> 0).item() ? y : -y
    }
    _ = f(ones([2]))
    let archive = try f.archive()
    func load(_ change: (inout SavedForm) -> Void) throws {
      var form = archive.form
      change(&form)
      let h = try LoadedFunction(
        form, arrays: Dictionary(uniqueKeysWithValues: archive.arrays.map { ($0.name, $0.tensor) }))
      _ = try checked { h([ones([2])], program: nil) }
    }
    try load { _ in }
    #expect(throws: SavedFormError.self, "the generator of the process is no variable") {
      try load { form in
        let place = form.state.firstIndex { $0.name == "v" }!
        form.state[place].isGlobalGenerator = true
      }
    }
    #expect(throws: TensorError.self, "state that is read after it is used") {
      try load { form in
        for i in form.programs[0].paths[0].reads.indices {
          form.programs[0].paths[0].reads[i].after = 1
        }
      }
    }
    #expect(throws: SavedFormError.self) { try load { $0.programs[0].paths[0].values[0] = 1 } }
    #expect(throws: SavedFormError.self) { try load { $0.version = 2 } }
  }

  @Test func pathsThatValuesDecideComeBack() throws {
    let collatz = traced { (n: Tensor) in
      var n = n
      var steps = Tensor(0)
      while (n .> 1).item() {
        n = (n % 2 .== 0).item() ? n / 2 : 3 * n + 1
        steps = steps + 1
      }
      return steps
    }
    for n in [6, 1, 7, 3] { _ = collatz(Tensor(n)) }
    let h = try reloaded(collatz)
    for n in [7, 3, 1, 6] {
      for _ in 0..<2 {
        expectSame(h([Tensor(n)], program: nil), [collatz(Tensor(n))], "\(n)")
      }
    }
    let error = #expect(throws: TensorError.self) {
      try checked { h([Tensor(27)], program: nil) }
    }
    #expect(error?.description.contains("no call that was recorded") == true, "\(error!)")
  }

  @Test func unknownSizesStayUnknown() throws {
    let layer = Linear(5, 3)
    let f = traced { (x: Tensor) in
      noGrad { softmax(layer(x), axis: 1).mean(axis: 0) * Float(1) + x.sum() / Float(x.dim(0)) }
    }
    try f.lower(TensorSpec([nil, 5]))
    let h = try reloaded(f)
    #expect(h.signatures.contains("argument 0: float32[?, 5]"))
    for n in [1, 2, 7, 64, 300] {
      let x = Random.normal([n, 5])
      expectSame(h([x], program: nil), [f(x)], "\(n) rows")
    }
    #expect(f.traceCount == 1)
  }

  @Test func branchesAndLoopsComeBack() throws {
    let f = traced { (x: Tensor, n: Tensor) -> Tensor in
      let (_, power) = whileLoop(
        (Tensor(0), x), while: { (i: Tensor, _: Tensor) in i .< n },
        do: { (i: Tensor, acc: Tensor) in (i + 1, acc * 1.5 - 0.25) })
      let (total, parts) = scan(zeros([]), over: x) { (carry: Tensor, v: Tensor) in
        (carry + v * v, carry)
      }
      let isLarge = total .> 3.0
      return cond(isLarge, then: { power + parts }, else: { () -> Tensor in power - parts })
    }
    _ = f(Tensor([1.0, 2.0, 0.5]), Tensor(3))
    let h = try reloaded(f)
    for (x, n) in [([1.0, 2.0, 0.5], 3), ([0.1, 0.2, 0.3], 7), ([4.0, -2.0, 1.0], 0)] {
      let x = Tensor(x.map { Float($0) })
      expectSame(h([x, Tensor(n)], program: nil), [f(x, Tensor(n))], "\(n)")
    }
  }

  @Test func drawsGoOnWhereTheGeneratorWas() throws {
    let generator = Generator(seed: 5)
    let f = traced { (x: Tensor) in x + Random.normal([4], generator: generator) }
    let x = zeros([4])
    _ = f(x)
    _ = f(x)
    let h = try reloaded(f)
    let later = (0..<3).map { _ in h([x], program: nil)[0] }
    for (i, y) in later.enumerated() { expectSame(f(x), y, "draw \(i)") }
  }

  @Test func theModeDecidesWhichTraceRuns() throws {
    let model = Sequential {
      Linear(4, 4)
      Dropout(0.5, generator: Generator(seed: 3))
      BatchNorm1d(4)
    }
    let f = traced { (x: Tensor) in noGrad { model(x) } }
    let x = Random.normal([6, 4])
    _ = f(x)
    model.eval()
    let expected = f(x)
    let inUse = try reloaded(f)
    expectSame(inUse([x], program: nil), [expected])
    expectSame(inUse([x], program: nil), [expected])
    model.train()
    let inTraining = try reloaded(f)
    for i in 0..<3 { expectSame(inTraining([x], program: nil), [f(x)], "call \(i)") }
    let onlyInTraining = traced { (x: Tensor) in noGrad { model(x) } }
    _ = onlyInTraining(x)
    model.eval()
    let error = #expect(throws: TensorError.self) { try onlyInTraining.archive() }
    #expect(error?.description.contains("training holds nothing") == true, "\(error!)")
  }

  @Test func staticValuesAreChosenByTrace() throws {
    let f = traced { (x: Tensor, power: Static<Int>) in
      (0..<power.value).reduce(ones(like: x)) { y, _ in y * x }
    }
    let x = Tensor([2.0, 3.0])
    _ = f(x, Static(2))
    _ = f(x, Static(3))
    let h = try reloaded(f)
    let error = #expect(throws: TensorError.self) { try checked { h([x], program: nil) } }
    #expect(error?.description.contains("say which by trace: 0 or 1") == true, "\(error!)")
    expectSame(h([x], program: 0), [f(x, Static(3))])
    expectSame(h([x], program: 1), [f(x, Static(2))])
    #expect(throws: TensorError.self) { try checked { h([x], program: 2) } }
  }

  @Test func itRunsInEveryModeAsTheClosureDoes() throws {
    let w = Parameter(Tensor([1.0, -2.0, 3.0]), name: "w")
    let f = traced { (x: Tensor) in
      checkpointed { (x: Tensor) in (x * w.value).exp() }(x).sum()
    }
    let x = Tensor([0.5, 0.25, 1.0])
    let expected = f(x).detached()
    let h = try reloaded(f)
    expectSame(withTracingDisabled { h([x], program: nil) }, [expected])
    expectSame(withExecution(.deferred) { h([x], program: nil)[0] * 1 }, expected)
    let outer = traced { (x: Tensor) in h([x + 0], program: nil)[0] * 2 }
    expectSame(outer(x), expected * 2)
    expectSame(outer(x), expected * 2)
    let threads = 4
    let group = DispatchGroup()
    let failures = Lock(0)
    for _ in 0..<threads {
      DispatchQueue.global().async(group: group) {
        for _ in 0..<50 where Bits(h([x], program: nil)[0]) != Bits(expected) {
          failures.withLock { $0 += 1 }
        }
      }
    }
    group.wait()
    #expect(failures.withLock { $0 } == 0)
  }

  @Test func argumentsThatFitNoTraceAreMistakes() throws {
    let f = traced { (x: Tensor) in x * 2 }
    _ = f(ones([2]))
    let h = try reloaded(f)
    let error = #expect(throws: TensorError.self) { try checked { h([ones([3])], program: nil) } }
    #expect(
      error?.description.hasPrefix(
        "SavedFunction: takes (argument 0: float32[2]), not (float32[3])") == true, "\(error!)")
    #expect(throws: TensorError.self) { try checked { h([], program: nil)[0] + 1 } }
    expectSame(h([ones([2])], program: nil), [full([2], 2.0)], "mistakes leave it as it was")
  }

  @Test func whatNoFileCanHoldIsSaid() throws {
    let fresh = traced { (x: Tensor) in x }
    #expect(throws: TensorError.self) { try fresh.archive() }
    let printing = traced { (x: Tensor) in
      hostCallback(x) { _ in }
      return x + 1
    }
    _ = printing(ones([2]))
    let error = #expect(throws: TensorError.self) { try printing.archive() }
    #expect(error?.description.contains("calls Swift code") == true)
    let outside = traced { (x: Tensor) in
      (x * 2).sum().backward()
      return x.grad!
    }
    _ = outside(Tensor([1.0, 2.0], requiresGrad: true))
    #expect(throws: TensorError.self) { try outside.archive() }
  }
}

/// The function as another process gets it.
private func reloaded<R, F, each A>(_ function: TracedFunction<R, F, repeat each A>) throws
  -> LoadedFunction
{
  let archive = try function.archive()
  let encoder = JSONEncoder()
  let text = try encoder.encode(archive.form)
  return try LoadedFunction(
    try JSONDecoder().decode(SavedForm.self, from: text),
    arrays: Dictionary(uniqueKeysWithValues: archive.arrays.map { ($0.name, $0.tensor) }))
}
