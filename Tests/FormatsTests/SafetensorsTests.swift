import Duet
import DuetFormats
import DuetTestSupport
import Foundation
import Testing

@Suite struct SafetensorsTests {
  private static let oddName = "\"quoted\"\\ \n\u{1} é 🙂"

  private static var all: [String: Tensor] {
    var tensors: [String: Tensor] = [:]
    for dtype in DType.allCases { tensors["of_\(dtype)"] = Fixture.numbers(dtype) }
    tensors["scalar"] = Tensor(7.5)
    tensors["empty"] = zeros([2, 0, 3])
    tensors[oddName] = Tensor([1, 2])
    return tensors
  }

  @Test func readsWhatOthersWrite() throws {
    let loaded = try loadArrays(url: Fixture.url("all.safetensors"))
    #expect(Set(loaded.keys) == Set(Self.all.keys))
    for (name, tensor) in Self.all { expectSame(try #require(loaded[name]), tensor, name) }
    #expect(try loadArrays(url: Fixture.url("empty.safetensors")).isEmpty)
  }

  @Test func readsMetadata() throws {
    let (tensors, metadata) = try loadArraysAndMetadata(url: Fixture.url("metadata.safetensors"))
    #expect(metadata == ["format": "pt"])
    #expect(tensors["x"]?.asArray(Float.self) == [0, 1, 2])
  }

  @Test func writesTheBytesOfTheReference() throws {
    try withTemporaryFile("safetensors") { url in
      try save(Self.all, to: url)
      #expect(try [UInt8](Data(contentsOf: url)) == Fixture.bytes("all.safetensors"))
      try save([:], to: url)
      #expect(try [UInt8](Data(contentsOf: url)) == Fixture.bytes("empty.safetensors"))
      try save(arrays: ["x": Tensor([0.0, 1.0, 2.0])], metadata: ["format": "pt"], url: url)
      #expect(try [UInt8](Data(contentsOf: url)) == Fixture.bytes("metadata.safetensors"))
    }
  }

  @Test func readsSingleTensors() throws {
    let file = try SafetensorsFile(Fixture.url("unsigned.safetensors"))
    #expect(Set(file.names) == ["u", "x"])
    #expect(try file.type(of: "x") == TensorType(.float32, [3]))
    expectSame(try file.tensor(named: "x"), Tensor([0.0, 1.0, 2.0]))
    let error = #expect(throws: DataError.self) { try file.tensor(named: "u") }
    #expect(error?.reason.contains("\"u\" as U16") == true)
    #expect(throws: DataError.self) { try file.tensor(named: "y") }
    #expect(throws: DataError.self) { try loadArrays(url: file.url) }
  }

  @Test func metadataOfAnyText() throws {
    let metadata = ["": "", "a\"\\\n\t\u{1}\u{7F}": "é🙂\r\n", "graph": "a = b\nc"]
    try withTemporaryFile("safetensors") { url in
      try save(["x": Tensor(1.0)], metadata: metadata, to: url)
      #expect(try loadArraysAndMetadata(url: url).1 == metadata)
    }
  }

  @Test func writerRefusesNamesThatAreTaken() throws {
    try withTemporaryFile("safetensors") { url in
      for name in ["x", "__metadata__"] {
        #expect(throws: DataError.self) {
          try SafetensorsWriter.write([("x", Tensor(1.0)), (name, Tensor(2.0))], to: url)
        }
      }
      #expect(!FileManager.default.fileExists(atPath: url.path))
    }
  }

  /// A file with a header and so many bytes of data.
  private func file(_ header: String, _ size: Int = 0) -> [UInt8] {
    let text = Array(header.utf8)
    return (0..<8).map { UInt8(truncatingIfNeeded: text.count >> (8 * $0)) } + text
      + Array(repeating: 0, count: size)
  }

  private func entry(_ name: String, _ rest: String) -> String { "\"\(name)\":{\(rest)}" }

  @Test func damagedFilesAreErrorsWithAReason() throws {
    func reason(_ bytes: [UInt8]) throws -> String {
      try FormatsTests.reason(bytes, "safetensors") ?? "no error"
    }
    #expect(try reason([]).contains("truncated"))
    #expect(try reason([1, 2, 3]).contains("truncated"))
    let huge = [UInt8](repeating: 255, count: 8)
    #expect(try reason(huge + [0x7B]).contains("18446744073709551615"))
    #expect(try reason([0, 0, 0, 0, 1, 0, 0, 0] + [0x7B]).contains("4294967296"))
    #expect(try reason([100, 0, 0, 0, 0, 0, 0, 0, 0x7B]).contains("too few for a header of 100"))
    #expect(try reason(file("")).contains("'{' was expected"))
    #expect(try reason(file("[]")).contains("'{' was expected"))
    #expect(try reason(file("{} x")).contains("behind the end"))
    #expect(try reason(file("{\"a\":")).contains("'{' was expected"))
  }

  @Test(
    "hostile entries are refused",
    arguments: [
      ("\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]", nil),
      (
        "\"dtype\":\"F32\",\"shape\":[ 2 ],\"x\":[{\"a\":-1.5e3},null,true],\"data_offsets\":[0,8]",
        nil
      ),
      ("\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]", "does not fit"),
      ("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]", "4 bytes more"),
      ("\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]", "begin at 0"),
      ("\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]", "begin at 0"),
      ("\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]", "truncated"),
      ("\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]", "whole number"),
      ("\"dtype\":\"F32\",\"shape\":[2.0],\"data_offsets\":[0,8]", "whole number"),
      ("\"dtype\":\"F32\",\"shape\":[02],\"data_offsets\":[0,8]", "whole number"),
      ("\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,99999999999999999999]", "too large"),
      ("\"dtype\":\"F32\",\"shape\":[4611686018427387904,2],\"data_offsets\":[0,8]", "not fit"),
      ("\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,9223372036854775807]", "truncated"),
      ("\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8,8]", "more than 2"),
      ("\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0]", "lacks"),
      ("\"dtype\":\"F32\",\"data_offsets\":[0,8]", "lacks"),
      ("\"dtype\":\"F32\",\"shape\":[2],\"shape\":[2],\"data_offsets\":[0,8]", "twice"),
      ("\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,2],\"data_offsets\":[0,8]", "9 axes"),
      ("\"dtype\":\"U64\",\"shape\":[1],\"data_offsets\":[0,8]", "U64"),
      ("\"dtype\":\"F8_E4M3\",\"shape\":[8],\"data_offsets\":[0,8]", "F8_E4M3"),
      ("\"dtype\":\"X9\",\"shape\":[8],\"data_offsets\":[0,8]", "X9"),
    ])
  func entries(_ rest: String, _ expected: String?) throws {
    let actual = try reason(file("{\(entry("a", rest))}", 8), "safetensors")
    if let expected {
      #expect(actual?.contains(expected) == true, "\(actual ?? "no error")")
    } else {
      #expect(actual == nil)
    }
  }

  @Test func tensorsThatShareBytesAreRefused() throws {
    let one = "\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8]"
    let both = "{\(entry("a", one)),\(entry("b", one))}"
    #expect(try reason(file(both, 8), "safetensors")?.contains("begin at 8") == true)
    let twice = "{\(entry("a", one)),\(entry("a", one))}"
    #expect(try reason(file(twice, 8), "safetensors")?.contains("occurs twice") == true)
    // The same name by another spelling.
    let escaped = "{\(entry("a", one)),\(entry("\\u0061", one))}"
    #expect(try reason(file(escaped, 8), "safetensors")?.contains("occurs twice") == true)
  }

  @Test func hostileTextIsRefused() throws {
    func reason(_ text: String) throws -> String {
      try FormatsTests.reason(file(text), "safetensors") ?? "no error"
    }
    let deep = String(repeating: "[", count: 100_000)
    #expect(try reason("{\"a\":{\"x\":\(deep)").contains("inside each other"))
    #expect(
      try reason("{\"a\":{\"x\":\(String(repeating: "{\"a\":", count: 50_000))").contains("inside"))
    #expect(try reason("{\"a\\ud800\":{}}").contains("surrogate"))
    #expect(try reason("{\"a\\ud800\\u0041\":{}}").contains("surrogate"))
    #expect(try reason("{\"a\\uzzzz\":{}}").contains("hexadecimal"))
    #expect(try reason("{\"a\\q\":{}}").contains("escape"))
    #expect(try reason("{\"a\n\":{}}").contains("control"))
    #expect(try reason("{\"a").contains("inside a string"))
    #expect(try reason("{\"__metadata__\":{\"a\":1}}").contains("'\"' was expected"))
    #expect(try reason("{\"__metadata__\":{\"a\":\"\",\"a\":\"\"}}").contains("twice"))
    #expect(try reason("{\"__metadata__\":{},}").contains("was expected"))
    #expect(try FormatsTests.reason(file("{\"\u{1F642}\":{}}"), "safetensors") != nil)
    var notText = file("{\"a\":{}}")
    notText[10] = 0xFF
    #expect(try FormatsTests.reason(notText, "safetensors")?.contains("UTF-8") == true)
  }
}
