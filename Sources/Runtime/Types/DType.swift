/// The type of a tensor's elements.
@frozen public enum DType: UInt8, Sendable, Hashable, CaseIterable {
  // The raw values are the codes that the kernels use (`duet_dtype`).
  /// A byte, 0 or 1. Has logic and sums, but no elementwise arithmetic.
  case bool = 0
  /// Integers of that many bits, whose arithmetic wraps.
  case uint8, int8, int16, int32, int64
  /// IEEE 754 numbers, and the upper half of a `float32`. Those of 16 bits compute in `float32` and round once.
  case float16, bfloat16, float32, float64

  /// The size of one element in bytes.
  @inlinable public var size: Int {
    switch self {
    case .bool, .uint8, .int8: 1
    case .int16, .float16, .bfloat16: 2
    case .int32, .float32: 4
    case .int64, .float64: 8
    }
  }

  /// Whether the elements are floating-point numbers, and so can carry gradients.
  @inlinable public var isFloatingPoint: Bool { rawValue >= DType.float16.rawValue }

  /// Whether the elements are floating-point numbers of 16 bits.
  package var isHalf: Bool { self == .float16 || self == .bfloat16 }

  /// Whether the elements are integers; `bool` is not one.
  @inlinable public var isInteger: Bool { self != .bool && !isFloatingPoint }

  /// The dtype that an operation on both dtypes computes in.
  ///
  /// Booleans give way to integers, integers to floating point, narrower to wider. Two of the same
  /// width that do not contain each other give the next wider one: `uint8` and `int8` give `int16`,
  /// `float16` and `bfloat16` give `float32`. As in PyTorch and JAX, an integer tensor never widens a
  /// floating-point one: `int64` and `float32` give `float32`.
  public static func promoted(_ a: DType, _ b: DType) -> DType {
    if a == b { return a }
    let (low, high) = a.rawValue < b.rawValue ? (a, b) : (b, a)
    switch (low, high) {
    case (.uint8, .int8): return .int16
    case (.float16, .bfloat16): return .float32
    default: return high
    }
  }
}

extension DType: CustomStringConvertible {
  public var description: String {
    switch self {
    case .bool: "bool"
    case .uint8: "uint8"
    case .int8: "int8"
    case .int16: "int16"
    case .int32: "int32"
    case .int64: "int64"
    case .float16: "float16"
    case .bfloat16: "bfloat16"
    case .float32: "float32"
    case .float64: "float64"
    }
  }

  /// The dtype of that name, as `description` prints it.
  public init?(name: some StringProtocol) {
    guard let found = DType.allCases.first(where: { $0.description == name }) else { return nil }
    self = found
  }
}
