import DuetRuntime

// Parts of different sizes along an axis, and elements that come again differently often.
extension Tensor {
  /// Parts of those sizes along an axis, which they fill, as PyTorch's `split` with a list.
  public func split(sizes: [Int], axis: Int = 0) -> [Tensor] {
    guard let axis = checkedAxis(axis, "split") else {
      return Array(repeating: .failed, count: sizes.count)
    }
    var sum = 0
    for size in sizes where size >= 0 { sum = sum.addingReportingOverflow(size).partialValue }
    guard sizes.allSatisfy({ $0 >= 0 && $0 <= dim(axis) }), sum == dim(axis) else {
      let failed = fail(
        OpError("split", "the sizes \(sizes) do not fill axis \(axis) of shape \(shape)"))
      return Array(repeating: failed, count: sizes.count)
    }
    var start = 0
    return sizes.map { size in
      defer { start += size }
      return part(along: axis, start, size)
    }
  }

  /// Parts of one size along an axis, the last of which may be smaller, as PyTorch's `split` with a number. Of no elements
  /// one part.
  public func split(size: Int, axis: Int = 0) -> [Tensor] {
    guard let axis = checkedAxis(axis, "split") else { return [.failed] }
    guard size > 0 || size == 0 && dim(axis) == 0 else {
      return [fail(OpError("split", "parts of size \(size) of axis \(axis) of shape \(shape)"))]
    }
    let count = dim(axis)
    if count <= size { return [self] }
    return Swift.stride(from: 0, to: count, by: size).map {
      part(along: axis, $0, Swift.min(size, count - $0))
    }
  }

  /// Up to so many parts along an axis, all but the last of one size, as PyTorch's `chunk`: 7 elements in 5 chunks are
  /// 2, 2, 2 and 1.
  public func chunked(_ count: Int, axis: Int = 0) -> [Tensor] {
    guard let axis = checkedAxis(axis, "chunked") else { return failedParts(count) }
    guard count > 0 else {
      note(OpError("chunked", "\(count) parts"))
      return failedParts(count)
    }
    let size = dim(axis) == 0 ? 0 : (dim(axis) - 1) / count + 1
    return split(size: size, axis: axis)
  }

  /// Exactly so many parts along an axis whose sizes differ by one at most, the larger ones first, as NumPy's
  /// `array_split`: 7 elements in 5 parts are 2, 2, 1, 1 and 1.
  public func arraySplit(parts: Int, axis: Int = 0) -> [Tensor] {
    guard let axis = checkedAxis(axis, "arraySplit") else { return failedParts(parts) }
    guard parts > 0 else {
      note(OpError("arraySplit", "\(parts) parts"))
      return failedParts(parts)
    }
    let (size, larger) = dim(axis).quotientAndRemainder(dividingBy: parts)
    return (0..<parts).map { i in
      part(along: axis, i * size + Swift.min(i, larger), size + (i < larger ? 1 : 0))
    }
  }

  /// What a mistake gives: as many as were asked for, within reason, so that a program can go on in `checked`.
  private func failedParts(_ count: Int) -> [Tensor] {
    Array(repeating: .failed, count: Swift.min(Swift.max(count, 1), 1 << 16))
  }

  /// Each element along an axis as often in a row as its count says, as PyTorch's `repeat_interleave`; without an axis, of
  /// all elements in row-major order.
  ///
  /// - Parameter counts: One for each element along the axis.
  public func repeated(counts: [Int], axis: Int? = nil) -> Tensor {
    if isFailed { return self }
    guard let axis else { return flattened().repeated(counts: counts, axis: 0) }
    guard let axis = checkedAxis(axis, "repeated") else { return .failed }
    guard counts.count == dim(axis) else {
      return fail(
        OpError("repeated", "\(counts.count) counts for axis \(axis) of shape \(shape)"))
    }
    if let odd = counts.first(where: { $0 < 0 }) {
      return fail(OpError("repeated", "a negative count: \(odd)"))
    }
    var sizes = shape
    sizes[axis] = 0
    for count in counts {
      let (sum, overflow) = sizes[axis].addingReportingOverflow(count)
      sizes[axis] = overflow ? .max : sum
    }
    guard checkedShape(sizes, "repeated") != nil else { return .failed }
    if sizes[axis] > 1 << 24 {
      // By operations, which say so where memory does not suffice.
      let ends = Tensor(copying: counts, [counts.count]).cumsum(axis: 0)
      return apply(.take(axis: axis), self, searchSorted(ends, arange(sizes[axis]), side: .right))
    }
    var places: [Int] = []
    places.reserveCapacity(sizes[axis])
    for (place, count) in counts.enumerated() {
      places.append(contentsOf: repeatElement(place, count: count))
    }
    return apply(.take(axis: axis), self, Tensor(copying: places, [places.count]))
  }
}

/// Parts of those sizes along an axis, which they fill.
public func split(_ x: Tensor, sizes: [Int], axis: Int = 0) -> [Tensor] {
  x.split(sizes: sizes, axis: axis)
}

/// Parts of one size along an axis, the last of which may be smaller.
public func split(_ x: Tensor, size: Int, axis: Int = 0) -> [Tensor] {
  x.split(size: size, axis: axis)
}

/// Up to so many parts along an axis, all but the last of one size, as PyTorch's `chunk`.
public func chunked(_ x: Tensor, _ count: Int, axis: Int = 0) -> [Tensor] {
  x.chunked(count, axis: axis)
}

/// Exactly so many parts along an axis whose sizes differ by one at most, the larger ones first.
public func arraySplit(_ x: Tensor, parts: Int, axis: Int = 0) -> [Tensor] {
  x.arraySplit(parts: parts, axis: axis)
}

/// Each element along an axis as often in a row as its count says; without an axis, of all elements in row-major order.
public func repeated(_ x: Tensor, counts: [Int], axis: Int? = nil) -> Tensor {
  x.repeated(counts: counts, axis: axis)
}
