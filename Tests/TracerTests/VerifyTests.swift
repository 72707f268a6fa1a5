import Duet
import DuetTestSupport
import Testing

/// `verify: true`: replays are compared with the closure.
@Suite struct VerifyTests {
  @Test func aCapturedNumberThatChangedIsNamedWithItsLine() throws {
    var factor: Float = 2
    let f = traced(verify: true) { (x: Tensor) in x * factor }
    let x = Tensor([Float(1), 3])
    for _ in 0..<3 { expectSame(f(x), x * 2) }
    factor = 5
    let error = #expect(throws: TensorError.self) { try checked { f(x) } }
    let text = error?.description ?? ""
    #expect(text.contains("the result is 2.0 at [0] where the closure gives 5.0"), "\(text)")
    #expect(text.contains("a number captured at VerifyTests.swift:"), "\(text)")
    #expect(text.contains("it is 2.0 where now it gives 5.0"), "\(text)")
    factor = 2
    expectSame(f(x), x * 2)
    #expect(f.traceCount == 1)
  }

  @Test func aCapturedTensorThatChangedIsNamedAndStateIsTheClosures() throws {
    var table = Tensor([Float(1), 2, 3])
    let v = Variable(zeros([3]), name: "sums")
    let f = traced(verify: true) { (x: Tensor) -> Tensor in
      v.value = v.value + x + table
      return x
    }
    for i in 1...3 {
      _ = f(ones([3]))
      expectSame(v.value, (ones([3]) + table) * Float(i), "updated once")
    }
    table = Tensor([Float(1), 2, 7])
    let before = v.value
    let error = #expect(throws: TensorError.self) { try checked { f(ones([3])) } }
    let text = error?.description ?? ""
    #expect(text.contains("sums is 16.0 at [2] where the closure gives 20.0"), "\(text)")
    #expect(text.contains("a tensor captured"), "\(text)")
    expectSame(v.value, before + ones([3]) + table)
  }

  @Test func aResultFromOutsideIsNamed() {
    var table = Tensor([Float(1)])
    let f = traced(verify: true) { (x: Tensor) in [x + 1, table] }
    for _ in 0..<2 { _ = f(ones([1])) }
    table = Tensor([Float(9)])
    let error = #expect(throws: TensorError.self) { try checked { f(ones([1])) } }
    #expect(
      error?.description.contains("result 1 is 1.0 at [0] where the closure gives 9.0") == true)
    #expect(error?.description.contains("a result is a tensor from outside") == true)
  }

  @Test func anotherProgramIsNamed() {
    var isAdding = true
    let f = traced(verify: true) { (x: Tensor) in isAdding ? x + x : x * x }
    for _ in 0..<2 { _ = f(Tensor(Float(3))) }
    isAdding = false
    let error = #expect(throws: TensorError.self) { try checked { f(Tensor(Float(3))) } }
    let text = error?.description ?? ""
    #expect(text.contains("add at VerifyTests.swift:"), "\(text)")
    #expect(text.contains("is multiply now"), "\(text)")
  }

  @Test func stateIsUpdatedOnceAndRandomNumbersAreDrawnOnce() {
    func run(_ isVerified: Bool) -> (values: [Float], count: Int) {
      let random = Generator(seed: 5)
      let model = Linear(4, 2)
      for parameter in model.parameters {
        parameter.value = Random.normal(parameter.shape, generator: random)
      }
      let optimizer = SGD(model.parameters, learningRate: 0.1, momentum: 0.9)
      var count = 0
      let step = traced(verify: isVerified) { (x: Tensor) -> Tensor in
        count += 1
        optimizer.zeroGrad()
        let noisy = x + Random.normal(x.shape, generator: random)
        let loss = model(noisy).square().mean()
        loss.backward()
        if (loss .> 0.5).item() { optimizer.step() }
        return loss.detached()
      }
      var losses: [Float] = []
      for i in 0..<8 {
        let x = full([3, 4], Float(i) * 0.2)
        losses.append((isVerified ? step(x) : withTracingDisabled { step(x) }).item())
      }
      return (losses + model.parameters.flatMap { $0.value.asArray(Float.self) }, count)
    }
    let (verified, eager) = (run(true), run(false))
    #expect(verified.values == eager.values)
    #expect(verified.count == 8, "the closure runs once on every call")
  }

  @Test func variablesMadeInsideAreOthersEveryTime() {
    let f = traced(verify: true) { (x: Tensor) -> Tensor in
      let v = Variable(x * 2, name: "local")
      v.value = v.value + 1
      return v.value
    }
    for i in 0..<3 { #expect(f(Tensor(Float(i))).item(Float.self) == Float(2 * i + 1)) }
    #expect(f.traceCount == 1)
  }

  @Test func callbacksAreMadeOnce() {
    var seen: [Float] = []
    let f = traced(verify: true) { (x: Tensor) -> Tensor in
      hostCallback(x) { seen.append($0.item()) }
      return x
    }
    for i in 0..<3 { _ = f(Tensor(Float(i))) }
    #expect(seen == [0, 1, 2])
  }

  @Test func notANumberIsAsGoodAsAnother() {
    let f = traced(verify: true) { (x: Tensor) in x.sqrt() }
    for _ in 0..<2 { #expect(f(Tensor(Float(-1))).item(Float.self).isNaN) }
  }

  @Test func aNumberWrittenToAVariableIsNamed() {
    var count = 0.0
    let v = Variable(Tensor(count), name: "v")
    let f = traced(verify: true) { (x: Tensor) -> Tensor in
      count += 1
      v.value = Tensor(count)
      return x + 1
    }
    #expect(message { _ = f(Tensor(1.0)) } == nil)
    let text = message { _ = f(Tensor(1.0)) } ?? ""
    #expect(text.contains("v is 1.0 where the closure gives 2.0"), "\(text)")
    #expect(text.contains("a tensor from outside or a number, remembered as it was"), "\(text)")
    #expect(v.value.item(Double.self) == 2, "state is the closure's")
  }

  @Test func anotherResultOfTheSameOperationsIsNamed() {
    var isSecond = false
    let f = traced(verify: true) { (x: Tensor) -> Tensor in
      let (a, b) = (x * 2, x * 3)
      return isSecond ? b : a
    }
    for _ in 0..<2 { _ = f(Tensor(Float(1))) }
    isSecond = true
    let text = message { _ = f(Tensor(Float(1))) } ?? ""
    #expect(text.contains("the result is 2.0 where the closure gives 3.0"), "\(text)")
    #expect(text.contains("another value is the result"), "\(text)")
  }

  @Test func stateThatIsChangedNowAndThenIsNamed() {
    var isWriting = false
    let v = Variable(Tensor(Float(0)), name: "v")
    let f = traced(verify: true) { (x: Tensor) -> Tensor in
      let y = x * 2
      if isWriting { v.value = y }
      return y
    }
    for _ in 0..<2 { _ = f(Tensor(Float(1))) }
    isWriting = true
    let text = message { _ = f(Tensor(Float(1))) } ?? ""
    #expect(text.contains("v is 0.0 where the closure gives 2.0"), "\(text)")
    #expect(text.contains("that was not changed when it was recorded"), "\(text)")
    #expect(v.value.item(Float.self) == 2, "state is the closure's")
  }

  @Test(arguments: [false, true])
  func whatGetsOutOfABranchIsAnErrorAndChangesNoState(asResult: Bool) {
    var calls = 0
    let v = Variable(Tensor(Float(0)), name: "v")
    // From the second call on something that a branch has made gets out of it.
    let f = traced(verify: true) { (x: Tensor) -> Tensor in
      calls += 1
      v.value = v.value + 1
      var inner = x
      _ = cond(
        x .> 0,
        then: {
          inner = x * 3
          return x
        }, else: { x })
      let chosen = calls > 1 ? inner : x
      return asResult ? chosen : chosen + 1
    }
    #expect(message { _ = f(Tensor(Float(1))) } == nil)
    let text = message { _ = f(Tensor(Float(1))) } ?? ""
    #expect(text.contains("cond: a tensor that was made inside is used outside"), "\(text)")
    #expect(v.value.item(Float.self) == 1)
  }

  @Test func whatWasTracedFromTypesIsVerifiedToo() {
    var factor: Float = 2
    let f = traced(verify: true) { (x: Tensor) in x * factor }
    let x = Tensor([Float(1), 3])
    _ = f.graph(for: x)
    expectSame(f(x), x * 2)
    factor = 5
    let text = message { _ = f(x) } ?? ""
    #expect(text.contains("the result is 2.0 at [0] where the closure gives 5.0"), "\(text)")
    #expect(text.contains("a number captured at VerifyTests.swift:"), "\(text)")
  }
}
