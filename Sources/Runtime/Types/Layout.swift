/// Where a tensor's elements lie: the sizes of its axes and the distance between neighbours along each.
@frozen public struct Layout: Sendable, Hashable {
  /// The sizes of the axes.
  public var shape: Shape
  /// Elements, not bytes; 0 along a broadcast axis, negative along a flipped one.
  public var strides: Shape

  /// A size and a stride per axis; nothing is checked.
  @inlinable public init(shape: Shape, strides: Shape) {
    self.shape = shape
    self.strides = strides
  }

  /// The elements one behind the other in row-major order.
  @inlinable public init(contiguous shape: Shape) {
    self.shape = shape
    strides = shape
    var stride = 1
    var axis = shape.rank
    while axis > 0 {
      axis -= 1
      strides[axis] = stride
      stride &*= shape[axis]
    }
  }

  /// Adds an axis behind the others.
  @inlinable public mutating func append(_ size: Int, stride: Int) {
    shape.append(size)
    strides.append(stride)
  }

  /// Whether the elements lie one behind the other in row-major order. Axes of one element do not matter.
  @inlinable public var isContiguous: Bool {
    var expected = 1
    var axis = shape.rank
    while axis > 0 {
      axis -= 1
      let size = shape[axis]
      if size == 0 { return true }
      if size != 1 {
        if strides[axis] != expected { return false }
        expected &*= size
      }
    }
    return true
  }
}

extension Layout {
  /// The same elements seen in a larger shape: strides of 0 along axes that repeat.
  @inlinable public func broadcast(to target: Shape) -> Layout {
    if shape == target { return self }
    var result = Layout(shape: target, strides: Shape(repeating: 0, rank: target.rank))
    let lead = target.rank - shape.rank
    for axis in 0..<shape.rank where shape[axis] != 1 {
      result.strides[lead + axis] = strides[axis]
    }
    return result
  }

  /// The same elements with axes in another order: axis i of the result is axis `permutation[i]`.
  public func transposed(_ permutation: Shape) -> Layout {
    var result = self
    for (axis, source) in permutation.enumerated() {
      result.shape[axis] = shape[source]
      result.strides[axis] = strides[source]
    }
    return result
  }

  /// The same elements in another shape without moving them, or nil where their strides do not allow it.
  public func reshaped(_ target: Shape) -> Layout? {
    if isContiguous { return Layout(contiguous: target) }
    var result = Layout(shape: target, strides: Shape(repeating: 0, rank: target.rank))
    // Walks both shapes from the back. A run of old axes can be regrouped only if they lie one behind
    // the other.
    var old = shape.rank - 1
    var new = target.rank - 1
    while new >= 0 {
      if target[new] == 1 {
        result.strides[new] = 1
        new -= 1
        continue
      }
      while old >= 0 && shape[old] == 1 { old -= 1 }
      guard old >= 0 else { return nil }
      var runSize = shape[old]
      var filled = 1
      let runStride = strides[old]
      while new >= 0 && filled < runSize {
        result.strides[new] = runStride &* filled
        filled *= target[new]
        new -= 1
        while filled > runSize {
          // One new axis spans several old ones: they must follow each other.
          let before = runSize
          old -= 1
          while old >= 0 && shape[old] == 1 { old -= 1 }
          guard old >= 0, strides[old] == runStride &* before else { return nil }
          runSize *= shape[old]
        }
      }
      old -= 1
    }
    return result
  }

  /// The part that starts at `starts`, has `sizes` and takes every `steps`-th element (negative: backwards),
  /// and its first element's distance from this layout's.
  public func sliced(_ slice: Slice) -> (Layout, offset: Int) {
    var result = Layout(shape: slice.sizes, strides: strides)
    var offset = 0
    for axis in 0..<shape.rank {
      offset += slice.starts[axis] * strides[axis]
      result.strides[axis] = strides[axis] * slice.steps[axis]
    }
    return (result, slice.sizes.contains(0) ? 0 : offset)
  }
}

/// A regular part of an array: per axis where it starts, how many elements it has and how far apart they are.
public struct Slice: Sendable, Hashable {
  /// The first element's place along each axis.
  public var starts: Shape
  /// The number of elements along each axis: the shape of the part.
  public var sizes: Shape
  /// From each element to the next along each axis; negative: backwards, never 0.
  public var steps: Shape

  /// One number per axis each. Nothing is checked before `Op.resultType`.
  public init(starts: Shape, sizes: Shape, steps: Shape) {
    self.starts = starts
    self.sizes = sizes
    self.steps = steps
  }

  /// All of an array of that shape.
  public init(all shape: Shape) {
    starts = Shape(repeating: 0, rank: shape.rank)
    sizes = shape
    steps = Shape(repeating: 1, rank: shape.rank)
  }
}
