import Duet
import DuetTestSupport
import Testing

/// A replay that fails midway must leave all state as it was.
@Suite struct FailureTests {
  /// A model that looks rows up: at replay an index may be out of range.
  private struct Lookup {
    let table = Parameter(arange(30).asType(.float32).reshaped(10, 3), name: "table")
    let weight = Parameter(arange(6).asType(.float32).reshaped(3, 2), name: "weight")
    let calls = Variable(zeros([1000]), name: "calls")
    let last = Variable(zeros([2]), name: "last")

    func callAsFunction(_ indices: Tensor) -> Tensor {
      calls.value = calls.value + 1
      let rows = table.value.take(indices, axis: 0)
      return matmul(rows, weight.value)
    }
  }

  private func state(_ model: Lookup, _ optimizer: SGD) -> [Bits] {
    [model.table, model.weight, model.calls, model.last].map { Bits($0.value) }
      + [model.table, model.weight].map { Bits($0.grad ?? zeros([])) }
  }

  @Test func aTrainingStepWithAnIndexOutOfRangeChangesNothing() throws {
    let model = Lookup()
    let optimizer = SGD([model.table, model.weight], learningRate: 0.1, momentum: 0.9)
    let step = traced { (indices: Tensor) -> Tensor in
      optimizer.zeroGrad()
      let y = model(indices)
      let loss = (y * y).mean()
      loss.backward()
      optimizer.step()
      noGrad { model.last.value = y.sum(axis: 0).detached() }
      return loss.detached()
    }
    let good = Tensor([1, 5, 5, 9])
    for _ in 0..<3 { _ = step(good) }
    #expect(step.traceCount == 1)
    for bad in [Tensor([1, 10, 5, 9]), Tensor([1, 5, -11, 9])] {
      let before = state(model, optimizer)
      #expect(throws: TensorError.self) { try checked { _ = step(bad) } }
      for (now, then) in zip(state(model, optimizer), before) { expectSame(now, then, "state") }
    }
    // And it goes on as if nothing had happened.
    let twin = Lookup()
    let twinOptimizer = SGD([twin.table, twin.weight], learningRate: 0.1, momentum: 0.9)
    func eager() -> Tensor {
      twinOptimizer.zeroGrad()
      let y = twin(good)
      let loss = (y * y).mean()
      loss.backward()
      twinOptimizer.step()
      return loss.detached()
    }
    for _ in 0..<3 { _ = eager() }
    for _ in 0..<2 { expectSame(step(good), eager()) }
    expectSame(model.table.value, twin.table.value)
    expectSame(model.weight.value, twin.weight.value)
  }

  @Test func aVariableThatIsWrittenBeforeTheFailureKeepsItsValue() throws {
    let first = Variable(ones([500]), name: "first")
    let second = Variable(ones([500]), name: "second")
    let f = traced { (x: Tensor, indices: Tensor) -> Tensor in
      first.value = first.value * 2  // read and written
      second.value = x + 1  // only written
      return first.value.take(indices, axis: 0)
    }
    for _ in 0..<3 { _ = f(zeros([500]), Tensor([1, 2])) }
    expectSame(first.value, full([500], Float(8)))
    #expect(throws: TensorError.self) {
      try checked { _ = f(full([500], Float(7)), Tensor([1, 500])) }
    }
    expectSame(first.value, full([500], Float(8)))
    expectSame(second.value, ones([500]))
    _ = f(full([500], Float(7)), Tensor([1, 2]))
    expectSame(first.value, full([500], Float(16)))
    expectSame(second.value, full([500], Float(8)))
  }

  @Test func aMistakeIsOneWhetherOrNotItsResultIsUsed() throws {
    let count = Variable(zeros([400]), name: "count")
    let plain = traced { (x: Tensor, indices: Tensor) -> Tensor in
      count.value = count.value + 1
      _ = x.take(indices, axis: 0)
      return x * 2
    }
    let guarded = traced { (x: Tensor, indices: Tensor) -> Tensor in
      let before = indices + 0
      if (x.sum() .> 0).item() { _ = x.take(before, axis: 0) }
      return x * 2
    }
    let x = ones([5])
    for f in [plain, guarded] {
      for _ in 0..<3 { expectSame(f(x, Tensor([1, 4])), x * 2) }
      #expect(f.traceCount == 1)
      for _ in 0..<2 {
        let error = #expect(throws: TensorError.self) { try checked { f(x, Tensor([1, 5])) } }
        #expect(error?.description.contains("index 5 is out of range") == true)
      }
      expectSame(f(x, Tensor([0, 0])), x * 2)
    }
    expectSame(count.value, full([400], Float(4)))
  }

  @Test func aLabelOutOfRangeChangesNothing() throws {
    let seen = Variable(zeros([300]), name: "seen")
    let w = Parameter(ones([4, 3]), name: "w")
    let f = traced { (x: Tensor, labels: Tensor) in
      seen.value = seen.value + 1
      w.grad = nil
      crossEntropy(matmul(x, w.value), labels).backward()
    }
    let g = traced { (x: Tensor, labels: Tensor) -> Tensor in
      seen.value = seen.value + 1
      return noGrad { crossEntropy(matmul(x, w.value), labels) }
    }
    let x = ones([2, 4])
    f(x, Tensor([0, 2]))
    _ = g(x, Tensor([0, 2]))
    for _ in 0..<2 {
      #expect(throws: TensorError.self) { try checked { f(x, Tensor([0, 3])) } }
      #expect(throws: TensorError.self) { try checked { _ = g(x, Tensor([0, 3])) } }
    }
    expectSame(seen.value, full([300], Float(2)))
  }

  // MARK: Mistakes that the closure catches

  /// The same calls of a closure with a variable, eagerly and traced: values and state.
  private func agrees(
    _ name: String, _ arguments: [Tensor], _ make: (Variable) -> (Tensor) -> Tensor
  ) {
    func run(_ isTraced: Bool) -> [[Float]] {
      let v = Variable(Tensor(Float(0)), name: "v")
      let body = make(v)
      let f = traced { (x: Tensor) in body(x) }
      return arguments.flatMap { x in
        let y = isTraced ? f(x) : body(x)
        return [y.asArray(Float.self), v.value.asArray(Float.self)]
      }
    }
    #expect(run(true) == run(false), "\(name)")
  }

  @Test func aMistakeThatTheClosureCatchesIsNoMistakeOfTheCall() {
    let x = Tensor([1.0, 2.0])
    agrees("shapes", [x, x, Tensor([1.0, 2.0, 3.0]), x]) { v in
      { x in
        v.value = v.value + 1
        return (try? checked { x + zeros([3]) }) ?? x * 2
      }
    }
    let table = Tensor([10.0, 20.0, 30.0])
    func lookUp(_ v: Variable) -> (Tensor) -> Tensor {
      { i in
        v.value = v.value + 1
        do { return try checked { table.take(i, axis: 0) + 0 } } catch { return Tensor([-1.0]) }
      }
    }
    agrees("a good index first", [0, 1, 9, 2].map { Tensor([$0]) }, lookUp)
    agrees("a bad index first", [9, 1, 9, 2].map { Tensor([$0]) }, lookUp)
    agrees("in a branch", [x, x, -x]) { v in
      { x in
        v.value = v.value + 1
        return cond(x.sum() .> 0) {
          (try? checked { x + zeros([3]) }) ?? x * 2
        } else: {
          x - 1
        }
      }
    }
    agrees("a bad index in a branch", [1, 9, 2].map { Tensor([$0]) }) { v in
      { i in
        v.value = v.value + 1
        return cond(i.sum() .> 0) {
          (try? checked { table.take(i, axis: 0) + 0 }) ?? Tensor([-1.0])
        } else: {
          Tensor([0.0])
        }
      }
    }
    agrees("around a branch", [x, -x]) { v in
      { x in
        v.value = v.value + 1
        let y = try? checked {
          cond(x.sum() .> 0) {
            x + zeros([3])
          } else: {
            x - 1
          }
        }
        return y ?? x * 3
      }
    }
  }

  @Test func anomaliesAreFoundInEveryCall() {
    let f = traced { (x: Tensor) -> Tensor in
      do { return try detectAnomaly { log(x) + 0 } } catch { return zeros([2]) }
    }
    for _ in 0..<2 {
      expectSame(f(Tensor([1.0, 1.0])), zeros([2]))
      expectSame(f(Tensor([-1.0, 1.0])), zeros([2]))
    }
    let g = traced { (x: Tensor) in log(x) }
    _ = g(ones([2]))
    #expect(throws: TensorError.self) { try detectAnomaly { g(Tensor([-1.0, 1.0])) } }
  }

  @Test func theLineOfAnErrorMayBeLookedAtLaterAndElsewhere() async throws {
    let line = #line + 1
    let error = caught { _ = ones([2]) + ones([3]) }
    let found = await Task.detached { error?.location }.value
    #if canImport(Runtime)
      #expect(found?.file == "FailureTests.swift")
      #expect(found?.line == line)
    #endif
  }

  private func caught(_ body: () -> Void) -> TensorError? {
    do {
      try checked(body)
      return nil
    } catch {
      return error as? TensorError
    }
  }
}
