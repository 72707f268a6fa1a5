import Duet

extension Machine {
  /// Derivatives of closures.
  func transform(_ x: Operand, _ other: Operand, _ random: inout SplitMix64) -> Operand {
    coverage?.gradients += 1
    let y = fitting(other, with: x)
    switch random.int(below: 11) {
    case 0:
      let f = { (x: Tensor, y: Tensor) in (x.tanh() * y + x).sum() }
      return say(
        grad(f)(x.tensor, y.tensor), "grad { (x, y) in (x.tanh() * y + x).sum() }(\(x), \(y))")
    case 1:
      let f = { (parts: [Tensor]) in (parts[0] * parts[1].sin()).square().mean() }
      let (value, gradients) = valueAndGrad(f)([x.tensor, y.tensor])
      return say(
        gradients[1] * value,
        "{ $0.gradient[1] * $0.value }(valueAndGrad { parts in "
          + "(parts[0] * parts[1].sin()).square().mean() }([\(x), \(y)]))")
    case 2:
      let f = { (x: Tensor) in x.sigmoid() * x }
      let (outputs, products) = vjp(f, primals: x.tensor, cotangents: x.tensor.cos())
      return say(
        outputs + products,
        "{ $0.outputs + $0.vjps }(vjp({ $0.sigmoid() * $0 }, primals: \(x), "
          + "cotangents: \(x).cos()))")
    case 3:
      let f = { (x: Tensor) in x.exp().sum() * x }
      let small = shaped(x, [min(4, x.tensor.size)])
      let (outputs, products) = jvp(f, primals: small.tensor, tangents: small.tensor.sin())
      return say(
        outputs - products,
        "{ $0.outputs - $0.jvps }(jvp({ $0.exp().sum() * $0 }, primals: \(small), "
          + "tangents: \(small).sin()))")
    case 4:
      let small = shaped(x, [min(3, x.tensor.size)])
      return say(
        jacobian { (x: Tensor) in x.cumprod(axis: 0) * x }(small.tensor),
        "jacobian { $0.cumprod(axis: 0) * $0 }(\(small))")
    case 5:
      let small = shaped(x, [min(3, x.tensor.size)])
      return say(
        hessian { (x: Tensor) in (x.tanh() * x.sum()).sum() }(small.tensor),
        "hessian { ($0.tanh() * $0.sum()).sum() }(\(small))")
    case 6:
      let f = customFunction(
        forward: { (x: Tensor, y: Tensor) in x.tanh() * y },
        vjp: { x, y, z, dz in
          let t = x.tanh()
          return (dz * (y - z * t), dz * t)
        })
      return say(
        grad { (x: Tensor) in (f(x, f(x.cos(), x)) * y.tensor).square().sum() }(x.tensor),
        "grad { x in (f(x, f(x.cos(), x)) * \(y)).square().sum() }(\(x)), where f is customFunction("
          + "forward: { x, y in x.tanh() * y }, vjp: { x, y, z, dz in "
          + "(dz * (y - z * x.tanh()), dz * x.tanh()) })")
    case 7:
      let layer = { (z: Tensor) in (z.sin() * y.tensor).exp().tanh() * z }
      let f = { (x: Tensor) in checkpointed(layer)(x.cos() * checkpointed(layer)(x)) }
      let g = { (x: Tensor) in grad { f($0).square().sum() }(x) }
      return say(
        random.chance(0.5) ? g(x.tensor) : grad { g($0).tanh().sum() }(x.tensor),
        "the gradient, or that of its tanh, by x = \(x) of { $0.square().sum() }(layer(x.cos() * layer(x))), where "
          + "layer is checkpointed { (z: Tensor) in (z.sin() * \(y)).exp().tanh() * z }")
    case 8:
      let rows = shaped(x, [1 + random.int(below: 4), 3])
      let row = shaped(y, [3])
      let f = vmap(inAxes: (0, nil)) { (a: Tensor, b: Tensor) in
        cond(
          (a * b).sum() .> 0, then: { a.cumsum(axis: 0) * b }, else: { b.sin() + a.softmax() })
      }
      return say(
        f(rows.tensor, row.tensor),
        "vmap(inAxes: (0, nil)) { (a: Tensor, b: Tensor) in cond((a * b).sum() .> 0, "
          + "then: { a.cumsum(axis: 0) * b }, else: { b.sin() + a.softmax() }) }(\(rows), \(row))")
    case 9:
      let rows = shaped(x, [1 + random.int(below: 4), 3])
      let f = vmap(
        inAxes: (nil, 0),
        grad { (w: Tensor, x: Tensor) in
          (w.reshaped(2, 3).matmul(x).tanh() * x.sum()).sum()
        })
      let weights = shaped(x, [6])
      return say(
        f(weights.tensor, rows.tensor),
        "vmap(inAxes: (nil, 0), grad { (w: Tensor, x: Tensor) in "
          + "(w.reshaped(2, 3).matmul(x).tanh() * x.sum()).sum() })(\(weights), \(rows))")
    default:
      guard !callees.isEmpty else {
        let f = { (x: Tensor) in (x * x * x).sum() }
        let g = { (x: Tensor) in grad(f)(x).square().sum() }
        return say(
          grad(g)(x.tensor), "grad { grad { ($0 * $0 * $0).sum() }($0).square().sum() }(\(x))")
      }
      let number = callees.startIndex + random.int(below: callees.count)
      let callee = callees[number]
      coverage?.nestedCalls += 1
      var place = self.place
      place.isDifferentiated = true
      let f = { (x: Tensor, y: Tensor) in
        (callee(x, y, place).asType(.float32) * 0.5).sin().sum()
      }
      return say(
        grad(f)(x.tensor, other.tensor),
        "grad { (x, y) in (f\(number)(x, y).asType(.float32) * 0.5).sin().sum() }(\(x), \(other))")
    }
  }
}
