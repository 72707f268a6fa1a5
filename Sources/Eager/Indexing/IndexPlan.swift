import DuetRuntime

/// What the indices in a tensor's brackets come to: a regular part of the tensor, its shape without
/// the axes of single places and with new ones, and the tensors that then pick along axes of that.
struct IndexPlan {
  var slice: Slice
  /// The part's shape after places have gone and new axes have come.
  var shape = Shape()
  /// Index tensors and the axes of `shape` along which they pick, in ascending order.
  var gathers: [(axis: Int, indices: Tensor)] = []

  /// Nil if a tensor has failed, or after noting what is wrong.
  init?(_ indices: [any TensorIndex], of tensor: Tensor) {
    if tensor.isFailed { return nil }
    let source = tensor.body.layout.shape
    slice = Slice(all: source)
    do throws(OpError) {
      guard let resolved = try Self.expanded(indices.map(\.resolved), source) else { return nil }
      var axis = 0
      for index in resolved {
        switch index {
        case .newAxis:
          try append(1)
        case .place(let place):
          let size = source[axis]
          guard place >= -size && place < size else {
            throw OpError(
              "subscript", "index \(place) is out of range for axis \(axis) of shape \(source)")
          }
          slice.starts[axis] = place < 0 ? place + size : place
          slice.sizes[axis] = 1
          axis += 1
        case .slice(let part):
          guard part.step != 0 else { throw OpError("subscript", "a step of 0 along axis \(axis)") }
          let (start, count) = part.range(in: source[axis])
          slice.starts[axis] = count == 0 ? 0 : start
          slice.sizes[axis] = count
          slice.steps[axis] = count <= 1 ? 1 : part.step
          try append(count)
          axis += 1
        case .tensor(let indices):
          gathers.append((shape.rank, indices))
          try append(source[axis])
          axis += 1
        case .ellipsis:
          break  // gone since `expanded`
        }
      }
    } catch {
      note(error)
      return nil
    }
  }

  private mutating func append(_ size: Int) throws(OpError) {
    guard shape.rank < Shape.maximumRank else {
      throw OpError("subscript", "the result would have more than \(Shape.maximumRank) axes")
    }
    shape.append(size)
  }

  /// The indices with the ellipsis written out and masks replaced by the places where they are
  /// true. Nil if one has failed or cannot be read.
  private static func expanded(
    _ indices: [ResolvedIndex], _ source: Shape
  ) throws(OpError) -> [ResolvedIndex]? {
    var used = 0
    var ellipses = 0
    for index in indices {
      switch index {
      case .place, .slice: used += 1
      case .tensor(let tensor):
        if tensor.isFailed { return nil }
        used += tensor.dtype == .bool ? tensor.ndim : 1
      case .ellipsis: ellipses += 1
      case .newAxis: break
      }
    }
    guard ellipses <= 1 else { throw OpError("subscript", "more than one ellipsis") }
    guard used <= source.rank else {
      throw OpError("subscript", "\(used) indices for the \(source.rank) axes of shape \(source)")
    }
    let rest = [ResolvedIndex](repeating: .slice(TensorSlice()), count: source.rank - used)
    var result: [ResolvedIndex] = []
    var axis = 0
    for index in indices {
      switch index {
      case .ellipsis:
        result += rest
        axis += rest.count
      case .tensor(let mask) where mask.dtype == .bool:
        guard let places = try places(of: mask, source, axis) else { return nil }
        result += places.map { .tensor($0) }
        axis += mask.ndim
      case .tensor(let tensor):
        guard tensor.dtype.isInteger else {
          throw OpError("subscript", "indices must be integers or bool, not \(tensor.dtype)")
        }
        result.append(.tensor(tensor.asIndices))
        axis += 1
      case .place, .slice:
        result.append(index)
        axis += 1
      case .newAxis:
        result.append(index)
      }
    }
    return ellipses == 0 ? result + rest : result
  }

  /// Where a mask is true: one vector of places for each of its axes. How many there are depends on
  /// values.
  private static func places(
    of mask: Tensor, _ source: Shape, _ axis: Int
  ) throws(OpError) -> [Tensor]? {
    let covered = Shape(source[axis..<(axis + mask.ndim)])
    guard mask.body.layout.shape == covered else {
      throw OpError("subscript", "a mask of shape \(mask.shape) for axes of shape \(covered)")
    }
    guard mask.ndim > 0 else { throw OpError("subscript", "a mask needs an axis at least") }
    guard let count = mask.trueCount(for: "subscript", orUse: "maskedSelect(x, mask, size:)") else {
      return nil
    }
    return mask.truePlaces(count)
  }
}

// MARK: - Reading

extension IndexPlan {
  /// The elements that the indices name.
  func elements(of tensor: Tensor) -> Tensor {
    let part = part(of: tensor)
    if gathers.isEmpty { return part }
    if gathers.count == 1 {
      return apply(.take(axis: gathers[0].axis), part, gathers[0].indices)
    }
    guard let joint = joint() else { return .failed }
    return apply(.take(axis: joint.axis), joint.merged(part), joint.indices)
  }

  /// The regular part, before tensors pick from it.
  private func part(of tensor: Tensor) -> Tensor {
    tensor.part(slice, shape: shape)
  }

  /// Several index tensors as one: their axes brought together and merged.
  private struct Joint {
    /// Where the merged axis is.
    let axis: Int
    let permutation: [Int]
    let mergedShape: Shape
    let indices: Tensor
    let movedShape: Shape

    func merged(_ part: Tensor) -> Tensor {
      apply(.reshape(mergedShape), apply(.transpose(Shape(permutation)), part))
    }

    func unmerged(_ merged: Tensor) -> Tensor {
      var inverse = Shape(repeating: 0, rank: permutation.count)
      for (place, axis) in permutation.enumerated() { inverse[axis] = place }
      return apply(.transpose(inverse), apply(.reshape(movedShape), merged))
    }
  }

  private func joint() -> Joint? {
    let axes = gathers.map(\.axis)
    // As in PyTorch: neighbouring axes are replaced where they are, others by axes in front. A place, which takes an axis
    // away, does not count, as it does in NumPy.
    let areNeighbours = axes.last! - axes.first! == axes.count - 1
    let axis = areNeighbours ? axes.first! : 0
    var permutation = (0..<shape.rank).filter { !axes.contains($0) }
    permutation.insert(contentsOf: axes, at: axis)
    let moved = Shape(permutation.map { shape[$0] })
    var merged = Shape(moved[..<axis])
    merged.append(axes.reduce(1) { $0 * shape[$1] })
    for size in moved[(axis + axes.count)...] { merged.append(size) }

    var common = gathers[0].indices.body.layout.shape
    for (_, indices) in gathers.dropFirst() {
      guard let shape = Shape.broadcast(common, indices.body.layout.shape) else {
        note(
          OpError(
            "subscript", "index tensors of shapes \(common) and \(indices.shape) do not broadcast"))
        return nil
      }
      common = shape
    }
    var index: Tensor?
    for (axis, indices) in gathers {
      // Taken from 0 ..< size, so that negative places and those out of range are treated as
      // everywhere.
      let places = apply(.take(axis: 0), arange(shape[axis]), indices)
      index = index.map { $0 * shape[axis] + places } ?? places
    }
    guard let index, !index.isFailed else { return nil }
    return Joint(
      axis: axis, permutation: permutation, mergedShape: merged,
      indices: apply(.broadcast(common), index), movedShape: moved)
  }
}

// MARK: - Writing

extension IndexPlan {
  /// The tensor with other elements where the indices point; the values broadcast and take its
  /// dtype.
  func replacing(in tensor: Tensor, with value: Tensor) -> Tensor {
    let value = value.asType(tensor.dtype)
    if gathers.isEmpty {
      guard let value = fitted(value, to: shape) else { return .failed }
      return update(tensor, value)
    }
    let part = part(of: tensor)
    let picked: Tensor
    if gathers.count == 1 {
      let (axis, indices) = gathers[0]
      guard let values = flatUpdates(value, axis, shape, indices.body.layout.shape) else {
        return .failed
      }
      picked = apply(
        .scatterSet(axis: axis), [part, apply(.reshape([indices.size]), indices), values])
    } else {
      guard let joint = joint(),
        let values = flatUpdates(
          value, joint.axis, joint.mergedShape, joint.indices.body.layout.shape)
      else { return .failed }
      let indices = apply(.reshape([joint.indices.size]), joint.indices)
      picked = joint.unmerged(
        apply(.scatterSet(axis: joint.axis), [joint.merged(part), indices, values]))
    }
    return update(tensor, picked)
  }

  private func update(_ tensor: Tensor, _ part: Tensor) -> Tensor {
    if part.isFailed { return part }
    let sized = shape == slice.sizes ? part : apply(.reshape(slice.sizes), part)
    if slice == Slice(all: tensor.body.layout.shape) { return sized }
    return apply(.updateSlice(slice), tensor, sized)
  }

  /// The values broadcast to what the indices name, with the indices' axes as one.
  private func flatUpdates(
    _ value: Tensor, _ axis: Int, _ shape: Shape, _ indices: Shape
  ) -> Tensor? {
    let sizes = Array(shape[..<axis]) + Array(indices) + Array(shape[(axis + 1)...])
    guard sizes.count <= Shape.maximumRank else {
      note(OpError("subscript", "the part would have more than \(Shape.maximumRank) axes"))
      return nil
    }
    guard let fitted = fitted(value, to: Shape(sizes)) else { return nil }
    var flat = shape
    flat[axis] = indices.elementCount
    return apply(.reshape(flat), fitted)
  }

  private func fitted(_ value: Tensor, to target: Shape) -> Tensor? {
    Self.fitted(value, to: target)
  }

  /// The value repeated to fill a part of that shape; nil after noting that it does not fit.
  static func fitted(_ value: Tensor, to target: Shape) -> Tensor? {
    if value.isFailed { return nil }
    var value = value
    // As in NumPy: leading axes of one element too many do not matter.
    while value.ndim > target.rank, value.dim(0) == 1 { value = value.squeezed(axis: 0) }
    if value.body.layout.shape == target { return value }
    guard Shape.broadcast(value.body.layout.shape, target) == target else {
      note(
        OpError(
          "subscript", "a value of shape \(value.shape) does not fill a part of shape \(target)"))
      return nil
    }
    return apply(.broadcast(target), value)
  }
}
