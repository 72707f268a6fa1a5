import DuetRuntime

/// Where a value goes among equal ones.
public enum SearchSide: Sendable, Hashable {
  /// Before all that are equal to it.
  case left
  /// Behind all that are equal to it.
  case right
}

/// Where values would have to be put in to keep a sequence in ascending order: `int64`, of the shape of `values`. From 0 to
/// n: the number of elements less than a value, or, on the right side, not greater. Not-a-number is greater than all.
///
/// What NumPy calls `searchsorted` and `digitize`, PyTorch `bucketize`.
///
/// - Parameters:
///   - sorted: Ascending along the last axis: a vector `[n]` for values of any shape, or `[..., n]` for values
///     `[..., m]`, each row for its own. Nothing checks the order.
///   - values: Compared as the common dtype of both.
public func searchSorted(
  _ sorted: Tensor, _ values: some TensorOperand, side: SearchSide = .left
) -> Tensor {
  if sorted.isFailed { return sorted }
  let values = values.operand(with: sorted.dtype)
  if values.isFailed { return values }
  guard sorted.ndim > 0 else {
    return fail(OpError("searchSorted", "needs a sequence, not a tensor without axes"))
  }
  let isVector = sorted.ndim == 1
  guard isVector || sorted.shape.dropLast() == values.shape.dropLast() else {
    return fail(
      OpError(
        "searchSorted",
        "the shapes \(sorted.shape) and \(values.shape) differ in more than the last axis"))
  }
  let (all, wanted) = promotedPair(sorted.withoutGradient, values.withoutGradient)
  let count = all.dim(-1)
  if count == 0 || wanted.size == 0 { return zeros(values.shape, dtype: .int64) }
  // Places are int32 on the way where that is enough: half of the memory to go through.
  let indexType: DType = all.size < 1 << 30 ? .int32 : .int64
  let flat = all.flattened()
  let start: Tensor?
  if isVector {
    start = nil
  } else {
    let rows = arange(0, all.size, step: count, dtype: indexType)
    start = rows.reshaped(Array(all.shape.dropLast()) + [1])
  }
  /// Whether the element so many places behind a row's beginning comes before the value.
  func comesBefore(_ place: Tensor) -> Tensor {
    let element = apply(.take(axis: 0), flat, start.map { place + $0 } ?? place)
    return side == .left ? element .< wanted : element .<= wanted
  }
  // Of the `length` places from `place` on, one is the result, or the one behind the last is: half of them go away with
  // each comparison, wherever the value is.
  var place = zeros(wanted.shape, dtype: indexType)
  var length = count
  while length > 1 {
    let half = length / 2
    place = place + comesBefore(place + (half - 1)).asType(indexType) * half
    length -= half
  }
  place = (place + comesBefore(place).asType(indexType)).asType(.int64)
  guard wanted.dtype.isFloatingPoint else { return place }
  let last =
    side == .right ? full([], count) : isNaN(all).logicalNot().sum(axis: -1, keepDims: true)
  return which(isNaN(wanted), last.reshaped(isVector ? [] : last.shape), place)
}
