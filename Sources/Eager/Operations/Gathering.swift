import DuetRuntime

// Elements by index along an axis. Indices are integers; negative ones count from the end, others
// out of range are an error.
extension Tensor {
  /// The parts at those places along an axis, whose place in the result the axes of `indices` take.
  /// Without an axis, of all elements in row-major order.
  public func take(_ indices: Tensor, axis: Int? = nil) -> Tensor {
    if isFailed || indices.isFailed { return .failed }
    guard let axis else { return flattened().take(indices, axis: 0) }
    guard let axis = checkedAxis(axis, "take") else { return .failed }
    return apply(.take(axis: axis), self, indices.asIndices)
  }

  /// The elements whose place along an axis is given for each element of the result. `indices` has
  /// this tensor's shape but for that axis.
  public func takeAlong(_ indices: Tensor, axis: Int) -> Tensor {
    if indices.isFailed { return indices }
    guard let axis = checkedAxis(axis, "takeAlong") else { return .failed }
    return apply(.takeAlong(axis: axis), self, indices.asIndices)
  }

  /// This tensor with updates added at places along an axis; where an index occurs again, both are
  /// added.
  ///
  /// - Parameters:
  ///   - indices: A vector.
  ///   - updates: Of this tensor's shape, but for as many parts along the axis as there are
  ///     indices.
  public consuming func scatterAdd(_ indices: Tensor, _ updates: Tensor, axis: Int = 0) -> Tensor {
    if indices.isFailed || updates.isFailed { return .failed }
    guard let axis = checkedAxis(axis, "scatterAdd") else { return .failed }
    let updates = updates.asType(dtype)
    return apply(.scatterAdd(axis: axis), onto: self, indices.asIndices, updates)
  }

  /// This tensor with updates added at the places that `indices` gives for each of them.
  ///
  /// - Parameters:
  ///   - indices: Of the shape of `updates`: this tensor's but for the axis.
  public consuming func scatterAddAlong(_ indices: Tensor, _ updates: Tensor, axis: Int) -> Tensor {
    if indices.isFailed || updates.isFailed { return .failed }
    guard let axis = checkedAxis(axis, "scatterAddAlong") else { return .failed }
    let updates = updates.asType(dtype)
    return apply(.scatterAddAlong(axis: axis), onto: self, indices.asIndices, updates)
  }

  /// This tensor with other parts at places along an axis; of equal indices the last one stays.
  ///
  /// - Parameters:
  ///   - indices: A vector.
  ///   - values: Of this tensor's shape, but for as many parts along the axis as there are indices.
  public consuming func scatterSet(_ indices: Tensor, _ values: Tensor, axis: Int = 0) -> Tensor {
    if indices.isFailed || values.isFailed { return .failed }
    guard let axis = checkedAxis(axis, "scatterSet") else { return .failed }
    let values = values.asType(dtype)
    return apply(.scatterSet(axis: axis), onto: self, indices.asIndices, values)
  }

  /// Integers of any width as what kernels take for indices.
  var asIndices: Tensor {
    switch dtype {
    case .uint8, .int8, .int16: asType(.int64)
    case .bool, .int32, .int64, .float16, .bfloat16, .float32, .float64: self
    }
  }
}

/// The parts at those places along an axis, whose place in the result the axes of `indices` take.
public func take(_ x: Tensor, _ indices: Tensor, axis: Int? = nil) -> Tensor {
  x.take(indices, axis: axis)
}

/// The elements whose place along an axis is given for each element of the result.
public func takeAlong(_ x: Tensor, _ indices: Tensor, axis: Int) -> Tensor {
  x.takeAlong(indices, axis: axis)
}

/// A tensor with updates added at places along an axis; where an index occurs again, both are
/// added.
public func scatterAdd(_ x: consuming Tensor, _ indices: Tensor, _ updates: Tensor, axis: Int = 0)
  -> Tensor
{
  x.scatterAdd(indices, updates, axis: axis)
}

/// A tensor with updates added at the places that `indices` gives for each of them.
public func scatterAddAlong(
  _ x: consuming Tensor, _ indices: Tensor, _ updates: Tensor, axis: Int
) -> Tensor {
  x.scatterAddAlong(indices, updates, axis: axis)
}

/// A tensor with other parts at places along an axis; of equal indices the last one stays.
public func scatterSet(_ x: consuming Tensor, _ indices: Tensor, _ values: Tensor, axis: Int = 0)
  -> Tensor
{
  x.scatterSet(indices, values, axis: axis)
}

/// A new last axis of `classes` elements that is 1 at the place that each index names and 0
/// elsewhere; all 0 for an index out of range.
public func oneHot(_ indices: Tensor, _ classes: Int, dtype: DType = .float32) -> Tensor {
  if indices.isFailed { return indices }
  guard !indices.dtype.isFloatingPoint else {
    return fail(OpError("oneHot", "needs integer indices, not \(indices.dtype)"))
  }
  guard Shape(checking: indices.shape + [classes], for: "oneHot") != nil else {
    return fail(indices.shape + [classes], "oneHot")
  }
  let places = indices.asType(.int64).expandedDimensions(axis: -1)
  return (places .== arange(classes)).asType(dtype)
}
