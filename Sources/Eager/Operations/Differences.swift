import DuetRuntime

// Differences and sums of neighbours along an axis.
extension Tensor {
  /// Each element's difference from the one before it along an axis, `order` times over: the axis has so many elements
  /// less, but at least none. Of bools whether they differ.
  public func diff(order: Int = 1, axis: Int = -1) -> Tensor {
    guard let axis = checkedAxis(axis, "diff") else { return .failed }
    guard order >= 0 else { return fail(OpError("diff", "a negative order: \(order)")) }
    var result = self
    for _ in 0..<Swift.min(order, dim(axis)) {
      let count = result.dim(axis) - 1
      let (after, before) = (
        result.part(along: axis, 1, Swift.max(count, 0)),
        result.part(along: axis, 0, Swift.max(count, 0))
      )
      result = dtype == .bool ? after .!= before : after - before
    }
    return result
  }

  /// The area under the lines between points at a distance of `dx`, along an axis: the trapezoidal rule. Floating point.
  public func trapezoid(dx: Double = 1, axis: Int = -1) -> Tensor {
    guard let axis = checkedAxis(axis, "trapezoid"), requireFloatingPoint("trapezoid") else {
      return .failed
    }
    return (widened().neighbourSums(axis) * (dx / 2)).sum(axis: axis).asType(dtype)
  }

  /// The area under the lines between points, along an axis: the trapezoidal rule. Floating point.
  ///
  /// - Parameter x: Where the points are: as many as along the axis, or of this tensor's shape.
  public func trapezoid(_ x: Tensor, axis: Int = -1) -> Tensor {
    guard let axis = checkedAxis(axis, "trapezoid"), requireFloatingPoint("trapezoid"), !x.isFailed
    else { return .failed }
    let isVector = x.ndim == 1
    guard isVector ? x.size == dim(axis) : x.shape == shape else {
      return fail(OpError("trapezoid", "points \(x.shape) for values of shape \(shape)"))
    }
    var places = x.widened()
    if isVector {
      var along = Array(repeating: 1, count: ndim)
      along[axis] = x.size
      places = places.reshaped(along)
    }
    let widths = places.diff(axis: axis)
    let result = (widened().neighbourSums(axis) * widths).sum(axis: axis) * 0.5
    return result.asType(DType.promoted(dtype, x.dtype))
  }

  private func neighbourSums(_ axis: Int) -> Tensor {
    let count = Swift.max(dim(axis) - 1, 0)
    return part(along: axis, Swift.min(1, dim(axis)), count) + part(along: axis, 0, count)
  }

  /// The logarithms of the sums of the exponentials of the elements up to each place along an axis, safe from overflow.
  /// Floating point.
  ///
  /// Makes as many passes over the elements as the axis's size has binary digits.
  public func cumulativeLogSumExp(axis: Int = -1) -> Tensor {
    let operation = "cumulativeLogSumExp"
    guard let axis = checkedAxis(axis, operation), requireFloatingPoint(operation) else {
      return .failed
    }
    let count = dim(axis)
    // After each step there are the sums of twice as many elements (Hillis and Steele, 1986).
    var sums = widened()
    var distance = 1
    while distance < count {
      let joined = logAddExp(
        sums.part(along: axis, distance, count - distance),
        sums.part(along: axis, 0, count - distance))
      sums = concatenated([sums.part(along: axis, 0, distance), joined], axis: axis)
      distance *= 2
    }
    return sums.asType(dtype)
  }
}

/// Each element's difference from the one before it along an axis, `order` times over. Of bools whether they differ.
public func diff(_ x: Tensor, order: Int = 1, axis: Int = -1) -> Tensor {
  x.diff(order: order, axis: axis)
}

/// The area under the lines between points at a distance of `dx`, along an axis: the trapezoidal rule. Floating point.
public func trapezoid(_ y: Tensor, dx: Double = 1, axis: Int = -1) -> Tensor {
  y.trapezoid(dx: dx, axis: axis)
}

/// The area under the lines between points (x, y), along an axis: the trapezoidal rule. Floating point.
public func trapezoid(_ y: Tensor, _ x: Tensor, axis: Int = -1) -> Tensor {
  y.trapezoid(x, axis: axis)
}

/// The logarithms of the sums of the exponentials of the elements up to each place along an axis, safe from overflow.
/// Floating point.
public func cumulativeLogSumExp(_ x: Tensor, axis: Int = -1) -> Tensor {
  x.cumulativeLogSumExp(axis: axis)
}
