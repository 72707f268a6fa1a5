// Unsafe: reads and writes the elements of constants through their addresses, which the array holds.

import DuetRuntime

extension ConstantArray {
  private static let largestShown = 16

  /// A contiguous array of these elements.
  package init(_ elements: [Element], _ type: TensorType) {
    precondition(elements.count == type.shape.elementCount)
    let storage = Storage.allocate(byteCount: type.byteCount)
    let size = type.dtype.size
    for (i, element) in elements.enumerated() {
      withUnsafeBytes(of: element.bits.littleEndian) { bytes in
        (storage.base + i * size).copyMemory(from: bytes.baseAddress!, byteCount: size)
      }
    }
    self.init(
      storage: storage, byteOffset: 0, type: type, layout: Layout(contiguous: type.shape))
  }

  /// The elements in row-major order.
  package var elements: [Element] {
    let count = type.shape.elementCount
    if count == 0 { return [] }
    let size = type.dtype.size
    var result: [Element] = []
    result.reserveCapacity(count)
    var position = [Int](repeating: 0, count: type.shape.rank)
    var offset = 0
    for _ in 0..<count {
      var bits: UInt64 = 0
      withUnsafeMutableBytes(of: &bits) { bytes in
        bytes.baseAddress!.copyMemory(
          from: storage.base + byteOffset + offset * size, byteCount: size)
      }
      result.append(Element(bits: UInt64(littleEndian: bits)))
      var axis = type.shape.rank - 1
      while axis >= 0 {
        position[axis] += 1
        offset += layout.strides[axis]
        if position[axis] < type.shape[axis] { break }
        offset -= layout.strides[axis] * type.shape[axis]
        position[axis] = 0
        axis -= 1
      }
    }
    return result
  }

  /// The only element, if there is one or all places share it.
  var uniformElement: Element? {
    let count = type.shape.elementCount
    guard count > 0,
      (0..<type.shape.rank).allSatisfy({ type.shape[$0] == 1 || layout.strides[$0] == 0 })
    else { return nil }
    let one = ConstantArray(
      storage: storage, byteOffset: byteOffset, type: TensorType(type.dtype, []),
      layout: Layout(contiguous: []))
    return one.elements[0]
  }

  /// Whether the text of a graph names the array instead of showing its elements.
  var hasName: Bool { type.shape.elementCount > Self.largestShown }

  /// A name made of a hash of type and elements (FNV-1a, 64 bits).
  var name: String {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    func mix(_ byte: UInt8) { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    for byte in "\(type)".utf8 { mix(byte) }
    for element in elements {
      for i in 0..<type.dtype.size { mix(UInt8(truncatingIfNeeded: element.bits >> UInt64(8 * i))) }
    }
    let digits = String(hash, radix: 16)
    return "@" + String(repeating: "0", count: 16 - digits.count) + digits
  }

  var text: String {
    if hasName { return name }
    let shown = elements.map { $0.text(type.dtype) }
    return type.shape.rank == 0 ? shown[0] : "[\(shown.joined(separator: ", "))]"
  }
}
