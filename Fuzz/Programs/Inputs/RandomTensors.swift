// Unsafe: fills fresh memory element by element, and lays views over it.

import Duet

/// What kind of numbers a test draws.
public enum Values: Sendable {
  /// Between -3 and 3, integers between -20 and 20.
  case ordinary
  /// Ordinary ones mixed with what breaks formulas: NaN, infinities, signed zeros, subnormals, extremes.
  case special
}

/// Where a tensor's elements lie.
public enum Placement: Sendable {
  case contiguous
  /// Transposed, sliced with steps, flipped, repeated along axes, by chance.
  case strided
}

extension SplitMix64 {
  /// A tensor of that type.
  public mutating func tensor(
    _ dtype: DType, _ shape: [Int], _ values: Values = .ordinary,
    _ placement: Placement = .contiguous
  ) -> Tensor {
    switch placement {
    case .contiguous: return contiguous(dtype, Shape(shape), values)
    case .strided: return strided(dtype, Shape(shape), values)
    }
  }

  private mutating func contiguous(_ dtype: DType, _ shape: Shape, _ values: Values) -> Tensor {
    let body = TensorBody(allocating: TensorType(dtype, shape))
    for i in 0..<body.count {
      let element = element(dtype, values)
      withUnsafeBytes(of: element.bits.littleEndian) {
        (body.pointer + i * dtype.size).copyMemory(from: $0.baseAddress!, byteCount: dtype.size)
      }
    }
    return Tensor(body)
  }

  private mutating func strided(_ dtype: DType, _ shape: Shape, _ values: Values) -> Tensor {
    // The axes' order in memory, and how far apart their elements are.
    let order = Array(0..<shape.rank).shuffled(using: &self)
    var steps = Shape(repeating: 1, rank: shape.rank)
    var base = Shape(repeating: 1, rank: shape.rank)
    for axis in 0..<shape.rank {
      steps[axis] = pick([1, 1, 1, 2, 3, -1, -1, -2, 0])
      base[axis] = shape[axis] == 0 ? 0 : (shape[axis] - 1) * abs(steps[axis]) + 1 + int(0...1)
    }
    var stride = 1
    var strides = Shape(repeating: 0, rank: shape.rank)
    var offset = 0
    for axis in order.reversed() {
      strides[axis] = stride * steps[axis]
      if steps[axis] < 0, shape[axis] > 0 { offset += (shape[axis] - 1) * stride * -steps[axis] }
      stride *= base[axis]
    }
    let memory = contiguous(dtype, [shape.elementCount == 0 ? 0 : stride], values)
    if shape.elementCount == 0 {
      return Tensor(TensorBody(viewOf: memory.body, layout: Layout(contiguous: shape)))
    }
    return Tensor(
      TensorBody(
        viewOf: memory.body, layout: Layout(shape: shape, strides: strides), offset: offset))
  }

  /// One element's bits.
  public mutating func element(_ dtype: DType, _ values: Values) -> Element {
    if dtype == .bool { return Element(bits: next() & 1) }
    if values == .special && chance(0.3) { return special(dtype) }
    if dtype.isFloatingPoint { return Element(unit() * 6 - 3, dtype) }
    return Element(integer: dtype == .uint8 ? int(0...40) : int(-20...20), dtype)
  }

  private mutating func special(_ dtype: DType) -> Element {
    switch dtype {
    case .bool: return Element(bits: next() & 1)
    case .uint8: return Element(bits: pick([0, 1, 127, 128, 255]))
    case .int8: return Element(bits: pick([0, 1, 0x7F, 0x80, 0xFF]))
    case .int16: return Element(bits: pick([0, 1, 0x7FFF, 0x8000, 0xFFFF]))
    case .int32: return Element(bits: pick([0, 1, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF]))
    case .int64: return Element(bits: pick([0, 1, UInt64(Int64.max), 1 << 63, .max]))
    case .float16: return Element(bits: special(exponentBits: 5, fractionBits: 10))
    case .bfloat16: return Element(bits: special(exponentBits: 8, fractionBits: 7))
    case .float32: return Element(bits: special(exponentBits: 8, fractionBits: 23))
    case .float64: return Element(bits: special(exponentBits: 11, fractionBits: 52))
    }
  }

  /// A signed zero, infinity, NaN, subnormal, extreme or arbitrary number of an IEEE format.
  private mutating func special(exponentBits: Int, fractionBits: Int) -> UInt64 {
    let sign: UInt64 = (next() & 1) << (exponentBits + fractionBits)
    let infinity: UInt64 = ((1 << exponentBits) - 1) << fractionBits
    let one: UInt64 = ((1 << (exponentBits - 1)) - 1) << fractionBits
    let fraction: UInt64 = next() & ((1 << fractionBits) - 1)
    switch int(below: 9) {
    case 0: return sign
    case 1: return sign | infinity
    case 2: return sign | infinity | 1 << (fractionBits - 1)
    case 3: return sign | 1
    case 4: return sign | fraction
    case 5: return sign | (infinity - 1)
    case 6: return sign | 1 << fractionBits
    case 7: return sign | one
    default: return sign | (next() % (infinity >> fractionBits)) << fractionBits | fraction
    }
  }

  /// A shape of at most so many elements, with sizes around the limits that kernels care about.
  public mutating func shape(rank: ClosedRange<Int> = 0...4, atMost limit: Int = 4096) -> [Int] {
    var sizes: [Int] = []
    var count = 1
    for _ in 0..<int(rank) {
      let size =
        chance(0.04)
        ? 0 : pick([1, 1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 33, 64, 100, 1023, 1024, 1025])
      let fitting =
        count * size > limit ? 1 + int(below: max(1, min(4, limit / max(count, 1)))) : size
      count *= fitting
      sizes.append(fitting)
    }
    return sizes
  }

  /// A shape that broadcasts with the given one: sizes of 1 here and there, leading axes left out.
  public mutating func broadcastable(with shape: [Int]) -> [Int] {
    let kept = chance(0.6) ? shape : Array(shape.dropFirst(int(0...shape.count)))
    return kept.map { chance(0.25) ? 1 : $0 }
  }
}

/// The same elements one behind the other, moved without help from any kernel.
public func contiguousCopy(_ tensor: Tensor) -> Tensor {
  let bits = Bits(tensor)
  let body = TensorBody(allocating: tensor.type)
  let size = tensor.dtype.size
  for (i, element) in bits.elements.enumerated() {
    withUnsafeBytes(of: element.littleEndian) {
      (body.pointer + i * size).copyMemory(from: $0.baseAddress!, byteCount: size)
    }
  }
  return Tensor(body)
}
