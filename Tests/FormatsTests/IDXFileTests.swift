import Duet
import Foundation
import Testing

@Suite struct IDXFileTests {
  /// Runs the body with a file of these bytes.
  private func withFile<R>(_ bytes: [UInt8], _ body: (URL) throws -> R) throws -> R {
    let url = FileManager.default.temporaryDirectory.appendingPathComponent(
      "duet-\(UUID().uuidString).idx")
    try Data(bytes).write(to: url)
    defer { try? FileManager.default.removeItem(at: url) }
    return try body(url)
  }

  private func error(_ bytes: [UInt8]) throws -> String? {
    try withFile(bytes) { url -> String? in
      do throws(DataError) {
        _ = try IDXFile(contentsOf: url)
        return nil
      } catch {
        #expect(error.path == url.path)
        return error.reason
      }
    }
  }

  @Test func readsEveryTypeOfElement() throws {
    func read(_ code: UInt8, _ bytes: [UInt8]) throws -> Tensor {
      try withFile([0, 0, code, 1, 0, 0, 0, 2] + bytes) { try IDXFile(contentsOf: $0).tensor }
    }
    #expect(try read(0x08, [1, 255]).asArray(Int.self) == [1, 255])
    #expect(try read(0x09, [1, 255]).asArray(Int.self) == [1, -1])
    let short = try read(0x0B, [1, 2, 255, 254])
    #expect(short.dtype == .int16 && short.asArray(Int.self) == [258, -2])
    #expect(try read(0x0C, [0, 1, 0, 0, 255, 255, 255, 255]).asArray(Int.self) == [65536, -1])
    let float = try read(0x0D, [0x3F, 0x80, 0, 0, 0xC0, 0x20, 0, 0])
    #expect(float.dtype == .float32 && float.asArray(Float.self) == [1, -2.5])
    let double = try read(0x0E, [0x3F, 0xF0] + Array(repeating: 0, count: 14))
    #expect(double.dtype == .float64 && double.asArray(Double.self) == [1, 0])
    let matrix = try withFile([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6]) {
      try IDXFile(contentsOf: $0)
    }
    #expect(matrix.shape == [2, 3] && matrix.tensor[1].asArray(Int.self) == [4, 5, 6])
  }

  @Test func damagedFilesAreErrorsWithAReason() throws {
    #expect(try error([]) == "truncated: no IDX header")
    #expect(try error([1, 2, 3, 4])?.contains("not an IDX file") == true)
    #expect(try error([0, 0, 7, 1, 0, 0, 0, 0])?.contains("not an IDX file") == true)
    #expect(try error([0, 0, 8, 0])?.contains("0 axes") == true)
    #expect(try error([0, 0, 8, 9])?.contains("9 axes") == true)
    #expect(try error([0, 0, 8, 2, 0, 0, 0, 1])?.contains("no sizes") == true)
    #expect(try error([0, 0, 8, 1, 0, 0, 0, 3, 1, 2])?.contains("2 bytes of elements, 3") == true)
    #expect(try error([0, 0, 8, 1, 0, 0, 0, 1, 1, 2])?.contains("longer") == true)
    let huge = [0, 0, 14, 4] + [UInt8](repeating: 255, count: 16)
    #expect(try error(huge)?.contains("impossible") == true)
    #expect(try error([0, 0, 8, 1, 255, 255, 255, 255, 1])?.contains("can hold") == true)
    #expect(throws: DataError.self) { try IDXFile(contentsOf: URL(fileURLWithPath: "/nowhere/x")) }
    #expect(throws: DataError.self) {
      try IDXFile(contentsOf: FileManager.default.temporaryDirectory)
    }
  }

  @Test func truncatedAndDamagedArchivesAreErrors() throws {
    let labels = [UInt8](
      try Data(contentsOf: Fixture.sampleFolder.appendingPathComponent("t10k-labels-idx1-ubyte.gz"))
    )
    #expect(try error(labels) == nil)
    for length in [1, 9, 10, 11, 30, labels.count / 2, labels.count - 9, labels.count - 1] {
      #expect(try error(Array(labels.prefix(length))) != nil, "\(length) bytes")
    }
    var flipped = labels
    flipped[labels.count - 6] ^= 1  // the checksum
    #expect(try error(flipped) != nil)
  }

  @Test("Random damage never crashes", arguments: 0..<8)
  func fuzz(_ seed: Int) throws {
    var random = SystemLikeGenerator(state: UInt64(seed) &* 0x9E37_79B9_7F4A_7C15 &+ 1)
    let whole = [UInt8](
      try Data(contentsOf: Fixture.sampleFolder.appendingPathComponent("t10k-labels-idx1-ubyte.gz"))
    )
    let plain: [UInt8] = [0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4] + Array(1...24)
    for original in [whole, plain] {
      for _ in 0..<40 {
        var bytes = original
        for _ in 0..<Int.random(in: 1...4, using: &random) {
          bytes[Int.random(in: 0..<Swift.min(bytes.count, 64), using: &random)] =
            UInt8.random(in: 0...255, using: &random)
        }
        if Bool.random(using: &random) {
          bytes = Array(bytes.prefix(Int.random(in: 0...bytes.count, using: &random)))
        }
        try withFile(bytes) { url in
          if let file = try? IDXFile(contentsOf: url) {
            #expect(file.bytes.count == file.shape.reduce(file.dtype.size, *))
          }
        }
      }
    }
  }

  /// Steele and others' SplitMix64 (2014): the same numbers for the same seed.
  private struct SystemLikeGenerator: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      state &+= 0x9E37_79B9_7F4A_7C15
      var mixed = state
      mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
      mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
      return mixed ^ (mixed >> 31)
    }
  }

  @Test func foldersWithoutTheDataSayWhatIsMissing() {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
    do throws(DataError) {
      _ = try MNIST(.train, at: folder)
      Issue.record("no error")
    } catch {
      #expect(error.path == folder.path)
      #expect(error.reason.contains("train-images-idx3-ubyte"))
    }
  }

  @Test func filesThatAreNotMNISTAreErrors() throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    func write(_ name: String, _ bytes: [UInt8]) throws {
      try Data(bytes).write(to: folder.appendingPathComponent(name))
    }
    func reason() -> String {
      do throws(DataError) {
        _ = try MNIST(.test, at: folder)
        return "no error"
      } catch { return error.reason }
    }
    let image = [UInt8](repeating: 0, count: 28 * 28)
    try write("t10k-labels-idx1-ubyte", [0, 0, 8, 1, 0, 0, 0, 1, 11])
    try write("t10k-images-idx3-ubyte", [0, 0, 8, 1, 0, 0, 0, 1, 0])
    #expect(reason().contains("28 by 28"))
    try write(
      "t10k-images-idx3-ubyte", [0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 28, 0, 0, 0, 28] + image)
    #expect(reason().contains("label 11"))
    try write("t10k-labels-idx1-ubyte", [0, 0, 8, 1, 0, 0, 0, 2, 1, 2])
    #expect(reason().contains("uint8[1]"))
    try write("t10k-labels-idx1-ubyte", [0, 0, 8, 1, 0, 0, 0, 1, 3])
    #expect(reason() == "no error")
  }
}
