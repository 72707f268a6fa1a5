import DuetRuntime

// The same elements in another order or shape. Results are views of the same memory where strides
// allow it.
extension Tensor {
  /// The elements in another shape, in row-major order. One size may be -1: what is left.
  @inlinable
  public func reshaped(_ sizes: Int...) -> Tensor {
    // Inlined, so that the array of the arguments need not be allocated.
    sizes.withUnsafeBufferPointer { reshaped(sizes: $0) }
  }

  @usableFromInline
  func reshaped(sizes: UnsafeBufferPointer<Int>) -> Tensor {
    if !isFailed, let target = Shape(sizes, for: size) { return apply(.reshape(target), self) }
    return reshaped(Array(sizes))
  }

  /// The elements in another shape, in row-major order. One size may be -1: what is left.
  public func reshaped(_ sizes: [Int]) -> Tensor {
    if isFailed { return self }
    var sizes = sizes
    if let open = sizes.firstIndex(of: -1) {
      sizes[open] = 1
      if let rest = Shape(checking: sizes, for: "reshaped"), rest.elementCount > 0,
        size % rest.elementCount == 0
      {
        sizes[open] = size / rest.elementCount
      } else {
        sizes[open] = -1
      }
    }
    if sizes.count > Shape.maximumRank { return DuetEager.fail(sizes, "reshaped") }
    guard let target = Shape(checking: sizes, for: "reshaped"), target.elementCount == size else {
      return fail(OpError("reshaped", "\(shape) has \(size) elements, which do not fit \(sizes)"))
    }
    return apply(.reshape(target), self)
  }

  /// The axes in that order, or in reverse order if none is given.
  public func transposed(_ axes: Int...) -> Tensor {
    axes.isEmpty ? transposed(axes: (0..<ndim).reversed()) : transposed(axes: axes)
  }

  /// The axes in that order: axis i of the result is `axes[i]` of this tensor.
  public func transposed(axes: [Int]) -> Tensor {
    guard let set = checkedAxes(axes, "transposed") else { return .failed }
    guard set == AxisSet(allOf: ndim) else {
      return fail(OpError("transposed", "\(axes) does not name all axes of shape \(shape)"))
    }
    return apply(.transpose(Shape(axes.map { $0 < 0 ? $0 + ndim : $0 })), self)
  }

  // swift-format-ignore: AlwaysUseLowerCamelCase
  /// The axes in reverse order: `[m, n]` gives `[n, m]`. A view, as in NumPy.
  public var T: Tensor {
    // Weights of linear layers come this way on every call.
    ndim == 2 ? apply(.transpose([1, 0]), self) : transposed()
  }

  /// Two axes exchanged.
  public func swappedAxes(_ a: Int, _ b: Int) -> Tensor {
    guard let a = checkedAxis(a, "swappedAxes"), let b = checkedAxis(b, "swappedAxes") else {
      return .failed
    }
    var permutation = Shape(0..<ndim)
    (permutation[a], permutation[b]) = (b, a)
    return apply(.transpose(permutation), self)
  }

  /// One axis moved to another place; the others keep their order.
  public func movedAxis(from source: Int, to destination: Int) -> Tensor {
    guard let source = checkedAxis(source, "movedAxis"),
      let destination = checkedAxis(destination, "movedAxis")
    else { return .failed }
    var permutation = Array(0..<ndim)
    permutation.insert(permutation.remove(at: source), at: destination)
    return apply(.transpose(Shape(permutation)), self)
  }

  /// The axes `start` to `end`, both included, as one; a scalar becomes a vector.
  public func flattened(start: Int = 0, end: Int = -1) -> Tensor {
    if isFailed { return self }
    if ndim == 0 { return reshaped(1) }
    guard let start = checkedAxis(start, "flattened"), let end = checkedAxis(end, "flattened")
    else {
      return .failed
    }
    guard start <= end else {
      return fail(OpError("flattened", "axis \(start) comes after axis \(end) of shape \(shape)"))
    }
    let sizes = body.layout.shape
    var target = Shape(sizes[..<start])
    target.append(sizes[start...end].reduce(1, *))
    for size in sizes[(end + 1)...] { target.append(size) }
    return apply(.reshape(target), self)
  }

  /// Without the axes of one element.
  public func squeezed() -> Tensor { isFailed ? self : reshaped(shape.filter { $0 != 1 }) }

  /// Without that axis, which has one element.
  public func squeezed(axis: Int) -> Tensor { squeezed(axes: [axis]) }

  /// Without those axes, each of which has one element.
  public func squeezed(axes: [Int]) -> Tensor {
    guard let set = checkedAxes(axes, "squeezed") else { return .failed }
    if let odd = set.axes.first(where: { body.layout.shape[$0] != 1 }) {
      return fail(
        OpError("squeezed", "axis \(odd) of shape \(shape) has \(dim(odd)) elements, not one"))
    }
    return reshaped(shape.enumerated().filter { !set.contains($0.offset) }.map(\.element))
  }

  /// With a new axis of one element at that place; negative places count from the end of the
  /// result.
  public func expandedDimensions(axis: Int) -> Tensor {
    guard let axis = checkedAxis(axis, "expandedDimensions", rank: ndim + 1),
      hasRoom(for: 1, "expandedDimensions")
    else { return .failed }
    var sizes = shape
    sizes.insert(1, at: axis)
    return reshaped(sizes)
  }

  /// With new axes of one element at those places of the result.
  public func expandedDimensions(axes: [Int]) -> Tensor {
    if isFailed { return self }
    let rank = ndim + axes.count
    var places: [Int] = []
    for axis in axes {
      guard let place = checkedAxis(axis, "expandedDimensions", rank: rank) else { return .failed }
      places.append(place)
    }
    guard Set(places).count == axes.count else {
      return fail(OpError("expandedDimensions", "\(axes) names an axis twice"))
    }
    guard hasRoom(for: axes.count, "expandedDimensions") else { return .failed }
    var sizes = shape
    for place in places.sorted() { sizes.insert(1, at: place) }
    return reshaped(sizes)
  }

  /// Whether so many more axes are possible; notes the mistake if not.
  private func hasRoom(for count: Int, _ operation: String) -> Bool {
    if ndim + count <= Shape.maximumRank { return true }
    note(
      OpError(operation, "shape \(shape) has no room for \(count) more of at most 8 axes"))
    return false
  }

  /// The elements repeated along axes of one element, and along new leading axes, to fill a shape.
  public func broadcast(to sizes: [Int]) -> Tensor {
    if isFailed { return self }
    guard let target = Shape(checking: sizes, for: "broadcast") else {
      return DuetEager.fail(sizes, "broadcast")
    }
    return apply(.broadcast(target), self)
  }

  /// The elements one behind the other in memory; this tensor itself if they are.
  public func contiguous() -> Tensor { body.isContiguous ? self : apply(.copy, self) }
}

extension Shape {
  /// A shape of that many elements, one of whose sizes may be given as -1; nil where there is none.
  fileprivate init?(_ sizes: UnsafeBufferPointer<Int>, for count: Int) {
    guard sizes.count <= Shape.maximumRank else { return nil }
    self.init()
    var known = 1
    var open: Int?
    for (axis, size) in sizes.enumerated() {
      append(size)
      if size == -1 && open == nil {
        open = axis
        continue
      }
      let (product, overflow) = known.multipliedReportingOverflow(by: size)
      if size < 0 || overflow { return nil }
      known = product
    }
    if let open {
      guard known > 0, count % known == 0 else { return nil }
      self[open] = count / known
    } else if known != count {
      return nil
    }
  }
}
