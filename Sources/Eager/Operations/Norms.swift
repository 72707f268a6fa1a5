import DuetRuntime

// Norms of other orders than 2. What has 16 bits is computed in float32 and rounded once. Gradients at zeros are PyTorch's.
extension Tensor {
  /// The norm of that order of the elements as a vector: (Σ |x|ᵖ)^(1/p). Of order infinity the largest absolute value, of
  /// -infinity the smallest, and of order 0 how many elements are not zero. Floating point.
  ///
  /// The gradient is 0 at zeros where it has no value, and everywhere for order 0.
  public func norm(order: Double, axis: Int? = nil, keepDims: Bool = false) -> Tensor {
    norm(order, axis.map { [$0] }, keepDims)
  }

  /// The norm of that order over several axes, whose elements are taken as one vector. Floating point.
  public func norm(order: Double, axes: [Int], keepDims: Bool = false) -> Tensor {
    norm(order, axes, keepDims)
  }

  private func norm(_ order: Double, _ axes: [Int]?, _ keepDims: Bool) -> Tensor {
    guard let set = checkedAxes(axes, "norm"), requireFloatingPoint("norm") else { return .failed }
    func reduced(_ op: ReductionOp, _ x: Tensor) -> Tensor {
      apply(.reduce(op, axes: set, keepDims: keepDims), x)
    }
    let x = widened()
    switch order {
    case 2: return widenedNorm(axes, keepDims).asType(dtype)
    case 1: return reduced(.sum, x.abs()).asType(dtype)
    // A sign has the gradient 0.
    case 0: return reduced(.sum, which(x .== 0, x.sign(), 1)).asType(dtype)
    case .infinity: return reduced(.max, x.abs()).asType(dtype)
    case -.infinity: return reduced(.min, x.abs()).asType(dtype)
    case let p where p.isNaN: return fail(OpError("norm", "the order is not a number"))
    default:
      let powers = x.abs().powerFlatAtZero(order)
      return reduced(.sum, powers).powerFlatAtZero(1 / order).asType(dtype)
    }
  }

  /// The power of numbers from 0 up, whose gradient at 0 counts as 0, and where it is infinite at infinity, too.
  private func powerFlatAtZero(_ exponent: Double) -> Tensor {
    guard requiresGrad, isGradEnabled else { return self ** exponent }
    let isZero = self .== 0
    let atZero = exponent < 0 ? Double.infinity : 0
    return which(isZero, atZero, which(isZero, 1, self) ** exponent)
  }

  /// A norm of matrices, which two axes hold. Floating point.
  ///
  /// - Parameters:
  ///   - order: Which one; `norm(order:axes:)` has those that take the elements as one vector.
  ///   - axes: Rows and columns: the last two as a rule.
  public func matrixNorm(
    _ order: MatrixNorm = .frobenius, axes: (Int, Int) = (-2, -1), keepDims: Bool = false
  ) -> Tensor {
    guard let set = checkedAxes([axes.0, axes.1], "matrixNorm"),
      let row = checkedAxis(axes.0, "matrixNorm"), let column = checkedAxis(axes.1, "matrixNorm"),
      requireFloatingPoint("matrixNorm")
    else { return .failed }
    if order == .frobenius { return norm(axes: set.axes, keepDims: keepDims) }
    let (summed, left) = order.sumsRows ? (row, column) : (column, row)
    let x = widened()
    let sums = x.abs().sum(axis: summed, keepDims: true)
    let extreme =
      order.isLargest ? sums.max(axis: left, keepDims: true) : sums.min(axis: left, keepDims: true)
    let result = extreme.asType(dtype)
    return keepDims ? result : result.squeezed(axes: set.axes)
  }
}

/// Which norm of a matrix.
public enum MatrixNorm: Sendable, Hashable {
  /// The root of the sum of all squares.
  case frobenius
  /// The largest, or smallest, of the sums of a column's absolute values: orders 1 and -1.
  case one, minusOne
  /// The largest, or smallest, of the sums of a row's absolute values: orders infinity and -infinity.
  case infinity, minusInfinity

  fileprivate var sumsRows: Bool { self == .one || self == .minusOne }
  fileprivate var isLargest: Bool { self == .one || self == .infinity }
}

/// The norm of that order of the elements as a vector: (Σ |x|ᵖ)^(1/p). Floating point.
public func norm(_ x: Tensor, order: Double, axis: Int? = nil, keepDims: Bool = false) -> Tensor {
  x.norm(order: order, axis: axis, keepDims: keepDims)
}

/// The norm of that order over several axes, whose elements are taken as one vector. Floating point.
public func norm(_ x: Tensor, order: Double, axes: [Int], keepDims: Bool = false) -> Tensor {
  x.norm(order: order, axes: axes, keepDims: keepDims)
}

/// A norm of matrices, which two axes hold: the last two as a rule. Floating point.
public func matrixNorm(
  _ x: Tensor, _ order: MatrixNorm = .frobenius, axes: (Int, Int) = (-2, -1), keepDims: Bool = false
) -> Tensor {
  x.matrixNorm(order, axes: axes, keepDims: keepDims)
}

/// The distances between the vectors of two stacks, the p-norms of their differences: `[..., n, d]` and `[..., m, d]` give
/// `[..., n, m]`; leading axes broadcast. Floating point.
///
/// Of more than 25 vectors on a side, distances of order 2 are made of a matrix product, as in PyTorch: small ones of
/// long vectors lose digits. Others take memory for n · m · d differences. Where two vectors are equal the gradient is 0.
///
/// - Parameter p: The norm's order, from 0 up; infinity: the largest absolute difference.
public func cdist(_ a: Tensor, _ b: Tensor, p: Double = 2) -> Tensor {
  let (a, b) = promotedPair(a, b)
  guard a.requireFloatingPoint("cdist"), b.requireFloatingPoint("cdist") else { return .failed }
  guard a.ndim >= 2, b.ndim >= 2, a.dim(-1) == b.dim(-1),
    Shape.broadcast(Shape(a.shape.dropLast(2)), Shape(b.shape.dropLast(2))) != nil
  else {
    return fail(OpError("cdist", "stacks of vectors of one length, not \(a.shape) and \(b.shape)"))
  }
  guard p >= 0 else { return fail(OpError("cdist", "the order \(p) is not from 0 up")) }
  guard a.ndim < Shape.maximumRank, b.ndim < Shape.maximumRank else {
    return fail(OpError("cdist", "\(a.shape) and \(b.shape) leave no room for another axis"))
  }
  if p == 2, a.dim(-2) > 25 || b.dim(-2) > 25 {
    // |a - b|² = |a|² + |b|² - 2 a·b
    let (x, y) = (a.widened(), b.widened())
    let squares =
      x.square().sum(axis: -1, keepDims: true)
      + y.square().sum(axis: -1).expandedDimensions(axis: -2)
    let distances = clip(squares - matmul(x, y.swappedAxes(-1, -2)) * 2, min: 0).rootFlatAtZero()
    return distances.asType(a.dtype)
  }
  let differences = a.expandedDimensions(axis: -2) - b.expandedDimensions(axis: -3)
  if differences.size == 0 || a.dim(-1) == 0 {
    return differences.sum(axis: -1)
  }
  return differences.norm(order: p, axis: -1)
}
