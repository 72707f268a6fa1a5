import Duet
import Testing

/// Functional transforms against JAX's; eagerly, and inside a traced function.
@Suite struct TransformTests {
  private let fixture = TransformFixture("transforms")

  private static func bent(_ x: Tensor) -> Tensor { (x.tanh() * x * x).sum() }

  private static func network(_ parameters: [String: Tensor], _ x: Tensor) -> Tensor {
    let hidden = (matmul(x, parameters["weight"]!) + parameters["bias"]!).tanh()
    return (hidden * hidden).mean() + (parameters["weight"]! ** 3).sum() / 10
  }

  private static func several(_ x: [Tensor]) -> [Tensor] {
    [x[0].cumprod(axis: 0), x[1].sort() * x[0][0], (x[0] * x[1]).softmax()]
  }

  @Test func gradients() throws {
    try fixture.expect("grad") { [grad(Self.bent)($0[0])] }
    try fixture.expect("valueAndGrad") {
      let (value, gradient) = valueAndGrad(Self.bent)($0[0])
      return [value, gradient]
    }
  }

  @Test func hessians() throws {
    try fixture.expect("hessian") { [hessian(Self.bent)($0[0])] }
    try fixture.expect("hessian of a matrix") {
      [hessian { (m: Tensor) in matmul(m.sin(), m).sum() }($0[0])]
    }
  }

  @Test func gradientsOfTrees() throws {
    try fixture.expect("grad of a tree") {
      let gradients = grad(Self.network)(["bias": $0[0], "weight": $0[1]], $0[2])
      return [gradients["bias"]!, gradients["weight"]!]
    }
    try fixture.expect("grad of a grad of a tree") {
      let parameters = ["bias": $0[0], "weight": $0[1]]
      let slopes = { (x: Tensor) -> Tensor in
        let gradients = grad(Self.network)(parameters, x)
        return (gradients["bias"]!.square()).sum() + (gradients["weight"]!.square()).sum()
      }
      return [grad(slopes)($0[2])]
    }
  }

  @Test func jacobians() throws {
    try fixture.expect("jacobian") {
      [jacobian { (x: Tensor, w: Tensor) in matmul(x, w).tanh() }($0[0], $0[1])]
    }
    try fixture.expect("jacobian of softmax") { [jacobian { (x: Tensor) in x.softmax() }($0[0])] }
  }

  @Test func products() throws {
    try fixture.expect("vjp") {
      let (outputs, gradients) = vjp(
        Self.several, primals: [$0[0], $0[1]], cotangents: [$0[2], $0[3], $0[4]])
      return outputs + gradients
    }
    try fixture.expect("jvp") {
      let (outputs, products) = jvp(
        Self.several, primals: [$0[0], $0[1]], tangents: [$0[2], $0[3]])
      return outputs + products
    }
    try fixture.expect("jvp of a grad") {
      [jvp(grad(Self.bent), primals: $0[0], tangents: $0[1]).jvps]
    }
    try fixture.expect("grad of a jvp") { arguments in
      [
        grad { (x: Tensor) in jvp(Self.bent, primals: x, tangents: arguments[1]).jvps }(
          arguments[0])
      ]
    }
  }

  @Test func derivativesOfDerivatives() throws {
    try fixture.expect("grad four times") {
      let f = { (x: Tensor) in x ** 3 * x.sin() }
      let (first, second) = (grad(f), grad(grad(f)))
      let (third, fourth) = (grad(second), grad(grad(second)))
      return [first($0[0]), second($0[0]), third($0[0]), fourth($0[0])]
    }
  }
}
