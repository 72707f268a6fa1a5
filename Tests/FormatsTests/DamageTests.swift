import Duet
import Foundation
import Testing

/// Files that were valid before something happened to them.
@Suite struct DamageTests {
  private static let files = [
    "all.safetensors", "metadata.safetensors", "unsigned.safetensors", "float32.npy",
    "int16_other.npy", "cube.npy", "version3.npy", "refused_structured.npy", "stored.npz",
    "compressed.npz", "plain.npz", "streamed.npz",
  ]

  /// Loads everything that there is, and expects that it is no larger than the file allows.
  private func load(_ url: URL, _ size: Int) throws {
    let tensors: [Tensor]
    if url.pathExtension == "npy" {
      tensors = [try loadArray(url: url)]
    } else {
      tensors = Array(try loadArrays(url: url).values)
    }
    var total = 0
    for tensor in tensors { total += tensor.asArray(Double.self).count * tensor.dtype.size }
    #expect(total <= 1_032 * size)
  }

  @Test("random damage is an error or harmless", arguments: files)
  func damage(_ name: String) throws {
    var random = FixedRandom(seed: name.utf8.reduce(7) { $0 &* 31 &+ UInt64($1) })
    let original = try Fixture.bytes(name)
    let suffix = String(name.split(separator: ".").last!)
    var errors = 0
    for _ in 0..<1000 {
      let bytes = damaged(original, &random)
      try withFile(bytes, suffix) { url in
        do { try load(url, bytes.count) } catch is DataError { errors += 1 }
      }
    }
    #expect(errors > 100)
  }

  @Test("a file that ends anywhere is an error or harmless", arguments: files)
  func truncation(_ name: String) throws {
    let original = try Fixture.bytes(name)
    let suffix = String(name.split(separator: ".").last!)
    for length in 0..<original.count {
      _ = try withFile(Array(original.prefix(length)), suffix) { url in
        #expect(throws: DataError.self, "\(length) bytes") { try load(url, length) }
      }
    }
  }

  private func damaged(_ original: [UInt8], _ random: inout FixedRandom) -> [UInt8] {
    var bytes = original
    for _ in 0..<Int.random(in: 1...3, using: &random) {
      if bytes.isEmpty { return bytes }
      // Headers, which stand at the beginning or at the end, are worth more attempts than elements.
      let range: Range<Int> =
        switch Int.random(in: 0..<3, using: &random) {
        case 0: 0..<min(bytes.count, 200)
        case 1: max(0, bytes.count - 300)..<bytes.count
        default: 0..<bytes.count
        }
      let place = Int.random(in: range, using: &random)
      switch Int.random(in: 0..<9, using: &random) {
      case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
      case 1: bytes[place] = UInt8.random(in: 0...255, using: &random)
      case 2: bytes.removeLast(bytes.count - place)
      case 3: bytes.insert(UInt8.random(in: 0...255, using: &random), at: place)
      case 4: bytes.remove(at: place)
      case 5:
        // A number that is as large as can be, or nothing.
        let value: UInt8 = Bool.random(using: &random) ? 0xFF : 0
        for i in place..<min(place + [2, 4, 8].randomElement(using: &random)!, bytes.count) {
          bytes[i] = value
        }
      case 6:
        let digits = bytes.indices.filter { (0x30...0x39).contains(bytes[$0]) }
        if let digit = digits.randomElement(using: &random) {
          bytes[digit] = UInt8.random(in: 0x30...0x39, using: &random)
        }
      case 7:
        let digits = bytes.indices.filter { (0x30...0x39).contains(bytes[$0]) }
        if let digit = digits.randomElement(using: &random) {
          bytes.insert(
            contentsOf: repeatElement(0x39, count: Int.random(in: 1...20, using: &random)),
            at: digit)
        }
      default:
        let end = min(place + Int.random(in: 1...40, using: &random), bytes.count)
        bytes.insert(contentsOf: bytes[place..<end], at: place)
      }
    }
    return bytes
  }
}

/// Steele and others' SplitMix64 (2014): the same numbers for the same seed.
struct FixedRandom: RandomNumberGenerator {
  var state: UInt64
  init(seed: UInt64) { state = seed }
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}
