import Duet
import DuetTestSupport
import Foundation
import Testing

/// What users of compiled functions complain about, and what happens here instead.
@Suite struct ComplaintTests {
  @Test func unexplainedRetracing() {
    let f = traced { (x: Tensor, mode: Static<String>) in mode.value == "sum" ? x.sum() : x.mean() }
    _ = f(ones([2, 3]), Static("sum"))
    _ = f(ones([4, 3]), Static("sum"))
    _ = f(ones([4, 3]), Static("mean"))
    _ = f(ones([4, 3], dtype: .float64), Static("mean"))
    let reasons = f.explain().traces.map(\.reason)
    #expect(reasons.count == 4)
    #expect(reasons[1] == "argument 0: shape [4, 3] instead of [2, 3]")
    #expect(reasons[2].contains("static values or structure: (mean) instead of (sum)"))
    #expect(reasons[3] == "argument 0: dtype float64 instead of float32")
    f.forbidRetracing = true
    let error = #expect(throws: TensorError.self) {
      try checked { f(ones([9, 3]), Static("sum")) }
    }
    #expect(error?.description.contains("argument 0: shape [9, 3] instead of") == true)
    #expect(f.traceCount == 4)
  }

  @Test func hostEffectsThatSilentlyRunOnce() {
    var losses: [Float] = []
    let f = traced { (x: Tensor) -> Tensor in
      let loss = (x * x).sum()
      hostCallback(loss) { losses.append($0.item()) }
      return loss
    }
    for i in 0..<5 { _ = f(Tensor([Float(i), 1])) }
    #expect(losses == [1, 2, 5, 10, 17])
    #expect(f.traceCount == 1)
  }

  @Test func staleCapturedValues() throws {
    // What is meant to change is captured by identity.
    let rate = Variable(Tensor(Float(1)), name: "rate")
    let f = traced { (x: Tensor) in x * rate.value }
    for i in 1...3 {
      rate.value = Tensor(Float(i))
      #expect(f(Tensor(Float(2))).item(Float.self) == Float(2 * i))
    }
    #expect(f.explain().traces[0].state.map(\.description) == ["rate float32[] (read)"])
    // A plain number is a constant: verification finds where it is stale.
    var scale: Float = 1
    let g = traced(verify: true) { (x: Tensor) in x * scale }
    for _ in 0..<2 { _ = g(Tensor(Float(2))) }
    scale = 3
    let error = #expect(throws: TensorError.self) { try checked { g(Tensor(Float(2))) } }
    #expect(error?.description.contains("captured at ComplaintTests.swift:") == true)
    // Large ones are named without being asked.
    let table = ones([600, 600])
    let h = traced { (x: Tensor) in x + table }
    _ = h(ones([600, 600]))
    let constant = h.explain().traces[0].largeConstants.first
    #expect(constant?.type.byteCount == 1_440_000)
    #expect(constant?.location?.file == "ComplaintTests.swift")
    #expect("\(h.explain())".contains("large constant: float32[600, 600], 1440000 bytes"))
  }

  @Test func controlFlowThatMustBeRewritten() {
    func power(_ x: Tensor, _ n: Tensor) -> Tensor {
      (n .== 0).item() ? ones(like: x) : x * power(x, n - 1)
    }
    func body(_ x: Tensor, _ n: Tensor) -> Tensor {
      if (n .< 0).item() { return zeros(like: x) }
      var y = power(x, n)
      while (y.sum() .> 100).item() { y = y / 2 }
      switch n.item(Int.self) {
      case 0: return y - 1
      case 1, 2: return y * 3
      default: return y
      }
    }
    let f = traced { (x: Tensor, n: Tensor) in body(x, n) }
    let x = Tensor([Float(1.5), 3])
    for _ in 0..<3 {
      for n in -1..<5 { expectSame(f(x, Tensor(n)), body(x, Tensor(n)), "\(n)") }
    }
    #expect(f.traceCount == 6)
  }

  @Test func variablesThatMayOnlyBeMadeOnTheFirstCall() {
    weak var cell: StateCell?
    let f = traced { (x: Tensor) -> Tensor in
      let v = Variable(x * 2, name: "local")
      cell = v.cell
      v.value = v.value + 1
      return v.value
    }
    for i in 0..<4 { #expect(f(Tensor(Float(i))).item(Float.self) == Float(2 * i + 1)) }
    #expect(f.traceCount == 1)
    #expect(cell == nil, "it is gone when the call is over")

    // One that is made when it is first needed is there on all later calls.
    func run(_ isTraced: Bool) -> ([Float], Int) {
      var total: Variable?
      let g = traced { (x: Tensor) -> Tensor in
        if total == nil { total = Variable(zeros([]), name: "total") }
        total!.value = total!.value + x
        return total!.value
      }
      let values = (0..<6).map { i -> Float in
        let x = Tensor(Float(i))
        return (isTraced ? g(x) : withTracingDisabled { g(x) }).item()
      }
      return (values, g.traceCount)
    }
    #expect(run(true).0 == run(false).0)
    #expect(run(true).1 == 2)

    // One that is made on every call and kept makes the function run as it is, and say so.
    var all: [Variable] = []
    let h = traced { (x: Tensor) -> Tensor in
      all.append(Variable(x, name: "another"))
      return all.reduce(zeros([])) { $0 + $1.value }
    }
    for i in 1...6 { #expect(h(Tensor(Float(1))).item(Int.self) == i) }
    #expect(
      h.explain().traces.last?.runsEagerlyBecause?.contains("a new another on every call") == true)
  }

  @Test func errorsFromDeepInside() {
    let w = Parameter(ones([3, 2]), name: "w")
    let f = traced { (x: Tensor, i: Tensor) -> Tensor in
      let h = matmul(x, w.value).tanh().detached()
      return take(h, i, axis: 0) * 2
    }
    func error(_ x: Tensor, _ i: Tensor) -> TensorError? {
      do {
        try checked { f(x, i) }
        return nil
      } catch {
        return error as? TensorError
      }
    }
    let recording = error(ones([4, 5]), Tensor([0]))
    #expect(recording?.operation == "matmul")
    #expect(recording?.location?.file == "ComplaintTests.swift")
    _ = f(ones([4, 3]), Tensor([0]))
    let replaying = error(ones([4, 3]), Tensor([4]))
    #expect(replaying?.operation == "take")
    #expect(replaying?.reason.contains("index 4 is out of range") == true)
    #expect(replaying?.location?.file == "ComplaintTests.swift")
    #expect(f.traceCount == 1)
  }

  @Test func cachesThatGrowWithoutEnd() {
    weak var first: Variable?
    let f: TracedFunction<Tensor, Never, Tensor, Static<Int>>
    do {
      let offsets = (0..<60).map { Variable(Tensor(Float($0)), name: "offset \($0)") }
      first = offsets[0]
      f = traced(maximumTraces: 4) { (x: Tensor, i: Static<Int>) in x + offsets[i.value].value }
      for i in 0..<60 { #expect(f(Tensor(Float(1)), Static(i)).item(Int.self) == i + 1) }
    }
    #expect(first != nil, "the closure holds it")
    #expect(f.explain().traces.count == 4)
    #expect(f.traceCount == 60)
    for i in 56..<60 { #expect(f(Tensor(Float(1)), Static(i)).item(Int.self) == i + 1) }
    #expect(f.traceCount == 60, "those used last are there")
  }

  @Test func tracesThatAreDroppedLetGoOfWhatTheyHeld() {
    final class Token {}
    weak var token: Token?
    let f = traced(maximumTraces: 2) { (x: Tensor, i: Static<Int>) -> Tensor in
      let own = Token()
      if i.value == 0 { token = own }
      hostCallback(x) { _ in withExtendedLifetime(own) {} }
      return x
    }
    _ = f(Tensor(1), Static(0))
    #expect(token != nil, "the trace makes the callback")
    for i in 1...3 { _ = f(Tensor(1), Static(i)) }
    #expect(token == nil)
  }

  @Test func effectsOutOfOrder() {
    func run(_ isTraced: Bool) -> [String] {
      var log: [String] = []
      let v = Variable(Tensor(Float(1)), name: "v")
      let random = Generator(seed: 9)
      let f = traced { (x: Tensor) -> Tensor in
        let first = Random.uniform(generator: random)
        hostCallback(first) { log.append("first \($0)") }
        let before = v.value
        v.value = before * x
        hostCallback(before, v.value) { log.append("\($0) then \($1)") }
        if (x .> 2).item() { v.value = v.value - 1 }
        let second = Random.uniform(generator: random)
        hostCallback(second, v.value) { log.append("second \($0), \($1)") }
        return first - second
      }
      for i in 0..<6 {
        let x = Tensor(Float(i))
        let y = isTraced ? f(x) : withTracingDisabled { f(x) }
        log.append("gave \(y)")
      }
      return log
    }
    #expect(run(true) == run(false))
  }

  @Test func resultsThatDifferFromEager() {
    func run(_ isTraced: Bool) -> [Bits] {
      let random = Generator(seed: 3)
      let model = Sequential {
        Linear(6, 8)
        GELU()
        Linear(8, 3)
      }
      for parameter in model.parameters {
        parameter.value = Random.normal(parameter.shape, generator: random)
      }
      let optimizer = Adam(model.parameters, learningRate: 0.05)
      let best = Variable(Tensor(Float.infinity), name: "best")
      let step = traced { (x: Tensor, labels: Tensor) -> Tensor in
        optimizer.zeroGrad()
        let loss = crossEntropy(model(x + Random.normal(x.shape, generator: random)), labels)
        loss.backward()
        optimizer.step()
        if (loss .< best.value).item() { best.value = loss.detached() }
        return softmax(model(x), axis: -1).detached() / (loss.detached() + 1)
      }
      var results: [Bits] = []
      for i in 0..<6 {
        let x = Random.normal([5, 6], generator: random)
        let labels = Tensor([0, 1, 2, i % 3, 1])
        results.append(Bits(isTraced ? step(x, labels) : withTracingDisabled { step(x, labels) }))
      }
      return results + model.parameters.map { Bits($0.value) } + [Bits(best.value)]
    }
    for (own, other) in zip(run(true), run(false)) { expectSame(own, other) }
  }

  @Test func compiledFunctionsThatAreUnsafeAcrossThreads() async {
    for _ in 0..<10 {
      let count = Variable(Tensor(0), name: "count")
      let runs = Lock(0)
      let f = traced { (x: Tensor) -> Tensor in
        runs.withLock { $0 += 1 }
        count.value = count.value + 1
        return (x .> 0).item() ? x * 2 : x - 1
      }
      // The first calls come from all tasks at once.
      await withTaskGroup(of: Bool.self) { group in
        for task in 0..<8 {
          group.addTask {
            (0..<50).allSatisfy { i in
              let x = (i + task) % 2 == 0 ? i + 1 : -i
              return f(Tensor(x)).item(Int.self) == (x > 0 ? x * 2 : x - 1)
            }
          }
        }
        for await isRight in group { #expect(isRight) }
      }
      #expect(count.value.item(Int.self) == 400)
      #expect(f.traceCount == 2, "one thread records each way, the others wait for it")
      #expect(runs.withLock { $0 } == 2)
    }
  }

  @Test func asyncCallers() async {
    let v = Variable(zeros([8]), name: "v")
    let f = traced { (x: Tensor) -> Tensor in
      v.value = v.value + x
      return x * 2
    }
    func call(_ i: Int) async -> Float {
      let y = f(full([8], Float(i)))
      await Task.yield()
      return y.sum().item()
    }
    async let a = call(1)
    async let b = call(2)
    let sum = await a + b
    #expect(sum == 48)
    expectSame(v.value, full([8], Float(3)))
  }

  @Test func tracedFunctionsInsideOfGradientsAndGradientsInside() {
    let square = traced { (x: Tensor) in (x * x * x).sum() }
    func slope(_ x: Tensor) -> Tensor {
      let leaf = x.requiringGrad()
      return gradients(of: [square(leaf)], by: [leaf])[0]
    }
    let f = traced { (x: Tensor) in slope(x) }
    for i in 1...3 {
      let x = Tensor([Float(i), 2])
      #expect(slope(x).asArray(Float.self) == [Float(3 * i * i), 12])
      expectSame(f(x), slope(x))
    }
    #expect(f.traceCount == 1)
    #expect(f.explain().traces[0].runsEagerlyBecause == nil)
  }
}
