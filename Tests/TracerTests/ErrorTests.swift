import Duet
import DuetTestSupport
import Testing

/// Mistakes inside of traced functions are told, and leave the function usable.
@Suite struct ErrorTests {
  @Test func constantsMayBeReadWhileRecording() {
    let table = Tensor([3.0, 4.0])
    let f = traced { (x: Tensor) in x * Double(table.asArray(Float.self)[1]) }
    for _ in 0..<2 { expectSame(f(ones([2])), full([2], Float(4))) }
  }

  @Test func aMistakeWhileRecordingKeepsNoTrace() {
    let f = traced { (a: Tensor, b: Tensor) in matmul(a, b) }
    let error = #expect(throws: TensorError.self) {
      try checked { f(ones([2, 3]), ones([4, 5])) }
    }
    #expect(error?.operation == "matmul")
    #expect(f.traceCount == 0)
    #expect(f(ones([2, 3]), ones([3, 5])).shape == [2, 5])
    #expect(f.traceCount == 1)
  }

  @Test func aMistakeInAReplayIsTold() {
    let f = traced { (x: Tensor, indices: Tensor) in x.take(indices, axis: 0) * 2 }
    let x = Tensor([1.0, 2.0, 3.0])
    expectSame(f(x, Tensor([0, 2])), Tensor([2.0, 6.0]))
    let error = #expect(throws: TensorError.self) { try checked { f(x, Tensor([0, 3])) } }
    #expect(error?.description.contains("index 3 is out of range") == true)
    expectSame(f(x, Tensor([1, -1])), Tensor([4.0, 6.0]))
    #expect(f.traceCount == 1)
  }

  @Test func aFailedReplayLeavesVariablesAlone() {
    let v = Variable(Tensor([1.0, 2.0]), name: "v")
    let f = traced { (indices: Tensor) in
      let taken = Tensor([10.0, 20.0]).take(indices, axis: 0)
      v.value = v.value + taken
    }
    f(Tensor([0, 1]))
    let before = Bits(v.value)
    #expect(throws: TensorError.self) { try checked { f(Tensor([0, 2])) } }
    expectSame(Bits(v.value), before)
    f(Tensor([1, 0]))
    expectSame(v.value, Tensor([31.0, 32.0]))
  }

  @Test func lookingAtAFaultyFunctionIsAnErrorThatCanBeCaught() {
    let f = traced { (a: Tensor) in a + ones([3]) }
    #expect(throws: TensorError.self) { try checked { _ = f.graph(for: ones([2])) } }
    #expect(throws: TensorError.self) { try checked { _ = f.plan(for: ones([2])) } }
    #expect(f.traceCount == 0)
  }

  @Test func failedArgumentsRecordNothing() {
    let f = traced { (x: Tensor) in x + 1 }
    #expect(throws: TensorError.self) {
      try checked { f(matmul(ones([2, 3]), ones([2, 3]))) }
    }
    #expect(f.traceCount == 0)
  }
}
