// Unsafe: copies the fixture's bytes into fresh tensor memory.

import Duet
import Foundation
import Testing

/// What PyTorch computed, read from the fixture that make_fixtures.py wrote.
struct Reference: Decodable, Sendable {
  let torch: String
  let cases: [Case]

  struct Case: Decodable, Sendable {
    let operation: String
    let integers: [String: [Int]]
    let numbers: [String: Double]
    let flags: [String: Bool]
    let text: String
    let inputs: [Stored]
    let output: Stored
    let cotangent: Stored?
    let gradients: [Stored]?
  }

  /// Where an array lies in the binary file.
  struct Stored: Decodable, Sendable {
    let dtype: String
    let shape: [Int]
    let offset: Int

    var tensor: Tensor {
      let type = TensorType(DType(name: dtype)!, Shape(shape))
      let body = TensorBody(allocating: type)
      Reference.elements.withUnsafeBytes { bytes in
        body.pointer.copyMemory(from: bytes.baseAddress! + offset, byteCount: type.byteCount)
      }
      return Tensor(body)
    }
  }

  static let shared: Reference = {
    try! JSONDecoder().decode(Reference.self, from: Data(contentsOf: url("json")))
  }()

  private static let elements = try! Data(contentsOf: url("bin"))

  private static func url(_ ending: String) -> URL {
    Bundle.module.url(forResource: "reference", withExtension: ending, subdirectory: "Fixtures")!
  }

  /// The operations in the fixture.
  static let operations = Array(Set(shared.cases.map(\.operation))).sorted()
}

extension Reference.Case {
  func integer(_ name: String, _ fallback: Int = 0) -> Int { integers[name]?[0] ?? fallback }
  var axis: Int? { integers["axis"]?[0] }
  var keepDims: Bool { flags["keepDims"] ?? false }

  /// Attributes as a reader needs them to find the case.
  var description: String {
    "\(operation)(\(inputs.map { "\($0.dtype)\($0.shape)" }.joined(separator: ", "))) "
      + "\(integers) \(numbers) \(flags) \(text)"
  }
}
