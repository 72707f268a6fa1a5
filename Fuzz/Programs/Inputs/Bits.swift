// Unsafe: reads elements one by one through a layout, while the tensor keeps its storage alive.

import Duet

/// What the contract of equal bits compares: dtype, shape and the bytes of every element in row-major order.
public struct Bits: Sendable, Hashable, CustomStringConvertible {
  public let type: TensorType
  public let elements: [UInt64]

  public init(_ tensor: Tensor) {
    type = tensor.type
    elements = Bits.read(tensor)
  }

  /// Walks the elements without help from any kernel.
  private static func read(_ tensor: Tensor) -> [UInt64] {
    let tensor = tensor.evaluated(for: "Bits")
    guard tensor.hasElements else { return [] }
    let body = tensor.body
    let layout = body.layout
    let size = body.dtype.size
    let count = layout.shape.elementCount
    // Making an empty array this way writes to the one that all empty arrays share.
    if count == 0 { return [] }
    return withExtendedLifetime(tensor) {
      [UInt64](unsafeUninitializedCapacity: count) { buffer, initialized in
        initialized = count
        if body.isContiguous {
          for i in 0..<count { buffer[i] = bits(body.pointer + i * size, size) }
          return
        }
        var index = Shape(repeating: 0, rank: layout.shape.rank)
        var offset = 0
        for i in 0..<count {
          buffer[i] = bits(body.pointer + offset * size, size)
          var axis = layout.shape.rank - 1
          while axis >= 0 {
            index[axis] += 1
            offset += layout.strides[axis]
            if index[axis] < layout.shape[axis] { break }
            offset -= layout.strides[axis] * layout.shape[axis]
            index[axis] = 0
            axis -= 1
          }
        }
      }
    }
  }

  @inline(__always)
  private static func bits(_ element: UnsafeMutableRawPointer, _ size: Int) -> UInt64 {
    switch size {
    case 1: UInt64(element.load(as: UInt8.self))
    case 2: UInt64(element.load(as: UInt16.self))
    case 4: UInt64(element.load(as: UInt32.self))
    default: element.load(as: UInt64.self)
    }
  }

  private func isNaN(_ bits: UInt64) -> Bool {
    switch type.dtype {
    case .float16: bits & 0x7FFF > 0x7C00
    case .bfloat16: bits & 0x7FFF > 0x7F80
    case .float32: bits & 0x7FFF_FFFF > 0x7F80_0000
    case .float64: bits & 0x7FFF_FFFF_FFFF_FFFF > 0x7FF0_0000_0000_0000
    case .bool, .uint8, .int8, .int16, .int32, .int64: false
    }
  }

  /// The first difference in words, or nil. One NaN is as good as another.
  public func difference(from other: Bits) -> String? {
    if type != other.type { return "type \(type) instead of \(other.type)" }
    if elements == other.elements { return nil }
    var count = 0
    var first: Int?
    for i in elements.indices where elements[i] != other.elements[i] {
      if isNaN(elements[i]) && isNaN(other.elements[i]) { continue }
      first = first ?? i
      count += 1
    }
    guard let first else { return nil }
    return "\(count) of \(elements.count) elements of \(type) differ, first at \(place(first)): "
      + "\(show(elements[first])) instead of \(other.show(other.elements[first]))"
  }

  private func place(_ index: Int) -> [Int] {
    var rest = index
    return type.shape.reversed().map { size in
      defer { rest /= size }
      return rest % size
    }.reversed()
  }

  private func show(_ bits: UInt64) -> String {
    let value = Element(bits: bits).value(type.dtype)
    return "\(value) (0x\(String(bits, radix: 16)))"
  }

  public var description: String { "\(type) of \(elements.count) elements" }
}
