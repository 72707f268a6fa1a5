import Duet
import Foundation
import Testing

/// What another framework makes of tensors of float64, from a file of cases.
struct TransformFixture: Decodable {
  private struct Case: Decodable {
    let inputs: [Stored]
    let outputs: [Stored]
  }

  private struct Stored: Decodable {
    let shape: [Int]
    let values: [Double]
    var tensor: Tensor { Tensor(values, shape) }
  }

  private let cases: [String: Case]

  init(_ name: String) {
    let url = Bundle.module.url(
      forResource: name, withExtension: "json", subdirectory: "Fixtures")!
    // A fixture that does not read is a broken checkout.
    self = try! JSONDecoder().decode(Self.self, from: Data(contentsOf: url))
  }

  /// Compares what a closure makes of a case's inputs with its outputs: eagerly, recorded and replayed.
  func expect(
    _ name: String, sourceLocation: Testing.SourceLocation = #_sourceLocation,
    _ body: @escaping ([Tensor]) -> [Tensor]
  ) throws {
    let item = try #require(cases[name], sourceLocation: sourceLocation)
    let inputs = item.inputs.map(\.tensor)
    let function = traced(body)
    for (mode, results) in [
      ("eager", body(inputs)), ("recorded", function(inputs)), ("replayed", function(inputs)),
    ] {
      #expect(results.count == item.outputs.count, "\(name)", sourceLocation: sourceLocation)
      for (i, (result, output)) in zip(results, item.outputs).enumerated() {
        #expect(!result.requiresGrad, "\(name), \(mode), \(i)", sourceLocation: sourceLocation)
        #expect(
          result.shape == output.shape && result.dtype == .float64, "\(name), \(mode), \(i)",
          sourceLocation: sourceLocation)
        for (a, b) in zip(result.asArray(Double.self), output.values) {
          #expect(
            abs(a - b) <= 1e-12 + 1e-11 * abs(b), "\(name), \(mode), \(i)",
            sourceLocation: sourceLocation)
        }
      }
    }
    #expect(
      function.explain().traces.allSatisfy { $0.runsEagerlyBecause == nil }, "\(name)",
      sourceLocation: sourceLocation)
  }
}
