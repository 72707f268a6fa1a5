import Duet
import Foundation
import Testing

/// Mapped functions against JAX's; eagerly, and inside a traced function.
@Suite struct VmapTests {
  private struct File: Decodable {
    let cases: [String: Case]
  }

  private struct Case: Decodable {
    let inputs: [Stored]
    let outputs: [Stored]
  }

  private struct Stored: Decodable {
    let shape: [Int]
    let values: [Double]
    var tensor: Tensor { Tensor(values, shape) }
  }

  private static let file: File = {
    let url = Bundle.module.url(
      forResource: "vmap", withExtension: "json", subdirectory: "Fixtures")!
    // A fixture that does not read is a broken checkout.
    return try! JSONDecoder().decode(File.self, from: Data(contentsOf: url))
  }()

  /// Compares what a closure makes of a case's inputs with its outputs.
  private func expect(
    _ name: String, sourceLocation: Testing.SourceLocation = #_sourceLocation,
    _ body: @escaping ([Tensor]) -> [Tensor]
  ) throws {
    let item = try #require(Self.file.cases[name], sourceLocation: sourceLocation)
    let inputs = item.inputs.map(\.tensor)
    let function = traced(body)
    for (mode, results) in [
      ("eager", body(inputs)), ("recorded", function(inputs)), ("replayed", function(inputs)),
    ] {
      #expect(results.count == item.outputs.count, "\(name)", sourceLocation: sourceLocation)
      for (i, (result, output)) in zip(results, item.outputs).enumerated() {
        #expect(
          result.shape == output.shape, "\(name), \(mode), \(i)", sourceLocation: sourceLocation)
        for (a, b) in zip(result.asArray(Double.self), output.values) {
          #expect(
            abs(a - b) <= 1e-12 + 1e-11 * abs(b), "\(name), \(mode), \(i)",
            sourceLocation: sourceLocation)
        }
      }
    }
  }

  private static func network(_ p: [Tensor], _ x: Tensor) -> Tensor {
    tanh(x.matmul(p[0]) + p[1]).matmul(p[2]) + p[3]
  }

  @Test func gradientsOfExamples() throws {
    try expect("per-example gradients") { inputs in
      vmap(
        inAxes: (nil, 0, 0),
        grad { (p: [Tensor], x: Tensor, y: Tensor) in crossEntropy(Self.network(p, x), y) }
      )(Array(inputs[..<4]), inputs[4], inputs[5].asType(.int64))
    }
    try expect("hessians") { inputs in
      [vmap(hessian { (x: Tensor) in (tanh(x) * x * x).sum() })(inputs[0])]
    }
  }

  @Test func ensembles() throws {
    let ensemble = vmap(inAxes: (0, nil)) { (p: [Tensor], x: Tensor) in Self.network(p, x) }
    try expect("ensemble") { [ensemble(Array($0[..<4]), $0[4])] }
    try expect("gradients of an ensemble") { inputs in
      grad { (p: [Tensor]) in sin(ensemble(p, inputs[4])).sum() }(Array(inputs[..<4]))
    }
  }

  @Test func mapsOfMaps() throws {
    try expect("nested") { inputs in
      [
        vmap(
          inAxes: (0, nil), outAxes: 1,
          vmap(inAxes: (nil, 1)) { (a: Tensor, b: Tensor) in tanh(a * b).sum() }
        )(inputs[0], inputs[1])
      ]
    }
  }

  @Test func branchesAndLoops() throws {
    try expect("scan") { inputs in
      let (state, sums) = vmap(inAxes: (0, 1)) { (x: Tensor, steps: Tensor) in
        scan(x, over: steps) { state, s in
          let next = tanh(state * s + x)
          return (next, next.sum())
        }
      }(inputs[0], inputs[1])
      return [state, sums]
    }
    try expect("while") { inputs in
      [vmap { (x: Tensor) in whileLoop(x, while: { $0 .< 10 }) { $0 * 1.5 + 0.1 } }(inputs[0])]
    }
    let chosen = vmap { (x: Tensor) in
      cond(x.sum() .> 0, then: { sin(x) }, else: { x * x })
    }
    try expect("cond") { inputs in
      [chosen(inputs[0]), grad { (x: Tensor) in chosen(x).sum() }(inputs[0])]
    }
  }

  @Test func convolutionsAndScatters() throws {
    try expect("convolutions") { [vmap { (x: Tensor, w: Tensor) in conv2d(x, w) }($0[0], $0[1])] }
    try expect("scattered") { inputs in
      [
        vmap { (t: Tensor, i: Tensor, v: Tensor) in t.scatterAdd(i, v) }(
          inputs[0], inputs[1].asType(.int64), inputs[2])
      ]
    }
  }
}
