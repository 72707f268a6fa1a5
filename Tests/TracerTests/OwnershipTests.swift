import Duet
import DuetTestSupport
import Testing

/// Who may write where: a variable's memory is used again where nobody else can see it, and never elsewhere.
@Suite struct OwnershipTests {
  private func address(of variable: Variable) -> UnsafeMutableRawPointer {
    variable.value.body.pointer
  }

  @Test func aVariableThatNobodyElseHoldsStaysWhereItIs() {
    let v = Variable(arange(1000).asType(.float32), name: "v")
    let f = traced { v.value = v.value * 2 + 1 }
    f()
    f()
    let before = address(of: v)
    for _ in 0..<3 { f() }
    #expect(address(of: v) == before)
    // Looking at it has given it away only as long as the tensor was there.
    do {
      let held = v.value
      f()
      #expect(address(of: v) != held.body.pointer)
    }
    f()
    let after = address(of: v)
    for _ in 0..<3 { f() }
    #expect(address(of: v) == after)
  }

  @Test func aTensorThatAVariableWasSetToKeepsItsElements() {
    let v = Variable(zeros([100]), name: "v")
    let f = traced { v.value = v.value + 1 }
    f()
    for i in 0..<3 {
      let given = full([100], Float(i))
      v.value = given
      f()
      f()
      expectSame(given, full([100], Float(i)))
      expectSame(v.value, full([100], Float(i + 2)))
    }
  }

  @Test func whatAPathGivesAwayUnchangedKeepsItsElements() {
    let v = Variable(ones([100]), name: "v")
    let copy = Variable(zeros([100]), name: "copy")
    let look = traced { (x: Tensor) -> Tensor in
      if (x .> 0).item() { copy.value = v.value }
      return v.value
    }
    let update = traced { v.value = v.value + 1 }
    _ = look(Tensor(1.0))
    update()
    for i in 2..<6 {
      let seen = look(Tensor(1.0))
      for _ in 0..<2 { update() }
      expectSame(seen, full([100], Float(2 * i - 2)))
      expectSame(copy.value, full([100], Float(2 * i - 2)))
      expectSame(v.value, full([100], Float(2 * i)))
    }
  }

  @Test func aVariableMayBeReplacedWhileACallThatReadsItGoesOn() {
    final class Replaced {
      weak var content: TensorBody?
      init(_ content: TensorBody) { self.content = content }
    }
    let count = 20
    let variables = (0..<count).map { Variable(full([1000], Float($0)), name: "v\($0)") }
    var replaced: [Replaced] = []
    let f = traced { (x: Tensor) -> Tensor in
      let sum = variables.reduce(x) { $0 + $1.value }
      // What is read is held until the callback has been made.
      hostCallback(sum) { _ in
        for variable in variables {
          replaced.append(Replaced(variable.value.body))
          variable.value = variable.value + 1
        }
      }
      return sum
    }
    let first = Float(count * (count - 1) / 2)
    for call in 0..<20 {
      #expect(f(zeros([1000]))[0].item(Float.self) == first + Float(call * count))
    }
    #expect(f.traceCount == 1)
    #expect(replaced.count == 20 * count)
    #expect(replaced.allSatisfy { $0.content == nil }, "all that was replaced is gone")
  }
}
