import DuetRuntime

/// The matrix product: `[..., m, k]` × `[..., k, n]` gives `[..., m, n]`, leading axes broadcast.
///
/// A vector on the left is a row, on the right a column, whose axis the result does not have.
public func matmul(_ a: Tensor, _ b: Tensor) -> Tensor {
  let (a, b) = promotedPair(a, b)
  return product(.matmul, a, b)
}

private func product(_ op: Op, _ a: Tensor, _ b: Tensor) -> Tensor {
  if a.ndim >= 2 && b.ndim >= 2 || a.isFailed || b.isFailed { return apply(op, a, b) }
  guard a.ndim > 0 && b.ndim > 0 else {
    return fail(OpError("matmul", "needs at least one axis each: \(a.shape) × \(b.shape)"))
  }
  let (k, k2) = (a.dim(-1), b.dim(b.ndim == 1 ? 0 : -2))
  guard k == k2 else {
    return fail(
      OpError("matmul", "inner dimensions differ: \(a.shape) × \(b.shape) (\(k) ≠ \(k2))"))
  }
  let left = a.ndim == 1 ? a.reshaped(1, k) : a
  let right = b.ndim == 1 ? b.reshaped(k, 1) : b
  let product = apply(op, left, right)
  if product.isFailed { return product }
  var sizes = product.shape
  if b.ndim == 1 { sizes.removeLast() }
  if a.ndim == 1 { sizes.remove(at: sizes.count - (b.ndim == 1 ? 1 : 2)) }
  return product.reshaped(sizes)
}

/// The matrix product of narrow elements with wider sums: int8, uint8 and int16 give `int32`, float16 and bfloat16
/// `float32`.
///
/// The result is that of `matmul(a.asType(dtype), b.asType(dtype))`, bit for bit, without the copies: integers are
/// exact up to 2³¹ and wrap beyond, halves are not rounded. A dtype that both have already changes nothing.
public func matmul(_ a: Tensor, _ b: Tensor, dtype: DType) -> Tensor {
  let (a, b) = promotedPair(a, b)
  if a.dtype == dtype || a.isFailed || b.isFailed { return matmul(a, b) }
  return product(.wideMatmul(dtype), a, b)
}

/// x Wᵀ + b: `[..., in]` with a weight `[out, in]` and a bias `[out]` gives `[..., out]`.
///
/// One operation with the bits of `matmul(x, weight.T) + bias`, where x is taken as one matrix of all its rows.
public func linear(_ x: Tensor, _ weight: Tensor, _ bias: Tensor? = nil) -> Tensor {
  if let result = fastLinear(x.body, weight.body, bias?.body) { return Tensor(result) }
  guard let bias else {
    let (x, weight) = promotedPair(x, weight)
    return apply(.linear, x, weight)
  }
  if x.dtype == weight.dtype && x.dtype == bias.dtype { return apply(.linear, x, weight, bias) }
  let dtype = DType.promoted(DType.promoted(x.dtype, weight.dtype), bias.dtype)
  return apply(.linear, x.asType(dtype), weight.asType(dtype), bias.asType(dtype))
}

/// The sum of the products of two vectors' elements; of other tensors the matrix product.
public func dot(_ a: Tensor, _ b: Tensor) -> Tensor { matmul(a, b) }

/// The products of every element of `a` with every element of `b`: `[a.size, b.size]`.
public func outer(_ a: Tensor, _ b: Tensor) -> Tensor {
  if a.isFailed || b.isFailed { return .failed }
  return a.reshaped(a.size, 1) * b.reshaped(1, b.size)
}

extension Tensor {
  /// The matrix product with a matrix or a stack of matrices on the right; vectors as in NumPy.
  public func matmul(_ other: Tensor) -> Tensor { DuetEager.matmul(self, other) }

  /// The sum of the products of two vectors' elements; of other tensors the matrix product.
  public func dot(_ other: Tensor) -> Tensor { DuetEager.matmul(self, other) }
}

/// Both tensors as their common dtype.
func promotedPair(_ a: Tensor, _ b: Tensor) -> (Tensor, Tensor) {
  if a.dtype == b.dtype { return (a, b) }
  let dtype = DType.promoted(a.dtype, b.dtype)
  return (a.asType(dtype), b.asType(dtype))
}
