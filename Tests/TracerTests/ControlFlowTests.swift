import Duet
import DuetTestSupport
import Testing

/// `cond`, `whileLoop` and `scan`: alike whether Swift runs them or a plan does.
@Suite struct ControlFlowTests {
  /// Calls a function eagerly and traced, three times for each of the inputs, and compares all bits.
  private func expectAlike(
    _ inputs: [[Tensor]], traces: Int = 1,
    sourceLocation: Testing.SourceLocation = #_sourceLocation,
    _ body: @escaping ([Tensor]) -> [Tensor]
  ) {
    let f = traced(body)
    for round in 0..<3 {
      for (i, input) in inputs.enumerated() {
        expectSame(
          f(input), body(input), "call \(round) of input \(i)", sourceLocation: sourceLocation)
      }
    }
    #expect(f.traceCount == traces, sourceLocation: sourceLocation)
    for entry in f.explain().traces {
      #expect(entry.runsEagerlyBecause == nil, sourceLocation: sourceLocation)
    }
  }

  // MARK: Values

  @Test func aLoopOfScalarsCountsAsFarAsItShall() {
    func count(_ first: Tensor, _ second: Tensor) -> (Tensor, Tensor) {
      whileLoop(
        (first, second), while: { first, second in first .< second },
        do: { first, second in (first + 2, second + 1) })
    }
    let (a, b) = count(Tensor(Float(0)), Tensor(Float(1000)))
    #expect(a.item(Float.self) == 2000 && b.item(Float.self) == 2000)
    let f = traced { (a: Tensor, b: Tensor) in count(a, b) }
    for end in [1000, 0, 7, 1, 999] as [Float] {
      let (x, y) = f(Tensor(Float(0)), Tensor(end))
      #expect(x.item(Float.self) == 2 * max(0, end) && y.item(Float.self) == 2 * max(0, end))
    }
    #expect(f.traceCount == 1)
  }

  @Test func collatzIsOneTraceForAllStarts() {
    func steps(_ start: Tensor) -> Tensor {
      let (_, steps) = whileLoop(
        (start, Tensor(0)), while: { n, _ in n .> 1 },
        do: { n, steps in
          (cond(n % 2 .== 0, then: { n / 2 }, else: { 3 * n + 1 }), steps + 1)
        })
      return steps
    }
    func expected(_ n: Int) -> Int {
      var (n, steps) = (n, 0)
      while n > 1 {
        n = n % 2 == 0 ? n / 2 : 3 * n + 1
        steps += 1
      }
      return steps
    }
    let f = traced { (n: Tensor) in steps(n) }
    for n in [27, 1, 2, 97, 871] {
      #expect(steps(Tensor(n)).item(Int.self) == expected(n))
      #expect(f(Tensor(n)).item(Int.self) == expected(n))
    }
    #expect(f.traceCount == 1)
  }

  @Test func statesOfUpToFourPartsAndTrees() {
    expectAlike([[Tensor([1.0, 2.0]), Tensor(3)], [Tensor([0.5, -2.0]), Tensor(0)]]) { input in
      let (x, n) = (input[0], input[1])
      let two = whileLoop((x, n), while: { _, n in n .> 0 }, do: { x, n in (x * 1.5, n - 1) })
      let three = whileLoop(
        (n, x, x), while: { n, _, _ in n .> 0 }, do: { n, a, b in (n - 1, b, a + b) })
      let four = whileLoop(
        (n, x, x, n * 2), while: { n, _, _, _ in n .> 0 },
        do: { n, a, b, c in (n - 1, b, a - b, c + n) })
      let list = whileLoop(
        [n, two.1 + 3], while: { $0[1] .> 0 }, do: { [$0[0] + $0[1], $0[1] - 1] })
      let map = whileLoop(
        ["a": n, "b": x], while: { ($0["b"]!.sum() .< 100) },
        do: { ["a": $0["a"]! + 1, "b": $0["b"]!.abs() * 2 + 1] })
      return [two.0, two.1, three.0, three.1, three.2, four.1, four.2, four.3] + list
        + [map["a"]!, map["b"]!]
    }
  }

  @Test func aScanIsARunningSum() {
    expectAlike([[Random.normal([9, 4])], [Random.normal([9, 4]) * 1e20]]) { input in
      let x = input[0]
      let (last, sums) = scan(zeros([4]), over: x) { sum, x in (sum + x, sum + x) }
      let (first, back) = scan(zeros([4]), over: x, reverse: true) { sum, x in
        (sum + x, sum * 2)
      }
      return [last, sums, first, back]
    }
    let x = Random.normal([9, 4])
    let (last, sums) = scan(zeros([4]), over: x) { sum, x in (sum + x, sum + x) }
    expectSame(sums, x.cumsum(axis: 0), "forward")
    expectSame(last, sums[8], "last")
    let (_, back) = scan(zeros([4]), over: x, reverse: true) { sum, x in (sum + x, sum + x) }
    #expect(abs((back[0] - x.sum(axis: 0)).abs().max().item(Float.self)) < 1e-5)
    expectSame(back[8], x[8], "the first that a reverse scan adds")
  }

  @Test func aScanTakesTreesAndTuples() {
    expectAlike([[Random.normal([5, 3]), arange(5)]]) { input in
      let (state, outputs) = scan(
        (zeros([3]), Tensor(0)), over: ["x": input[0], "n": input[1]]
      ) { state, slice in
        let next = (state.0 * 0.5 + slice["x"]!, state.1 + slice["n"]!)
        return (next, [next.0, next.1 * 2, slice["x"]!])
      }
      return [state.0, state.1] + outputs
    }
  }

  @Test func aScanStacksAsManyTensorsInEveryIteration() {
    #expect(throws: TensorError.self) {
      try checked { () -> Void in
        _ = scan(Tensor(0), over: arange(3)) { i, x in
          (i + 1, Array(repeating: x, count: i.item(Int.self) + 1))
        }
      }
    }
  }

  @Test func aScanOfNothingGivesWhatItBeganWith() {
    expectAlike([[zeros([0, 3]), ones([3])]]) { input in
      let (state, outputs) = scan(input[1], over: input[0]) { state, x in
        (state + x, [state * 2, (state.sum() .> 0)])
      }
      return [state] + outputs
    }
    let (state, stacked) = scan(ones([3]), over: zeros([0, 3])) { s, x in (s + x, (s .> x)) }
    #expect(stacked.shape == [0, 3] && stacked.dtype == .bool)
    expectSame(state, ones([3]))
  }

  @Test func aScanOfNothingAsksTheBodyForItsFormAlone() {
    let seen = Variable(zeros([]), name: "seen")
    let last = Variable(zeros([3]), name: "last")
    var made = 0
    let (state, stacked) = scan(ones([3]), over: zeros([0, 3])) {
      (s: Tensor, x: Tensor) -> (Tensor, Tensor) in
      hostCallback(x) { _ in made += 1 }
      seen.value = seen.value + 1
      last.value = x
      return (s + x, x.sum())
    }
    expectSame(state, ones([3]))
    #expect(stacked.shape == [0])
    #expect(made == 0 && seen.value.item(Int.self) == 0)
    expectSame(last.value, zeros([3]))
    let text = message {
      _ = scan(ones([3]), over: zeros([0, 3])) { s, x in
        (x.sum() .> 0).item() ? (s, x) : (s + x, x)
      }
    }
    #expect(text?.contains("inside scan over arrays of length 0: the body is called once") == true)
  }

  @Test func aScanOfNothingMayHaveBranchesWithCallbacksInside() {
    var made = 0
    let parameter = Parameter(ones([3]))
    let body = { (s: Tensor, x: Tensor) -> (Tensor, Tensor) in
      let y = cond(
        x.sum() .> 0,
        then: { () -> Tensor in
          hostCallback(x) { _ in made += 1 }
          parameter.grad = x
          return x * 2
        }, else: { x })
      let counted = whileLoop(y, while: { $0.sum() .< 10 }, do: { $0 + 1 })
      return (s + counted, y)
    }
    let (state, stacked) = scan(ones([3]), over: zeros([0, 3]), body)
    expectSame(state, ones([3]))
    #expect(stacked.shape == [0, 3] && made == 0 && parameter.grad == nil)
    _ = scan(ones([3]), over: ones([2, 3]), body)
    #expect(made == 2)
  }

  @Test func aScanOfNothingHasItsPlaceInTheAutogradGraph() {
    let w = Tensor([1.0, 2.0], requiresGrad: true)
    let body = { (s: Tensor, x: Tensor) -> (Tensor, Tensor) in (s + w * x, s * w) }
    let f = { (x: Tensor) -> [Tensor] in
      let (state, stacked) = scan(zeros([2]), over: x, body)
      return [state, stacked]
    }
    for count in [0, 2] {
      let results = f(ones([count, 2]))
      #expect(results.allSatisfy { $0.requiresGrad })
    }
    let step = { (x: Tensor) -> Tensor in
      w.grad = nil
      let results = f(x)
      (results[0].sum() + results[1].sum()).backward()
      return results[0].detached()
    }
    _ = step(ones([0, 2]))
    expectSame(w.grad!, zeros([2]))
    let recorded = traced(step)
    for _ in 0..<2 {
      _ = recorded(ones([0, 2]))
      expectSame(w.grad!, zeros([2]), "traced")
    }
  }

  @Test func regionsNest() {
    let limits = [0, 3, 11].map { [Random.normal([6, 4]), Tensor($0)] }
    expectAlike(limits) { input in
      let (x, limit) = (input[0], input[1])
      let (sum, rows) = scan(zeros([4]), over: x) { sum, row in
        let (scaled, count) = whileLoop(
          (row, Tensor(0)),
          while: { (row: Tensor, n: Tensor) -> Tensor in
            let isSmall = row.square().sum() .< 50
            return isSmall .& (n .< limit)
          },
          do: { (row: Tensor, n: Tensor) -> (Tensor, Tensor) in
            let isMore = row.sum() .> sum.sum()
            let next = cond(isMore, then: { row * 1.5 }, else: { row * -1.25 + sum })
            return (next, n + 1)
          })
        return (sum + scaled, [scaled, count])
      }
      return [sum] + rows
    }
  }

  @Test func theChosenClosureAloneIsCalled() {
    var calls: [String] = []
    let x = Tensor(2.0)
    let y = cond(
      x .> 1,
      then: {
        calls.append("then")
        return x * 2
      },
      else: {
        calls.append("else")
        return x
      })
    #expect(y.item(Float.self) == 4 && calls == ["then"])
    var bodies = 0
    let n = whileLoop(
      Tensor(0), while: { $0 .< 5 },
      do: { n in
        bodies += 1
        return n + 1
      })
    #expect(n.item(Int.self) == 5 && bodies == 5)
  }

  @Test func aTracedFunctionRecordsEachClosureOnce() {
    var calls = 0
    let f = traced { (n: Tensor) in
      whileLoop(
        Tensor(0), while: { $0 .< n },
        do: { i in
          calls += 1
          return i + 1
        })
    }
    for n in [5, 0, 100] { #expect(f(Tensor(n)).item(Int.self) == n) }
    #expect(calls == 1 && f.traceCount == 1)
  }

  @Test func whatThrowsInAClosureComesOut() {
    struct Stop: Error {}
    #expect(throws: Stop.self) {
      _ = try whileLoop(
        Tensor(0), while: { $0 .< 3 },
        do: { (n: Tensor) throws -> Tensor in
          if n.item(Int.self) == 1 { throw Stop() }
          return n + 1
        })
    }
    #expect(throws: Stop.self) {
      _ = try cond(
        Tensor(true), then: { () throws -> Tensor in throw Stop() }, else: { Tensor(1) })
    }
  }

  // MARK: State

  @Test func variablesAreReadAndWrittenInRegions() {
    func run(_ isTraced: Bool) -> [Tensor] {
      let count = Variable(Tensor(0), name: "count")
      let best = Variable(Tensor(Float.infinity), name: "best")
      let scale = Variable(Tensor(Float(1)), name: "scale")
      let f = { (x: Tensor) -> [Tensor] in
        let (_, ys) = scan(Tensor(Float(0)), over: x) { sum, x in
          count.value = count.value + 1
          cond(
            x .< best.value,
            then: {
              best.value = x
              scale.value = scale.value * 2
            }, else: {})
          return (sum + x * scale.value, sum * scale.value)
        }
        return [ys, count.value]
      }
      let g = traced(f)
      var results: [Tensor] = []
      for seed in 0..<4 {
        let x = Random.normal([6], generator: Generator(seed: seed))
        results += isTraced ? g(x) : f(x)
        results += [count.value, best.value, scale.value]
      }
      if isTraced { #expect(g.traceCount == 1) }
      return results
    }
    expectSame(run(true), run(false))
  }

  @Test func randomNumbersInALoopAreDifferentEveryTime() {
    func run(_ isTraced: Bool) -> [Tensor] {
      let random = Generator(seed: 11)
      let f = { (x: Tensor) -> [Tensor] in
        let (sum, draws) = scan(x, over: zeros([5, 1])) { sum, _ in
          let noise = Random.normal([3], generator: random)
          return (sum + noise, noise)
        }
        let branch = cond(
          sum.sum() .> 0, then: { Random.uniform([2], generator: random) }, else: { zeros([2]) })
        return [sum, draws, branch, Random.normal([2], generator: random)]
      }
      let g = traced(f)
      return (0..<6).flatMap { i in
        let x = full([3], Float(i) - 2.5)
        return isTraced ? g(x) : f(x)
      }
    }
    let results = run(true)
    expectSame(results, run(false))
    #expect(Set(results[1].asArray(Float.self)).count == 15)
  }

  @Test func aVariableThatIsOnlyReadFollowsItsValue() {
    let limit = Variable(Tensor(3), name: "limit")
    let f = traced { (x: Tensor) in whileLoop(x, while: { $0 .< limit.value }, do: { $0 + 1 }) }
    #expect(f(Tensor(0)).item(Int.self) == 3)
    limit.value = Tensor(10)
    #expect(f(Tensor(0)).item(Int.self) == 10)
    #expect(f.traceCount == 1)
    #expect(f.explain().traces[0].stateRead == ["limit"])
  }

  @Test func guardsStandBesideRegions() {
    let f = { (x: Tensor) -> [Tensor] in
      let y = cond(x.sum() .> 0, then: { x * 2 }, else: { x - 1 })
      var z = y
      if (y.sum() .> 3).item() { z = z + 1 }
      let (sum, _) = scan(z, over: stacked([y, z])) { s, x in (s + x, s) }
      return (sum.sum() .< 0).item() ? [sum] : [sum * 2]
    }
    let g = traced(f)
    for _ in 0..<2 {
      for k in [1, -1, 4, 0.25, -3] as [Float] {
        let x = Tensor([k, k * 2])
        expectSame(g(x), f(x), "\(k)")
      }
    }
  }

  @Test func oneTraceServesManyThreads() async {
    let f = traced { (n: Tensor) in
      whileLoop(
        (Tensor(0), Tensor(Float(0))), while: { i, _ in i .< n },
        do: { i, x in (i + 1, cond(i % 2 .== 0, then: { x + 1 }, else: { x + 0.5 })) }
      ).1
    }
    await withTaskGroup(of: Bool.self) { group in
      for task in 0..<8 {
        group.addTask {
          (0..<200).allSatisfy { i in
            let n = (i * 7 + task) % 50
            let expected = Float((n + 1) / 2) + 0.5 * Float(n / 2)
            return f(Tensor(n)).item(Float.self) == expected
          }
        }
      }
      for await isRight in group { #expect(isRight) }
    }
    #expect(f.traceCount <= 8)
  }

  @Test func anIndexOutOfRangeInALoopIsThatOperationsError() throws {
    let table = Variable(Tensor([1.0, 2.0, 3.0]), name: "table")
    let count = Variable(Tensor(0), name: "count")
    let f = traced { (n: Tensor) in
      count.value = count.value + 1
      return whileLoop(
        (Tensor(0), Tensor(Float(0))), while: { i, _ in i .< n },
        do: { i, sum in (i + 1, sum + table.value.take(i, axis: 0)) }
      ).1
    }
    #expect(f(Tensor(3)).item(Float.self) == 6)
    let error = #expect(throws: TensorError.self) { try checked { _ = f(Tensor(5)) } }
    #expect(error?.operation == "take")
    #expect(error?.reason.contains("index 3 is out of range") ?? false)
    #expect(count.value.item(Int.self) == 1)
    #expect(f(Tensor(2)).item(Float.self) == 3)
  }

  // MARK: Mistakes

  private func reason(_ body: () throws -> Void) -> String {
    do { try checked(body) } catch { return "\(error)" }
    return "no error"
  }

  @Test(arguments: [false, true]) func aStateOfAnotherFormIsAnError(isTraced: Bool) {
    func call(_ f: @escaping (Tensor) -> Tensor) -> String {
      reason { _ = isTraced ? traced(f)(Tensor([1.0, 2.0])) : f(Tensor([1.0, 2.0])) }
    }
    let dtype = call { x in
      whileLoop((x, Tensor(0)), while: { _, n in n .< 3 }, do: { x, n in (x, n + 0.5) }).0
    }
    #expect(dtype.contains("state.1 is float32[] instead of int64[]"), "\(dtype)")
    let shape = call { x in
      whileLoop([x], while: { $0[0].sum() .< 9 }, do: { [stacked([$0[0], $0[0]])] })[0]
    }
    #expect(shape.contains("state[0] has shape [2, 2] instead of [2]"), "\(shape)")
    let count = call { x in
      whileLoop([x], while: { $0[0].sum() .< 9 }, do: { $0 + $0 })[0]
    }
    #expect(count.contains("2 tensors instead of 1"), "\(count)")
    let condition = call { x in whileLoop(x, while: { $0 .< 3 }, do: { $0 + 1 }) }
    #expect(condition.contains("has to be one bool"), "\(condition)")
    #expect(condition.contains("bool[2]"), "\(condition)")
    let axes = call { x in scan(x, over: x.sum()) { s, x in (s + x, s) }.0 }
    #expect(axes.contains("without axes"), "\(axes)")
    let lengths = call { x in
      scan(x, over: [zeros([2]), zeros([3])]) { s, x in (s + x[0], s) }.0
    }
    #expect(lengths.contains("2 in float32[2], 3 in float32[3]"), "\(lengths)")
  }

  @Test func branchesOfDifferentFormsAreAnError() {
    let f = traced { (x: Tensor) in cond(x.sum() .> 0, then: { x }, else: { x.asType(.float64) }) }
    let text = reason { _ = f(Tensor([1.0])) }
    #expect(text.contains("result is float64[1] instead of float32[1]"), "\(text)")
  }

  @Test func readingAValueInsideARegionNamesTheRemedy() {
    let f = traced { (x: Tensor) in
      whileLoop(x, while: { $0 .< 10 }) { x in (x .> 5).item() ? x + 1 : x + 2 }
    }
    let text = reason { _ = f(Tensor(1.0)) }
    #expect(text.contains("whileLoop, which is recorded once"), "\(text)")
    #expect(text.contains("cond(") && text.contains("which("), "\(text)")
    // What is known before the loop may be looked at inside, as before it.
    let g = traced { (x: Tensor, up: Tensor) in
      whileLoop(x, while: { $0 .< 10 }) { x in up.item() ? x + 1 : x + 2 }
    }
    for _ in 0..<2 {
      #expect(g(Tensor(0.5), Tensor(true)).item(Float.self) == 10.5)
      #expect(g(Tensor(1.5), Tensor(false)).item(Float.self) == 11.5)
    }
    #expect(g.traceCount == 2)
  }

  @Test func stateThatComesAndGoesIsAnError() {
    let leaf = Tensor([1.0], requiresGrad: true)
    let f = traced { (x: Tensor) in
      whileLoop(x, while: { $0 .< 3 }) { x in
        (leaf * x).sum().backward()
        return x + 1
      }
    }
    let text = reason { _ = f(Tensor(0.0)) }
    #expect(text.contains("holds nothing before the region"), "\(text)")
  }

  @Test func tensorsThatEscapeFromARegionAreAnError() {
    let kept = Variable(zeros([1]), name: "kept")
    let uses: [(Tensor, Tensor) -> Tensor] = [
      { escaped, y in cond(y.sum() .> 0, then: { escaped + 1 }, else: { y }) },
      { escaped, y in escaped + y },
      { escaped, _ in escaped },
      { escaped, y in
        kept.value = escaped
        return y
      },
    ]
    for use in uses {
      let f = traced { (x: Tensor) -> Tensor in
        var escaped: Tensor?
        let y = cond(
          x.sum() .> 0,
          then: {
            escaped = x * 2
            return x
          }, else: { x })
        return use(escaped!, y)
      }
      let text = reason { _ = f(Tensor([1.0])) }
      #expect(text.contains("made inside") || text.contains("symbolic tensor"), "\(text)")
    }
    expectSame(kept.value, zeros([1]))
  }

  @Test func whatABranchOnConstantsGivesCanBeUsedInBranchesBeside() {
    let body = { (x: Tensor) -> Tensor in
      cond(
        x.sum() .> 0,
        then: {
          let known = ones([2])
          let chosen = cond(known.sum() .== 2, then: { known * 3 }, else: { known })
          return cond(x.min() .> 1, then: { x * chosen }, else: { x + chosen })
        }, else: { x })
    }
    let f = traced(body)
    for values: [Float] in [[2, 3], [0.5, 4], [-1, -2], [5, 6]] {
      expectSame(f(Tensor(values)), body(Tensor(values)))
    }
    #expect(f.traceCount == 1)
  }
}
