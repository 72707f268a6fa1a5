// Unsafe: writes places into a fresh tensor's memory, as many as have been counted.

import DuetRuntime

// How many places there are depends on values. The forms without a size look at that number, as `item()` does: a traced
// function remembers the number and not the elements, so calls with as many places replay, wherever these are.

extension Tensor {
  /// The places of the elements that are true or not zero, in row-major order: `int64`, `[count, rank]`, as PyTorch's.
  ///
  /// Looks at how many there are, as `item()` does; `nonzero(size:)` looks at nothing.
  public func nonzero() -> Tensor {
    if isFailed { return self }
    let isNonzero = withoutGradient.asType(.bool)
    guard let count = isNonzero.trueCount(for: "nonzero", orUse: "nonzero(x, size:)") else {
      return .failed
    }
    let columns = isNonzero.truePlaces(count)
    return columns.isEmpty ? zeros([count, 0], dtype: .int64) : stacked(columns, axis: 1)
  }

  /// The first `size` places of elements that are true or not zero, in row-major order: `int64`, `[size, rank]`. Looks at
  /// no value, and so goes into every graph.
  ///
  /// - Parameters:
  ///   - size: How many rows the result has. Places beyond are left out.
  ///   - fillValue: What stands in the rows for which there is no place.
  public func nonzero(size: Int, fillValue: Int = 0) -> Tensor {
    if isFailed { return self }
    guard let result = checkedShape([size, ndim], "nonzero") else { return .failed }
    let isNonzero = withoutGradient.asType(.bool)
    let columns = isNonzero.recordedPlaces(size)
    if columns.isEmpty { return zeros(Array(result), dtype: .int64) }
    let isThere = (arange(size) .< isNonzero.sum()).expandedDimensions(axis: 1)
    return which(isThere, stacked(columns, axis: 1), fillValue)
  }

  /// The elements where a mask is true, in row-major order: a vector. Shapes broadcast; the gradient goes back to where
  /// the elements were.
  ///
  /// Looks at how many there are, as `item()` does; `maskedSelect(_:size:)` looks at nothing.
  ///
  /// - Parameter mask: Of other dtypes than `bool` everything but zero is true.
  public func maskedSelect(_ mask: Tensor) -> Tensor {
    guard let (elements, mask) = maskedOperands(mask) else { return .failed }
    guard let count = mask.trueCount(for: "maskedSelect", orUse: "maskedSelect(x, mask, size:)")
    else { return .failed }
    return apply(.take(axis: 0), elements, mask.truePlaces(count)[0])
  }

  /// The first `size` of the elements where a mask is true, in row-major order. Looks at no value, and so goes into every
  /// graph.
  ///
  /// - Parameters:
  ///   - size: How many elements the result has. Further ones are left out.
  ///   - fillValue: What stands in the places for which there is no element.
  public func maskedSelect(_ mask: Tensor, size: Int, fillValue: Double = 0) -> Tensor {
    guard let (elements, mask) = maskedOperands(mask),
      checkedShape([size], "maskedSelect") != nil
    else { return .failed }
    if elements.size == 0 { return full([size], fillValue, dtype: dtype) }
    // Places without an element take the first, which then gives way and gets no gradient.
    let chosen = apply(.take(axis: 0), elements, mask.recordedPlaces(size)[0])
    return which(arange(size) .< mask.sum(), chosen, full([], fillValue, dtype: dtype))
  }

  /// Elements and mask broadcast against each other, as vectors.
  private func maskedOperands(_ mask: Tensor) -> (elements: Tensor, mask: Tensor)? {
    if isFailed || mask.isFailed { return nil }
    guard let shape = Shape.broadcast(body.layout.shape, mask.body.layout.shape) else {
      note(
        OpError(
          "maskedSelect", "the shapes \(self.shape) and \(mask.shape) do not broadcast"))
      return nil
    }
    return (
      broadcast(to: Array(shape)).flattened(),
      mask.withoutGradient.asType(.bool).broadcast(to: Array(shape)).flattened()
    )
  }
}

/// The places of the elements that are true or not zero, in row-major order: `int64`, `[count, rank]`, as PyTorch's.
/// Looks at how many there are, as `item()` does.
public func nonzero(_ x: Tensor) -> Tensor { x.nonzero() }

/// The first `size` places of elements that are true or not zero, in row-major order: `int64`, `[size, rank]`; the fill
/// value stands where there are fewer. Looks at no value.
public func nonzero(_ x: Tensor, size: Int, fillValue: Int = 0) -> Tensor {
  x.nonzero(size: size, fillValue: fillValue)
}

/// The elements where a mask is true, in row-major order: a vector. Looks at how many there are, as `item()` does.
public func maskedSelect(_ x: Tensor, _ mask: Tensor) -> Tensor { x.maskedSelect(mask) }

/// The first `size` of the elements where a mask is true, in row-major order; the fill value stands where there are fewer.
/// Looks at no value.
public func maskedSelect(_ x: Tensor, _ mask: Tensor, size: Int, fillValue: Double = 0) -> Tensor {
  x.maskedSelect(mask, size: size, fillValue: fillValue)
}

extension Tensor {
  /// The elements, where no gradient is to come from what is made of them.
  var withoutGradient: Tensor { requiresGrad ? detached() : self }

  /// Whether the program may go by the elements as they are now: nobody records, or they are the same on every call, or
  /// were there before the branch or loop that is recorded, and are looked at before it.
  private var isFixed: Bool {
    guard let recorder = ThreadContext.recorder else { return true }
    if recorder.isSymbolic { return hasElements || isPending }
    return hasElements && !recorder.isVariable(self)
  }

  /// How many elements of this `bool` tensor are true, which the program gets to see; nil after noting why it cannot.
  func trueCount(for operation: String, orUse alternative: String) -> Int? {
    guard isFixed else { return sum().seenNumber(for: operation, orUse: alternative) }
    guard isReadable(for: operation, orUse: alternative) else { return nil }
    let mask = evaluated(for: operation)
    return ThreadContext.withRecorder(nil) { mask.sum().elements(Int.self)[0] }
  }

  /// The only element of an `int64` tensor, which the program gets to see; nil after noting why it cannot.
  func seenNumber(for operation: String, orUse alternative: String) -> Int? {
    isReadable(for: operation, orUse: alternative) ? elements(Int.self)[0] : nil
  }

  /// The places where this `bool` tensor is true, along each of its axes.
  /// - Parameter count: How many there are.
  func truePlaces(_ count: Int) -> [Tensor] {
    guard isFixed else { return recordedPlaces(count) }
    let shape = body.layout.shape
    let columns = shape.map { _ in Tensor(TensorBody(allocating: TensorType(.int64, [count]))) }
    if count == 0 || columns.isEmpty { return columns }
    withElements(Bool.self) { elements in
      elements.withMemoryRebound(to: UInt8.self) { isTrue in
        writePlaces(
          isTrue.baseAddress!, shape, count,
          columns.map { $0.body.pointer.assumingMemoryBound(to: Int.self) })
      }
    }
    return columns
  }

  /// The first `size` places where this `bool` tensor is true along each of its axes, by operations of a graph. Where
  /// there are fewer, places of the first element follow.
  func recordedPlaces(_ size: Int) -> [Tensor] {
    let shape = body.layout.shape
    let count = shape.elementCount
    var flat = zeros([size], dtype: .int64)
    if count > 0 && size > 0 {
      // Each place goes to where the running count says, and those that are not wanted behind all others.
      let isTrue = flattened()
      let row = which(isTrue, minimum(isTrue.cumsum(axis: 0) - 1, size), size)
      flat = apply(.scatterSet(axis: 0), [zeros([size + 1], dtype: .int64), row, arange(count)])
        .part(along: 0, 0, size)
    }
    var inner = count
    return shape.map { axisSize in
      // Along the first axis nothing is left to take off.
      let isFirst = inner == count
      inner /= Swift.max(axisSize, 1)
      let place = inner <= 1 ? flat : floorDivide(flat, inner)
      return isFirst ? place : remainder(place, Swift.max(axisSize, 1))
    }
  }

  /// The shape that an operation's result is asked to have; nil after noting that it cannot be one.
  func checkedShape(_ sizes: [Int], _ operation: String) -> Shape? {
    if let shape = Shape(checking: sizes, for: operation) { return shape }
    _ = DuetEager.fail(sizes, operation)
    return nil
  }
}

/// Writes the places of the true elements, row by row along the last axis, without a branch for each element.
private func writePlaces(
  _ isTrue: UnsafePointer<UInt8>, _ shape: Shape, _ count: Int,
  _ columns: [UnsafeMutablePointer<Int>]
) {
  let width = shape[shape.rank - 1]
  let last = columns[shape.rank - 1]
  var lead = Shape(repeating: 0, rank: shape.rank - 1)
  var (found, row) = (0, isTrue)
  while found < count {
    let first = found
    var column = 0
    while column < width && found < count {
      last[found] = column
      found += Int(row[column])
      column += 1
    }
    for axis in 0..<lead.rank {
      (columns[axis] + first).update(repeating: lead[axis], count: found - first)
    }
    row += width
    var axis = lead.rank - 1
    while axis >= 0 {
      lead[axis] += 1
      if lead[axis] < shape[axis] { break }
      lead[axis] = 0
      axis -= 1
    }
  }
}
