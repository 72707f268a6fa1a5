import Duet
import DuetTestSupport
import Testing

/// What a traced function can take and return.
@Suite struct ResultTests {
  struct Pair: TensorTree {
    var first: Tensor
    var second: [Tensor]
    mutating func visit(_ visitor: inout TensorVisitor) {
      visitor.visit(&first, "first")
      visitor.visit(&second, "second")
    }
  }

  private let x = Tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
  private let y = Tensor([[6.0, 5.0, 4.0], [3.0, 2.0, 1.0]])

  @Test func anArgumentMayBeTheResult() {
    let f = traced { (a: Tensor, b: Tensor) in [b, a, b] }
    for _ in 0..<3 {
      expectSame(f(x, y), [y, x, y])
      expectSame(f(y, x), [x, y, x])
    }
  }

  @Test func aConstantMayBeTheResult() {
    let constant = Tensor([7.0])
    let f = traced { (a: Tensor) in [constant, constant + 1, a] }
    for _ in 0..<3 { expectSame(f(x), [Tensor([7.0]), Tensor([8.0]), x]) }
  }

  @Test func oneValueMayBeReturnedTwice() {
    let f = traced { (a: Tensor) in
      let sum = a + 1
      return [sum, sum, sum * 2]
    }
    for _ in 0..<3 { expectSame(f(x), [x + 1, x + 1, (x + 1) * 2]) }
  }

  @Test func resultsAreTheSameOnEveryCallAfterBackwardInside() {
    let weight = Parameter(ones([3]))
    let f = traced { (a: Tensor) in
      let loss = (a * weight.value).sum()
      loss.backward()
      return loss
    }
    for _ in 0..<3 { #expect(!f(x).requiresGrad) }
  }

  @Test func viewsMayBeReturned() {
    let f = traced { (a: Tensor) in
      [a.T, a[0], a.reshaped(3, 2), a.broadcast(to: [4, 2, 3]), (a * 2).T]
    }
    for _ in 0..<3 {
      for z in [x, y] {
        expectSame(
          f(z), [z.T, z[0], z.reshaped(3, 2), z.broadcast(to: [4, 2, 3]), (z * 2).T])
      }
    }
  }

  @Test func viewsMayBePassed() {
    let f = traced { (a: Tensor) in a * 2 + 1 }
    let big = arange(24).asType(.float32).reshaped(4, 6)
    for view in [big[0..<2, 0..<3], big.T[0..<2, 0..<3], big.flipped(axis: 1)[1..<3, 0..<3]] {
      expectSame(f(view), view * 2 + 1)
    }
    #expect(f.traceCount == 1)
  }

  @Test func treesComeBackInTheirForm() {
    let f = traced { (pair: Pair) in
      Pair(first: pair.second[0] + 1, second: [pair.first, pair.first * pair.second[1]])
    }
    let g = traced { (a: Tensor, keep: Static<Bool>) -> [String: Tensor?] in
      ["kept": keep.value ? a : nil, "doubled": a * 2]
    }
    for _ in 0..<3 {
      let pair = f(Pair(first: x, second: [y, x]))
      expectSame([pair.first] + pair.second, [y + 1, x, x * x])
      let both = g(x, Static(true))
      expectSame(both["kept"]!!, x)
      expectSame(both["doubled"]!!, x * 2)
      let one = g(x, Static(false))
      #expect(one["kept"]! == nil)
      expectSame(one["doubled"]!!, x * 2)
    }
  }

  @Test func treesOfOneTensorComeBack() {
    let array = traced { (a: Tensor) in [a * 2] }
    let optional = traced { (a: Tensor) -> Tensor? in a * 2 }
    let dictionary = traced { (a: Tensor) in ["double": a * 2] }
    let pair = traced { (a: Tensor) in Pair(first: a * 2, second: []) }
    for i in 0..<3 {
      let a = x + Float(i)
      expectSame(array(a), [a * 2])
      expectSame(optional(a)!, a * 2)
      #expect(Array(dictionary(a).keys) == ["double"])
      expectSame(dictionary(a)["double"]!, a * 2)
      expectSame(pair(a).first, a * 2)
      #expect(pair(a).second.isEmpty)
    }
  }

  @Test func tuplesOfTreesComeBack() {
    let two = traced { (a: Tensor) in (a + 1, [a, a * 2]) }
    let three = traced { (a: Tensor) in (a + 1, a - 1, a * 3) }
    let four = traced { (a: Tensor) in (a, a.sum(), [a], a * 4) }
    for _ in 0..<3 {
      let (p, q) = two(x)
      expectSame([p] + q, [x + 1, x, x * 2])
      let (a, b, c) = three(x)
      expectSame([a, b, c], [x + 1, x - 1, x * 3])
      let (i, j, k, l) = four(x)
      expectSame([i, j] + k + [l], [x, x.sum(), x, x * 4])
    }
  }

  @Test func emptyResultsAndNoArguments() {
    let v = Variable(Tensor(0.0), name: "v")
    let f = traced { v.value = v.value + 1 }
    let g = traced { (parts: [Tensor]) in parts.map { $0 + 1 } }
    for i in 1...3 {
      f()
      #expect(v.value.item(Int.self) == i)
      #expect(g([]).isEmpty)
    }
  }

  @Test func emptyTensorsPass() {
    let f = traced { (a: Tensor) in ((a * 2 + 1).sum(axis: 0), matmul(a.T, a), a.exp()) }
    let a = zeros([0, 3])
    for _ in 0..<3 {
      let (sum, product, exp) = f(a)
      expectSame([sum, product, exp], [(a * 2 + 1).sum(axis: 0), matmul(a.T, a), a.exp()])
    }
  }

  @Test func functionsCalledInsideAreInlined() {
    let inner = traced { (a: Tensor) in a * 2 }
    let outer = traced { (a: Tensor) in inner(a) + inner(a + 1) }
    for _ in 0..<3 { expectSame(outer(x), x * 2 + (x + 1) * 2) }
    #expect(inner.traceCount == 0)
    #expect(outer.traceCount == 1)
    expectSame(inner(x), x * 2)
    #expect(inner.traceCount == 1)
  }

  @Test func recursionEnds() {
    func power(_ x: Tensor, _ n: Int) -> Tensor { n == 0 ? ones(like: x) : x * power(x, n - 1) }
    let f = traced { (x: Tensor, n: Static<Int>) in power(x, n.value) }
    for n in 0..<5 { expectSame(f(x, Static(n)), power(x, n)) }
  }

  @Test func whatIsComputedFromAUsedUpGraphIsReplayed() {
    let weight = Parameter(Tensor([1.0, 2.0, 3.0]), name: "weight")
    let f = traced { (x: Tensor) in
      weight.grad = nil
      let loss = ((x * weight.value) ** 2).mean()
      loss.backward()
      return (exp(loss * 0.01), loss / 2)
    }
    for _ in 0..<3 {
      let (a, b) = f(x)
      #expect(!a.requiresGrad && !b.requiresGrad)
      let loss = ((x * weight.value.detached()) ** 2).mean()
      expectSame(a, exp(loss * 0.01))
      expectSame(b, loss / 2)
    }
    #expect(f.explain().traces[0].runsEagerlyBecause == nil)
  }
}
