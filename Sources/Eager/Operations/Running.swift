import DuetRuntime

// What runs along an axis and keeps the shape: running sums and products, sorting.
extension Tensor {
  /// The sums of the elements up to each place along an axis; without an axis, of all in row-major
  /// order. Of integers and bools as `int64`.
  public func cumsum(axis: Int? = nil) -> Tensor { cumulative(.sum, axis, "cumsum") }

  /// The products of the elements up to each place along an axis; without an axis, of all in
  /// row-major order. Of integers and bools as `int64`.
  public func cumprod(axis: Int? = nil) -> Tensor { cumulative(.product, axis, "cumprod") }

  /// The largest of the elements up to each place along an axis, without an axis in row-major order;
  /// not-a-number wins.
  public func cummax(axis: Int? = nil) -> Tensor { cumulative(.max, axis, "cummax") }

  /// The smallest of the elements up to each place along an axis, without an axis in row-major
  /// order; not-a-number wins.
  public func cummin(axis: Int? = nil) -> Tensor { cumulative(.min, axis, "cummin") }

  private func cumulative(_ op: CumulativeOp, _ axis: Int?, _ operation: String) -> Tensor {
    if isFailed { return self }
    let isWidened = dtype == .bool || dtype.isInteger && (op == .sum || op == .product)
    let source = isWidened ? asType(.int64) : self
    guard let axis else { return apply(.cumulative(op, axis: 0), source.flattened()) }
    guard let axis = checkedAxis(axis, operation) else { return .failed }
    return apply(.cumulative(op, axis: axis), source)
  }

  /// The places of the elements in ascending order along an axis, as `int64`; equal elements keep
  /// their order, not-a-number comes last.
  public func argSort(axis: Int = -1, descending: Bool = false) -> Tensor {
    guard let axis = checkedAxis(axis, "argSort") else { return .failed }
    return apply(.argSort(axis: axis, descending: descending), self)
  }

  /// The elements in ascending order along an axis; not-a-number comes last.
  public func sort(axis: Int = -1, descending: Bool = false) -> Tensor {
    guard let axis = checkedAxis(axis, "sort") else { return .failed }
    let order = apply(.argSort(axis: axis, descending: descending), detached())
    return apply(.takeAlong(axis: axis), self, order)
  }

  /// The `k` largest elements along an axis in descending order, and their places as `int64`; not-a-number comes last.
  public func topK(_ k: Int, axis: Int = -1) -> (values: Tensor, indices: Tensor) {
    guard let axis = checkedAxis(axis, "topK") else { return (.failed, .failed) }
    guard k >= 0 && k <= dim(axis) else {
      let failed = fail(
        OpError("topK", "axis \(axis) of shape \(shape) does not have \(k) elements"))
      return (failed, failed)
    }
    let places = apply(.argTopK(axis: axis, count: k), detached())
    return (apply(.takeAlong(axis: axis), self, places), places)
  }
}

/// The sums of the elements up to each place along an axis; without an axis, of all in row-major
/// order. Of integers and bools as `int64`.
public func cumsum(_ x: Tensor, axis: Int? = nil) -> Tensor { x.cumsum(axis: axis) }

/// The products of the elements up to each place along an axis; without an axis, of all in
/// row-major order.
public func cumprod(_ x: Tensor, axis: Int? = nil) -> Tensor { x.cumprod(axis: axis) }

/// The largest of the elements up to each place along an axis, without an axis in row-major order;
/// not-a-number wins.
public func cummax(_ x: Tensor, axis: Int? = nil) -> Tensor { x.cummax(axis: axis) }

/// The smallest of the elements up to each place along an axis, without an axis in row-major order;
/// not-a-number wins.
public func cummin(_ x: Tensor, axis: Int? = nil) -> Tensor { x.cummin(axis: axis) }

/// The places of the elements in ascending order along an axis, as `int64`.
public func argSort(_ x: Tensor, axis: Int = -1, descending: Bool = false) -> Tensor {
  x.argSort(axis: axis, descending: descending)
}

/// The elements in ascending order along an axis; not-a-number comes last.
public func sort(_ x: Tensor, axis: Int = -1, descending: Bool = false) -> Tensor {
  x.sort(axis: axis, descending: descending)
}

/// The `k` largest elements along an axis in descending order, and their places as `int64`.
public func topK(_ x: Tensor, _ k: Int, axis: Int = -1) -> (values: Tensor, indices: Tensor) {
  x.topK(k, axis: axis)
}
