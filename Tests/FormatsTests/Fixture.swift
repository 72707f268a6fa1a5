import Duet
import Foundation
import Testing

/// Files that other programs wrote, see make_fixtures.py.
enum Fixture {
  static var folder: URL { Bundle.module.resourceURL!.appendingPathComponent("Fixtures") }

  static func url(_ file: String) -> URL { folder.appendingPathComponent(file) }

  static func bytes(_ file: String) throws -> [UInt8] { [UInt8](try Data(contentsOf: url(file))) }

  /// The sample of MNIST that the package ships.
  static var sampleFolder: URL {
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appendingPathComponent("Data/mnist")
  }

  /// The dtypes that NumPy has, too.
  static let dtypes = DType.allCases.filter { $0 != .bfloat16 }

  /// The numbers that the script puts into arrays of a dtype.
  static func numbers(_ dtype: DType, _ shape: [Int] = [2, 3]) -> Tensor {
    let values = (0..<shape.reduce(1, *)).map { i -> Double in
      switch dtype {
      case .bool: Double(i % 2)
      case .uint8: Double(i)
      default: dtype.isFloatingPoint ? (Double(i) - 2) / 4 : Double(i) - 2
      }
    }
    return Tensor(values, shape).asType(dtype)
  }
}

/// Runs the body with the URL of a file that is not there yet, and removes it.
func withTemporaryFile<R>(_ suffix: String, _ body: (URL) throws -> R) throws -> R {
  let url = FileManager.default.temporaryDirectory.appendingPathComponent(
    "duet-\(UUID().uuidString).\(suffix)")
  defer { try? FileManager.default.removeItem(at: url) }
  return try body(url)
}

/// Runs the body with a file of these bytes.
func withFile<R>(_ bytes: [UInt8], _ suffix: String, _ body: (URL) throws -> R) throws -> R {
  try withTemporaryFile(suffix) { url in
    // Foundation waits for the disk, which takes long where there are thousands of files.
    let file = try #require(fopen(url.path, "wb"))
    #expect(fwrite(bytes, 1, bytes.count, file) == bytes.count)
    fclose(file)
    return try body(url)
  }
}

/// The reason of the error that the body throws about a file of these bytes.
func reason(
  _ bytes: [UInt8], _ suffix: String, _ body: (URL) throws -> Void = { _ = try loadArrays(url: $0) }
) throws -> String? {
  try withFile(bytes, suffix) { url in
    do {
      try body(url)
      return nil
    } catch let error as DataError {
      #expect(error.path == url.path)
      return error.reason
    }
  }
}
