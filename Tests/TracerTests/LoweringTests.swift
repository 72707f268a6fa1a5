import Duet
import DuetTestSupport
import Testing

/// Tracing from types alone, and the graphs that come of tracing.
@Suite struct LoweringTests {
  @Test func loweringNeedsNoDataAndTouchesNoState() throws {
    let v = Variable(Tensor([1.0, 2.0]), name: "v")
    let generator = Generator(seed: 1)
    var runs = 0
    let f = traced { (x: Tensor) in
      runs += 1
      v.value = v.value + 1
      return x * v.value + Random.normal([2], generator: generator)
    }
    try f.lower(TensorSpec([2], .float32))
    #expect(runs == 1)
    expectSame(v.value, Tensor([1.0, 2.0]))
    #expect(f.traceCount == 1)

    let same = Generator(seed: 1)
    for i in 1...3 {
      let x = full([2], Float(i))
      let expected = x * (Tensor([1.0, 2.0]) + Float(i)) + Random.normal([2], generator: same)
      expectSame(f(x), expected, "call \(i)")
    }
    #expect(runs == 1, "calls replay what lowering recorded")
  }

  @Test func loweringReportsWhatNeedsValues() {
    let f = traced { (x: Tensor) in x.sum().item(Float.self) > 0 ? x : -x }
    let error = #expect(throws: TensorError.self) { try f.lower(TensorSpec([2])) }
    #expect(error?.description.contains("item") == true)
  }

  @Test func loweringReportsTypesThatDoNotFit() {
    let f = traced { (a: Tensor, b: Tensor) in matmul(a, b) }
    let error = #expect(throws: TensorError.self) {
      try f.lower(TensorSpec([2, 3]), TensorSpec([4, 5]))
    }
    #expect(error?.description.contains("inner dimensions differ: [2, 3] × [4, 5]") == true)
  }

  @Test func loweringGivesGraphAndPlan() throws {
    let f = traced { (x: Tensor) in (x * 2 + 1).tanh() }
    let lowered = try f.lower(TensorSpec([16, 8], .float64))
    #expect(lowered.graph.description.contains("float64[16, 8]"))
    #expect(lowered.plan.stepCount >= 1)
  }

  @Test func theGraphReadsAsOneWouldWriteIt() {
    let w = Parameter(ones([3, 2]), name: "weight")
    let f = traced { (x: Tensor) in noGrad { matmul(x, w.value).tanh().sum(axis: 0) } }
    let graph = f.graph(for: ones([4, 3]))
    #expect(
      graph.unoptimised.description == """
        graph ("argument 0": float32[4, 3], weight: float32[3, 2]) -> (result: %4) {
          %2 = matmul(%0, %1) : float32[4, 2]
          %3 = tanh(%2) : float32[4, 2]
          %4 = sum(%3, axes: [0], keepDims: false) : float32[2]
        }
        """)
    #expect(graph.dot.hasPrefix("digraph"))
    #expect(graph.html.contains("<html"))
    #expect(f.plan(for: ones([4, 3])).stepCount >= 2)
    #expect(f.traceCount == 1)
  }

  @Test func tensorsPrintTheirNamesWhileRecorded() throws {
    var printed = ""
    let f = traced { (x: Tensor) in
      let sum = x + x
      printed = sum.description
      return sum
    }
    _ = f(ones([2, 2]))
    #expect(printed.contains("add"))
    #expect(printed.contains("shape: [2, 2]"))
    #expect(printed.contains("float32"))
  }

  @Test func manyRepetitionsAreOneStep() {
    let f = traced { (x: Tensor) in x.tiled([50_000]) * 2 }
    expectSame(f(Tensor([1.0, 2.0])), Tensor([2.0, 4.0]).tiled([50_000]))
    #expect(f.plan(for: Tensor([1.0, 2.0])).stepCount <= 2)
  }
}
