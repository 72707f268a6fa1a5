import Duet
import DuetTestSupport
import Foundation
import Testing

/// Traced closures that throw: a call that throws has not happened.
@Suite struct ThrowingTests {
  struct Refusal: Error, Equatable { var reason = "refused" }

  private func refuse(_ x: Tensor) throws -> Tensor { throw Refusal() }

  @Test func aThrowOnTheFirstCallPoisonsNothing() throws {
    let v = Variable(Tensor(Float(1)), name: "v")
    let random = Generator(seed: 4)
    var isRefusing = true
    let f = traced { (x: Tensor) -> Tensor in
      v.value = v.value + 1
      let noise = Random.normal([2], generator: random)
      if isRefusing { throw Refusal() }
      v.value = v.value * 2
      return x + noise
    }
    for _ in 0..<2 {
      #expect(throws: Refusal()) { try f(zeros([2])) }
      #expect(v.value.item(Float.self) == 1)
      #expect(f.traceCount == 0)
      #expect(executingEagerly)
    }
    isRefusing = false
    let same = Generator(seed: 4)
    var expected: Float = 1
    for _ in 0..<3 {
      expectSame(try f(zeros([2])), zeros([2]) + Random.normal([2], generator: same))
      expected = (expected + 1) * 2
      #expect(v.value.item(Float.self) == expected)
    }
    #expect(f.traceCount == 1)
  }

  @Test func aThrowLeavesNoLockBehind() throws {
    var isRefusing = true
    let v = Variable(Tensor(Float(0)), name: "v")
    let f = traced { (x: Tensor) -> Tensor in
      v.value = v.value + x
      return isRefusing ? try refuse(x) : x
    }
    #expect(throws: Refusal.self) { try f(Tensor(Float(1))) }
    isRefusing = false
    // Unsafe: written before the signal, and read after it.
    nonisolated(unsafe) var result: Float?
    let done = DispatchSemaphore(value: 0)
    Thread.detachNewThread {
      result = try? f(Tensor(Float(2))).item(Float.self)
      done.signal()
    }
    #expect(done.wait(timeout: .now() + 60) == .success)
    #expect(result == 2)
    #expect(v.value.item(Float.self) == 2)
  }

  @Test func pathsThatDoNotThrowKeepReplaying() throws {
    let v = Variable(Tensor(Float(0)), name: "v")
    var runs = 0
    let f = traced { (x: Tensor) throws(Refusal) -> Tensor in
      runs += 1
      v.value = v.value + x
      if (x .< 0).item() { throw Refusal(reason: "negative") }
      return x * 2
    }
    #expect(try f(Tensor(Float(1))).item(Float.self) == 2)
    for i in 1...3 {
      do throws(Refusal) {
        _ = try f(Tensor(Float(-5)))
        Issue.record("it did not throw")
      } catch {
        #expect(error.reason == "negative")
      }
      #expect(v.value.item(Float.self) == Float(i))
      #expect(try f(Tensor(Float(1))).item(Float.self) == 2)
    }
    // Once for the path that ends, once for every call that throws.
    #expect(runs == 4)
    #expect(f.traceCount == 1)
  }

  @Test func aFunctionThatIsRunEagerlyTakesBackWhatItDidToo() throws {
    let v = Variable(Tensor(Float(0)), name: "v")
    var seen: [Float] = []
    let f = traced { (x: Tensor) -> Tensor in
      v.value = v.value + x
      hostCallback(x) { seen.append($0.item()) }
      let value = v.value.item(Float.self)
      if value > 100 { throw Refusal() }
      return x * 2
    }
    for _ in 0..<50 { _ = try f(Tensor(Float(1))) }
    #expect(f.explain().traces[0].runsEagerlyBecause != nil)
    for _ in 0..<2 {
      #expect(throws: Refusal.self) { try f(Tensor(Float(90))) }
      #expect(v.value.item(Float.self) == 50)
    }
    #expect(seen == Array(repeating: 1, count: 50))
  }

  @Test func errorsOfFunctionsCalledInsidePassThrough() throws {
    let inner = traced { (x: Tensor) -> Tensor in
      guard (x.sum() .> 0).item() else { throw Refusal() }
      return x.sqrt()
    }
    let outer = traced { (x: Tensor) -> Tensor in
      do {
        return try inner(x) + 1
      } catch {
        return x * 0
      }
    }
    for _ in 0..<3 {
      #expect(outer(Tensor([Float(4)])).asArray(Float.self) == [3])
      #expect(outer(Tensor([Float(-4)])).asArray(Float.self) == [0])
    }
  }

  @Test func formsOfClosuresThatThrow() throws {
    let v = Variable(Tensor(Float(0)), name: "v")
    func maybe(_ x: Tensor, _ refuses: Bool) throws -> Tensor { refuses ? try refuse(x) : x }
    let nothing = traced { (x: Tensor, refuses: Static<Bool>) in
      v.value = try maybe(x, refuses.value)
    }
    let pair = traced { (x: Tensor, refuses: Static<Bool>) in
      let y = try maybe(x, refuses.value)
      return (y, [y, y * 2])
    }
    let none = traced { () throws -> Tensor in try maybe(v.value, false) }
    for i in 1...3 {
      let x = Tensor(Float(i))
      try nothing(x, Static(false))
      #expect(v.value.item(Float.self) == Float(i))
      #expect(throws: Refusal.self) { try nothing(x * 9, Static(true)) }
      let (first, rest) = try pair(x, Static(false))
      #expect(first.item(Float.self) == Float(i) && rest[1].item(Float.self) == Float(2 * i))
      #expect(throws: Refusal.self) { _ = try pair(x, Static(true)) }
      #expect(try none().item(Float.self) == Float(i))
    }
  }

  @Test func loweringAClosureThatThrowsThrows() {
    let f = traced { (x: Tensor) in try refuse(x) }
    #expect(throws: Refusal.self) { try f.lower(TensorSpec([2])) }
    #expect(f.traceCount == 0)
  }

  @Test func aThrowInsideARecordingOrDeferredModeHasNotHappenedEither() {
    let v = Variable(Tensor([1.0, 2.0]), name: "v")
    let random = Generator(seed: 4)
    let f = traced { (x: Tensor) throws(Refusal) -> Tensor in
      v.value = v.value + x
      let noise = Random.normal([2], generator: random)
      if (x.sum() .> 3).item(Bool.self) { throw Refusal() }
      return x * 2 + noise
    }
    let g = traced { (x: Tensor) -> Tensor in
      do throws(Refusal) { return try f(x) } catch { return v.value }
    }
    func run(_ body: (Tensor) -> Tensor) -> [[Float]] {
      v.value = Tensor([1.0, 2.0])
      random.seed(4)
      return ([5, 0.5, 5, 1] as [Float]).flatMap { number -> [[Float]] in
        let y = body(Tensor([number, number]))
        return [y, v.value].map { $0.asArray(Float.self) }
      }
    }
    let expected = run { x in (try? f(x)) ?? v.value }
    #expect(run { g($0) } == expected)
    #expect(run { x in withExecution(.deferred) { (try? f(x)) ?? v.value } } == expected)
    #expect(expected[0] == [1, 2] && expected[1] == [1, 2])
  }

  @Test func whatAThrowingFunctionHasMadeStays() {
    for isDeferred in [false, true] {
      var made: Variable?
      let total = Variable(zeros([1]), name: "total")
      let add = traced { (x: Tensor) in total.value = total.value + x }
      add(zeros([1]))
      let f = traced { (x: Tensor) throws(Refusal) -> Tensor in
        if made == nil { made = Variable(Tensor([7.0])) }
        withExecution(.eager) { add(x) }
        if (x.sum() .> 0).item(Bool.self) { throw Refusal() }
        return x
      }
      let g = traced { (x: Tensor) -> Tensor in
        do throws(Refusal) { return try f(x) } catch { return x - 1 }
      }
      let y =
        isDeferred
        ? withExecution(.deferred) { ((try? f(ones([1]))) ?? zeros([1])) + 0 } : g(ones([1]))
      #expect(y.asArray(Float.self) == [0])
      #expect(made?.value.asArray(Float.self) == [7])
      #expect(total.value.asArray(Float.self) == [0])
    }
  }

  @Test func throwingFunctionsRunAgainUnderACheckpoint() throws {
    func gradient(_ body: @escaping (Tensor) -> Tensor) -> [Float] {
      let random = Generator(seed: 3)
      let draw = traced { (x: Tensor) throws(Refusal) -> Tensor in
        Random.uniform([2], generator: random) * x
      }
      let x = ones([2]).requiringGrad()
      checkpointed { (x: Tensor) in body(x) * ((try? draw(x)) ?? x) }(x).sum().backward()
      return x.grad!.asArray(Float.self)
    }
    let plain = Random.uniform([2], generator: Generator(seed: 3)) * 2
    #expect(gradient { $0 } == plain.asArray(Float.self))
  }
}
