import DuetEager
import DuetRuntime
import Foundation

/// An array from a file in the IDX format, as MNIST comes in, gzip-compressed or not.
///
/// Two zero bytes, a byte for the type of elements, a byte for the number of axes, their sizes as 32-bit and then
/// the elements, all big-endian (LeCun, "The MNIST database").
public struct IDXFile: Sendable {
  /// One of `uint8`, `int8`, `int16`, `int32`, `float32` and `float64`, which the format knows.
  public let dtype: DType
  /// The sizes of the axes, of which there are one to eight.
  public let shape: [Int]
  /// The elements as they are in the file: row-major and big-endian.
  public let bytes: [UInt8]

  /// Reads a whole file. A damaged one never takes more memory than its own size justifies.
  /// - Throws: `DataError` if the file is missing, truncated, too long or not in the format.
  public init(contentsOf url: URL) throws(DataError) {
    let fileSize = try Self.size(of: url)
    let reader = try GzipReader(url)

    let magic = try reader.read(4)
    guard magic.count == 4 else { throw DataError(url, "truncated: no IDX header") }
    guard magic[0] == 0, magic[1] == 0, let dtype = Self.dtype(code: magic[2]) else {
      let hex = magic.map { String($0, radix: 16) }.joined(separator: " ")
      throw DataError(url, "not an IDX file: it begins with \(hex)")
    }
    let rank = Int(magic[3])
    guard (1...Shape.maximumRank).contains(rank) else {
      throw DataError(url, "has \(rank) axes; from 1 to \(Shape.maximumRank) can be read")
    }
    let sizes = try reader.read(4 * rank)
    guard sizes.count == 4 * rank else { throw DataError(url, "truncated: no sizes of axes") }
    let shape = (0..<rank).map { axis in
      sizes[(4 * axis)..<(4 * axis + 4)].reduce(0) { $0 << 8 | Int($1) }
    }

    var expected = dtype.size
    for size in shape {
      let (product, overflow) = expected.multipliedReportingOverflow(by: size)
      guard !overflow else { throw DataError(url, "claims an impossible shape: \(shape)") }
      expected = product
    }
    // Deflate makes at most 1,032 bytes of one (zlib's technical notes).
    guard expected / 1_032 <= fileSize else {
      throw DataError(
        url,
        "claims \(expected) bytes for shape \(shape), more than a file of \(fileSize) bytes can hold"
      )
    }
    let bytes = try reader.read(expected)
    guard bytes.count == expected else {
      throw DataError(
        url, "truncated: \(bytes.count) bytes of elements, \(expected) expected for shape \(shape)")
    }
    guard try reader.read(1).isEmpty else {
      throw DataError(url, "is longer than the \(expected) bytes that shape \(shape) takes")
    }
    self.dtype = dtype
    self.shape = shape
    self.bytes = bytes
  }

  /// The elements as a tensor of the file's dtype and shape.
  public var tensor: Tensor {
    switch dtype {
    case .int8: decoded(UInt8.self) { Int8(bitPattern: $0) }
    case .int16: decoded(UInt16.self) { Int16(bitPattern: $0) }
    case .int32: decoded(UInt32.self) { Int32(bitPattern: $0) }
    case .float32: decoded(UInt32.self) { Float(bitPattern: $0) }
    case .float64: decoded(UInt64.self) { Double(bitPattern: $0) }
    case .uint8, .bool, .int64, .float16, .bfloat16: Tensor(bytes, shape)
    }
  }

  private func decoded<Bits: FixedWidthInteger & UnsignedInteger, S: TensorScalar>(
    _ bits: Bits.Type, _ scalar: (Bits) -> S
  ) -> Tensor {
    let width = Bits.bitWidth / 8
    let values = (0..<(bytes.count / width)).map { i -> S in
      var word: Bits = 0
      for byte in bytes[(i * width)..<((i + 1) * width)] {
        word = Bits(truncatingIfNeeded: UInt64(word) << 8) | Bits(byte)
      }
      return scalar(word)
    }
    return Tensor(values, shape)
  }

  private static func dtype(code: UInt8) -> DType? {
    switch code {
    case 0x08: .uint8
    case 0x09: .int8
    case 0x0B: .int16
    case 0x0C: .int32
    case 0x0D: .float32
    case 0x0E: .float64
    default: nil
    }
  }

  private static func size(of url: URL) throws(DataError) -> Int {
    let values = try? FileManager.default.attributesOfItem(atPath: url.path)
    guard let values, let size = values[.size] as? Int else {
      throw DataError(url, "does not exist or cannot be read")
    }
    guard
      values[.type] as? FileAttributeType == .typeRegular
        || values[.type] as? FileAttributeType == .typeSymbolicLink
    else { throw DataError(url, "is not a file") }
    return size
  }
}
