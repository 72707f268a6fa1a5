import Duet
import DuetTestSupport
import Testing

/// `grad`, `valueAndGrad`, `vjp`, `jvp`, `jacobian`, `hessian`. ReferenceTests compares them with JAX.
@Suite struct TransformTests {
  private struct Layer: TensorTree {
    var weight: Tensor
    var bias: Tensor?

    mutating func visit(_ visitor: inout TensorVisitor) {
      visitor.visit(&weight, "weight")
      visitor.visit(&bias, "bias")
    }
  }

  @Test func gradOfAGrad() {
    #expect(grad(grad { (x: Tensor) in x * x * x })(Tensor(2.0)).item(Float.self) == 12)
    #expect(grad(grad(grad { (x: Tensor) in x * x * x }))(Tensor(2.0)).item(Float.self) == 6)
  }

  @Test func theGradientHasTheFormOfTheFirstArgument() {
    let loss = { (layer: Layer, x: Tensor) -> Tensor in
      let y = matmul(x, layer.weight)
      return (layer.bias.map { y + $0 } ?? y).sum()
    }
    let x = Tensor([[1.0, 2.0], [3.0, 4.0]])
    let whole = grad(loss)(Layer(weight: ones([2, 3]), bias: zeros([3])), x)
    expectSame(whole.weight, Tensor([[4.0, 4, 4], [6, 6, 6]]))
    expectSame(whole.bias!, full([3], Float(2)))
    #expect(grad(loss)(Layer(weight: ones([2, 3]), bias: nil), x).bias == nil)

    let (value, gradients) = valueAndGrad { (parts: [String: [Tensor]], factor: Tensor) in
      (parts["a"]![0] * parts["b"]![0] * factor).sum() + parts["a"]![1].sum()
    }(["a": [Tensor(2.0), ones([2])], "b": [Tensor(5.0)]], Tensor(3.0))
    #expect(value.item(Float.self) == 32)
    expectSame(gradients["a"]!, [Tensor(15.0), ones([2])])
    expectSame(gradients["b"]!, [Tensor(6.0)])
  }

  @Test func whatIsNotUsedHasTheGradientZero() {
    let g = grad { (x: [Tensor]) in x[0].sum() }([ones([2]), ones([3], dtype: .float64)])
    expectSame(g, [ones([2]), zeros([3], dtype: .float64)])
    expectSame(grad { (_: Tensor) in Tensor(1.0) }(ones([2])), zeros([2]))
    expectSame(jacobian { (_: Tensor) in ones([2]) }(ones([3])), zeros([2, 3]))
    let (_, product) = jvp({ (_: Tensor) in ones([2]) }, primals: ones([3]), tangents: ones([3]))
    expectSame(product, zeros([2]))
  }

  @Test func emptyTensorsHaveEmptyDerivatives() {
    expectSame(grad { (x: Tensor) in x.sum() }(zeros([0, 3])), zeros([0, 3]))
    expectSame(jacobian { (x: Tensor) in x * 2 }(zeros([0])), zeros([0, 0]))
    expectSame(
      jacobian { (x: Tensor) in x * 2 }(zeros([2, 0], dtype: .float64)).sum(axis: 0).sum(axis: 0),
      zeros([2, 0], dtype: .float64))
    expectSame(hessian { (x: Tensor) in x.square().sum() }(zeros([0])), zeros([0, 0]))
  }

  @Test func closedForms() {
    let x = Tensor([1.0, 2.0, 3.0])
    expectSame(
      jacobian { (x: Tensor) in x * x }(x), Tensor([[2.0, 0, 0], [0, 4, 0], [0, 0, 6]]))
    let a = Tensor([[2.0, 1], [0, 3]])
    // xᵀ A x: A + Aᵀ.
    let quadratic = { (x: Tensor, a: Tensor) in matmul(matmul(x, a), x) }
    expectSame(hessian(quadratic)(Tensor([1.0, -1]), a), Tensor([[4.0, 1], [1, 6]]))
    let (y, v) = jvp(
      { (x: Tensor) in matmul(a, x) }, primals: Tensor([1.0, 1]), tangents: Tensor([1.0, 0]))
    expectSame(y, Tensor([3.0, 3]))
    expectSame(v, Tensor([2.0, 0]))
    let (z, u) = vjp(
      { (x: Tensor) in matmul(a, x) }, primals: Tensor([1.0, 1]), cotangents: Tensor([1.0, 0]))
    expectSame(z, Tensor([3.0, 3]))
    expectSame(u, Tensor([2.0, 1]))
  }

  /// Functions of a float64 vector of five that are smooth where they are asked for.
  private static let smooth: [(String, @Sendable (Tensor) -> Tensor)] = [
    ("tanh", { ($0.tanh() * $0).sum() }),
    ("softmax", { ($0.softmax() * arange(5).asType(.float64)).sum() }),
    ("logSumExp", { ($0 * 2).logSumExp() }),
    ("product", { $0.prod() + $0.cumprod(axis: 0).sum() }),
    ("norm", { ($0 + 3).norm() * $0[1...].sum() }),
    ("matmul", { matmul(outer($0, $0), $0.exp()).sum() }),
    ("sort", { ($0.sort() * arange(5).asType(.float64)).sum() }),
    ("which", { which($0 .> 0, $0.square(), $0.sin()).sum() }),
    ("layerNorm", { (layerNorm($0.reshaped(1, 5)) * arange(5).asType(.float64)).square().sum() }),
    ("take", { $0.take(Tensor([4, 0, 0, 2])).prod() }),
  ]

  @Test(arguments: smooth.indices)
  func finiteDifferencesAgree(_ index: Int) {
    let (name, f) = Self.smooth[index]
    let random = Generator(seed: 5)
    let x = Random.normal([5], dtype: .float64, generator: random)
    let step = 1e-6
    let gradient = grad(f)(x).asArray(Double.self)
    let hessian = hessian(f)(x)
    let v = Random.normal([5], dtype: .float64, generator: random)
    let units = eye(5, dtype: .float64) * step
    for i in 0..<5 {
      let (up, down) = (x + units[i], x - units[i])
      let difference = (f(up) - f(down)).item(Double.self) / (2 * step)
      #expect(abs(gradient[i] - difference) < 1e-7 * max(1, abs(difference)), "\(name), \(i)")
      let row = ((grad(f)(up) - grad(f)(down)) / (2 * step)).asArray(Double.self)
      for (j, second) in hessian[i].asArray(Double.self).enumerated() {
        #expect(abs(second - row[j]) < 1e-6 * max(1, abs(row[j])), "\(name), \(i), \(j)")
      }
    }
    let along = jvp(f, primals: x, tangents: v).jvps.item(Double.self)
    let expected = (grad(f)(x) * v).sum().item(Double.self)
    #expect(abs(along - expected) < 1e-12 * max(1, abs(expected)), "\(name), jvp")
    let product = jvp(grad(f), primals: x, tangents: v).jvps
    #expect(
      allClose(product, matmul(hessian, v), rtol: 1e-10, atol: 1e-12).item(Bool.self),
      "\(name), H v")
  }

  @Test func nobodysGradientChanges() {
    let w = Parameter(Tensor([2.0, 3.0]), name: "w")
    let x = Tensor([1.0, 1.0], requiresGrad: true)
    expectSame(grad { (x: Tensor) in (x * w.value).sum() }(x).detached(), Tensor([2.0, 3.0]))
    #expect(w.grad == nil)
    #expect(x.grad == nil)
  }

  @Test func gradientsOfPlainTensorsArePlain() {
    let g = grad { (x: Tensor) in (x * x).sum() }(Tensor([1.0, 2.0]))
    #expect(!g.requiresGrad)
    let (value, _) = valueAndGrad { (x: Tensor) in (x * x).sum() }(Tensor([1.0, 2.0]))
    #expect(!value.requiresGrad)
  }

  @Test func gradientsCanBeDifferentiatedByWhatIsOutside() {
    let w = Parameter(Tensor([2.0, 3.0]), name: "w")
    let x = Tensor([1.0, 1.0], requiresGrad: true)
    // d/dx Σ w² x³ = 3 w² x²; its sum has the gradients 6 w² x by x and 6 w x² by w.
    let g = grad { (x: Tensor) in (w.value * w.value * x * x * x).sum() }(x)
    g.sum().backward()
    expectSame(x.grad!, Tensor([24.0, 54.0]))
    expectSame(w.grad!, Tensor([12.0, 18.0]))
    let inside = noGrad { grad { (x: Tensor) in (w.value * x * x).sum() }(x) }
    #expect(!inside.requiresGrad)
    expectSame(inside, Tensor([4.0, 6.0]))
  }

  @Test func whatATransformInsideCapturesCounts() {
    // d/dx Σ (d/dz x z²)² = d/dx 4 x² z² = 8 x z².
    let f = { (x: Tensor) -> Tensor in
      grad { (z: Tensor) in (x * z * z).sum() }(Tensor([3.0])).square().sum()
    }
    let slope = grad(f)(Tensor([2.0]))
    expectSame(slope, Tensor([144.0]))
    #expect(!slope.requiresGrad)
    expectSame(grad { (x: Tensor) in grad(f)(x).sum() }(Tensor([2.0])), Tensor([72.0]))
  }

  @Test func tangentsAndCotangentsCanBeDifferentiatedBy() {
    let x = Tensor([1.0, 2.0])
    let c = Tensor([1.0, 1.0], requiresGrad: true)
    vjp({ (x: Tensor) in x * x }, primals: x, cotangents: c).vjps.sum().backward()
    expectSame(c.grad!, Tensor([2.0, 4.0]))
    let t = Tensor([1.0, 1.0], requiresGrad: true)
    jvp({ (x: Tensor) in x * x }, primals: x, tangents: t).jvps.sum().backward()
    expectSame(t.grad!, Tensor([2.0, 4.0]))
  }

  // MARK: With traced functions

  private static func model(_ parameters: [Tensor], _ x: Tensor) -> Tensor {
    (matmul(x, parameters[0]).tanh() * parameters[1]).square().mean()
  }

  @Test func transformsInsideATracedFunctionReplayWithEqualBits() {
    let body = { (parameters: [Tensor], x: Tensor) -> [Tensor] in
      let (value, gradients) = valueAndGrad(Self.model)(parameters, x)
      let curvature = hessian { (b: Tensor) in Self.model([parameters[0], b], x) }(parameters[1])
      let (_, along) = jvp(
        { Self.model($0, x) }, primals: parameters, tangents: gradients)
      return [value, curvature, along] + gradients
    }
    let f = traced(body)
    let random = Generator(seed: 2)
    for _ in 0..<4 {
      let parameters = [
        Random.normal([3, 4], generator: random), Random.normal([4], generator: random),
      ]
      let x = Random.normal([5, 3], generator: random)
      expectSame(f(parameters, x), body(parameters, x))
    }
    #expect(f.traceCount == 1)
    #expect(f.explain().traces[0].runsEagerlyBecause == nil)
    #expect(f.explain().traces[0].calls == 3)
  }

  @Test func aTracedFunctionCanBeDifferentiated() {
    let f = traced { (x: Tensor) in (x.sin() * x).sum() }
    let plain = { (x: Tensor) in (x.sin() * x).sum() }
    for i in 0..<4 {
      let x = Tensor([Float(i), 0.5])
      expectSame(grad(f.callAsFunction)(x), grad(plain)(x))
      expectSame(hessian { f($0) }(x), hessian(plain)(x))
      expectSame(f(x), plain(x))
    }
    let g = traced(grad { (x: Tensor) in f(x) })
    for i in 0..<4 {
      let x = Tensor([Float(i), 0.25])
      expectSame(g(x), grad(plain)(x))
    }
    #expect(g.explain().traces[0].runsEagerlyBecause == nil)
  }

  @Test func controlFlowOnValuesInsideAGrad() {
    let f = { (x: Tensor) -> Tensor in (x.sum() .> 0).item() ? (x * x).sum() : (x * 3).sum() }
    let g = traced(grad(f))
    for values in [[1.0, 2.0], [-1.0, -2.0], [3.0, 1.0], [-4.0, 1.0]] {
      let x = Tensor(values)
      expectSame(g(x), grad(f)(x))
    }
    #expect(g.traceCount == 2)
  }

  // MARK: Mistakes

  private func mistake<R>(_ body: () -> R) -> String {
    do {
      try checked { _ = body() }
      return "none"
    } catch { return "\((error as? TensorError)?.reason ?? "\(error)")" }
  }

  @Test func mistakesSayWhatIsWrong() {
    #expect(
      mistake { grad { (x: Tensor) in x * 2 }(ones([3])) }.hasPrefix(
        "the function gives float32[3]; only a single floating-point number has a gradient"))
    #expect(
      mistake { grad { (x: Tensor) in x.sum() }(Tensor([1, 2])) }
        == "argument 0 is int64; only floating-point tensors have gradients, so pass it as another argument"
    )
    #expect(
      mistake {
        grad { (x: [String: Tensor]) in x["a"]!.sum() }(["a": ones([1]), "n": Tensor([1])])
      }
      .hasPrefix("argument 0[\"n\"] is int64"))
    #expect(
      mistake { jacobian { (x: Tensor) in x.argMax() }(ones([2])) }
        == "the function gives int64[]; only floating point has derivatives")
    #expect(
      mistake { vjp({ (x: Tensor) in x * 2 }, primals: ones([2]), cotangents: ones([3])) }
        == "the cotangents (float32[3]) do not match the results (float32[2])")
    #expect(
      mistake { jvp({ (x: Tensor) in x * 2 }, primals: ones([2]), tangents: ones([2, 1])) }
        == "the tangents (float32[2, 1]) do not match the primals (float32[2])")
    #expect(
      mistake { grad { (x: Tensor) in matmul(x, ones([3, 3])).sum() }(ones([2, 2])) }
        .hasPrefix("inner dimensions differ"))
  }
}
