import Duet
import DuetTestSupport
import Foundation
import Testing

@Suite struct NPYTests {
  @Test("reads both orders of bytes and of elements", arguments: Fixture.dtypes)
  func reads(_ dtype: DType) throws {
    for name in ["\(dtype).npy", "\(dtype)_other.npy"] {
      expectSame(try loadArray(url: Fixture.url(name)), Fixture.numbers(dtype), name)
    }
  }

  @Test("writes NumPy's bytes", arguments: Fixture.dtypes)
  func writes(_ dtype: DType) throws {
    try withTemporaryFile("npy") { url in
      try save(Fixture.numbers(dtype), to: url)
      #expect(try [UInt8](Data(contentsOf: url)) == Fixture.bytes("\(dtype).npy"))
      try save(array: Fixture.numbers(dtype).T.contiguous().T, url: url)
      #expect(try [UInt8](Data(contentsOf: url)) == Fixture.bytes("\(dtype).npy"))
    }
  }

  @Test func everyRank() throws {
    let expected: [(String, Tensor)] = [
      ("scalar", Tensor(2.5).asType(.float64)), ("empty", zeros([0, 3])), ("vector", arange(5)),
      ("cube", Fixture.numbers(.float32, [2, 3, 4])),
    ]
    for (name, tensor) in expected {
      let url = Fixture.url("\(name).npy")
      expectSame(try loadArray(url: url), tensor, name)
      // The cube is in the other order of elements.
      if name == "cube" { continue }
      try withTemporaryFile("npy") { copy in
        try save(tensor, to: copy)
        #expect(try Data(contentsOf: copy) == Data(contentsOf: url), "\(name)")
      }
    }
  }

  @Test func everyVersion() throws {
    for version in 2...3 {
      let url = Fixture.url("version\(version).npy")
      expectSame(try loadArray(url: url), Fixture.numbers(.float32), "version \(version)")
    }
  }

  @Test(
    "what tensors cannot hold is refused by name",
    arguments: [
      ("objects", "\"|O\": Python objects"), ("strings", "\"<U2\": strings"),
      ("bytes", "\"|S2\": strings"), ("structured", "structured elements"),
      ("complex", "\"<c8\": complex"), ("uint32", "\"<u4\": unsigned integers"),
      ("raw", "\"|V2\": raw elements of two bytes; bfloat16"), ("dates", "\"<M8[D]\": dates"),
      ("long", "\"<f16\": floating-point numbers of a size"),
    ])
  func refused(_ name: String, _ expected: String) throws {
    let error = #expect(throws: DataError.self) {
      try loadArray(url: Fixture.url("refused_\(name).npy"))
    }
    #expect(error?.reason.contains(expected) == true, "\(error?.reason ?? "")")
  }

  /// A file with a header and so many bytes of elements.
  private func file(
    _ header: String, _ size: Int = 8, version: [UInt8] = [1, 0]
  ) -> [UInt8] {
    let text = Array(header.utf8)
    let count = (0..<(version[0] == 1 ? 2 : 4)).map {
      UInt8(truncatingIfNeeded: text.count >> (8 * $0))
    }
    return [0x93] + Array("NUMPY".utf8) + version + count + text
      + Array(repeating: 1, count: size)
  }

  @Test(
    "headers are Python literals",
    arguments: [
      ("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n", nil),
      ("{ \"shape\" : ( 1 , 2 ) , \"fortran_order\":True,\"descr\":\"<f4\"}", nil),
      ("{'descr': '<i8', 'fortran_order': False, 'shape': (1L,)}", nil),
      ("{'descr': 'i8', 'fortran_order': False, 'shape': ()}", nil),
      ("{'descr': '=f8', 'fortran_order': False, 'shape': ()}", nil),
      ("{'descr': '|?', 'fortran_order': False, 'shape': (8,)}", nil),
      ("", "ends too early"),
      ("[]", "no dictionary"),
      ("{}", "is missing"),
      ("{'descr': '<f4', 'fortran_order': False}", "is missing"),
      ("{'descr': '<f4', 'fortran_order': 0, 'shape': (2,)}", "does not belong"),
      ("{'descr': '<f4', 'fortran_order': False, 'shape': 2}", "does not belong"),
      ("{'descr': '<f4', 'fortran_order': False, 'shape': (2)}", "does not belong"),
      ("{'descr': '<f4', 'fortran_order': False, 'shape': ('2',)}", "no numbers"),
      ("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'x': 1}", "does not belong"),
      ("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", "belong"),
      ("{'descr': '<f4' 'fortran_order': False, 'shape': (2,)}", "comma"),
      ("{'descr' '<f4'}", "colon"),
      ("{'descr': '<f4', 'fortran_order': False, 'shape': (2,)} 1", "follows"),
      ("{'descr': '<f4", "no end"),
      ("{'descr': open('x'), 'fortran_order': False, 'shape': (2,)}", "no Python literal"),
      ("{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}", "impossible"),
      ("{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 8)}", "impossible"),
      (
        "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 4611686018427387904, 8)}",
        "impossible"
      ),
      ("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}", "too large"),
      ("{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776,)}", "truncated"),
      ("{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}", "truncated"),
      ("{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1)}", "9 axes"),
      ("{'descr': '', 'fortran_order': False, 'shape': ()}", "unknown type"),
      ("{'descr': '<f4\\n', 'fortran_order': False, 'shape': ()}", "of a size"),
      ("{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': ()}", "structured"),
    ])
  func headers(_ header: String, _ expected: String?) throws {
    for version: [UInt8] in [[1, 0], [2, 0], [3, 0]] {
      let actual = try reason(file(header, version: version), "npy") { _ = try loadArray(url: $0) }
      if let expected {
        #expect(actual?.contains(expected) == true, "\(actual ?? "no error")")
      } else {
        #expect(actual == nil)
      }
    }
  }

  @Test func damagedFilesAreErrorsWithAReason() throws {
    func reason(_ bytes: [UInt8]) throws -> String {
      try FormatsTests.reason(bytes, "npy") { _ = try loadArray(url: $0) } ?? "no error"
    }
    let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}"
    #expect(try reason([]).contains("not an array"))
    #expect(try reason(Array("NUMPY is not here".utf8)).contains("not an array"))
    #expect(try reason(file(header, version: [4, 0])).contains("version 4.0"))
    #expect(try reason(file(header, version: [1, 1])).contains("version 1.1"))
    #expect(try reason(Array(file(header).prefix(20))).contains("truncated"))
    #expect(try reason(Array(file(header).dropLast())).contains("truncated"))
    var long = file(header, version: [2, 0])
    long[11] = 0xFF
    #expect(try reason(long).contains("header of 4278190"))
    let deep = String(repeating: "(", count: 9_000)
    #expect(try reason(file("{'descr': \(deep)")).contains("too many brackets"))
  }

  @Test func whatFollowsAnArrayIsLeftAlone() throws {
    let bytes = try Fixture.bytes("float32.npy")
    try withFile(bytes + bytes, "npy") { url in
      expectSame(try loadArray(url: url), Fixture.numbers(.float32))
    }
  }

  @Test func booleansAreTrueForEveryByteButZero() throws {
    var bytes = try Fixture.bytes("bool.npy")
    bytes.replaceSubrange((bytes.count - 6)..., with: [0, 1, 2, 255, 128, 0])
    try withFile(bytes, "npy") { url in
      let loaded = try loadArray(url: url)
      #expect(loaded.asArray(Bool.self) == [false, true, true, true, true, false])
      #expect(loaded.asType(.int32).sum().item(Int.self) == 4)
    }
  }
}
