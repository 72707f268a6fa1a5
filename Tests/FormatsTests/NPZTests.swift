import Duet
import DuetTestSupport
import Foundation
import Testing

@Suite struct NPZTests {
  private static let arrays = [
    "a": Fixture.numbers(.float32), "b.weight": Fixture.numbers(.int64, [4]), "c/é": Tensor(1.5),
  ]

  @Test("reads what others write", arguments: ["stored", "compressed", "plain", "streamed"])
  func reads(_ name: String) throws {
    var loaded = try loadArrays(url: Fixture.url("\(name).npz"))
    if name == "compressed" {
      expectSame(try #require(loaded["zeros"]), zeros([40_000]))
      loaded["zeros"] = nil
    }
    #expect(Set(loaded.keys) == Set(Self.arrays.keys))
    for (key, tensor) in Self.arrays { expectSame(try #require(loaded[key]), tensor, key) }
    #expect(try loadArraysAndMetadata(url: Fixture.url("\(name).npz")).1.isEmpty)
  }

  @Test func writesNumPysBytes() throws {
    try withTemporaryFile("npz") { url in
      try save(Self.arrays, to: url)
      #expect(try [UInt8](Data(contentsOf: url)) == Fixture.bytes("stored.npz"))
    }
  }

  @Test func archivesOfManyAndOfNoArrays() throws {
    for count in [0, 1, 66_000] {
      let tensors = Dictionary(uniqueKeysWithValues: (0..<count).map { ("t\($0)", Tensor($0)) })
      try withTemporaryFile("npz") { url in
        try save(tensors, to: url)
        let loaded = try loadArrays(url: url)
        #expect(loaded.count == count)
        if count > 0 { #expect(loaded["t\(count - 1)"]?.item(Int.self) == count - 1) }
      }
    }
  }

  /// An archive's bytes, and where its records are.
  private struct Archive {
    var bytes: [UInt8]

    init(_ name: String) throws { bytes = try Fixture.bytes(name) }

    /// Little-endian, of four bytes.
    subscript(word place: Int) -> Int {
      get { (0..<4).reversed().reduce(0) { $0 << 8 | Int(bytes[place + $1]) } }
      set { for i in 0..<4 { bytes[place + i] = UInt8(truncatingIfNeeded: newValue >> (8 * i)) } }
    }

    var end: Int { bytes.count - 22 }
    var directory: Int { self[word: end + 16] }
    /// The first member's data, behind its name and extra field.
    var data: Int { 30 + Int(bytes[26]) + Int(bytes[28]) }
  }

  private func error(_ name: String = "stored.npz", _ change: (inout Archive) -> Void) throws
    -> String
  {
    var archive = try Archive(name)
    change(&archive)
    return try reason(archive.bytes, "npz") ?? "no error"
  }

  @Test func damagedDirectoriesAreErrorsWithAReason() throws {
    #expect(try error { _ in } == "no error")
    #expect(try error { $0.bytes = [] }.contains("not a zip archive"))
    #expect(try error { $0.bytes.removeLast() }.contains("not a zip archive"))
    #expect(try error { $0.bytes.append(0) }.contains("not a zip archive"))
    #expect(try error { $0[word: $0.end + 16] = 0x7FFF_FFFF }.contains("outside"))
    #expect(try error { $0[word: $0.end + 16] = 0xFFFF_FFFF }.contains("outside"))
    #expect(try error { $0[word: $0.end + 12] = 0x7FFF_FFFF }.contains("outside"))
    #expect(try error { $0.bytes[$0.end + 10] = 200 }.contains("no 200 members"))
    #expect(try error { $0[word: $0.directory] = 0 }.contains("ends too early"))
    #expect(try error { $0[word: $0.end + 16] -= 1 }.contains("ends too early"))
    #expect(try error { $0.bytes[$0.directory + 28] = 250 }.contains("ends too early"))
  }

  @Test func damagedMembersAreErrorsWithAReason() throws {
    #expect(try error { $0[word: $0.directory + 42] = 0x7FFF_FFFF }.contains("no member \"a.npy\""))
    #expect(try error { $0[word: $0.directory + 42] = 3 }.contains("no member \"a.npy\""))
    #expect(try error { $0[word: $0.directory + 42] = 0xFFFF_FFFF }.contains("no member"))
    #expect(try error { $0[word: $0.directory + 20] = 0x7FFF_FFFF }.contains("no member"))
    #expect(try error { $0[word: $0.directory + 20] -= 1 }.contains("two sizes"))
    #expect(try error { $0[word: $0.directory + 24] += 1 }.contains("two sizes"))
    #expect(try error { $0[word: $0.directory + 16] ^= 1 }.contains("checksum"))
    #expect(try error { $0.bytes[$0.data + 130] ^= 1 }.contains("checksum"))
    #expect(try error { $0.bytes[$0.directory + 8] |= 1 }.contains("encrypted"))
    #expect(try error { $0.bytes[6] |= 1 }.contains("no member"))
    #expect(try error { $0.bytes[$0.directory + 10] = 14 }.contains("method 14"))
    #expect(
      try error {
        $0.bytes[28] = 255
        $0.bytes[29] = 255
      }.contains("no member"))
    #expect(try error { $0.bytes[30] = 0x62 }.contains("no member"))
    #expect(try error { $0.bytes[$0.directory + 46] = 0xFF }.contains("UTF-8"))
    #expect(
      try error {
        $0.bytes[30 + 4] = 0x7A
        $0.bytes[$0.directory + 46 + 4] = 0x7A
      }.contains("no .npy file: \"a.npz\""))
  }

  @Test func arraysThatDoNotFillTheirMembersAreErrors() throws {
    // The shape of the first array: (2, 3).
    func shape(_ text: String) throws -> String {
      try error { archive in
        let digits = (0..<archive.bytes.count).first {
          archive.bytes[$0...].starts(with: Array("(2, 3)".utf8))
        }!
        archive.bytes.replaceSubrange(digits..<(digits + 6), with: Array(text.utf8))
      }
    }
    #expect(try shape("(2, 4)").contains("truncated"))
    #expect(try shape("(2, 2)").contains("another size than its array"))
    #expect(try shape("(9999)").contains("\"a\""))
  }

  @Test func compressedMembersThatLieAreErrors() throws {
    func size(_ change: (Int) -> Int) throws -> String {
      try error("compressed.npz") {
        $0[word: $0.directory + 24] = change($0[word: $0.directory + 24])
      }
    }
    #expect(try size { $0 } == "no error")
    #expect(try size { _ in 0x7FFF_FFFF }.contains("can hold"))
    #expect(try size { $0 + 1 }.contains("another size than its array"))
    #expect(try size { $0 - 1 }.contains("truncated"))
    #expect(try error("compressed.npz") { $0.bytes[$0.data] = 0xFF }.contains("damaged"))
    #expect(try error("compressed.npz") { $0[word: $0.directory + 20] -= 2 }.contains("no end"))
    #expect(try error("compressed.npz") { $0[word: $0.directory + 16] ^= 1 }.contains("checksum"))
  }

  @Test func aMemberTwiceIsAnError() throws {
    // A second entry for the first member.
    let twice = try error { archive in
      let start = archive.directory
      let size = 46 + Int(archive.bytes[start + 28])
      archive.bytes.insert(contentsOf: archive.bytes[start..<(start + size)], at: start)
      archive.bytes[archive.end + 8] += 1
      archive.bytes[archive.end + 10] += 1
      archive[word: archive.end + 12] += size
    }
    #expect(twice.contains("two members \"a.npy\""))
  }
}
