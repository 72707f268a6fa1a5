import DuetRuntime

// The methods of Reductions.swift and Statistics.swift as free functions: `sum(x, axis: 0)` beside
// `x.sum(axis: 0)`. Without an axis they run over all elements.

/// The sum of the elements. Integers and booleans add up as `int64`.
public func sum(_ x: Tensor, axis: Int? = nil, keepDims: Bool = false) -> Tensor {
  x.sum(axis: axis, keepDims: keepDims)
}

/// The sum of the elements. Integers and booleans add up as `int64`.
public func sum(_ x: Tensor, axes: [Int], keepDims: Bool = false) -> Tensor {
  x.sum(axes: axes, keepDims: keepDims)
}

/// The mean of the elements. Floating point.
public func mean(_ x: Tensor, axis: Int? = nil, keepDims: Bool = false) -> Tensor {
  x.mean(axis: axis, keepDims: keepDims)
}

/// The mean of the elements. Floating point.
public func mean(_ x: Tensor, axes: [Int], keepDims: Bool = false) -> Tensor {
  x.mean(axes: axes, keepDims: keepDims)
}

/// The product of the elements. Integers and booleans multiply as `int64`.
public func prod(_ x: Tensor, axis: Int? = nil, keepDims: Bool = false) -> Tensor {
  x.prod(axis: axis, keepDims: keepDims)
}

/// The product of the elements. Integers and booleans multiply as `int64`.
public func prod(_ x: Tensor, axes: [Int], keepDims: Bool = false) -> Tensor {
  x.prod(axes: axes, keepDims: keepDims)
}

/// The largest of the elements; not-a-number wins. There must be one.
public func max(_ x: Tensor, axis: Int? = nil, keepDims: Bool = false) -> Tensor {
  x.max(axis: axis, keepDims: keepDims)
}

/// The largest of the elements; not-a-number wins. There must be one.
public func max(_ x: Tensor, axes: [Int], keepDims: Bool = false) -> Tensor {
  x.max(axes: axes, keepDims: keepDims)
}

/// The smallest of the elements; not-a-number wins. There must be one.
public func min(_ x: Tensor, axis: Int? = nil, keepDims: Bool = false) -> Tensor {
  x.min(axis: axis, keepDims: keepDims)
}

/// The smallest of the elements; not-a-number wins. There must be one.
public func min(_ x: Tensor, axes: [Int], keepDims: Bool = false) -> Tensor {
  x.min(axes: axes, keepDims: keepDims)
}

/// Whether all elements are true or not zero, as `bool`.
public func all(_ x: Tensor, axis: Int? = nil, keepDims: Bool = false) -> Tensor {
  x.all(axis: axis, keepDims: keepDims)
}

/// Whether all elements are true or not zero, as `bool`.
public func all(_ x: Tensor, axes: [Int], keepDims: Bool = false) -> Tensor {
  x.all(axes: axes, keepDims: keepDims)
}

/// Whether any element is true or not zero, as `bool`.
public func any(_ x: Tensor, axis: Int? = nil, keepDims: Bool = false) -> Tensor {
  x.any(axis: axis, keepDims: keepDims)
}

/// Whether any element is true or not zero, as `bool`.
public func any(_ x: Tensor, axes: [Int], keepDims: Bool = false) -> Tensor {
  x.any(axes: axes, keepDims: keepDims)
}

/// The logarithm of the sum of the elements' exponentials, safe from overflow. Floating point.
public func logSumExp(_ x: Tensor, axis: Int? = nil, keepDims: Bool = false) -> Tensor {
  x.logSumExp(axis: axis, keepDims: keepDims)
}

/// The logarithm of the sum of the elements' exponentials, safe from overflow. Floating point.
public func logSumExp(_ x: Tensor, axes: [Int], keepDims: Bool = false) -> Tensor {
  x.logSumExp(axes: axes, keepDims: keepDims)
}

/// The Euclidean norm: the root of the sum of the elements' squares. Floating point.
public func norm(_ x: Tensor, axis: Int? = nil, keepDims: Bool = false) -> Tensor {
  x.norm(axis: axis, keepDims: keepDims)
}

/// The Euclidean norm: the root of the sum of the elements' squares. Floating point.
public func norm(_ x: Tensor, axes: [Int], keepDims: Bool = false) -> Tensor {
  x.norm(axes: axes, keepDims: keepDims)
}

/// The mean squared distance from the mean; `ddof` is taken off the number of elements. Floating
/// point.
public func variance(
  _ x: Tensor, axis: Int? = nil, keepDims: Bool = false, ddof: Int = 0
) -> Tensor {
  x.variance(axis: axis, keepDims: keepDims, ddof: ddof)
}

/// The mean squared distance from the mean; `ddof` is taken off the number of elements. Floating
/// point.
public func variance(_ x: Tensor, axes: [Int], keepDims: Bool = false, ddof: Int = 0) -> Tensor {
  x.variance(axes: axes, keepDims: keepDims, ddof: ddof)
}

/// The standard deviation: the root of the variance. Floating point.
public func std(
  _ x: Tensor, axis: Int? = nil, keepDims: Bool = false, ddof: Int = 0
) -> Tensor {
  x.std(axis: axis, keepDims: keepDims, ddof: ddof)
}

/// The standard deviation: the root of the variance. Floating point.
public func std(_ x: Tensor, axes: [Int], keepDims: Bool = false, ddof: Int = 0) -> Tensor {
  x.std(axes: axes, keepDims: keepDims, ddof: ddof)
}

/// The place of the largest element, the first of equals, as `int64`; in row-major order without an
/// axis.
public func argMax(_ x: Tensor, axis: Int? = nil, keepDims: Bool = false) -> Tensor {
  x.argMax(axis: axis, keepDims: keepDims)
}

/// The place of the smallest element, the first of equals, as `int64`; in row-major order without
/// an axis.
public func argMin(_ x: Tensor, axis: Int? = nil, keepDims: Bool = false) -> Tensor {
  x.argMin(axis: axis, keepDims: keepDims)
}
