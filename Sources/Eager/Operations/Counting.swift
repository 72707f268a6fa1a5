import DuetRuntime

// What comes how often.

extension Tensor {
  /// How many elements are true or not zero, as `int64`; not-a-number is not zero.
  public func countNonzero(axis: Int? = nil, keepDims: Bool = false) -> Tensor {
    withoutGradient.asType(.bool).sum(axis: axis, keepDims: keepDims)
  }

  /// How many elements are true or not zero over several axes, as `int64`; not-a-number is not zero.
  public func countNonzero(axes: [Int], keepDims: Bool = false) -> Tensor {
    withoutGradient.asType(.bool).sum(axes: axes, keepDims: keepDims)
  }
}

/// How many elements are true or not zero, as `int64`; not-a-number is not zero.
public func countNonzero(_ x: Tensor, axis: Int? = nil, keepDims: Bool = false) -> Tensor {
  x.countNonzero(axis: axis, keepDims: keepDims)
}

/// How many elements are true or not zero over several axes, as `int64`; not-a-number is not zero.
public func countNonzero(_ x: Tensor, axes: [Int], keepDims: Bool = false) -> Tensor {
  x.countNonzero(axes: axes, keepDims: keepDims)
}

/// How often each of the numbers 0, 1, 2, ... up to the largest element comes: a vector.
///
/// Looks at the largest element, as `item()` does; `bincount(_:weights:length:)` looks at nothing.
///
/// - Parameters:
///   - x: Integers from 0 up, of any shape.
///   - weights: Of the shape of `x`: what each element counts for. The gradient goes back to them.
///   - minLength: How many numbers are counted at least.
/// - Returns: `int64`; with weights their dtype, but of integers and bools `int64`.
public func bincount(_ x: Tensor, weights: Tensor? = nil, minLength: Int = 0) -> Tensor {
  guard let numbers = countable(x, weights, minLength) else { return .failed }
  var length = minLength
  if numbers.size > 0 {
    // The smallest is looked at as a yes or no: it may be another one on every call.
    let (largest, isBelow) = (numbers.max(), numbers.min() .< 0)
    let alternative = "bincount(x, length:)"
    guard let last = largest.seenNumber(for: "bincount", orUse: alternative),
      let hasNegative = isBelow.asType(.int64).seenNumber(for: "bincount", orUse: alternative)
    else { return .failed }
    guard hasNegative == 0 else {
      return fail(OpError("bincount", "counts integers from 0 up, and there are negative ones"))
    }
    guard last < 1 << 40 else {
      return fail(OpError("bincount", "the largest element is \(last): too many numbers to count"))
    }
    length = Swift.max(length, last + 1)
  }
  return counted(numbers, weights, length)
}

/// How often each of the numbers 0 ..< length comes: a vector. Other numbers are left out. Looks at no value, and so goes
/// into every graph.
///
/// - Parameters:
///   - x: Integers of any shape.
///   - weights: Of the shape of `x`: what each element counts for. The gradient goes back to them.
/// - Returns: `int64`; with weights their dtype, but of integers and bools `int64`.
public func bincount(_ x: Tensor, weights: Tensor? = nil, length: Int) -> Tensor {
  guard let numbers = countable(x, weights, length) else { return .failed }
  // What is out of range is counted behind the others.
  let place = which((numbers .< 0) .| (numbers .>= length), length, numbers)
  return counted(place, weights, length + 1).part(along: 0, 0, length)
}

/// The elements as a vector of `int64`; nil for a failed tensor, or after noting what is wrong.
private func countable(_ x: Tensor, _ weights: Tensor?, _ length: Int) -> Tensor? {
  if x.isFailed || weights?.isFailed ?? false { return nil }
  guard !x.dtype.isFloatingPoint else {
    note(OpError("bincount", "counts integers, not \(x.dtype)"))
    return nil
  }
  if let weights, weights.body.layout.shape != x.body.layout.shape {
    note(OpError("bincount", "weights of shape \(weights.shape) for elements of shape \(x.shape)"))
    return nil
  }
  guard x.checkedShape([length, 1], "bincount") != nil else { return nil }
  return x.flattened().asType(.int64)
}

/// - Parameter numbers: From 0 to `length - 1`.
private func counted(_ numbers: Tensor, _ weights: Tensor?, _ length: Int) -> Tensor {
  guard let weights else {
    let one = apply(.broadcast([numbers.size]), ones([], dtype: .int64))
    return zeros([length], dtype: .int64).scatterAdd(numbers, one)
  }
  // Of 16 bits in float32, rounded once.
  let dtype: DType =
    weights.dtype.isHalf ? .float32 : weights.dtype.isFloatingPoint ? weights.dtype : .int64
  let sums = zeros([length], dtype: dtype).scatterAdd(numbers, weights.flattened().asType(dtype))
  return weights.dtype.isHalf ? sums.asType(weights.dtype) : sums
}

/// How many elements lie in each of `bins` intervals of equal width, and the `bins + 1` edges between them.
///
/// An interval holds its lower edge and not its upper one; the last one holds both, as in NumPy. What lies outside of the
/// range, and not-a-number, is not counted.
///
/// - Parameters:
///   - x: Of any shape.
///   - range: The outermost edges; nil: the smallest and the largest finite element, 0 and 1 without any. If they are equal, half a unit to either
///     side is added.
///   - weights: Of the shape of `x`: what each element counts for.
///   - density: Whether counts are divided by their sum and the intervals' widths, so that the histogram's area is 1.
/// - Returns: Counts as `int64`, with floating-point weights or as densities floating point. Edges in the dtype of `x`, of 16 bits as
///   `float32`, of integers as `float64`.
public func histogram(
  _ x: Tensor, bins: Int = 10, range: (Double, Double)? = nil, weights: Tensor? = nil,
  density: Bool = false
) -> (counts: Tensor, edges: Tensor) {
  guard let (values, weights) = histogramOperands(x, weights) else { return (.failed, .failed) }
  guard bins > 0, bins < 1 << 40 else {
    return failedHistogram("\(bins) bins: there must be at least one")
  }
  let largest =
    values.dtype == .float32 ? Double(Float.greatestFiniteMagnitude) : .greatestFiniteMagnitude
  if let range, !(range.0 <= range.1 && range.1 - range.0 <= largest) {
    return failedHistogram(
      "\(range) is not a range of \(values.dtype): the first bound is above the second, or not finite"
    )
  }
  var (low, high): (Tensor, Tensor)
  if let range {
    low = full([], range.0, dtype: values.dtype)
    high = full([], range.1, dtype: values.dtype)
  } else if values.size == 0 {
    (low, high) = (zeros([], dtype: values.dtype), ones([], dtype: values.dtype))
  } else {
    let isNumber = isFinite(values)
    let infinity = Double.infinity
    let bounds = (which(isNumber, values, infinity).min(), which(isNumber, values, -infinity).max())
    let areThere = bounds.0 .<= bounds.1
    (low, high) = (which(areThere, bounds.0, 0), which(areThere, bounds.1, 1))
  }
  let isPoint = low .== high
  (low, high) = (which(isPoint, low - 0.5, low), which(isPoint, high + 0.5, high))
  let step = arange(bins + 1).asType(values.dtype)
  // The last edge is exact, whatever the widths add up to.
  let edges = which(step .== Double(bins), high, low + step * ((high - low) / Double(bins)))
  // A place by division, put right where rounding has taken it over an edge.
  let isWithin = (values .>= low) .& (values .<= high)
  let ratio = (values - low) / (high - low) * Double(bins)
  let guess = clip(which(isWithin, ratio, 0).asType(.int64), min: 0, max: bins - 1)
  let isTooHigh = values .< apply(.take(axis: 0), edges, guess)
  let isTooLow = (values .>= apply(.take(axis: 0), edges, guess + 1)) .& (guess .!= bins - 1)
  let place = guess - isTooHigh.asType(.int64) + isTooLow.asType(.int64)
  let counts = bincount(which(isWithin, place, bins), weights: weights, length: bins)
  return (density ? densities(counts, edges) : counts, edges)
}

/// How many elements lie in each of the intervals between given edges.
///
/// An interval holds its lower edge and not its upper one; the last one holds both, as in NumPy. What lies outside, and
/// not-a-number, is not counted.
///
/// - Parameters:
///   - x: Of any shape.
///   - edges: Ascending, a vector of at least two. Nothing checks the order.
///   - weights: Of the shape of `x`: what each element counts for.
///   - density: Whether counts are divided by their sum and the intervals' widths, so that the histogram's area is 1.
/// - Returns: Counts as `int64`, with weights or as densities floating point; and the edges.
public func histogram(
  _ x: Tensor, edges: Tensor, weights: Tensor? = nil, density: Bool = false
) -> (counts: Tensor, edges: Tensor) {
  if edges.isFailed { return (.failed, .failed) }
  guard let (_, weights) = histogramOperands(x, weights) else { return (.failed, .failed) }
  guard edges.ndim == 1, edges.size >= 2 else {
    return failedHistogram("edges of shape \(edges.shape): there must be a vector of at least two")
  }
  let bins = edges.size - 1
  let values = x.withoutGradient.flattened()
  let place = searchSorted(edges, values, side: .right) - 1
  let isLast = values .== edges.withoutGradient[-1]
  let counts = bincount(which(isLast, bins - 1, place), weights: weights, length: bins)
  return (density ? densities(counts, edges) : counts, edges)
}

private func failedHistogram(_ reason: String) -> (counts: Tensor, edges: Tensor) {
  let failed = fail(OpError("histogram", reason))
  return (failed, failed)
}

/// Elements and weights as vectors, the elements as what their edges are; nil after noting what is wrong.
private func histogramOperands(_ x: Tensor, _ weights: Tensor?) -> (Tensor, weights: Tensor?)? {
  if x.isFailed || weights?.isFailed ?? false { return nil }
  if let weights, weights.body.layout.shape != x.body.layout.shape {
    note(OpError("histogram", "weights of shape \(weights.shape) for elements of shape \(x.shape)"))
    return nil
  }
  let dtype: DType = x.dtype.isHalf ? .float32 : x.dtype.isFloatingPoint ? x.dtype : .float64
  return (x.withoutGradient.flattened().asType(dtype), weights?.flattened())
}

/// Counts as parts of their sum for a unit of width.
private func densities(_ counts: Tensor, _ edges: Tensor) -> Tensor {
  let bins = edges.size - 1
  let widths = edges.part(along: 0, 1, bins) - edges.part(along: 0, 0, bins)
  let dtype = DType.promoted(counts.dtype, widths.dtype)
  let type: DType = dtype.isFloatingPoint ? dtype : .float64
  return counts.asType(type) / widths.asType(type) / counts.sum().asType(type)
}
