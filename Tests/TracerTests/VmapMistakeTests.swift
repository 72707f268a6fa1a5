import Duet
import DuetTestSupport
import Testing

/// What `vmap` cannot do is told, in words of one example.
@Suite struct VmapMistakeTests {
  @Test func callsThatDoNotFit() {
    func expect(
      _ text: String, sourceLocation: Testing.SourceLocation = #_sourceLocation,
      _ body: () -> Void
    ) {
      let found = message(body) ?? "no mistake"
      #expect(found.hasPrefix(text), "\(found)", sourceLocation: sourceLocation)
    }
    let x = zeros([3, 2])
    expect(
      "vmap: the numbers of examples differ: 3 along axis 0 of argument 0, which is float32[3, 2], and 2 along "
        + "axis 1 of argument 1[\"b\"], which is float32[3, 2]"
    ) {
      _ = vmap(inAxes: (0, 1)) { (x: Tensor, y: [String: Tensor]) in x + y["b"]! }(x, ["b": x])
    }
    expect("vmap: argument 0 is float32[3, 2], which has no axis 2 to map over") {
      _ = vmap(inAxes: 2) { (x: Tensor) in x }(x)
    }
    expect("vmap: argument 1[0] is float32[], which has no axis 0 to map over") {
      _ = vmap { (x: Tensor, y: [Tensor]) in x + y[0] }(x, [Tensor(1.0)])
    }
    expect(
      "vmap: there is nothing to map over: inAxes says of every argument that all examples share it"
    ) {
      _ = vmap(inAxes: nil) { (x: Tensor) in x }(x)
    }
    expect("vmap: there is nothing to map over: the arguments have no tensors") {
      _ = vmap { (x: [Tensor]) in Tensor(1.0) }([])
    }
    expect(
      "vmap: a result is float32[2] for each example: outAxes 2 is not among its 2 axes with the examples'"
    ) {
      _ = vmap(outAxes: 2) { (x: Tensor) in x }(x)
    }
    expect("matmul: inner dimensions differ: [2] × [3, 4] (2 ≠ 3)") {
      _ = vmap { (x: Tensor) in x.matmul(zeros([3, 4])) }(x)
    }
    expect(
      "vmap: reshape gives float32[1, 1, 1, 1, 1, 1, 1, 2] for each example, and a tensor of all of them would "
        + "have 9 axes"
    ) {
      _ = vmap { (x: Tensor) in x.reshaped(1, 1, 1, 1, 1, 1, 1, 2).sum() }(x)
    }
    expect(
      "item: the value differs from example to example: vmap calls the function once for all 3"
    ) {
      _ = vmap { (x: Tensor) in x.sum().item() > 0 ? x : -x }(x)
    }
  }

  @Test func statesThatWouldDiffer() {
    let state = Variable(zeros([2]), requiresGrad: true, name: "state")
    let assigned = message {
      _ = vmap { (x: Tensor) in
        state.value = x
        return x
      }(ones([3, 2]))
    }
    #expect(
      assigned?.contains("vmap: state would get a value that differs from example to example")
        ?? false)
    expectSame(state.value, zeros([2]))
    let accumulated = message {
      _ = vmap { (x: Tensor) in
        let y = (x * state.value).sum()
        y.backward()
        return y
      }(ones([3, 2]))
    }
    #expect(accumulated?.contains("vmap: state.grad would get a value that differs") ?? false)
    let through = message {
      _ = vmap { (x: Tensor) in
        let y = x.square().sum()
        y.backward()
        return y
      }(ones([3, 2]).requiringGrad())
    }
    #expect(through?.contains("comes to a mapped argument that requires gradients") ?? false)
    let generator = Generator(seed: 1)
    let drawn = message {
      _ = vmap { (x: Tensor) in
        cond(x .> 0, then: { x + Random.normal(generator: generator) }, else: { x })
      }(Tensor([1.0, -1.0]))
    }
    #expect(drawn?.contains("vmap: generator would get a value that differs") ?? false)
    nonisolated(unsafe) var escaped: Tensor?
    _ = vmap { (x: Tensor) in
      escaped = x
      return x
    }(ones([3]))
    #expect(message { _ = escaped! + 1 }?.contains("a symbolic tensor was used outside") ?? false)
  }

  @Test func argumentsThatDoNotFitAreToldBeforeAnythingHappens() {
    let v = Variable(Tensor(0.0))
    #expect(throws: TensorError.self) {
      try checked {
        vmap(inAxes: 3) { (x: Tensor) -> Tensor in
          v.value = v.value + 1
          return x[x.shape[0] - 1]
        }(zeros([2, 3]))
      }
    }
    #expect(v.value.item(Double.self) == 0)
  }

  @Test func rulesOfSharedArgumentsMayNotDependOnTheExample() {
    let w = ones([2]).requiringGrad()
    let f = vmap { (m: Tensor) -> Tensor in
      let doubled = customFunction(
        forward: { (w: Tensor) -> Tensor in w * 2 },
        vjp: { (w: Tensor, y: Tensor, dy: Tensor) -> Tensor in dy * m })
      return doubled(w)
    }
    do {
      try checked { f(ones([4, 2])).sum().backward() }
      Issue.record("the gradient depends on the example")
    } catch {
      #expect("\(error)".contains("make the mapped tensor that its vjp captures an argument"))
    }
  }
}
