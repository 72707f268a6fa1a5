import Duet
import DuetTestSupport
import Testing

/// `vmap`: forms of arguments and results, compositions, state, random numbers.
@Suite struct VmapTests {
  private static func random(_ shape: [Int], seed: Int, _ dtype: DType = .float64) -> Tensor {
    Random.normal(shape, dtype: dtype, generator: Generator(seed: seed))
  }

  private static func close(
    _ a: Tensor, _ b: Tensor, _ tolerance: Double = 1e-9, _ what: String = "",
    sourceLocation: Testing.SourceLocation = #_sourceLocation
  ) {
    VmapOperationTests.expectClose(a, b, tolerance, what, sourceLocation: sourceLocation)
  }

  /// Expects the same as a loop, the same bits in every mode, and the loop's gradients by both arguments.
  private func expectLoop(
    _ what: String, _ x: Tensor, _ y: Tensor, _ axes: (Int?, Int?) = (0, nil),
    gradients: Bool = true, sourceLocation: Testing.SourceLocation = #_sourceLocation,
    _ f: @escaping (Tensor, Tensor) -> [Tensor]
  ) {
    let mapped = vmap(inAxes: axes, f)
    let results = mapped(x, y)
    let looped = { (x: Tensor, y: Tensor) in VmapOperationTests.looped(f, x, y, axes, 0) }
    for (a, b) in zip(results, looped(x, y)) {
      Self.close(a, b, 1e-9, what, sourceLocation: sourceLocation)
    }
    let program = traced { (x: Tensor, y: Tensor) in mapped(x, y) }
    for call in ["recorded", "replayed"] {
      expectSame(program(x, y), results, "\(what), \(call)", sourceLocation: sourceLocation)
    }
    executingEagerly = false
    let later = mapped(x, y)
    executingEagerly = true
    expectSame(later, results, "\(what), deferred", sourceLocation: sourceLocation)
    guard gradients else { return }
    let slopes = { (f: @escaping (Tensor, Tensor) -> [Tensor]) in
      { (t: [Tensor]) in grad { (t: [Tensor]) in VmapOperationTests.total(f(t[0], t[1])) }(t) }
    }
    let found = slopes(mapped)([x, y])
    for (a, b) in zip(found, slopes(looped)([x, y])) {
      Self.close(a, b, 1e-8, what + ", gradient", sourceLocation: sourceLocation)
    }
    expectSame(
      traced(slopes(mapped))([x, y]), found, what + ", traced gradient",
      sourceLocation: sourceLocation)
  }

  // MARK: Arguments and results

  @Test func oneToFourArgumentsAndResults() {
    let x = Self.random([3, 2], seed: 1)
    expectSame(vmap { (x: Tensor) in x.sum() }(x), x.sum(axis: 1))
    let (sum, double) = vmap { (x: Tensor) in (x.sum(), x * 2) }(x)
    expectSame([sum, double], [x.sum(axis: 1), x * 2])
    let three = vmap(inAxes: (0, nil, 1)) { (x: Tensor, w: Tensor, z: Tensor) in
      (x + w, z, x * z)
    }(x, ones([2], dtype: .float64), x.T)
    expectSame([three.0, three.1, three.2], [x + 1, x, x * x])
    let four = vmap(inAxes: (0, nil, 1, -1)) {
      (x: Tensor, w: Tensor, y: Tensor, z: Tensor) in (x, w, y, z)
    }(x, zeros([2]), x.T, x.T)
    expectSame([four.0, four.1, four.2, four.3], [x, zeros([3, 2]), x, x])
  }

  @Test func treesAreMappedTensorByTensor() {
    let parts = ["w": Self.random([4, 3], seed: 1), "b": Self.random([4], seed: 2)]
    let x = Self.random([3], seed: 3)
    let result = vmap(inAxes: (0, nil)) { (p: [String: Tensor], x: Tensor) in
      ["y": [p["w"]! * x + p["b"]!]]
    }(parts, x)
    expectSame(result["y"]![0], parts["w"]! * x + parts["b"]!.reshaped(4, 1))
  }

  @Test func resultsLieAlongTheAxisThatIsAsked() {
    let x = Self.random([3, 2, 4], seed: 1)
    expectSame(vmap(outAxes: 1) { (x: Tensor) in x }(x), x.movedAxis(from: 0, to: 1))
    expectSame(vmap(outAxes: -1) { (x: Tensor) in x }(x), x.movedAxis(from: 0, to: 2))
    expectSame(vmap(inAxes: 1, outAxes: 1) { (x: Tensor) in x * 2 }(x), x * 2)
    // What does not depend on the example is repeated.
    let shared = vmap(inAxes: (0, nil), outAxes: -1) { (_: Tensor, y: Tensor) in y }
    expectSame(shared(x, ones([2])), ones([2, 3]))
  }

  @Test func examplesHaveNoAxisOfTheirOwn() {
    nonisolated(unsafe) var shapes: [[Int]] = []
    _ = vmap(inAxes: (1, nil)) { (x: Tensor, y: Tensor) in
      shapes += [x.shape, y.shape]
      return x
    }(zeros([2, 5, 3]), zeros([7]))
    #expect(shapes == [[2, 3], [7]])
  }

  // MARK: Compositions

  @Test func mapsNest() {
    let (x, y) = (Self.random([3, 4], seed: 1), Self.random([5, 4], seed: 2))
    let products = vmap(
      inAxes: (0, nil),
      vmap(inAxes: (nil, 0)) { (x: Tensor, y: Tensor) in (x * y).sum() })
    Self.close(products(x, y), x.matmul(y.T))
    Self.close(traced(products)(x, y), x.matmul(y.T))
    let all = vmap(vmap(inAxes: 1, outAxes: 1) { (x: Tensor) in x.cumsum(axis: 0) })
    let z = Self.random([2, 3, 4], seed: 3)
    Self.close(all(z), z.cumsum(axis: 1))
  }

  @Test func mappedInsideTransformsAndTheOtherWayRound() {
    let (x, w) = (Self.random([4, 3], seed: 1), Self.random([3, 2], seed: 2))
    let f = { (x: Tensor, w: Tensor) in tanh(x.matmul(w)).square().sum() }
    // Gradients of examples, with respect to what they share.
    let each = vmap(inAxes: (nil, 0), grad { (w: Tensor, x: Tensor) in f(x, w) })
    let expected = stacked((0..<4).map { i in grad { (w: Tensor) in f(x[i], w) }(w) })
    Self.close(each(w, x), expected)
    expectSame(traced(each)(w, x), each(w, x))
    Self.close(
      grad { (w: Tensor) in vmap(inAxes: (0, nil), f)(x, w).sum() }(w), expected.sum(axis: 0))
    // Of higher order, on either side.
    let second = grad { (w: Tensor) in each(w, x).sin().sum() }
    let loop = grad { (w: Tensor) in
      stacked((0..<4).map { i in grad { (w: Tensor) in f(x[i], w) }(w) }).sin().sum()
    }
    Self.close(second(w), loop(w))
    expectSame(traced(second)(w), second(w))
    Self.close(
      vmap(inAxes: (0, nil), hessian(f))(x, w),
      stacked((0..<4).map { i in hessian(f)(x[i], w) }))
    Self.close(
      vmap(jacobian { (x: Tensor) in tanh(x) * x.sum() })(x),
      stacked((0..<4).map { i in jacobian { (x: Tensor) in tanh(x) * x.sum() }(x[i]) }))
    let whole = vmap(inAxes: (0, nil)) { (x: Tensor, w: Tensor) in x.matmul(w) }
    Self.close(
      jacobian { (w: Tensor) in whole(x, w) }(w), jacobian { (w: Tensor) in x.matmul(w) }(w))
    Self.close(
      vmap { (x: Tensor, v: Tensor) in
        jvp({ (x: Tensor) in tanh(x) * x }, primals: x, tangents: v).jvps
      }(x, x.cos()),
      jvp({ (x: Tensor) in tanh(x) * x }, primals: x, tangents: x.cos()).jvps)
  }

  @Test func leavesOutsideGetTheirGradients() {
    let x = Self.random([4, 3], seed: 1).requiringGrad()
    let layer = Linear(3, 2, dtype: .float64)
    vmap { (x: Tensor) in tanh(layer(x)).square().sum() }(x).sum().backward()
    let (byX, byWeight) = (x.grad!, layer.weight.grad!)
    x.grad = nil
    layer.weight.grad = nil
    tanh(layer(x)).square().sum().backward()
    Self.close(byX, x.grad!)
    Self.close(byWeight, layer.weight.grad!)
  }

  @Test func whatIsCutOffStaysCutOff() {
    expectLoop("detached", Self.random([3, 2], seed: 1), Self.random([2], seed: 2)) { x, y in
      [x * x.detached() * y, noGrad { x.exp() * y } * x, (x * y.detached()).sum()]
    }
  }

  @Test func gradientsOfTheFunctionsOwn() {
    let straight = customFunction(
      forward: { (x: Tensor, y: Tensor) in (x.round() * y, x + y) },
      vjp: { x, y, z, dz in
        let dx = dz.0 * y * 3 + dz.1
        let dy: Tensor = dz.0 * x + dz.1
        return (dx, dy.sum(axis: 0))
      })
    for axes in [(0, nil), (0, 0), (nil, 0)] as [(Int?, Int?)] {
      let x = Self.random(axes.0 == nil ? [2, 3] : [4, 2, 3], seed: 1)
      let y = Self.random(axes.1 == nil ? [3] : [4, 3], seed: 2)
      expectLoop("custom \(axes)", x, y, axes) { x, y in
        let (a, b) = straight(x, y)
        return [a * b, grad { (x: Tensor) in straight(x, y).0.sum() }(x)]
      }
      expectLoop("activations \(axes)", x, y, axes) { x, y in
        [mish(x) * hardswish(y), grad { (x: Tensor) in (celu(x) * y).sum() }(x)]
      }
    }
  }

  @Test func checkpointsInside() {
    let layer = { (x: Tensor, y: Tensor) in
      checkpointed { (x: Tensor) in tanh(x * y) * x.exp() }(x)
    }
    expectLoop("checkpoint", Self.random([3, 2], seed: 1), Self.random([2], seed: 2)) { x, y in
      [layer(x, y), grad { (x: Tensor) in layer(x, y).sum() }(x)]
    }
  }

  @Test func mappedUnderACheckpoint() {
    let x = Self.random([3, 2], seed: 1)
    let f = { (x: Tensor) in vmap { (x: Tensor) in tanh(x).square().sum() * x }(x).sum() }
    expectSame(grad { (x: Tensor) in checkpointed(f)(x) }(x), grad(f)(x))
    expectSame(traced(grad { (x: Tensor) in checkpointed(f)(x) })(x), grad(f)(x))
  }

  // MARK: Branches and loops

  @Test func branches() {
    let x = Self.random([5, 2], seed: 1)
    expectLoop("their own decision", x, Self.random([2], seed: 2)) { x, y in
      [cond(x.sum() .> 0, then: { x * y }, else: { (x - 1).exp() * y.sin() })]
    }
    expectLoop("one decision", x, Self.random([2], seed: 2)) { x, y in
      [cond(y.sum() .> 0, then: { x * y }, else: { (x - 1).exp() * y.sin() }) * 2]
    }
    expectLoop("branches in branches", x, Self.random([2], seed: 2)) { x, y in
      [
        cond(
          y.sum() .< 9, then: { cond(x[0] .> 0, then: { x }, else: { y }) }, else: { x.detached() })
      ]
    }
    expectLoop("a gradient inside", x, Self.random([2], seed: 2), gradients: false) { x, y in
      [grad { (x: Tensor) in cond(x.sum() .> 0, then: { x * y }, else: { x.exp() }).sum() }(x)]
    }
  }

  @Test func scans() {
    let x = Self.random([4, 3, 2], seed: 1)
    expectLoop("mapped slices", x, Self.random([2], seed: 2)) { x, y in
      let (state, all) = scan(y, over: x) { s, x in
        let next = tanh(s * x + y)
        return (next, next * 2)
      }
      return [state, all]
    }
    expectLoop("mapped state", Self.random([4, 2], seed: 3), Self.random([3, 2], seed: 2)) { x, y in
      let (state, all) = scan((x, y[0]), over: y, reverse: true) { s, y in
        ((s.0 * y.sin(), s.1 + 1), s.1)
      }
      return [state.0, state.1, all]
    }
    expectLoop("a gradient inside", x, Self.random([2], seed: 2), gradients: false) { x, y in
      [
        grad { (x: Tensor) in
          scan(y, over: x) { s, x in (tanh(s * x), x) }.0.sum()
        }(x)
      ]
    }
  }

  @Test func loops() {
    let x = Tensor([0.5, 3.0, 40.0, 1.5]).asType(.float64)
    let y = Tensor(1.5).asType(.float64)
    expectLoop("as long as each wants", x, y) { x, y in
      let (n, z) = whileLoop((Tensor(0), x), maximumLength: 30, while: { _, z in z .< 20 }) {
        n, z in
        (n + 1, z * y + 0.25)
      }
      return [n, z]
    }
    expectLoop("the same for all", x, y) { x, y in
      let (_, z) = whileLoop((Tensor(0), x), maximumLength: 5, while: { n, _ in n .< 3 }) { n, z in
        (n + 1, z * y)
      }
      return [z]
    }
    expectLoop("without an end", x, y, gradients: false) { x, y in
      [whileLoop(x, while: { $0 .< 20 }) { $0 * y + 0.25 }]
    }
    expectLoop("a gradient inside", x, y, gradients: false) { x, y in
      [
        grad { (x: Tensor) in
          whileLoop(x, maximumLength: 20, while: { $0 .< 20 }) { ($0 * y).sin() + $0 + 1 }
        }(x)
      ]
    }
  }

  @Test func mappedInsideLoopsAndBranches() {
    let x = Self.random([3, 4, 2], seed: 1)
    let each = vmap(inAxes: (0, nil)) { (x: Tensor, s: Tensor) in (x * s).sum() }
    let program = traced { (x: Tensor) in
      scan(ones([2], dtype: .float64), over: x) { s, x in
        let y = each(x, s)
        return (cond(y.sum() .> 0, then: { s + each(x, s).mean() }, else: { s - 1 }), y)
      }.1
    }
    var s = ones([2], dtype: .float64)
    var rows: [Tensor] = []
    for t in 0..<3 {
      let y = (x[t] * s).sum(axis: 1)
      rows.append(y)
      s = y.sum().item() > 0 ? s + y.mean() : s - 1
    }
    Self.close(program(x), stacked(rows))
    expectSame(program(x), program(x))
  }

  // MARK: Random numbers and state

  @Test func eachExampleDrawsItsOwnNumbers() {
    let draw = { (generator: Generator) in
      vmap { (x: Tensor) in x + Random.normal([3], dtype: .float64, generator: generator) }
    }
    let generator = Generator(seed: 7)
    let first = draw(generator)(zeros([4, 1], dtype: .float64))
    expectSame(first, Random.normal([4, 3], dtype: .float64, generator: Generator(seed: 7)))
    // What comes later is new.
    let second = draw(generator)(zeros([4, 1], dtype: .float64))
    #expect(Set(first.asArray(Double.self) + second.asArray(Double.self)).count == 24)
    let (program, other) = (traced(draw(generator)), Generator(seed: 7))
    generator.seed(7)
    for _ in 0..<3 {
      let x = zeros([4, 1], dtype: .float64)
      expectSame(program(x), draw(other)(x))
    }
    let orders = vmap { (x: Tensor) in Random.permutation(20, generator: other) + x }
    let found = orders(zeros([3], dtype: .int64))
    expectSame(found.sort(), arange(20).broadcast(to: [3, 20]))
    #expect(found[0].asArray(Int.self) != found[1].asArray(Int.self))
    let steps = vmap { (x: Tensor) in
      scan(x, over: zeros([3])) { x, _ in (x + Random.uniform(generator: other), x) }.0
    }(zeros([5]))
    #expect(Set(steps.asArray(Float.self)).count == 5)
  }

  @Test func sharedStateIsWrittenOnce() {
    let count = Variable(Tensor(0.0), name: "count")
    let f = vmap { (x: Tensor) in
      count.value = count.value + 1
      return x * count.value
    }
    expectSame(f(ones([3])), ones([3]))
    expectSame(traced(f)(ones([3])), full([3], Float(2)))
    #expect(count.value.item() == 2)
    // What the function makes itself may hold anything.
    let own = vmap { (x: Tensor) in
      let sum = Variable(x, name: "sum")
      sum.value = sum.value + x
      return sum.value
    }
    expectSame(own(Tensor([1.0, 2.0])), Tensor([2.0, 4.0]))
    let gradients = vmap { (x: Tensor) in
      let leaf = x.requiringGrad()
      (leaf * leaf).sum().backward()
      return leaf.grad!
    }
    expectSame(gradients(Tensor([1.0, 2.0])), Tensor([2.0, 4.0]))
  }

  @Test func variablesWithGradientsChangeMoreThanOnce() {
    let x = Tensor([1.0, 2.0])
    let stepped = vmap { (x: Tensor) -> Tensor in
      let p = Parameter(x)
      let optimizer = SGD([p], learningRate: 0.5)
      for _ in 0..<2 {
        optimizer.zeroGrad()
        p.value.square().sum().backward()
        optimizer.step()
      }
      noGrad { p.value = p.value + 1 }
      return p.value * 1
    }
    #expect(stepped(x).asArray(Double.self) == [1, 1])
    let shared = vmap { (x: Tensor) -> Tensor in
      let p = Parameter(ones([]))
      noGrad {
        p.value = p.value * x
        p.value = p.value + x
      }
      return p.value * 1
    }
    #expect(shared(x).asArray(Double.self) == [2, 4])

    for isDeferred in [false, true] {
      let w = Parameter(Tensor(1.0))
      let f = vmap { (x: Tensor) -> Tensor in
        noGrad {
          w.value = w.value * 2
          cond(Tensor(true), then: { w.value = w.value * 3 }, else: {})
        }
        return x * w.value
      }
      let found = withExecution(isDeferred ? .deferred : .eager) { f(x).asArray(Double.self) }
      #expect(found == [6, 12])
      #expect(w.value.item(Double.self) == 6)
    }
  }

  @Test func variablesMadeInsideMayBeKept() {
    var state: Variable?
    var generator: Generator?
    let f = vmap { (x: Tensor) -> Tensor in
      if state == nil { state = Variable(Tensor(0.0)) }
      if generator == nil { generator = Generator(seed: 1) }
      state!.value = state!.value + 1
      return x * state!.value + Random.uniform(generator: generator!) * 0
    }
    #expect(f(ones([2])).asArray(Double.self) == [1, 1])
    #expect(state!.value.item(Double.self) == 1)
    #expect(f(ones([2])).asArray(Double.self) == [2, 2])
    #expect(state!.value.item(Double.self) == 2)
    _ = Random.uniform(generator: generator!)
  }

  @Test func callbacksSeeEveryExample() {
    nonisolated(unsafe) var seen: [Float] = []
    let f = vmap { (x: Tensor) in
      hostCallback(x * 2) { seen.append($0.item()) }
      return x
    }
    _ = f(Tensor([1.0, 2.0, 3.0]))
    let program = traced(f)
    for _ in 0..<2 { _ = program(Tensor([4.0, 5.0])) }
    #expect(seen == [2, 4, 6, 8, 10, 8, 10])
  }

  @Test func nothingIsLeftBehind() {
    weak var left: Variable?
    do {
      let variable = Variable(ones([2]), requiresGrad: true, name: "v")
      left = variable
      let f = vmap { (x: Tensor) in
        scan(x, over: variable.value.reshaped(2, 1)) { s, v in (mish(s * v.sum()), s) }.0
      }
      f(ones([3]).requiringGrad()).sum().backward()
    }
    #expect(left == nil)
  }

  @Test func branchesWriteWhatAllExamplesShare() {
    let state = Variable(Tensor(1.0), requiresGrad: true, name: "state")
    let f = vmap(inAxes: (0, nil)) { (x: Tensor, flag: Tensor) in
      cond(
        flag, then: { state.value = state.value * 2 }, else: { state.value = state.value - 1 })
      return x * state.value
    }
    let program = traced(f)
    let x = Tensor([1.0, 3.0])
    expectSame(f(x, Tensor(true)), x * 2)
    expectSame(program(x, Tensor(true)), x * 4)
    expectSame(program(x, Tensor(false)), x * 3)
    #expect(state.value.item() == 3 && state.value.isLeaf && state.value.requiresGrad)
    f(x, Tensor(true)).sum().backward()
    #expect(message { f(x, x[0] .> 0).sum().backward() } == nil)
  }

  // MARK: Other surroundings

  @Test func mappedFunctionsOfUnknownSizesAndPlaceholders() throws {
    let w = Self.random([3, 2], seed: 5, .float32)
    let f = vmap { (x: Tensor) in
      (tanh(x.matmul(w)).softmax() * x[0], grad { (x: Tensor) in mish(x.matmul(w)).sum() }(x))
    }
    nonisolated(unsafe) var runs = 0
    let program = traced { (x: Tensor) in
      runs += 1
      return f(x)
    }
    try program.lower(TensorSpec([nil, 3]))
    let before = runs
    for count in [2, 5, 1, 7] {
      let x = Self.random([count, 3], seed: count, .float32)
      let (a, b) = (program(x), f(x))
      expectSame([a.0, a.1], [b.0, b.1])
    }
    #expect(runs == before && program.traceCount == 1)

    executingEagerly = false
    defer { executingEagerly = true }
    let x = placeholder(.float32, shape: [4, 3], name: "x")
    let y = f(x).0
    let given = Self.random([4, 3], seed: 9, .float32)
    let found = try Session().run(y, feeding: [x: given])
    executingEagerly = true
    expectSame(found, f(given).0)
  }

  @Test func tracedFunctionsInside() {
    let inner = traced { (x: Tensor) in tanh(x) * x.sum() }
    let x = Self.random([3, 2], seed: 1)
    expectSame(inner(x[0]), tanh(x[0]) * x[0].sum())
    expectSame(vmap { (x: Tensor) in inner(x) }(x), vmap { (x: Tensor) in tanh(x) * x.sum() }(x))
  }
}
