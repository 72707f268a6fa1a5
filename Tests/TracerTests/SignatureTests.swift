import Duet
import DuetTestSupport
import Testing

/// When a traced function records, and when it replays.
@Suite struct SignatureTests {
  @Test func theFirstCallRecordsAndLaterOnesReplay() {
    var runs = 0
    let f = traced { (x: Tensor) in
      runs += 1
      return x * 2
    }
    for i in 0..<4 {
      let x = Tensor([Double(i), 1.0])
      expectSame(f(x), x * 2)
    }
    #expect(runs == 1)
    #expect(f.traceCount == 1)
  }

  @Test func anotherShapeOrDtypeMakesAnotherTraceAndTheFirstStays() {
    let f = traced { (x: Tensor) in x + x }
    let inputs = [
      ones([2]), ones([3]), ones([2, 1]), ones([2], dtype: .float64), ones([2], dtype: .int64),
      ones([]),
    ]
    for _ in 0..<2 {
      for x in inputs { expectSame(f(x), x + x) }
    }
    #expect(f.traceCount == inputs.count)
  }

  @Test func stridesAreNoPartOfTheSignature() {
    let f = traced { (x: Tensor) in x.sum(axis: 0) }
    let x = arange(12).reshaped(3, 4).asType(.float32)
    expectSame(f(x), x.sum(axis: 0))
    let y = arange(12).reshaped(4, 3).asType(.float32).T
    expectSame(f(y), y.sum(axis: 0))
    #expect(f.traceCount == 1)
  }

  @Test func staticValuesArePartOfTheSignature() {
    let f = traced { (x: Tensor, power: Static<Int>) in
      (0..<power.value).reduce(ones(like: x)) { product, _ in product * x }
    }
    let x = Tensor([2.0, 3.0])
    for _ in 0..<2 {
      expectSame(f(x, Static(2)), Tensor([4.0, 9.0]))
      expectSame(f(x, Static(3)), Tensor([8.0, 27.0]))
    }
    #expect(f.traceCount == 2)
  }

  @Test func staticNumbersAreEqualIfTheirBitsAre() {
    let f = traced { (x: Tensor, scale: Static<Double>) in x * (1 / scale.value) }
    let g = traced { (x: Tensor, scale: Static<Float>) in x * (1 / scale.value) }
    let x = Tensor([2.0])
    for number in [0.0, -0.0, .nan, 4] {
      for _ in 0..<2 {
        expectSame(f(x, Static(number)), x * (1 / number))
        expectSame(g(x, Static(Float(number))), x * (1 / number))
      }
    }
    #expect(f.traceCount == 4)
    #expect(g.traceCount == 4)
  }

  @Test func theStructureOfTreesIsPartOfTheSignature() {
    let f = traced { (parts: [Tensor], extra: Tensor?) in
      parts.reduce(extra ?? zeros([])) { $0 + $1 }
    }
    let x = Tensor([1.0, 2.0])
    for _ in 0..<2 {
      expectSame(f([x], nil), x + 0.0)
      expectSame(f([x, x], nil), x + x)
      expectSame(f([x], x), x + x)
    }
    #expect(f.traceCount == 3)
  }

  @Test func dictionaryKeysArePartOfTheSignature() {
    let f = traced { (named: [String: Tensor]) in
      named.keys.sorted().reduce(zeros([])) { $0 * 10 + named[$1]! }
    }
    for _ in 0..<2 {
      #expect(f(["a": Tensor(1.0), "b": Tensor(2.0)]).item(Float.self) == 12)
      #expect(f(["b": Tensor(1.0), "a": Tensor(2.0)]).item(Float.self) == 21)
      #expect(f(["a": Tensor(1.0), "c": Tensor(2.0)]).item(Float.self) == 12)
    }
    #expect(f.traceCount == 2)
  }

  @Test func gradientModeIsPartOfTheSignature() {
    let w = Parameter(Tensor([1.0, 2.0]), name: "w")
    let f = traced { (x: Tensor) in (x * w.value).sum() }
    let x = Tensor([3.0, 4.0])
    let open = f(x)
    #expect(open.requiresGrad)
    noGrad { #expect(!f(x).requiresGrad) }
    #expect(f.traceCount == 2)
  }

  @Test func whetherAnArgumentRequiresGradientsIsPartOfTheSignature() {
    let f = traced { (x: Tensor) in (x * x).sum().detached() }
    _ = f(Tensor([1.0]))
    _ = f(Tensor([1.0], requiresGrad: true))
    _ = f(Tensor([2.0]))
    _ = f(Tensor([2.0], requiresGrad: true))
    #expect(f.traceCount == 2)
  }

  @Test func explainNamesTheArgumentThatChanged() {
    let f = traced { (x: Tensor, named: [String: Tensor], mode: Static<String>) in
      x + named["bias"]!
    }
    func call(_ x: Tensor, _ bias: Tensor, _ mode: String = "a") {
      _ = f(x, ["bias": bias], Static(mode))
    }
    call(ones([2, 3]), ones([3]))
    call(ones([5, 3]), ones([3]))
    call(ones([5, 3]), ones([3], dtype: .float64))
    call(ones([2, 3]), ones([3]), "b")
    let traces = f.explain().traces
    #expect(traces.count == 4)
    #expect(traces[0].reason == "first call")
    #expect(
      traces[0].arguments == ["argument 0: float32[2, 3]", #"argument 1["bias"]: float32[3]"#])
    #expect(traces[1].reason == "argument 0: shape [5, 3] instead of [2, 3]")
    #expect(traces[2].reason == #"argument 1["bias"]: dtype float64 instead of float32"#)
    #expect(traces[3].reason.contains("static values or structure"))
    #expect(traces[3].reason.contains("b"))
    #expect(f.explain().description.contains("argument 0: shape [5, 3] instead of [2, 3]"))
  }

  @Test func explainNamesStateAndCountsCalls() {
    let counter = Variable(Tensor(0.0), name: "counter")
    let table = Tensor([1.0, 2.0, 3.0])
    let f = traced { (x: Tensor) in
      counter.value = counter.value + 1
      return x + table
    }
    #expect(f.explain().description == "not traced yet")
    for _ in 0..<4 { _ = f(ones([3])) }
    let entry = f.explain().traces[0]
    #expect(entry.stateRead == ["counter"])
    #expect(entry.stateWritten == ["counter"])
    #expect(entry.constants.count >= 1)
    #expect(entry.calls == 3)
    #expect(entry.runsEagerlyBecause == nil)
  }

  @Test func forbiddenRetracingIsAnErrorThatNamesTheChange() {
    let f = traced { (x: Tensor) in x * 2 }
    _ = f(ones([2]))
    f.forbidRetracing = true
    _ = f(ones([2]))
    let error = #expect(throws: TensorError.self) { try checked { f(ones([3])) } }
    #expect(error?.description.contains("argument 0: shape [3] instead of [2]") == true)
    f.forbidRetracing = false
    #expect(f(ones([3])).shape == [3])
  }

  @Test func theTraceWhoseLastCallIsLongestAgoGoesWhenThereAreTooMany() {
    let f = traced(maximumTraces: 2) { (x: Tensor) in x + 1 }
    for _ in 0..<4 { _ = f(ones([1])) }
    _ = f(ones([2]))
    _ = f(ones([1]))
    _ = f(ones([3]))
    #expect(f.explain().traces.count == 2)
    #expect(f.traceCount == 3)
    _ = f(ones([1]))
    #expect(f.traceCount == 3, "a trace that was just used is still there")
    _ = f(ones([2]))
    #expect(f.traceCount == 4, "one that was not is gone, although it is younger")
    _ = f(ones([1]))
    #expect(f.traceCount == 4)
    _ = f(ones([3]))
    #expect(f.traceCount == 5, "many calls long ago do not count")
  }

  @Test func tracingCanBeSwitchedOff() {
    var runs = 0
    let f = traced { (x: Tensor) in
      runs += 1
      return x + 1
    }
    withTracingDisabled {
      for _ in 0..<3 { expectSame(f(Tensor(1.0)), Tensor(2.0)) }
    }
    #expect(runs == 3)
    #expect(f.traceCount == 0)
  }

  @Test func executingEagerlyTellsRecordingFromRunning() {
    #expect(executingEagerly)
    var inside: Bool?
    let f = traced { (x: Tensor) in
      inside = executingEagerly
      return x
    }
    _ = f(Tensor(1.0))
    #expect(inside == false)
  }
}
