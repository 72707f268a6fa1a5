import Duet
import DuetTestSupport
import Testing

/// Operations that are put off until somebody asks for elements.
@Suite struct DeferredTests {
  @Test func theProgramOfTheDocumentation() throws {
    #expect(executingEagerly)
    executingEagerly = false
    defer { executingEagerly = true }
    #expect(!executingEagerly)
    let u = placeholder(.float32, shape: [], name: "a")
    let v = placeholder(.float32, shape: [], name: "b")
    let c = u * v
    let session = Session()
    let product = try session.run(c, feeding: [u: Tensor(15.0), v: Tensor(20.0)])
    #expect(product.item(Float.self) == 300)
    let slopes = try session.run(
      gradients(of: c, withRespectTo: [u, v]), feeding: [u: Tensor(15.0), v: Tensor(20.0)])
    #expect(slopes.map { $0.item(Float.self) } == [20, 15])
    #expect((Tensor(10) + Tensor(3)).item(Int.self) == 13)
    withExecution(.eager) { #expect(executingEagerly) }
    withExecution(.deferred) { #expect(!executingEagerly) }
  }

  @Test func theModeBelongsToItsBlockAndItsThread() {
    withExecution(.deferred) {
      #expect(!executingEagerly)
      withExecution(.eager) { #expect(executingEagerly) }
      #expect(!executingEagerly)
      onAnotherThread { #expect(executingEagerly) }
    }
    #expect(executingEagerly)
  }

  @Test func theModeEndsWithABlockThatThrows() {
    struct Stop: Error {}
    #expect(throws: Stop.self) { try withExecution(.deferred) { throw Stop() } }
    #expect(executingEagerly)
  }

  @Test func everyWayOfReadingEvaluates() {
    withExecution(.deferred) {
      let x = Tensor([[1.0, 2.0], [3.0, 4.0]]) * 2
      #expect(x.isPending)
      #expect(x.asArray(Float.self) == [2, 4, 6, 8])
      #expect((x.sum() + 1).item(Int.self) == 21)
      let described = "\(x + 1)"
      #expect(described == withExecution(.eager) { "\(x + 1)" })
      #expect(described.contains("9"))
      #expect(x[x .> 3].asArray(Float.self) == [4, 6, 8])
      #expect((x.T * 1).bytes == withExecution(.eager) { (x.T * 1).bytes })
    }
  }

  @Test func aValueIsComputedOnce() {
    withExecution(.deferred) {
      let generator = Generator(seed: 3)
      let x = Random.normal([8], generator: generator)
      let first = Bits(x)
      let y = x * 2
      expectSame(Bits(x), first)
      expectSame(y, withExecution(.eager) { x * 2 })
    }
  }

  @Test func controlFlowOnValuesWorks() {
    func collatz(_ start: Int) -> Int {
      var n = Tensor(start)
      var steps = Tensor(0)
      while (n .> 1).item() {
        n = (n % 2 .== 0).item() ? n / 2 : 3 * n + 1
        steps = steps + 1
      }
      return steps.item()
    }
    let expected = collatz(27)
    #expect(withExecution(.deferred) { collatz(27) } == expected)
    #expect(expected == 111)
  }

  @Test func loopsTakeWhatWasPutOff() {
    func results() -> [Tensor] {
      let x = Tensor([[1.0, 2.0], [3.0, 4.0]]) * 2
      let bound = Tensor([2.0, 3.0]) + 1
      let (sum, all) = scan(bound, over: x) { sum, row in (sum + row * bound, sum) }
      let (last, none) = scan(bound, over: x[0..<0]) { s, row in (s + bound, s * row + bound) }
      let leaf = (x * 3).detached().requiringGrad()
      let (state, rows) = scan(bound * 1, over: leaf) { s, row in (s * row, s + row) }
      (state.sum() + rows.sum()).backward()
      let (_, power) = whileLoop(
        (Tensor(0), leaf), while: { i, _ in i .< 3 }, do: { i, y in (i + 1, y * leaf) })
      return [sum, all, last, none, leaf.grad!, gradients(of: [power.sum()], by: [leaf])[0]]
    }
    let expected = results()
    withExecution(.deferred) { expectSame(results(), expected) }
  }

  @Test func emptyTensorsAndScalars() {
    withExecution(.deferred) {
      let empty = zeros([0, 3]) + 1
      #expect(empty.asArray(Float.self) == [])
      #expect(empty.sum().item(Float.self) == 0)
      #expect(empty.sum(axis: 0).asArray(Float.self) == [0, 0, 0])
      #expect((Tensor(true) .== Tensor(false)).item() == false)
    }
  }

  // MARK: Mixing

  @Test func eagerTensorsAreLeavesAndPendingOnesAreEvaluatedWhenUsedEagerly() {
    let x = Tensor([1.0, 2.0])
    let pending = withExecution(.deferred) { x * 3 }
    #expect(pending.isPending)
    expectSame(pending + x, Tensor([4.0, 8.0]))
    expectSame(concatenated([pending, x]), Tensor([3.0, 6.0, 1.0, 2.0]))
    expectSame(pending[1], Tensor(6.0))
  }

  @Test func pendingArgumentsAndVariablesOfTracedFunctionsAreEvaluated() {
    let v = Variable(Tensor([1.0, 2.0]), name: "v")
    let f = traced { (x: Tensor) in
      v.value = v.value + x
      return x * v.value
    }
    expectSame(f(Tensor([1.0, 1.0])), Tensor([2.0, 3.0]))
    let pending = withExecution(.deferred) { () -> Tensor in
      v.value = v.value * 10
      return Tensor([1.0, 1.0]) + 1
    }
    expectSame(f(pending), Tensor([44.0, 64.0]))
    expectSame(v.value, Tensor([22.0, 32.0]))
    let again = withExecution(.deferred) { () -> Tensor in
      v.value = v.value * 2
      return Tensor([1.0, 1.0])
    }
    expectSame(f(again), Tensor([45.0, 65.0]))
    #expect(f.traceCount == 1, "\(f.explain())")
  }

  @Test func pendingTensorsCapturedByATracedClosureAreConstants() {
    let table = withExecution(.deferred) { Tensor([1.0, 2.0]) * 2 }
    let f = traced { (x: Tensor) in x + table }
    for i in 0..<3 {
      expectSame(f(full([2], Float(i))), Tensor([2.0, 4.0]) + Float(i))
    }
    #expect(f.traceCount == 1)
  }

  @Test func tracedFunctionsAreInlined() {
    let f = traced { (x: Tensor) in (x * 2).sum() }
    withExecution(.deferred) {
      let y = f(Tensor([1.0, 2.0]))
      #expect(y.isPending)
      #expect(y.item(Float.self) == 6)
    }
    #expect(f.traceCount == 0)
  }

  @Test func insideARecordedClosureTheModeStaysWhatItIs() {
    var modes: [Bool] = []
    let f = traced { (x: Tensor) in
      executingEagerly = false
      return withExecution(.deferred) { () -> Tensor in
        modes.append(executingEagerly)
        return x * 2 + 1
      }
    }
    for i in 0..<3 {
      let x = Tensor([Double(i)])
      expectSame(f(x), x * 2 + 1)
    }
    #expect(modes == [false])
    #expect(f.traceCount == 1)
    #expect(executingEagerly)
  }

  @Test func loweringInDeferredModeTracesAsEver() throws {
    let f = traced { (x: Tensor) in (x * 2).sum() }
    let lowered = try withExecution(.deferred) { try f.lower(TensorSpec([3])) }
    #expect(lowered.graph.unoptimised.operationCount == 2)
    #expect(f(ones([3])).item(Float.self) == 6)
  }

  @Test func lookingForAnomaliesFindsTheOperation() {
    withExecution(.deferred) {
      let x = Tensor([-1.0, 1.0])
      let error = #expect(throws: TensorError.self) { try detectAnomaly { (x * 2).log() } }
      #expect(error?.operation == "log")
    }
  }

  // MARK: Mistakes

  @Test func mistakesInTypesAreToldWhereTheyAreMade() {
    withExecution(.deferred) {
      let line = #line + 1
      let error = mistake { _ = matmul(zeros([2, 3]), zeros([4, 5])) }
      #expect(error?.operation == "matmul")
      #expect(error?.location.map { "\($0)" } == "DeferredTests.swift:\(line)")
    }
  }

  /// The error that `checked` throws.
  private func mistake(_ body: () -> Void) -> TensorError? {
    do {
      try checked(body)
      return nil
    } catch {
      return error as? TensorError
    }
  }

  @Test func mistakesInValuesNameTheOperationItsScopeAndItsLine() {
    withExecution(.deferred) {
      let x = Tensor([1.0, 2.0]) * 2
      let line = #line + 1
      let taken = nameScope("encoder") { x.take(Tensor([0, 7]), axis: 0) }
      let error = #expect(throws: TensorError.self) {
        try checked { (taken + 1).asArray(Float.self) }
      }
      let text = error?.description ?? ""
      #expect(text.contains("encoder/take"), "\(text)")
      #expect(text.contains("index 7 is out of range"), "\(text)")
      #expect(text.contains("DeferredTests.swift:\(line)"), "\(text)")
      // What does not need it is still to be had.
      #expect(x.asArray(Float.self) == [2, 4])
    }
  }

  @Test func aFailedEvaluationLeavesAllStateAsItWas() {
    withExecution(.deferred) {
      let (v, w) = (Variable(Tensor([1.0]), name: "v"), Variable(Tensor([5.0]), name: "w"))
      v.value = v.value + 1
      #expect(v.value.item(Float.self) == 2)
      w.value = w.value + 1
      v.value = Tensor([1.0, 2.0]).take(Tensor([9]), axis: 0)
      #expect(throws: TensorError.self) { try checked { v.value.item(Float.self) } }
      #expect(v.value.item(Float.self) == 2)
      #expect(w.value.item(Float.self) == 5)
    }
  }

  @Test func nameScopesStandBeforeErrorsAndNest() {
    let error = #expect(throws: TensorError.self) {
      try checked {
        nameScope("model") { nameScope("head") { matmul(zeros([2, 3]), zeros([4, 5])) } }
      }
    }
    #expect(error?.operation == "matmul")
    #expect(error?.description.hasPrefix("model/head/matmul: ") == true)
    let outside = #expect(throws: TensorError.self) {
      try checked { matmul(zeros([2, 3]), zeros([4, 5])) }
    }
    #expect(outside?.description.hasPrefix("matmul: ") == true)
  }

  // MARK: Values that leave the function that made them

  @Test func anEscapedSymbolicTensorNamesWhatMadeItAndWhere() throws {
    var escaped: Tensor?
    var line = 0
    let f = traced { (x: Tensor) in
      line = #line + 1
      let doubled = x * 2
      escaped = doubled
      return doubled + 1
    }
    let tracedAt = #line + 1
    try f.lower(TensorSpec([2]))
    func expectStory(_ body: () -> Void) {
      let error = #expect(throws: TensorError.self) { try checked(body) }
      let text = error?.description ?? ""
      #expect(text.contains("multiply at DeferredTests.swift:\(line)"), "\(text)")
      #expect(text.contains("traced at DeferredTests.swift:\(tracedAt)"), "\(text)")
    }
    expectStory { _ = escaped! + 1 }
    expectStory { _ = escaped!.asArray(Float.self) }
    expectStory { withExecution(.deferred) { _ = escaped! + 1 } }
    // Nor does another function take it.
    expectStory { _ = traced { (x: Tensor) in x + escaped! }(ones([2])) }
    let error = #expect(throws: TensorError.self) {
      try traced { (x: Tensor) in x + escaped! }.lower(TensorSpec([2]))
    }
    #expect(error?.description.contains("multiply at DeferredTests.swift:\(line)") == true)
  }

  @Test func partsAreSetToValuesOfAnotherDtype() {
    withExecution(.deferred) {
      var t = Tensor([1, 2, 3])
      t[0..<2] = Tensor([5.0, 6.0])
      expectSame(t, Tensor([5, 6, 3]))
      t[1...] = Tensor(7.0) * 2
      expectSame(t, Tensor([5, 14, 14]))
    }
  }
}
