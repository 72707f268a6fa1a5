/// The generator behind NumPy's `default_rng`: PCG XSL-RR 128/64 (M. E. O'Neill, 2014).
struct PCG64: Hashable {
  private var state: UInt128 = 0
  private let increment: UInt128
  /// The upper half of the last word, where only the lower one was asked for so far.
  private var spare: UInt32?

  init(seed: UInt32) {
    let words = SeedSequence(seed).words(4)
    increment = (UInt128(words[2]) << 64 | UInt128(words[3])) << 1 | 1
    advance()
    state &+= UInt128(words[0]) << 64 | UInt128(words[1])
    advance()
  }

  private mutating func advance() {
    state = state &* 0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645 &+ increment
  }

  mutating func next64() -> UInt64 {
    advance()
    let folded = UInt64(truncatingIfNeeded: state >> 64) ^ UInt64(truncatingIfNeeded: state)
    let turns = UInt64(truncatingIfNeeded: state >> 122)
    return folded >> turns | folded << ((64 &- turns) & 63)
  }

  /// Half a word: the lower half first, the upper half the next time.
  mutating func next32() -> UInt32 {
    if let half = spare {
      spare = nil
      return half
    }
    let word = next64()
    spare = UInt32(truncatingIfNeeded: word >> 32)
    return UInt32(truncatingIfNeeded: word)
  }

  /// Uniform in [0, 1) with 24 bits.
  mutating func nextFloat() -> Float { Float(next32() >> 8) * 0x1p-24 }

  /// Uniform in 0 ..< bound, by D. Lemire's multiplication (2019).
  mutating func next(below bound: UInt32) -> UInt32 {
    var product = UInt64(next32()) * UInt64(bound)
    if UInt32(truncatingIfNeeded: product) < bound {
      let threshold = (0 &- bound) % bound
      while UInt32(truncatingIfNeeded: product) < threshold {
        product = UInt64(next32()) * UInt64(bound)
      }
    }
    return UInt32(product >> 32)
  }
}
