import Duet
import Testing

/// Mapped functions against JAX's; eagerly, and inside a traced function.
@Suite struct VmapTests {
  private let fixture = TransformFixture("vmap")

  private static func network(_ p: [Tensor], _ x: Tensor) -> Tensor {
    tanh(x.matmul(p[0]) + p[1]).matmul(p[2]) + p[3]
  }

  @Test func gradientsOfExamples() throws {
    try fixture.expect("per-example gradients") { inputs in
      vmap(
        inAxes: (nil, 0, 0),
        grad { (p: [Tensor], x: Tensor, y: Tensor) in crossEntropy(Self.network(p, x), y) }
      )(Array(inputs[..<4]), inputs[4], inputs[5].asType(.int64))
    }
    try fixture.expect("hessians") { inputs in
      [vmap(hessian { (x: Tensor) in (tanh(x) * x * x).sum() })(inputs[0])]
    }
  }

  @Test func ensembles() throws {
    let ensemble = vmap(inAxes: (0, nil)) { (p: [Tensor], x: Tensor) in Self.network(p, x) }
    try fixture.expect("ensemble") { [ensemble(Array($0[..<4]), $0[4])] }
    try fixture.expect("gradients of an ensemble") { inputs in
      grad { (p: [Tensor]) in sin(ensemble(p, inputs[4])).sum() }(Array(inputs[..<4]))
    }
  }

  @Test func mapsOfMaps() throws {
    try fixture.expect("nested") { inputs in
      [
        vmap(
          inAxes: (0, nil), outAxes: 1,
          vmap(inAxes: (nil, 1)) { (a: Tensor, b: Tensor) in tanh(a * b).sum() }
        )(inputs[0], inputs[1])
      ]
    }
  }

  @Test func branchesAndLoops() throws {
    try fixture.expect("scan") { inputs in
      let (state, sums) = vmap(inAxes: (0, 1)) { (x: Tensor, steps: Tensor) in
        scan(x, over: steps) { state, s in
          let next = tanh(state * s + x)
          return (next, next.sum())
        }
      }(inputs[0], inputs[1])
      return [state, sums]
    }
    try fixture.expect("while") { inputs in
      [vmap { (x: Tensor) in whileLoop(x, while: { $0 .< 10 }) { $0 * 1.5 + 0.1 } }(inputs[0])]
    }
    let chosen = vmap { (x: Tensor) in
      cond(x.sum() .> 0, then: { sin(x) }, else: { x * x })
    }
    try fixture.expect("cond") { inputs in
      [chosen(inputs[0]), grad { (x: Tensor) in chosen(x).sum() }(inputs[0])]
    }
  }

  @Test func convolutionsAndScatters() throws {
    try fixture.expect("convolutions") {
      [vmap { (x: Tensor, w: Tensor) in conv2d(x, w) }($0[0], $0[1])]
    }
    try fixture.expect("scattered") { inputs in
      [
        vmap { (t: Tensor, i: Tensor, v: Tensor) in t.scatterAdd(i, v) }(
          inputs[0], inputs[1].asType(.int64), inputs[2])
      ]
    }
  }
}
