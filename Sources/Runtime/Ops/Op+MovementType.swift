extension Op {
  /// Result types of movement operations.
  func movementType(_ inputs: UnsafeBufferPointer<TensorType>) throws(OpError) -> TensorType {
    let input = inputs[0]
    switch self {
    case .reshape(let shape):
      guard shape.allSatisfy({ $0 >= 0 }) && shape.elementCount == input.shape.elementCount else {
        throw fail(
          "\(input.shape) has \(input.shape.elementCount) elements, which do not fit \(shape)")
      }
      return TensorType(input.dtype, shape)
    case .transpose(let permutation):
      guard permutation.rank == input.shape.rank, isPermutation(permutation) else {
        throw fail("\(permutation) is not a permutation of the axes of \(input.shape)")
      }
      var shape = input.shape
      for axis in 0..<permutation.rank { shape[axis] = input.shape[permutation[axis]] }
      return TensorType(input.dtype, shape)
    case .broadcast(let shape):
      guard Shape.broadcast(input.shape, shape) == shape else {
        throw fail("\(input.shape) does not broadcast to \(shape)")
      }
      return TensorType(input.dtype, shape)
    case .slice(let slice):
      try check(slice, of: input.shape)
      return TensorType(input.dtype, slice.sizes)
    case .copy, .barrier:
      return input
    case .concatenate(let axis):
      try check(axis: axis, of: input)
      var shape = input.shape
      for other in inputs.dropFirst() {
        guard other.dtype == input.dtype else {
          throw fail("dtypes differ: \(input.dtype) and \(other.dtype)")
        }
        guard other.shape.rank == shape.rank,
          (0..<shape.rank).allSatisfy({ $0 == axis || other.shape[$0] == input.shape[$0] })
        else {
          throw fail("\(input.shape) and \(other.shape) differ in more than axis \(axis)")
        }
        shape[axis] += other.shape[axis]
      }
      return TensorType(input.dtype, shape)
    case .updateSlice(let slice):
      try check(slice, of: input.shape)
      guard inputs[1].dtype == input.dtype else {
        throw fail("dtypes differ: \(input.dtype) and \(inputs[1].dtype)")
      }
      try require(inputs[1].shape, is: slice.sizes, "the new value")
      return input
    default:
      preconditionFailure("\(name) is not a movement operation")
    }
  }

  private func isPermutation(_ axes: Shape) -> Bool {
    var seen = AxisSet(bits: 0)
    for axis in axes {
      guard axis >= 0 && axis < axes.rank && !seen.contains(axis) else { return false }
      seen.bits |= AxisSet(axis).bits
    }
    return true
  }

  private func check(_ slice: Slice, of shape: Shape) throws(OpError) {
    guard
      slice.starts.rank == shape.rank && slice.sizes.rank == shape.rank
        && slice.steps.rank == shape.rank
    else { throw fail("a slice of \(slice.sizes.rank) axes does not fit shape \(shape)") }
    for axis in 0..<shape.rank {
      let (start, size, step) = (slice.starts[axis], slice.sizes[axis], slice.steps[axis])
      guard size >= 0 else { throw fail("a negative size along axis \(axis)") }
      guard step != 0 else { throw fail("a step of 0 along axis \(axis)") }
      if size > 0 {
        let (way, isTooFar) = (size - 1).multipliedReportingOverflow(by: step)
        let (last, isBeyond) = start.addingReportingOverflow(way)
        guard !isTooFar, !isBeyond else {
          throw fail("\(size) elements \(step) apart are out of range for axis \(axis) of \(shape)")
        }
        guard start >= 0 && start < shape[axis] && last >= 0 && last < shape[axis] else {
          throw fail("elements \(start) to \(last) are out of range for axis \(axis) of \(shape)")
        }
      }
    }
  }

  /// Result types of indexing operations.
  func indexingType(_ inputs: UnsafeBufferPointer<TensorType>) throws(OpError) -> TensorType {
    let (source, indices) = (inputs[0], inputs[1])
    guard indices.dtype == .int32 || indices.dtype == .int64 else {
      throw fail("indices must be integers of 32 or 64 bits, not \(indices.dtype)")
    }
    switch self {
    case .take(let axis):
      try check(axis: axis, of: source)
      guard source.shape.rank - 1 + indices.shape.rank <= Shape.maximumRank else {
        throw fail("the result would have more than \(Shape.maximumRank) axes")
      }
      var shape = Shape(source.shape[..<axis])
      for size in indices.shape { shape.append(size) }
      for size in source.shape[(axis + 1)...] { shape.append(size) }
      return TensorType(source.dtype, shape)
    case .takeAlong(let axis):
      try check(axis: axis, of: source)
      try checkAlong(axis, source.shape, indices.shape)
      return TensorType(source.dtype, indices.shape)
    case .scatterAddAlong(let axis):
      try check(axis: axis, of: source)
      try checkAlong(axis, source.shape, indices.shape)
      try require(inputs[2].shape, is: indices.shape, "updates")
      try checkUpdates(inputs)
      return source
    case .scatterAdd(let axis), .scatterSet(let axis):
      try check(axis: axis, of: source)
      guard indices.shape.rank == 1 else {
        throw fail("indices must be a vector, not \(indices.shape)")
      }
      var expected = source.shape
      expected[axis] = indices.shape[0]
      try require(inputs[2].shape, is: expected, "updates")
      if case .scatterAdd = self { try checkUpdates(inputs) }
      guard inputs[2].dtype == source.dtype else {
        throw fail("dtypes differ: \(source.dtype) and \(inputs[2].dtype)")
      }
      return source
    default:
      preconditionFailure("\(name) is not an indexing operation")
    }
  }

  private func checkUpdates(_ inputs: UnsafeBufferPointer<TensorType>) throws(OpError) {
    guard inputs[2].dtype == inputs[0].dtype else {
      throw fail("dtypes differ: \(inputs[0].dtype) and \(inputs[2].dtype)")
    }
    guard inputs[0].dtype != .bool else { throw fail("bool has no arithmetic; cast it first") }
  }

  private func checkAlong(_ axis: Int, _ source: Shape, _ indices: Shape) throws(OpError) {
    guard source.rank == indices.rank,
      (0..<source.rank).allSatisfy({ $0 == axis || source[$0] == indices[$0] })
    else { throw fail("indices \(indices) must match \(source) but for axis \(axis)") }
  }
}
