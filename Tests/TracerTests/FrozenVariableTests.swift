import Duet
import DuetTestSupport
import Testing

/// Parameters that are frozen between calls of traced functions.
@Suite struct FrozenVariableTests {
  @Test func functionsThatOnlyWriteAParameterNotice() {
    let p = Parameter(Tensor([1.0]), name: "p")
    let f = traced { (x: Tensor) in
      p.value = x * 1
      return x
    }
    for isFrozen in [false, true, false, true] {
      p.requiresGrad = !isFrozen
      for call in 0..<3 {
        _ = f(Tensor([Float(call)]))
        #expect(p.value.requiresGrad == !isFrozen, "call \(call)")
        expectSame(p.value.detached(), Tensor([Float(call)]))
      }
    }
  }

  @Test func graphsFromBeforeLeaveFrozenParametersAlone() throws {
    let (p, q) = (Parameter(Tensor([1.0]), name: "p"), Parameter(Tensor([2.0]), name: "q"))
    let optimizer = SGD([p, q], learningRate: 0.5)
    let loss = (p.value * q.value).sum()
    p.requiresGrad = false
    loss.backward()
    #expect(p.grad == nil)
    expectSame(q.grad!, Tensor([1.0]))
    optimizer.step()
    expectSame(p.value, Tensor([1.0]))
    expectSame(q.value.detached(), Tensor([1.5]))
    #expect(throws: TensorError.self) { try checked { p.grad = ones([1]) } }
    p.grad = nil
    p.requiresGrad = true
    #expect(p.grad == nil, "a new start")
  }
}
