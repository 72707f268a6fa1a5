import DuetRuntime

/// Tensors one behind the other along an axis, as their common dtype.
public func concatenated(_ tensors: [Tensor], axis: Int = 0) -> Tensor {
  guard let parts = promoted(tensors, "concatenated"),
    let axis = parts[0].checkedAxis(axis, "concatenated")
  else { return .failed }
  let first = parts[0].body.layout.shape
  for part in parts.dropFirst() {
    let shape = part.body.layout.shape
    guard shape.rank == first.rank, shape.removing(axis: axis) == first.removing(axis: axis) else {
      return fail(
        OpError("concatenated", "\(first) and \(shape) differ in more than axis \(axis)"))
    }
  }
  return parts.count == 1 ? parts[0] : apply(.concatenate(axis: axis), parts)
}

/// Tensors of one shape along a new axis, as their common dtype.
public func stacked(_ tensors: [Tensor], axis: Int = 0) -> Tensor {
  guard let parts = promoted(tensors, "stacked") else { return .failed }
  if let odd = parts.first(where: { $0.body.layout.shape != parts[0].body.layout.shape }) {
    return fail(OpError("stacked", "the shapes differ: \(parts[0].shape) and \(odd.shape)"))
  }
  guard let axis = parts[0].checkedAxis(axis, "stacked", rank: parts[0].ndim + 1) else {
    return .failed
  }
  return concatenated(parts.map { $0.expandedDimensions(axis: axis) }, axis: axis)
}

/// The tensors as their common dtype; nil if there are none or one has failed.
private func promoted(_ tensors: [Tensor], _ operation: String) -> [Tensor]? {
  guard let first = tensors.first else {
    note(OpError(operation, "no tensors"))
    return nil
  }
  if tensors.contains(where: \.isFailed) { return nil }
  let dtype = tensors.reduce(first.dtype) { DType.promoted($0, $1.dtype) }
  return tensors.map { $0.asType(dtype) }
}

extension Tensor {
  /// Parts of equal size along an axis, whose size they must divide.
  public func split(parts: Int, axis: Int = 0) -> [Tensor] {
    // After a mistake as many as were asked for, within reason, so that a program can go on in `checked`.
    let failed = Array(repeating: Tensor.failed, count: Swift.min(Swift.max(parts, 0), 1 << 16))
    guard let axis = checkedAxis(axis, "split") else { return failed }
    guard parts > 0, dim(axis) % parts == 0 else {
      note(
        OpError("split", "axis \(axis) of shape \(shape) does not divide into \(parts) parts"))
      return failed
    }
    let size = dim(axis) / parts
    return (0..<parts).map { part(along: axis, $0 * size, size) }
  }

  /// Parts along an axis that end before those ascending places, and the rest.
  public func split(indices: [Int], axis: Int = 0) -> [Tensor] {
    guard let axis = checkedAxis(axis, "split") else {
      return .init(repeating: .failed, count: indices.count + 1)
    }
    let bounds = [0] + indices.map { $0 < 0 ? $0 + dim(axis) : $0 } + [dim(axis)]
    guard zip(bounds, bounds.dropFirst()).allSatisfy({ $0 <= $1 }) else {
      let failed = fail(
        OpError("split", "\(indices) do not ascend within axis \(axis) of shape \(shape)"))
      return .init(repeating: failed, count: indices.count + 1)
    }
    return zip(bounds, bounds.dropFirst()).map { part(along: axis, $0, $1 - $0) }
  }

  /// So many elements along an axis from a place on. All of it is in range.
  func part(along axis: Int, _ start: Int, _ count: Int) -> Tensor {
    var slice = Slice(all: body.layout.shape)
    slice.starts[axis] = count == 0 ? 0 : start
    slice.sizes[axis] = count
    return apply(.slice(slice), self)
  }

  /// The whole tensor so many times along each axis; missing counts are 1, missing axes are put in
  /// front.
  public func tiled(_ counts: [Int]) -> Tensor {
    if isFailed { return self }
    guard counts.allSatisfy({ $0 >= 0 }), counts.count <= Shape.maximumRank else {
      return fail(OpError("tiled", "\(counts) are not counts for at most 8 axes"))
    }
    let rank = Swift.max(ndim, counts.count)
    let counts = Array(repeating: 1, count: rank - counts.count) + counts
    let sizes = Array(repeating: 1, count: rank - ndim) + shape
    let target = zip(sizes, counts).map(saturatingProduct)
    guard Shape(checking: target, for: "tiled") != nil else {
      return DuetEager.fail(target, "tiled")
    }
    let repeated = counts.count { $0 != 1 }
    let last = counts.lastIndex { $0 != 1 } ?? 0
    // Gradients of shorter rows are summed up faster axis by axis.
    let hasRows = sizes[last...].reduce(1, *) >= 16
    if repeated > 1, hasRows, !counts.contains(0), rank + repeated <= Shape.maximumRank {
      // All copies along new axes before those that they repeat, which then join.
      var (single, copied) = (Shape(), Shape())
      for (size, count) in zip(sizes, counts) {
        if count != 1 {
          single.append(1)
          copied.append(count)
        }
        single.append(size)
        copied.append(size)
      }
      let copies = apply(.broadcast(copied), apply(.reshape(single), self))
      return apply(.reshape(Shape(target)), copies)
    }
    var result = reshaped(sizes)
    for (axis, count) in counts.enumerated() where count != 1 {
      result = result.repeatedBlock(count, axis)
    }
    return result
  }

  /// The whole tensor `count` times along an axis.
  private func repeatedBlock(_ count: Int, _ axis: Int) -> Tensor {
    if count == 0 { return part(along: axis, 0, 0) }
    // Copies along a new axis before this one, which then join.
    let shape = body.layout.shape
    if shape.rank < Shape.maximumRank {
      let wide = apply(.reshape(shape.inserting(1, at: axis)), self)
      let copies = apply(.broadcast(shape.inserting(count, at: axis)), wide)
      var target = shape
      target[axis] *= count
      return apply(.reshape(target), copies)
    }
    return concatenated(Array(repeating: self, count: count), axis: axis)
  }

  /// Each element `count` times in a row along an axis; without an axis, of all elements in
  /// row-major order.
  public func repeated(count: Int, axis: Int? = nil) -> Tensor {
    if isFailed { return self }
    guard count >= 0 else { return fail(OpError("repeated", "a negative count: \(count)")) }
    guard let axis else { return flattened().repeated(count: count, axis: 0) }
    guard let axis = checkedAxis(axis, "repeated") else { return .failed }
    var sizes = self.shape
    sizes[axis] = saturatingProduct(sizes[axis], count)
    guard Shape(checking: sizes, for: "repeated") != nil else {
      return DuetEager.fail(sizes, "repeated")
    }
    // Copies along a new axis behind this one, which then join.
    let shape = body.layout.shape
    if shape.rank < Shape.maximumRank {
      let wide = apply(.reshape(shape.inserting(1, at: axis + 1)), self)
      let copies = apply(.broadcast(shape.inserting(count, at: axis + 1)), wide)
      var target = shape
      target[axis] *= count
      return apply(.reshape(target), copies)
    }
    let places = arange(shape[axis] * count)
    return apply(.take(axis: axis), self, floorDivide(places, Swift.max(count, 1)))
  }

  /// With so many new elements before and behind along each axis.
  ///
  /// - Parameters:
  ///   - widths: One pair per axis.
  ///   - value: What the new elements are.
  public func padded(widths: [(Int, Int)], value: Double = 0) -> Tensor {
    if isFailed { return self }
    guard widths.count == ndim else {
      return fail(
        OpError("padded", "\(widths.count) widths for the \(ndim) axes of shape \(shape)"))
    }
    let possible = 0...(1 << 44)
    guard widths.allSatisfy({ possible.contains($0.0) && possible.contains($0.1) }) else {
      return fail(OpError("padded", "impossible widths: \(widths)"))
    }
    var slice = Slice(all: body.layout.shape)
    var sizes = shape
    for (axis, width) in widths.enumerated() {
      sizes[axis] += width.0 + width.1
      slice.starts[axis] = width.0
    }
    guard let target = Shape(checking: sizes, for: "padded") else {
      return DuetEager.fail(sizes, "padded")
    }
    if size == 0 { slice.starts = Shape(repeating: 0, rank: ndim) }
    let base = apply(.fill(TensorType(dtype, target), Element(value, dtype)), [])
    return apply(.updateSlice(slice), onto: base, self)
  }

  /// The elements in reverse order along an axis, or along all.
  public func flipped(axis: Int? = nil) -> Tensor { flipped(axis.map { [$0] }) }

  /// The elements in reverse order along several axes.
  public func flipped(axes: [Int]) -> Tensor { flipped(axes) }

  private func flipped(_ axes: [Int]?) -> Tensor {
    guard let set = checkedAxes(axes, "flipped") else { return .failed }
    var slice = Slice(all: body.layout.shape)
    for axis in set.axes where slice.sizes[axis] > 0 {
      slice.starts[axis] = slice.sizes[axis] - 1
      slice.steps[axis] = -1
    }
    return apply(.slice(slice), self)
  }

  /// The elements turned by so many quarters in the plane of two axes, from the first towards the second.
  public func rot90(_ count: Int = 1, axes: (Int, Int) = (0, 1)) -> Tensor {
    guard checkedAxes([axes.0, axes.1], "rot90") != nil else { return .failed }
    switch (count % 4 + 4) % 4 {
    case 1: return flipped(axis: axes.1).swappedAxes(axes.0, axes.1)
    case 2: return flipped(axes: [axes.0, axes.1])
    case 3: return flipped(axis: axes.0).swappedAxes(axes.0, axes.1)
    default: return self
    }
  }

  /// The elements moved on by `shift` places along an axis; what leaves at the end comes in at the
  /// front. Without an axis, of all elements in row-major order.
  public func rolled(_ shift: Int, axis: Int? = nil) -> Tensor {
    if isFailed { return self }
    guard let axis else { return flattened().rolled(shift, axis: 0).reshaped(shape) }
    guard let axis = checkedAxis(axis, "rolled") else { return .failed }
    let count = dim(axis)
    guard count > 1 else { return self }
    let cut = (count - shift % count) % count
    if cut == 0 { return self }
    return concatenated(
      [part(along: axis, cut, count - cut), part(along: axis, 0, cut)], axis: axis)
  }
}

/// The product of two sizes, or the largest integer if that is too large.
private func saturatingProduct(_ a: Int, _ b: Int) -> Int {
  let (product, overflow) = a.multipliedReportingOverflow(by: b)
  return overflow ? .max : product
}
