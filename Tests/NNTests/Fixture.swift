import Duet
import Foundation
import Testing

/// Numbers that PyTorch computed, see make_fixtures.py.
enum Fixture {
  static func load<T: Decodable>(_ name: String, as type: T.Type = T.self) throws -> T {
    try JSONDecoder().decode(type, from: Data(contentsOf: url(name + ".json")))
  }

  static func url(_ file: String) -> URL {
    Bundle.module.resourceURL!.appendingPathComponent("Fixtures").appendingPathComponent(file)
  }

  /// The sample of MNIST that the package ships.
  static var sampleFolder: URL {
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appendingPathComponent("Data/mnist")
  }

  struct Array: Decodable {
    var shape: [Int]
    var values: [Double]
    var dtype: String

    var tensor: Tensor { Tensor(values, shape, dtype: DType(name: dtype)!) }
  }
}

/// Dtype and shape are equal, and values differ by no more than tolerance · (1 + |expected|).
func expectClose(
  _ actual: Tensor, _ expected: Fixture.Array, _ what: @autoclosure () -> String,
  tolerance: Double = 2e-6, location: Testing.SourceLocation = #_sourceLocation
) {
  expectClose(actual, expected.tensor, what(), tolerance: tolerance, location: location)
}

func expectClose(
  _ actual: Tensor, _ expected: Tensor, _ what: @autoclosure () -> String,
  tolerance: Double = 2e-6, location: Testing.SourceLocation = #_sourceLocation
) {
  #expect(actual.dtype == expected.dtype, "\(what()): dtype", sourceLocation: location)
  #expect(actual.shape == expected.shape, "\(what()): shape", sourceLocation: location)
  guard actual.shape == expected.shape else { return }
  let (a, b) = (actual.asArray(Double.self), expected.asArray(Double.self))
  let odd = a.indices.first {
    !(abs(a[$0] - b[$0]) <= tolerance * (1 + abs(b[$0]))) && a[$0] != b[$0]
  }
  if let odd {
    Issue.record(
      "\(what()): element \(odd) is \(a[odd]), expected \(b[odd])", sourceLocation: location)
  }
}
