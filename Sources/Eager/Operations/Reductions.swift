import DuetRuntime

// Reductions over all elements, one axis or several. The free functions of the same names are in
// Reductions+Functions.swift.

extension Tensor {
  /// The sum of the elements. Integers and booleans add up as `int64`.
  public func sum(axis: Int? = nil, keepDims: Bool = false) -> Tensor {
    self.reduced(.sum, axis, keepDims, "sum")
  }

  /// The sum of the elements. Integers and booleans add up as `int64`.
  public func sum(axes: [Int], keepDims: Bool = false) -> Tensor {
    self.reduced(.sum, axes, keepDims, "sum")
  }

  /// The mean of the elements. Floating point.
  public func mean(axis: Int? = nil, keepDims: Bool = false) -> Tensor {
    self.reduced(.mean, axis, keepDims, "mean")
  }

  /// The mean of the elements. Floating point.
  public func mean(axes: [Int], keepDims: Bool = false) -> Tensor {
    self.reduced(.mean, axes, keepDims, "mean")
  }

  /// The product of the elements. Integers and booleans multiply as `int64`.
  public func prod(axis: Int? = nil, keepDims: Bool = false) -> Tensor {
    self.reduced(.product, axis, keepDims, "prod")
  }

  /// The product of the elements. Integers and booleans multiply as `int64`.
  public func prod(axes: [Int], keepDims: Bool = false) -> Tensor {
    self.reduced(.product, axes, keepDims, "prod")
  }

  /// The largest of the elements; not-a-number wins. There must be one.
  public func max(axis: Int? = nil, keepDims: Bool = false) -> Tensor {
    self.reduced(.max, axis, keepDims, "max")
  }

  /// The largest of the elements; not-a-number wins. There must be one.
  public func max(axes: [Int], keepDims: Bool = false) -> Tensor {
    self.reduced(.max, axes, keepDims, "max")
  }

  /// The smallest of the elements; not-a-number wins. There must be one.
  public func min(axis: Int? = nil, keepDims: Bool = false) -> Tensor {
    self.reduced(.min, axis, keepDims, "min")
  }

  /// The smallest of the elements; not-a-number wins. There must be one.
  public func min(axes: [Int], keepDims: Bool = false) -> Tensor {
    self.reduced(.min, axes, keepDims, "min")
  }

  /// Whether all elements are true or not zero, as `bool`.
  public func all(axis: Int? = nil, keepDims: Bool = false) -> Tensor {
    asType(.bool).reduced(.all, axis, keepDims, "all")
  }

  /// Whether all elements are true or not zero, as `bool`.
  public func all(axes: [Int], keepDims: Bool = false) -> Tensor {
    asType(.bool).reduced(.all, axes, keepDims, "all")
  }

  /// Whether any element is true or not zero, as `bool`.
  public func any(axis: Int? = nil, keepDims: Bool = false) -> Tensor {
    asType(.bool).reduced(.any, axis, keepDims, "any")
  }

  /// Whether any element is true or not zero, as `bool`.
  public func any(axes: [Int], keepDims: Bool = false) -> Tensor {
    asType(.bool).reduced(.any, axes, keepDims, "any")
  }

  /// The place of the largest element, the first of equals, as `int64`; in row-major order without
  /// an axis.
  public func argMax(axis: Int? = nil, keepDims: Bool = false) -> Tensor {
    reduced(.argMax, axis, keepDims, "argMax")
  }

  /// The place of the smallest element, the first of equals, as `int64`; in row-major order without
  /// an axis.
  public func argMin(axis: Int? = nil, keepDims: Bool = false) -> Tensor {
    reduced(.argMin, axis, keepDims, "argMin")
  }

  /// A reduction over an axis as the user gave it; nil: over all.
  private func reduced(
    _ op: ReductionOp, _ axis: Int?, _ keepDims: Bool, _ operation: String
  ) -> Tensor {
    guard let axis else { return reduced(op, nil as [Int]?, keepDims, operation) }
    guard let axis = checkedAxis(axis, operation) else { return .failed }
    return apply(.reduce(op, axes: AxisSet(axis), keepDims: keepDims), self)
  }

  /// A reduction over axes as the user gave them; nil: all.
  private func reduced(
    _ op: ReductionOp, _ axes: [Int]?, _ keepDims: Bool, _ operation: String
  ) -> Tensor {
    guard let set = checkedAxes(axes, operation) else { return .failed }
    return apply(.reduce(op, axes: set, keepDims: keepDims), self)
  }
}
