import Duet
import DuetTestSupport
import Foundation
import Synchronization
import Testing

/// Several threads call one traced function at once.
@Suite struct ConcurrencyTests {
  @Test func functionsWithoutStateGiveEveryThreadItsOwnResult() {
    let f = traced { (x: Tensor, w: Tensor) in
      (matmul(x, w).tanh() * 2 + x.sum(axis: 1, keepDims: true)).sum(axis: 0)
    }
    let w = ones([20, 30])
    let wrong = Lock<[String]>([])
    onThreads(4) { thread in
      for i in 0..<100 {
        let x = full([17, 20], Float(thread * 1000 + i) * 0.001)
        let expected = (matmul(x, w).tanh() * 2 + x.sum(axis: 1, keepDims: true)).sum(axis: 0)
        if let difference = Bits(f(x, w)).difference(from: Bits(expected)) {
          wrong.withLock { $0.append("thread \(thread), call \(i): \(difference)") }
        }
      }
    }
    #expect(wrong.withLock { $0 } == [])
    #expect(f.traceCount >= 1)
  }

  @Test func noUpdateOfAVariableIsLost() {
    let v = Variable(zeros([300], dtype: .int64), name: "v")
    let f = traced { (x: Tensor) in v.value = v.value + x }
    f(zeros([300], dtype: .int64))
    onThreads(4) { thread in
      for _ in 0..<250 { f(full([300], thread + 1)) }
    }
    expectSame(v.value, full([300], 250 * (1 + 2 + 3 + 4)))
  }

  @Test func noUpdateIsLostWhileAnotherThreadRecords() {
    for _ in 0..<50 {
      let v = Variable(zeros([300], dtype: .int64), name: "v")
      let f = traced { (x: Tensor) in
        let sum = v.value + x
        // Every thread finds other values here, and records a way of its own while others replay theirs.
        v.value = (x[0] .> 2).item() ? sum + x : sum
      }
      onThreads(4) { thread in
        for i in 0..<8 { f(full([300], (thread + i) % 4 + 1)) }
      }
      // 8 times each of 1, 2, 3 and 4, of which the last two are added twice.
      expectSame(v.value, full([300], 8 * (1 + 2 + 6 + 8)))
    }
  }

  @Test func mistakesOnSeveralThreadsAtOnceNameTheirLines() {
    let wrong = Lock<[String]>([])
    onThreads(4) { thread in
      for i in 0..<20 {
        let f = traced { (x: Tensor) in (x.sum() .> 1).item() ? x : -x }
        _ = f(ones([thread + 2]))
        let found = f.explain().traces[0].guards[0].location
        do {
          try checked { zeros([2, 3]) + zeros([4]) }
          wrong.withLock { $0.append("thread \(thread), \(i): no error") }
        } catch let error as TensorError {
          for file in [error.location?.file, found?.file] where file != "ConcurrencyTests.swift" {
            wrong.withLock { $0.append("thread \(thread), \(i): \(file ?? "no place")") }
          }
        } catch {
          wrong.withLock { $0.append("\(error)") }
        }
      }
    }
    #expect(wrong.withLock { $0 } == [])
  }

  @Test func readersSeeVariablesBeforeOrAfterAReplayNeverInBetween() {
    let v = Variable(zeros([5000]), name: "v")
    let f = traced { v.value = v.value + 1 }
    f()
    let torn = Atomic<Int>(0)
    onThreads(3) { thread in
      for _ in 0..<200 {
        if thread == 0 {
          f()
        } else {
          let values = v.value.asArray(Float.self)
          if values.contains(where: { $0 != values[0] }) { torn.add(1, ordering: .relaxed) }
        }
      }
    }
    #expect(torn.load(ordering: .relaxed) == 0)
    expectSame(v.value, full([5000], Float(201)))
  }

  @Test func contentsThatAreReadChangeUnderNobodysHands() {
    let variables = (0..<8).map { Variable(full([300], Float($0)), name: "v\($0)") }
    let read = traced { (x: Tensor) in variables.reduce(x) { $0 + ($1.value - $1.value[0]) } }
    let look = traced { (x: Tensor) -> [Tensor] in
      let isUniform = variables.reduce(x.sum() * 0) { $0 + abs($1.value - $1.value[0]).sum() } .== 0
      return isUniform.item() ? [x] + variables.map(\.value) : []
    }
    let update = traced { for v in variables { v.value = v.value + 1 } }
    let x = arange(300).asType(.float32)
    (_, _) = (read(x), look(x))
    update()
    let wrong = Lock<[String]>([])
    onThreads(4) { thread in
      for round in 0..<200 {
        switch thread {
        case 0: update()
        case 1:
          for v in variables { v.value = full([300], Float(round)) }
        case 2:
          let seen = look(x)
          let isTorn = seen.isEmpty || seen[1...].contains { Set($0.asArray(Float.self)).count > 1 }
          if isTorn { wrong.withLock { $0.append("look \(round)") } }
        default:
          if let difference = Bits(read(x)).difference(from: Bits(x)) {
            wrong.withLock { $0.append("read \(round): \(difference)") }
          }
        }
      }
    }
    #expect(wrong.withLock { $0 } == [])
  }

  @Test func functionsThatShareStateInOppositeOrderDoNotWaitForEachOther() {
    let (a, b) = (Variable(zeros([64]), name: "a"), Variable(zeros([64]), name: "b"))
    let forth = traced {
      a.value = a.value + 1
      b.value = b.value + 1
    }
    let back = traced {
      b.value = b.value + 1
      a.value = a.value + 1
    }
    forth()
    back()
    onThreads(4) { thread in
      for _ in 0..<200 { thread % 2 == 0 ? forth() : back() }
    }
    expectSame(a.value, full([64], Float(802)))
    expectSame(b.value, full([64], Float(802)))
  }

  @Test func noTwoThreadsDrawTheSameNumbers() {
    let random = Generator(seed: 5)
    let replayed = traced { Random.uniform([2], dtype: .float64, generator: random) }
    _ = replayed()
    random.seed(5)
    let drawn = Lock<[Double]>([])
    onThreads(2) { thread in
      for _ in 0..<2000 {
        let x =
          thread == 0
          ? replayed() : Random.uniform([2], dtype: .float64, generator: random)
        drawn.withLock { $0.append(x[0].item(Double.self)) }
      }
    }
    #expect(Set(drawn.withLock { $0 }).count == 4000)
  }
}
