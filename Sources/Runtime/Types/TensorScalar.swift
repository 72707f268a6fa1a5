/// A Swift type whose values can be a tensor's elements.
public protocol TensorScalar: Sendable, Hashable {
  /// The dtype of a tensor of such elements.
  static var dtype: DType { get }
  /// The nearest value to a number, as a cast of a `float64` tensor would give it.
  init(tensorValue: Double)
  /// The nearest value to an integer, as a cast of an `int64` tensor would give it.
  init(tensorInteger: Int64)
  /// The value as a number. Exact but for integers beyond 2^53.
  var tensorValue: Double { get }
  /// The value as an integer, fractions cut off; not-a-number gives 0, what is out of range the nearest.
  var tensorInteger: Int64 { get }
}

extension TensorScalar where Self: BinaryFloatingPoint {
  @inlinable public init(tensorValue: Double) { self = Self(tensorValue) }
  @inlinable public init(tensorInteger: Int64) { self = Self(tensorInteger) }
  @inlinable public var tensorValue: Double { Double(self) }
  @inlinable public var tensorInteger: Int64 { Int64(saturating: Double(self)) }
}

extension TensorScalar where Self: FixedWidthInteger {
  @inlinable public init(tensorValue: Double) {
    self = Self(clamping: Int64(saturating: tensorValue))
  }
  @inlinable public init(tensorInteger: Int64) { self = Self(truncatingIfNeeded: tensorInteger) }
  @inlinable public var tensorValue: Double { Double(self) }
  @inlinable public var tensorInteger: Int64 { Int64(truncatingIfNeeded: self) }
}

extension Int64 {
  @inlinable init(saturating value: Double) {
    if value.isNaN {
      self = 0
    } else if value >= 0x1p63 {
      self = .max
    } else if value < -0x1p63 {
      self = .min
    } else {
      self = Int64(value)
    }
  }
}

extension Double: TensorScalar { @inlinable public static var dtype: DType { .float64 } }
extension Float: TensorScalar { @inlinable public static var dtype: DType { .float32 } }
extension Int: TensorScalar { @inlinable public static var dtype: DType { .int64 } }
extension Int64: TensorScalar { @inlinable public static var dtype: DType { .int64 } }
extension Int32: TensorScalar { @inlinable public static var dtype: DType { .int32 } }
extension Int16: TensorScalar { @inlinable public static var dtype: DType { .int16 } }
extension Int8: TensorScalar { @inlinable public static var dtype: DType { .int8 } }
extension UInt8: TensorScalar { @inlinable public static var dtype: DType { .uint8 } }

#if !(os(macOS) && arch(x86_64))
  extension Float16: TensorScalar { @inlinable public static var dtype: DType { .float16 } }
#endif

extension Bool: TensorScalar {
  @inlinable public static var dtype: DType { .bool }
  @inlinable public init(tensorValue: Double) { self = tensorValue != 0 }
  @inlinable public init(tensorInteger: Int64) { self = tensorInteger != 0 }
  @inlinable public var tensorValue: Double { self ? 1 : 0 }
  @inlinable public var tensorInteger: Int64 { self ? 1 : 0 }
}

/// A 16-bit floating-point number with the exponent range of `Float`: its upper half.
@frozen public struct BFloat16: TensorScalar, CustomStringConvertible {
  /// The sign, 8 exponent and 7 fraction bits.
  public var bitPattern: UInt16

  /// The number of those bits: sign, exponent, fraction.
  @inlinable public init(bitPattern: UInt16) { self.bitPattern = bitPattern }

  /// The nearest value, ties to even.
  @inlinable public init(_ value: Float) {
    let bits = value.bitPattern
    if value.isNaN {
      bitPattern = UInt16(truncatingIfNeeded: bits >> 16) | 0x40
    } else {
      bitPattern = UInt16(truncatingIfNeeded: (bits &+ 0x7FFF &+ ((bits >> 16) & 1)) >> 16)
    }
  }

  @inlinable public init(tensorValue: Double) { self.init(Float(roundedToOdd: tensorValue)) }
  @inlinable public init(tensorInteger: Int64) {
    self.init(Float(roundedToOdd: Double(tensorInteger)))
  }
  @inlinable public var tensorValue: Double { Double(float) }
  @inlinable public var tensorInteger: Int64 { Int64(saturating: Double(float)) }
  @inlinable public static var dtype: DType { .bfloat16 }

  /// The same value as a `Float`, exactly.
  @inlinable public var float: Float { Float(bitPattern: UInt32(bitPattern) << 16) }
  public var description: String { float.description }
}

extension Float {
  // Rounding to odd keeps what a second rounding to fewer bits needs to know (Boldo and Melquiond, 2008).
  @inlinable init(roundedToOdd value: Double) {
    let nearest = Float(value)
    if Double(nearest) == value || !nearest.isFinite || nearest.bitPattern & 1 == 1 {
      self = nearest
    } else {
      self = Double(nearest) < value ? nearest.nextUp : nearest.nextDown
    }
  }
}
