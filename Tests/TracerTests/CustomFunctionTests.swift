import Duet
import DuetEager
import DuetTestSupport
import Testing

/// Functions that bring their own gradient.
@Suite struct CustomFunctionTests {
  nonisolated(unsafe) private static let swish = customFunction(
    name: "swish",
    forward: { (x: Tensor) in x * x.sigmoid() },
    vjp: { x, y, dy in
      let s = x.sigmoid()
      return dy * (s + y * (1 - s))
    })
  // Shared as tests share them: the closures have no state.
  /// `x w` and `x / w`; the gradient of the second reads the result.
  nonisolated(unsafe) private static let ratio = customFunction(
    name: "ratio",
    forward: { (x: Tensor, w: Tensor) in (x * w, x / w) },
    vjp: { x, w, y, dy in
      let dw = dy.0 * x - dy.1 * y.1 / w
      return (dy.0 * w + dy.1 / w, dw)
    })

  private static func close(
    _ a: Tensor, _ b: Tensor, _ tolerance: Double = 1e-7,
    sourceLocation: Testing.SourceLocation = #_sourceLocation
  ) {
    #expect(a.shape == b.shape && a.dtype == b.dtype, sourceLocation: sourceLocation)
    let (x, y) = (a.asArray(Double.self), b.asArray(Double.self))
    #expect(x.count == y.count, sourceLocation: sourceLocation)
    for (i, (x, y)) in zip(x, y).enumerated() where !(abs(x - y) <= tolerance * max(1, abs(y))) {
      Issue.record("element \(i) is \(x) instead of \(y)", sourceLocation: sourceLocation)
    }
  }

  /// The derivatives of a number by all elements: central differences with two steps, extrapolated (Richardson).
  private static func differences(_ x: Tensor, _ f: (Tensor) -> Tensor) -> Tensor {
    let values = x.asArray(Double.self)
    let slopes = values.indices.map { i -> Double in
      func slope(_ h: Double) -> Double {
        func value(_ h: Double) -> Double {
          var moved = values
          moved[i] += h
          return f(Tensor(moved, x.shape)).item()
        }
        return (value(h) - value(-h)) / (2 * h)
      }
      return (4 * slope(1e-4) - slope(2e-4)) / 3
    }
    return Tensor(slopes, x.shape)
  }

  private static func random(_ shape: [Int], seed: Int, _ dtype: DType = .float64) -> Tensor {
    Random.normal(shape, dtype: dtype, generator: Generator(seed: seed))
  }

  // MARK: Whose gradient it is

  @Test func theGradientIsTheRulesAndNotTheOperations() {
    let straightThrough = customFunction(
      forward: { (x: Tensor) in x.round() }, vjp: { x, _, dy in dy })
    let x = Tensor([0.4, 1.6], requiresGrad: true)
    let y = straightThrough(x)
    expectSame(y.detached(), Tensor([0.0, 2.0]))
    (y * Tensor([2.0, 3.0])).sum().backward()
    expectSame(x.grad!, Tensor([2.0, 3.0]))
  }

  /// The example of PyTorch's tutorial: the Legendre polynomial of degree 3, and its derivatives.
  @Test func legendrePolynomial() {
    let p3 = customFunction(
      forward: { (x: Tensor) in 0.5 * (5 * x ** 3 - 3 * x) },
      vjp: { x, _, dy in dy * 1.5 * (5 * x ** 2 - 1) })
    #expect(p3(Tensor(2.0)).item(Float.self) == 17)
    #expect(grad(p3)(Tensor(2.0)).item(Float.self) == 28.5)
    #expect(grad(grad(p3))(Tensor(2.0)).item(Float.self) == 30)
    #expect(grad(grad(grad(p3)))(Tensor(2.0)).item(Float.self) == 15)
  }

  @Test func gradFnHasTheFunctionsName() {
    let x = Tensor([1.0], requiresGrad: true)
    let identity = customFunction(forward: { (x: Tensor) in x }, vjp: { x, _, dy in dy })
    #expect(identity(x).gradFn?.description == "CustomBackward")
    #expect(Self.swish(x).gradFn?.description == "SwishBackward")
    let (y, z) = Self.ratio(x, x)
    #expect(y.gradFn?.description == "RatioBackward" && z.gradFn?.description == "RatioBackward")
    #expect(!y.isLeaf && x.isLeaf)
    #expect(identity(Tensor([1.0])).gradFn == nil)
    #expect(noGrad { identity(x) }.gradFn == nil)
  }

  @Test func insideNothingIsRecorded() {
    let weight = Parameter(Tensor([3.0]))
    let scaled = customFunction(
      forward: { (x: Tensor) in
        #expect(!isGradEnabled && !x.requiresGrad)
        return x * weight.value
      }, vjp: { x, _, dy in dy * weight.value })
    let x = Tensor([2.0], requiresGrad: true)
    scaled(x).sum().backward()
    expectSame(x.grad!, Tensor([3.0]))
    #expect(weight.grad == nil)
    // What is captured is a constant, even as the result, or as the gradient.
    let constant = customFunction(
      forward: { (_: Tensor) in weight.value }, vjp: { _, _, _ in weight.value })
    let y = constant(x)
    y.sum().backward()
    expectSame(x.grad!, Tensor([6.0]))
    #expect(!x.grad!.requiresGrad && weight.grad == nil)
  }

  // MARK: Gradients by differences, in float64

  @Test func gradientsAgreeWithDifferences() {
    let x = Self.random([2, 3], seed: 1)
    let weights = Self.random([2, 3], seed: 2)
    let f = { (x: Tensor) in (Self.swish(x) * weights).sum() }
    Self.close(grad(f)(x), Self.differences(x, f))
    let slope = { (x: Tensor) in (grad(f)(x) * weights.cos()).sum() }
    Self.close(grad(slope)(x), Self.differences(x, slope))
    let bend = { (x: Tensor) in (grad(slope)(x) * weights.sin()).sum() }
    Self.close(grad(bend)(x), Self.differences(x, bend), 1e-6)
  }

  @Test func gradientsOfSeveralArgumentsAndResultsAgreeWithDifferences() {
    let (x, w) = (Self.random([4], seed: 3), Self.random([4], seed: 4).exp())
    let (a, b) = (Self.random([4], seed: 5), Self.random([4], seed: 6))
    func loss(_ x: Tensor, _ w: Tensor) -> Tensor {
      let (y, z) = Self.ratio(x, w)
      let first = y * y * a
      return (first + z.tanh() * b).sum()
    }
    let byX = { (x: Tensor) in loss(x, w) }
    let byW = { (w: Tensor) in loss(x, w) }
    Self.close(grad(byX)(x), Self.differences(x, byX))
    Self.close(grad(byW)(w), Self.differences(w, byW))
    for f in [byX, byW] {
      let point = f(x).item(Double.self) == byX(x).item(Double.self) ? x : w
      let slope = { (x: Tensor) in (grad(f)(x) * a.cos()).sum() }
      Self.close(grad(slope)(point), Self.differences(point, slope))
    }
  }

  // MARK: Transforms

  @Test func transformsAgreeWithThoseOfTheOperations() {
    let plain = { (x: Tensor) in x * x.sigmoid() }
    let x = Self.random([3], seed: 7)
    let direction = Self.random([3], seed: 8)
    Self.close(jacobian(Self.swish)(x), jacobian(plain)(x), 1e-13)
    Self.close(
      hessian { Self.swish($0).square().sum() }(x), hessian { plain($0).square().sum() }(x), 1e-13)
    let (y, product) = jvp(Self.swish, primals: x, tangents: direction)
    expectSame(y, plain(x))
    Self.close(product, jvp(plain, primals: x, tangents: direction).jvps, 1e-13)
    let (outputs, products) = vjp(Self.swish, primals: x, cotangents: direction)
    expectSame(outputs, y)
    Self.close(products, vjp(plain, primals: x, cotangents: direction).vjps, 1e-13)
    // The direction of a direction.
    let twice = { (f: @escaping (Tensor) -> Tensor) in
      jvp({ jvp(f, primals: $0, tangents: direction).jvps }, primals: x, tangents: direction).jvps
    }
    Self.close(twice(Self.swish), twice(plain), 1e-13)
    #expect(valueAndGrad { Self.swish($0).sum() }(x).value.requiresGrad == false)
  }

  @Test func gradientsByAResultGoThroughTheRuleThatReadsIt() {
    // y = exp(x), whose rule reads y: dx = dy y. The gradient of dx by y is dy, whoever holds y.
    let exponential = customFunction(
      forward: { (x: Tensor) in x.exp() }, vjp: { _, y, dy in dy * y })
    let x = Tensor([0.5, -1.0], requiresGrad: true)
    let y = exponential(x)
    let dx = gradients(of: [y.sum()], by: [x], createGraph: true)[0]
    expectSame(gradients(of: [dx.sum()], by: [y], retainGraph: true)[0], ones([2]))
    expectSame(gradients(of: [dx.sum()], by: [x])[0], y.detached())
  }

  @Test func whatNothingDependsOnHasZerosAsItsCotangent() {
    let seen = Seen()
    let split = customFunction(
      forward: { (x: Tensor) in (x * 2, [x * 3, x.argMax(axis: 0)]) },
      vjp: { x, y, dy in
        seen.tensors = [dy.0, dy.1[0], dy.1[1]]
        return dy.0 * 2 + dy.1[0] * 3
      })
    let x = Tensor([1.0, 2.0], requiresGrad: true)
    split(x).1[0].sum().backward()
    expectSame(x.grad!, Tensor([3.0, 3.0]))
    expectSame(seen.tensors, [zeros([2]), ones([2]), Tensor(0)])
    #expect(split(x).1[1].requiresGrad == false)
  }

  private final class Seen { var tensors: [Tensor] = [] }

  // MARK: Arguments

  private struct Layer: TensorStruct {
    var weight: Tensor
    var bias: Tensor?
    var power: Int
    static var parts: [PartialKeyPath<Layer>] { [\.weight, \.bias, \.power] }
  }

  @Test func argumentsAreTreesIntegersAndStaticValues() {
    let f = customFunction(
      forward: { (layer: Layer, x: [String: Tensor], places: Tensor, scale: Static<Double>) in
        let y = matmul(x["x"]!, layer.weight).take(places, axis: 1) * scale.value
        return layer.bias.map { y + $0 } ?? y
      },
      vjp: { layer, x, places, scale, y, dy in
        let dz = grad { (z: Tensor) in (z.take(places, axis: 1) * dy).sum() * scale.value }(
          matmul(x["x"]!, layer.weight))
        return (
          Layer(
            weight: matmul(x["x"]!.T, dz), bias: layer.bias.map { _ in dy.sum(axis: 0) },
            power: 99),
          ["x": matmul(dz, layer.weight.T)], places, scale
        )
      })
    func plain(_ layer: Layer, _ x: Tensor, _ places: Tensor) -> Tensor {
      let y = matmul(x, layer.weight).take(places, axis: 1) * 0.5
      return layer.bias.map { y + $0 } ?? y
    }
    let x = Self.random([2, 3], seed: 9)
    let places = Tensor([2, 0])
    for bias in [Self.random([2], seed: 11), nil] {
      let layer = Layer(weight: Self.random([3, 4], seed: 10), bias: bias, power: 2)
      let found = grad { (l: Layer, x: Tensor) in f(l, ["x": x], places, Static(0.5)).exp().sum() }(
        layer, x)
      let expected = grad { (l: Layer, x: Tensor) in plain(l, x, places).exp().sum() }(layer, x)
      Self.close(found.weight, expected.weight, 1e-13)
      #expect((found.bias == nil) == (bias == nil))
      if let bias = found.bias { Self.close(bias, expected.bias!, 1e-13) }
      Self.close(
        grad { (x: Tensor) in f(layer, ["x": x], places, Static(0.5)).exp().sum() }(x),
        grad { (x: Tensor) in plain(layer, x, places).exp().sum() }(x), 1e-13)
    }
  }

  @Test func oneToFourResultsAndEmptyTensors() {
    let three = customFunction(
      forward: { (x: Tensor) in (x, x * 2, x * 3) },
      vjp: { x, _, dy in
        let rest = dy.1 * 2 + dy.2 * 3
        return dy.0 + rest
      })
    let four = customFunction(
      forward: { (x: Tensor, y: Tensor) in (x, y, x * y, x + y) },
      vjp: { x, y, _, dy in
        let dx = dy.0 + dy.2 * y + dy.3
        return (dx, dy.1 + dy.2 * x + dy.3)
      })
    let x = Tensor([1.0, 2.0])
    expectSame(grad { three($0).0.sum() + three($0).2.sum() }(x), full([2], Float(4)))
    expectSame(grad { (x: Tensor) in four(x, x * 3).2.sum() }(x), x * 6)
    expectSame(grad { Self.swish($0).sum() }(zeros([0, 3])), zeros([0, 3]))
    expectSame(grad { Self.swish($0) }(Tensor(0.0)), Tensor(0.5))
  }

  // MARK: Modes

  private static let programs: [(name: String, body: @Sendable ([Tensor]) -> Tensor)] = [
    ("alone", { x in swish(x[0]).sum() }),
    ("several results, one of them unused", { x in ratio(x[0], x[1].exp()).1.square().sum() }),
    (
      "several uses",
      { x in
        let (y, z) = ratio(swish(x[0]), x[1].exp())
        return (y * z + swish(y) + ratio(z, x[1].exp()).0).sum()
      }
    ),
    (
      "in a branch",
      { x in
        let y = cond(x[0].sum() .> 0, then: { ratio(x[0], x[1].exp()).0 }, else: { swish(x[1]) })
        return (swish(y) * x[0]).sum()
      }
    ),
    (
      "behind a branch that sends nothing",
      { x in
        let (y, z) = ratio(x[0], x[1].exp())
        return cond(x[0].sum() .> 1e9, then: { y.sum() + z.sum() }, else: { x[1].sum() })
          + cond(x[0].sum() .< 1e9, then: { (y * y).sum() }, else: { (z * -3).sum() })
      }
    ),
    (
      "in a loop",
      { x in
        let y = whileLoop(
          x[0], maximumLength: 6, while: { $0.square().sum() .< 50 },
          do: { ratio($0, x[1].exp()).0 + swish($0) + 0.5 })
        return (y * x[1]).sum()
      }
    ),
    (
      "in a scan",
      { x in
        let (last, all) = scan(x[1], over: stacked([x[0], x[1], x[0]])) { h, x in
          let h = swish(h + x)
          return (h, ratio(h, x.exp()).1)
        }
        return (last * all.mean(axis: 0)).sum()
      }
    ),
  ]

  @Test(arguments: programs.indices)
  func everyModeGivesTheSameBits(_ index: Int) throws {
    let (name, body) = Self.programs[index]
    @Sendable func first(_ x: [Tensor]) -> [Tensor] {
      let leaves = x.map { $0.requiringGrad() }
      let y = body(leaves)
      return [y.detached()] + gradients(of: [y], by: leaves)
    }
    @Sendable func second(_ x: [Tensor]) -> [Tensor] {
      let leaves = x.map { $0.requiringGrad() }
      let slopes = gradients(of: [body(leaves)], by: leaves, createGraph: true)
      return gradients(of: [slopes.reduce(Tensor(0.0)) { $0 + $1.sin().sum() }], by: leaves)
    }
    // Branches and loops refuse gradients of gradients.
    for program in index < 3 ? [first, second] : [first] {
      for seed in 0..<3 {
        let x = [
          Self.random([5], seed: seed, .float32), Self.random([5], seed: seed + 20, .float32),
        ]
        let eager = program(x)
        let step = traced { (x: [Tensor]) in program(x) }
        expectSame(step(x), eager, "\(name), recorded")
        expectSame(step(x), eager, "\(name), replayed")
        #expect(step.traceCount == 1)
        let lowered = traced { (x: [Tensor]) in program(x) }
        _ = lowered.graph(for: x)
        expectSame(lowered(x), eager, "\(name), traced from types")
        expectSame(withExecution(.deferred) { program(x) }, eager, "\(name), deferred")
        let around = traced(verify: true) { (x: [Tensor]) in program(x) }
        expectSame(around(x), eager, "\(name)")
        expectSame(around(x), eager, "\(name), verified")
      }
    }
  }

  @Test func aSessionRunsTheRule() throws {
    try withExecution(.deferred) {
      let x = placeholder(.float32, shape: [2], name: "x")
      let y = Self.swish(x).sum()
      let slope = gradients(of: y, withRespectTo: [x])[0]
      let bend = gradients(of: slope.sum(), withRespectTo: [x])[0]
      let value = Tensor([0.5, -2.0])
      let found = try Session().run([slope, bend], feeding: [x: value])
      expectSame(found[0], withExecution(.eager) { grad { Self.swish($0).sum() }(value) })
      let second = withExecution(.eager) {
        grad { (x: Tensor) in grad { Self.swish($0).sum() }(x).sum() }(value)
      }
      expectSame(found[1], second)
    }
  }

  @Test func tracedInsideAndAround() {
    let inner = traced { (x: Tensor) in x * x.sigmoid() }
    let rule = traced { (x: Tensor, y: Tensor, dy: Tensor) in
      let s = x.sigmoid()
      return dy * (s + y * (1 - s))
    }
    let f = customFunction(forward: { inner($0) }, vjp: { rule($0, $1, $2) })
    let x = Self.random([7], seed: 12, .float32)
    let expected = grad { Self.swish($0).sum() }(x)
    for _ in 0..<3 { expectSame(grad { f($0).sum() }(x), expected) }
    #expect(inner.traceCount == 1 && rule.traceCount == 1)
    // Inside another traced function all of it is one graph.
    let slope = traced { (x: Tensor) in grad { f($0).sum() }(x) }
    for _ in 0..<3 { expectSame(slope(x), expected) }
    #expect(slope.traceCount == 1 && inner.traceCount == 1)
  }

  @Test func backwardTwiceNeedsTheGraphToBeKept() {
    let x = Tensor([1.5], requiresGrad: true)
    let y = Self.swish(x)
    y.backward(retainGraph: true)
    let once = x.grad!
    y.backward()
    expectSame(x.grad!, once + once)
    #expect(message { y.backward() }?.contains("SwishBackward was run through before") == true)
  }

  @Test func argumentsAndResultsAreLetGoOf() {
    final class Held {
      weak var body: TensorBody?
      init(_ body: TensorBody) { self.body = body }
    }
    var argument: Tensor? = Tensor([1.5], requiresGrad: true)
    let held = Held(argument!.body)
    let f = customFunction(forward: { (x: Tensor) in x + 1 }, vjp: { x, _, dy in dy * x })
    let y = f(argument!)
    argument = nil
    #expect(held.body != nil)
    y.backward(ones([1]))
    withExtendedLifetime(y) { #expect(held.body == nil) }
  }

  // MARK: Mistakes

  @Test func aRuleThatGivesSomethingElseIsAnErrorWithBothTypesAndTheLines() {
    let line = #line + 1
    let wide = customFunction(
      name: "wide", forward: { (x: Tensor) in x.sum() }, vjp: { x, _, dy in dy })
    let x = Tensor([1.0, 2.0], requiresGrad: true)
    let text = message {
      wide(x).backward()
      #expect(x.grad == nil)
    }
    let file = "CustomFunctionTests.swift"
    #expect(
      text
        == "wide: its vjp, of the function made at \(file):\(line), gives float32[] as the cotangent of "
        + "argument 0, which is float32[2]  at \(file):\(line + 4)")

    let double = customFunction(
      forward: { (x: Tensor, y: [Tensor]) in x + y[0] },
      vjp: { x, y, _, dy in (dy, [dy.asType(.float64)]) })
    #expect(
      message { double(x, [x]).sum().backward() }?.contains(
        "gives float64[2] as the cotangent of argument 1[0], which is float32[2]") == true)

    let few = customFunction(
      forward: { (x: [Tensor]) in x[0] + x[1] }, vjp: { x, _, dy in [dy] })
    #expect(
      message { few([x, x]).sum().backward() }?.contains("gives 1 cotangents for 2 tensors") == true
    )

    let keys = customFunction(
      forward: { (x: [String: Tensor]) in x["a"]! }, vjp: { x, _, dy in ["b": dy] })
    #expect(
      message { keys(["a": x]).sum().backward() }?.contains(
        "cotangents of another structure than the arguments'") == true)
  }

  @Test func mistakesInsideAreToldOnce() {
    let x = Tensor([1.0, 2.0], requiresGrad: true)
    let forward = customFunction(
      forward: { (x: Tensor) in matmul(x, ones([3])) }, vjp: { x, _, dy in dy })
    #expect(message { forward(x).backward() }?.hasPrefix("matmul: ") == true)
    let rule = customFunction(
      forward: { (x: Tensor) in x.sum() }, vjp: { x, _, dy in matmul(x, ones([3])) })
    #expect(message { rule(x).backward() }?.hasPrefix("matmul: ") == true)
    #expect(x.grad == nil)
  }

  @Test func anomaliesInTheRuleNameTheFunction() {
    let broken = customFunction(
      name: "broken", forward: { (x: Tensor) in x * 2 }, vjp: { x, _, dy in (x - x) / (x - x) * dy }
    )
    do {
      try detectAnomaly { broken(Tensor([1.0], requiresGrad: true)).backward() }
      Issue.record("nothing was found")
    } catch {
      #expect("\(error)".contains("in the gradient of broken, done at CustomFunctionTests.swift"))
    }
  }
}
