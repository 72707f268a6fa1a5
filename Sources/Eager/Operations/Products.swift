import DuetRuntime

/// The cross products of vectors of three elements along an axis; other axes broadcast.
///
/// - Parameter axis: Counted in the shape that both have with broadcast axes.
public func cross(_ a: Tensor, _ b: Tensor, axis: Int = -1) -> Tensor {
  let (a, b) = promotedPair(a, b)
  if a.isFailed || b.isFailed { return .failed }
  guard let shape = Shape.broadcast(a.body.layout.shape, b.body.layout.shape) else {
    return fail(OpError("cross", "the shapes \(a.shape) and \(b.shape) do not broadcast"))
  }
  let (x, y) = (a.broadcast(to: Array(shape)), b.broadcast(to: Array(shape)))
  guard let axis = x.checkedAxis(axis, "cross") else { return .failed }
  guard shape[axis] == 3 else {
    return fail(OpError("cross", "axis \(axis) of shape \(shape) has not 3 elements"))
  }
  // Element i is a[i + 1] b[i + 2] - a[i + 2] b[i + 1], counted round.
  func turned(_ x: Tensor, _ places: Int) -> Tensor { x.rolled(-places, axis: axis) }
  return turned(x, 1) * turned(y, 2) - turned(x, 2) * turned(y, 1)
}

/// Kronecker's product: blocks that are the second tensor times each element of the first. `[a, b]` and `[c, d]` give
/// `[ac, bd]`; missing axes are put in front. At most four axes.
public func kron(_ a: Tensor, _ b: Tensor) -> Tensor {
  if a.isFailed || b.isFailed { return .failed }
  let rank = Swift.max(a.ndim, b.ndim)
  guard 2 * rank <= Shape.maximumRank else {
    return fail(OpError("kron", "\(a.shape) and \(b.shape) have more than four axes"))
  }
  let outer = Array(repeating: 1, count: rank - a.ndim) + a.shape
  let inner = Array(repeating: 1, count: rank - b.ndim) + b.shape
  let sizes = zip(outer, inner).map { $0.multipliedReportingOverflow(by: $1) }
  let target = sizes.map { $0.overflow ? .max : $0.partialValue }
  guard a.checkedShape(target, "kron") != nil else { return .failed }
  let product =
    a.reshaped(outer.flatMap { [$0, 1] }) * b.reshaped(inner.flatMap { [1, $0] })
  return product.reshaped(target)
}

/// The sums of products over the last `axes` axes of `a` and the first of `b`, which have equal sizes; the result has the
/// other axes. 0 gives all products, 1 the product of matrices.
public func tensordot(_ a: Tensor, _ b: Tensor, axes: Int = 2) -> Tensor {
  if a.isFailed || b.isFailed { return .failed }
  guard axes >= 0, axes <= a.ndim, axes <= b.ndim else {
    return fail(OpError("tensordot", "\(axes) axes of shapes \(a.shape) and \(b.shape)"))
  }
  return tensordot(a, b, axes: (Array((a.ndim - axes)..<a.ndim), Array(0..<axes)))
}

/// The sums of products over axes of `a` and as many of `b`, one with one, of equal sizes. The result has the other axes
/// of `a`, then those of `b`.
public func tensordot(_ a: Tensor, _ b: Tensor, axes: (a: [Int], b: [Int])) -> Tensor {
  let (a, b) = promotedPair(a, b)
  guard let aSet = a.checkedAxes(axes.a, "tensordot"), let bSet = b.checkedAxes(axes.b, "tensordot")
  else { return .failed }
  let aAxes = axes.a.map { $0 < 0 ? $0 + a.ndim : $0 }
  let bAxes = axes.b.map { $0 < 0 ? $0 + b.ndim : $0 }
  guard aAxes.count == bAxes.count, zip(aAxes, bAxes).allSatisfy({ a.dim($0) == b.dim($1) }) else {
    return fail(
      OpError(
        "tensordot",
        "axes \(axes.a) of shape \(a.shape) and \(axes.b) of shape \(b.shape) differ in size"))
  }
  let aRest = (0..<a.ndim).filter { !aSet.contains($0) }
  let bRest = (0..<b.ndim).filter { !bSet.contains($0) }
  let shape = aRest.map(a.dim) + bRest.map(b.dim)
  guard a.checkedShape(shape, "tensordot") != nil else { return .failed }
  let inner = aAxes.reduce(1) { $0 * a.dim($1) }
  let left = a.transposed(axes: aRest + aAxes).reshaped(aRest.reduce(1) { $0 * a.dim($1) }, inner)
  let right = b.transposed(axes: bAxes + bRest).reshaped(inner, bRest.reduce(1) { $0 * b.dim($1) })
  return matmul(left, right).reshaped(shape)
}
