// The methods of Movement.swift and Joining.swift as free functions.

/// The elements in another shape, in row-major order. One size may be -1: what is left.
public func reshaped(_ x: Tensor, _ sizes: [Int]) -> Tensor { x.reshaped(sizes) }

/// The axes in that order, or in reverse order if none is given.
public func transposed(_ x: Tensor, axes: [Int]? = nil) -> Tensor {
  axes.map { x.transposed(axes: $0) } ?? x.transposed()
}

/// Two axes exchanged.
public func swappedAxes(_ x: Tensor, _ a: Int, _ b: Int) -> Tensor { x.swappedAxes(a, b) }

/// One axis moved to another place; the others keep their order.
public func movedAxis(_ x: Tensor, from source: Int, to destination: Int) -> Tensor {
  x.movedAxis(from: source, to: destination)
}

/// The axes `start` to `end`, both included, as one; a scalar becomes a vector.
public func flattened(_ x: Tensor, start: Int = 0, end: Int = -1) -> Tensor {
  x.flattened(start: start, end: end)
}

/// Without the axes of one element, or without one of them.
public func squeezed(_ x: Tensor, axis: Int? = nil) -> Tensor {
  axis.map { x.squeezed(axis: $0) } ?? x.squeezed()
}

/// With a new axis of one element at that place; negative places count from the end of the result.
public func expandedDimensions(_ x: Tensor, axis: Int) -> Tensor {
  x.expandedDimensions(axis: axis)
}

/// The elements repeated along axes of one element, and along new leading axes, to fill a shape.
public func broadcast(_ x: Tensor, to sizes: [Int]) -> Tensor { x.broadcast(to: sizes) }

/// The elements one behind the other in memory; the tensor itself if they are.
public func contiguous(_ x: Tensor) -> Tensor { x.contiguous() }

/// Parts of equal size along an axis, whose size they must divide.
public func split(_ x: Tensor, parts: Int, axis: Int = 0) -> [Tensor] {
  x.split(parts: parts, axis: axis)
}

/// Parts along an axis that end before those ascending places, and the rest.
public func split(_ x: Tensor, indices: [Int], axis: Int = 0) -> [Tensor] {
  x.split(indices: indices, axis: axis)
}

/// The whole tensor so many times along each axis; missing counts are 1, missing axes are put in
/// front.
public func tiled(_ x: Tensor, _ counts: [Int]) -> Tensor { x.tiled(counts) }

/// Each element `count` times in a row along an axis; without an axis, of all elements in row-major
/// order.
public func repeated(_ x: Tensor, count: Int, axis: Int? = nil) -> Tensor {
  x.repeated(count: count, axis: axis)
}

/// With so many new elements of a value before and behind along each axis.
public func padded(_ x: Tensor, widths: [(Int, Int)], value: Double = 0) -> Tensor {
  x.padded(widths: widths, value: value)
}

/// The elements in reverse order along an axis, or along all.
public func flipped(_ x: Tensor, axis: Int? = nil) -> Tensor { x.flipped(axis: axis) }

/// The elements turned by so many quarters in the plane of two axes, from the first towards the second.
public func rot90(_ x: Tensor, _ count: Int = 1, axes: (Int, Int) = (0, 1)) -> Tensor {
  x.rot90(count, axes: axes)
}

/// The elements moved on by `shift` places along an axis; what leaves at the end comes in at the
/// front.
public func rolled(_ x: Tensor, _ shift: Int, axis: Int? = nil) -> Tensor {
  x.rolled(shift, axis: axis)
}
