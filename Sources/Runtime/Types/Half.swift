/// Conversions of IEEE 754 binary16 for every platform: Swift's `Float16` is missing on Intel Macs.
package enum Half {
  /// The nearest float16's bits, ties to even, in one rounding.
  package static func bits(of value: Double) -> UInt16 {
    let sign = UInt16(truncatingIfNeeded: value.bitPattern >> 48) & 0x8000
    if value.isNaN { return sign | 0x7E00 }
    let magnitude = value.magnitude
    if magnitude >= 65520 { return sign | 0x7C00 }
    // Steps of a float16 are 2^(e - 10), and 2^-24 below the smallest normal number.
    let exponent = magnitude < 0x1p-14 ? -14 : Int(magnitude.exponent)
    let step = Double(sign: .plus, exponent: exponent - 10, significand: 1)
    let steps = UInt16((magnitude / step).rounded(.toNearestOrEven))
    // For normal numbers `steps` holds the implicit bit, which carries into the exponent field.
    return sign | (UInt16(exponent + 14) << 10) &+ steps
  }

  /// The number that a float16's bits stand for, exactly.
  package static func value(of bits: UInt16) -> Double {
    let sign: FloatingPointSign = bits & 0x8000 == 0 ? .plus : .minus
    let exponent = Int(bits >> 10) & 0x1F
    let fraction = Double(bits & 0x3FF)
    switch exponent {
    case 0x1F: return fraction == 0 ? (sign == .plus ? .infinity : -.infinity) : .nan
    case 0: return (sign == .plus ? 1 : -1) * fraction * 0x1p-24
    default:
      return Double(sign: sign, exponent: exponent - 25, significand: 1) * (1024 + fraction)
    }
  }
}
