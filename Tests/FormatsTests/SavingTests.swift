import Duet
import DuetTestSupport
import Foundation
import Testing

@Suite struct SavingTests {
  private static let suffixes = ["safetensors", "npz", "npy"]

  /// Writes a tensor and reads it again.
  private func roundTrip(_ tensor: Tensor, _ suffix: String, compressed: Bool = false) throws
    -> Tensor
  {
    try withTemporaryFile(suffix) { url in
      if suffix == "npy" {
        try save(tensor, to: url)
        return try loadArray(url: url)
      }
      try save(["x": tensor], to: url, compressed: compressed)
      return try #require(try loadArrays(url: url)["x"])
    }
  }

  @Test("every dtype comes back with its bits", arguments: suffixes)
  func dtypes(_ suffix: String) throws {
    for dtype in suffix == "safetensors" ? DType.allCases : Fixture.dtypes {
      for shape in [[], [0], [3], [2, 0, 3], [2, 3], [1, 2, 1, 2, 1, 2, 1, 2]] {
        let tensor = Fixture.numbers(dtype, shape)
        expectSame(try roundTrip(tensor, suffix), tensor, "\(tensor.dtype)\(shape)")
      }
    }
    let odd = Tensor([Float.nan, -.infinity, -0.0, .leastNonzeroMagnitude])
    expectSame(try roundTrip(odd, suffix), odd)
  }

  @Test("views are written as what they show", arguments: suffixes)
  func views(_ suffix: String) throws {
    let x = arange(24).reshaped(2, 3, 4).asType(.float32)
    for view in [x.transposed(), x[1], x[0..., 1], x[.ellipsis, 1..<3], x.flipped(axis: 1)] {
      expectSame(try roundTrip(view, suffix), view + 0)
    }
    let wide = broadcast(Tensor([1.0, 2.0]), to: [3, 2])
    expectSame(try roundTrip(wide, suffix), wide + 0)
  }

  @Test(
    "large arrays",
    arguments: [("safetensors", false), ("npz", false), ("npz", true), ("npy", false)])
  func large(_ suffix: String, _ compressed: Bool) throws {
    let generator = Duet.Generator(seed: 1)
    let x = Random.normal([1000, 1003], generator: generator)
    expectSame(try roundTrip(x, suffix, compressed: compressed), x)
    expectSame(try roundTrip(x.T, suffix, compressed: compressed), x.T + 0)
    // What shrinks by more than data usually do.
    let zero = zeros([3_000_000])
    expectSame(try roundTrip(zero, suffix, compressed: compressed), zero)
  }

  @Test func otherExtensionsAreErrors() throws {
    for name in ["/tmp/x.pt", "/tmp/x"] {
      let url = URL(fileURLWithPath: name)
      let errors = [
        #expect(throws: DataError.self) { try save(["x": Tensor(1.0)], to: url) },
        #expect(throws: DataError.self) { try save(Tensor(1.0), to: url) },
        #expect(throws: DataError.self) { try loadArrays(url: url) },
        #expect(throws: DataError.self) { try loadArray(url: url) },
      ]
      for error in errors {
        #expect(error?.reason.contains(".safetensors, .npz and .npy") == true)
      }
    }
    let folder = FileManager.default.temporaryDirectory
    let (npy, npz) = (folder.appending(path: "a.npy"), folder.appending(path: "a.npz"))
    let safetensors = folder.appending(path: "a.safetensors")
    #expect(throws: DataError.self) { try save(["a": Tensor(1), "b": Tensor(2)], to: npy) }
    #expect(throws: DataError.self) { try save(Tensor(1), to: npz) }
    #expect(throws: DataError.self) { try loadArrays(url: npy) }
    #expect(throws: DataError.self) { try loadArray(url: npz) }
    #expect(throws: DataError.self) { try save(["a": Tensor(1)], metadata: ["a": ""], to: npz) }
    #expect(throws: DataError.self) {
      try save(["a": Tensor(1)], to: safetensors, compressed: true)
    }
    let half = #expect(throws: DataError.self) { try save(zeros([2], dtype: .bfloat16), to: npy) }
    #expect(half?.reason.contains("bfloat16") == true)
    let web = try #require(URL(string: "https://example.org/a.npz"))
    #expect(throws: DataError.self) { try loadArrays(url: web) }
    #expect(throws: DataError.self) { try save(["a": Tensor(1)], to: web) }
    for url in [npy, npz, safetensors] {
      #expect(!FileManager.default.fileExists(atPath: url.path))
    }
  }

  @Test func filesThatAreNoneAreErrors() throws {
    let nowhere = URL(fileURLWithPath: "/nowhere/x.npz")
    #expect(throws: DataError.self) { try loadArrays(url: nowhere) }
    #expect(throws: DataError.self) { try save(["a": Tensor(1)], to: nowhere) }
    try withTemporaryFile("npz") { url in
      try FileManager.default.createDirectory(at: url, withIntermediateDirectories: false)
      #expect(throws: DataError.self) { try loadArrays(url: url) }
      #expect(throws: DataError.self) { try save(["a": Tensor(1)], to: url) }
      #expect(FileManager.default.fileExists(atPath: url.path))
    }
    try withTemporaryFile("npy") { url in
      #expect(mkfifo(url.path, 0o600) == 0)
      #expect(throws: DataError.self) { try loadArray(url: url) }
      #expect(throws: DataError.self) { try save(Tensor(1), to: url) }
    }
  }

  @Test func aFailedWriteKeepsTheOldFileAndLeavesNothingBehind() throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "duet-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(at: folder) }
    let url = folder.appending(path: "x.npz")
    try save(["a": Tensor([1, 2])], to: url)
    let before = try Data(contentsOf: url)
    // The second array fails when the first one is written already.
    #expect(throws: DataError.self) {
      try save(["a": zeros([100_000]), "b": zeros([2], dtype: .bfloat16)], to: url)
    }
    #expect(try Data(contentsOf: url) == before)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["x.npz"])
  }

  @Test func linksAndPermissionsStay() throws {
    try withTemporaryFile("npy") { url in
      try save(Tensor(1), to: url)
      try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: url.path)
      try withTemporaryFile("npy") { link in
        try FileManager.default.createSymbolicLink(at: link, withDestinationURL: url)
        try save(Tensor(2), to: link)
        #expect(try loadArray(url: url).item(Int.self) == 2)
        #expect(try FileManager.default.destinationOfSymbolicLink(atPath: link.path) == url.path)
      }
      let attributes = try FileManager.default.attributesOfItem(atPath: url.path)
      #expect(attributes[.posixPermissions] as? Int == 0o600)
    }
  }

  @Test func valuesPutOffAreComputed() throws {
    try withTemporaryFile("safetensors") { url in
      try withExecution(.deferred) {
        let x = Tensor([1.0, 2.0]) * 3
        try save(["x": x, "view": x[1]], to: url)
        let loaded = try loadArrays(url: url)
        #expect(loaded["x"]?.asArray(Float.self) == [3, 6])
        #expect(loaded["view"]?.item(Float.self) == 6)
        let y = placeholder(.float32, shape: [], name: "y") + 1
        let error = #expect(throws: TensorError.self) { try save(["y": y], to: url) }
        #expect(error?.reason.contains("placeholder \"y\"") == true)
      }
      #expect(try loadArrays(url: url).count == 2)
    }
  }

  @Test func savingInsideARecordingIsAnError() throws {
    try withTemporaryFile("npy") { url in
      let f = traced { (x: Tensor) throws -> Tensor in
        try save(x, to: url)
        return x + 1
      }
      let error = #expect(throws: TensorError.self) { try f(Tensor([1.0])) }
      #expect(error?.reason.contains("hostCallback") == true)
      #expect(!FileManager.default.fileExists(atPath: url.path))
      let g = traced { (x: Tensor) -> Tensor in
        hostCallback(x) { values in try? save(values, to: url) }
        return x + 1
      }
      for value in [1.0, 2.0] {
        _ = g(Tensor([value]))
        let loaded = try loadArray(url: url)
        #expect(loaded.asArray(Double.self) == [value])
      }
    }
  }
}
