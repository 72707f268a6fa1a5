import Duet
import DuetTestSupport
import Testing

/// Closures that look at values: Swift's own control flow in traced functions.
@Suite struct GuardTests {
  private static func collatz(_ start: Tensor) -> Tensor {
    var n = start
    var steps = Tensor(0)
    while (n .> 1).item() {
      n = (n % 2 .== 0).item() ? n / 2 : 3 * n + 1
      steps = steps + 1
    }
    return steps
  }

  @Test func loopsAndBranchesGoAsTheValuesTell() {
    let f = traced { (n: Tensor) in Self.collatz(n) }
    for _ in 0..<3 {
      for n in [6, 7, 3, 1, 6, 12, 9] {
        #expect(f(Tensor(n)).item(Int.self) == Self.collatz(Tensor(n)).item(Int.self), "\(n)")
      }
    }
    // One recording for each start: what they have in common is recorded, but compiled once.
    #expect(f.traceCount == 6)
  }

  @Test func aStepThatKeepsTheBestLossFollowsBothWays() {
    let best = Variable(Tensor(Float.infinity), name: "best")
    let count = Variable(Tensor(0), name: "count")
    let f = traced { (loss: Tensor) -> Tensor in
      count.value = count.value + 1
      if (loss .< best.value).item() {
        best.value = loss
        return loss * 2
      }
      return best.value
    }
    var least = Float.infinity
    let losses: [Float] = [5, 7, 3, 4, 4, 2, 9, 1, 0.5, 8]
    for (i, loss) in losses.enumerated() {
      let expected = loss < least ? loss * 2 : least
      least = min(least, loss)
      #expect(f(Tensor(loss)).item(Float.self) == expected)
      #expect(best.value.item(Float.self) == least)
      // A way that was not known yet has left nothing behind before it was recorded.
      #expect(count.value.item(Int.self) == i + 1)
    }
    #expect(f.traceCount == 2)
    let guards = f.explain().traces[0].guards
    #expect(guards.count == 1)
    #expect(guards[0].operation == "item")
    #expect(guards[0].location?.file == "GuardTests.swift")
    #expect(guards[0].outcomes.map(\.count).reduce(0, +) == losses.count)
  }

  @Test func gradientsAreClippedOnlyWhereTheirNormExceedsABound() {
    func run(_ isTraced: Bool) -> [Float] {
      let random = Generator(seed: 3)
      let model = Linear(8, 4)
      for parameter in model.parameters {
        parameter.value = Random.normal(parameter.value.shape, generator: random)
      }
      let optimizer = SGD(model.parameters, learningRate: 0.5, momentum: 0.9)
      let step = traced { (x: Tensor, y: Tensor) -> Tensor in
        optimizer.zeroGrad()
        let loss = mseLoss(model(x), y)
        loss.backward()
        let gradients = model.parameters.map { $0.grad! }
        let norm = gradients.map { $0.square().sum() }.reduce(Tensor(Float(0)), +).sqrt()
        if (norm .> 0.7).item() {
          for parameter in model.parameters { parameter.grad = parameter.grad! * (0.7 / norm) }
        }
        optimizer.step()
        return loss
      }
      var losses: [Float] = []
      for i in 0..<12 {
        let x = Random.normal([16, 8], generator: random) * Float(i % 3)
        let y = Random.normal([16, 4], generator: random)
        let loss = isTraced ? step(x, y) : withTracingDisabled { step(x, y) }
        losses.append(loss.item())
      }
      if isTraced { #expect(step.traceCount == 2) }
      return losses + model.parameters.flatMap { $0.value.asArray(Float.self) }
    }
    #expect(run(true) == run(false))
  }

  @Test func randomNumbersAreDrawnOncePerCall() {
    func run(_ isTraced: Bool) -> [Float] {
      let random = Generator(seed: 11)
      let f = traced { () -> Tensor in
        let coin = Random.uniform([], generator: random)
        return (coin .< 0.5).item()
          ? Random.normal([3], generator: random) : Random.uniform([3], generator: random)
      }
      return (0..<20).flatMap { _ in
        (isTraced ? f() : withTracingDisabled { f() }).asArray(Float.self)
      }
    }
    #expect(run(true) == run(false))
  }

  @Test func integersAndArraysCanBeSwitchedOver() {
    let f = traced { (kind: Tensor, x: Tensor) -> Tensor in
      switch kind.item(Int.self) {
      case 0: return x + 1
      case 1: return x * x
      default: return x.asArray(Float.self).contains(0) ? zeros(like: x) : 1 / x
      }
    }
    let inputs = [Tensor([Float(1), 2]), Tensor([Float(0), 4])]
    for _ in 0..<3 {
      for kind in 0..<3 {
        for x in inputs {
          let expected = withTracingDisabled { f(Tensor(kind), x) }
          expectSame(f(Tensor(kind), x), expected)
        }
      }
    }
  }

  @Test func resultsMayHaveAnotherFormOnEveryPath() {
    let f = traced { (x: Tensor) -> Tensor? in (x.sum() .> 0).item() ? x * 2 : nil }
    for _ in 0..<3 {
      #expect(f(Tensor(Float(2)))?.item(Float.self) == 4)
      #expect(f(Tensor(Float(-2))) == nil)
    }
    #expect(f.traceCount == 2)
  }

  @Test func aResultMayBeAnArgumentOrAVariablesContent() {
    let v = Variable(Tensor([Float(1), 2]), name: "v")
    let f = traced { (x: Tensor) -> [Tensor] in
      let before = v.value
      if (x.sum() .> 0).item() { v.value = x }
      return [x, before, v.value, Tensor(Float(7))]
    }
    for sign in [Float(1), -1, 2, -2, 3] {
      let x = Tensor([sign, sign])
      let before = v.value.asArray(Float.self)
      let results = f(x).map { $0.asArray(Float.self) }
      let after = sign > 0 ? [sign, sign] : before
      #expect(results == [[sign, sign], before, after, [7]])
      #expect(v.value.asArray(Float.self) == after)
    }
  }

  @Test func aValueThatKeepsChangingMakesTheFunctionRunEagerly() {
    let total = Variable(Tensor(Float(0)), name: "total")
    let f = traced { (x: Tensor) -> Tensor in
      total.value = total.value + x
      _ = total.value.item(Float.self)
      return x * 2
    }
    for i in 0..<40 {
      #expect(f(Tensor(Float(i))).item(Float.self) == Float(2 * i))
    }
    #expect(total.value.item(Float.self) == Float((0..<40).reduce(0, +)))
    #expect(f.traceCount < 16)
    let reason = f.explain().traces[0].runsEagerlyBecause ?? ""
    #expect(reason.contains("GuardTests.swift:") && reason.contains("keeps changing"), "\(reason)")
  }

  @Test func whatDependsOnSomethingElseIsRunEagerlyInTheEnd() {
    var turn = 0
    let f = traced { (x: Tensor) -> Tensor in
      turn += 1
      let y = x + Float(turn)
      return (x .> 0).item() ? y : -y
    }
    // Only another value of x makes the closure run again, and show that it adds something else now.
    for i in 0..<12 { _ = f(Tensor(Float(i % 2 == 0 ? i + 1 : -i))) }
    let before = turn
    for i in 0..<4 { _ = f(Tensor(Float(i + 1))) }
    let entry = f.explain().traces[0]
    #expect(entry.runsEagerlyBecause != nil || turn == before)
  }

  @Test func manyThreadsTakeEveryWayAndLoseNothing() async {
    let ups = Variable(Tensor(0), name: "ups")
    let downs = Variable(Tensor(0), name: "downs")
    let f = traced { (x: Tensor) -> Tensor in
      if (x .> 0).item() {
        ups.value = ups.value + 1
        return x * 2
      }
      downs.value = downs.value + 1
      return x - 1
    }
    _ = (f(Tensor(Float(1))), f(Tensor(Float(-1))))
    await withTaskGroup(of: Bool.self) { group in
      for task in 0..<4 {
        group.addTask {
          (0..<500).allSatisfy { i in
            let x = Float((i + task) % 2 == 0 ? i + 1 : -i - 1)
            return f(Tensor(x)).item(Float.self) == (x > 0 ? x * 2 : x - 1)
          }
        }
      }
      for await isRight in group { #expect(isRight) }
    }
    #expect(ups.value.item(Int.self) == 1001)
    #expect(downs.value.item(Int.self) == 1001)
  }

  @Test func aMistakeOnTheFirstCallLeavesNoState() throws {
    let v = Variable(Tensor(Float(1)), name: "v")
    let f = traced { (x: Tensor) -> Tensor in
      v.value = v.value + 1
      let y = matmul(x, x)
      v.value = v.value + 1
      return y
    }
    #expect(throws: TensorError.self) { try checked { f(zeros([2, 3])) } }
    #expect(v.value.item(Float.self) == 1)
    _ = f(zeros([3, 3]))
    #expect(v.value.item(Float.self) == 3)
  }

  @Test func anErrorBehindAGuardLeavesNoState() throws {
    let v = Variable(Tensor(Float(1)), name: "v")
    let f = traced { (x: Tensor, i: Tensor) -> Tensor in
      v.value = v.value + 1
      if (x.sum() .> 0).item() { return take(x, i, axis: 0) }
      return x
    }
    let x = ones([3])
    for _ in 0..<2 { _ = f(x, Tensor([0, 1])) }
    #expect(v.value.item(Float.self) == 3)
    #expect(throws: TensorError.self) { try checked { f(x, Tensor([0, 5])) } }
    #expect(v.value.item(Float.self) == 3)
  }

  @Test func loweringFromTypesCannotLookAtValues() {
    let f = traced { (x: Tensor) in (x.sum() .> 0).item() ? x : -x }
    let error = #expect(throws: TensorError.self) { try f.lower(TensorSpec([2], .float32)) }
    #expect(error?.reason.contains("traced from types alone") == true)
  }

  @Test func graphAndPlanShowThePathRecordedLast() {
    let f = traced { (x: Tensor) in (x.sum() .> 0).item() ? x * 3 : -x }
    _ = f(ones([2]))
    #expect(f.graph(for: ones([2])).unoptimised.operationCount == 3)
    #expect(f.plan(for: ones([2])).stepCount > 0)
    #expect("\(f.explain())".contains("looks at: item at GuardTests.swift:"))
  }
}
