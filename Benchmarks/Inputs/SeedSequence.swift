/// NumPy's `SeedSequence` for one small seed: spreads its bits over as many words as a generator
/// asks for.
///
/// The hash is M. E. O'Neill's `seed_seq_fe` with a pool of four words.
struct SeedSequence {
  private var pool: [UInt32] = [0, 0, 0, 0]

  init(_ seed: UInt32) {
    var hash = Hash(constant: 0x43b0_d7e5, multiplier: 0x931e_8875)
    for i in pool.indices { pool[i] = hash(i == 0 ? seed : 0) }
    for source in pool.indices {
      for target in pool.indices where source != target {
        let mixed = pool[target] &* 0xca01_f9dd &- hash(pool[source]) &* 0x4973_f715
        pool[target] = mixed ^ (mixed >> 16)
      }
    }
  }

  /// The first words of the state that this seed gives.
  func words(_ count: Int) -> [UInt64] {
    var hash = Hash(constant: 0x8b51_f9dd, multiplier: 0x58f3_8ded)
    let halves = (0..<2 * count).map { UInt64(hash(pool[$0 % pool.count])) }
    return (0..<count).map { halves[2 * $0] | halves[2 * $0 + 1] << 32 }
  }

  /// A hash whose constant moves on with every use.
  private struct Hash {
    var constant: UInt32
    let multiplier: UInt32

    mutating func callAsFunction(_ value: UInt32) -> UInt32 {
      let keyed = value ^ constant
      constant &*= multiplier
      let product = keyed &* constant
      return product ^ (product >> 16)
    }
  }
}
