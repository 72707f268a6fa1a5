import DuetRuntime

/// A tensor of zeros.
public func zeros(_ shape: [Int], dtype: DType = .float32) -> Tensor {
  filled(shape, 0, dtype, "zeros")
}

/// A tensor of ones.
public func ones(_ shape: [Int], dtype: DType = .float32) -> Tensor {
  filled(shape, 1, dtype, "ones")
}

/// A tensor of one value. Without a dtype, fractions give `float32`, integers `int64` and booleans
/// `bool`.
public func full<S: TensorScalar>(_ shape: [Int], _ value: S, dtype: DType? = nil) -> Tensor {
  let own: DType = S.self == Double.self ? .float32 : S.dtype
  return filled(shape, value, dtype ?? own, "full")
}

private func filled<S: TensorScalar>(
  _ shape: [Int], _ value: S, _ dtype: DType, _ operation: String
) -> Tensor {
  let element =
    S.dtype.isFloatingPoint
    ? Element(value.tensorValue, dtype) : Element(integer: Int(value.tensorInteger), dtype)
  guard let checked = Shape(checking: shape, for: operation) else { return fail(shape, operation) }
  return apply(.fill(TensorType(dtype, checked), element), [])
}

/// Zeros of another tensor's shape and dtype.
public func zeros(like other: Tensor) -> Tensor {
  apply(.fill(other.type, Element(bits: 0)), [])
}

/// Ones of another tensor's shape and dtype.
public func ones(like other: Tensor) -> Tensor {
  apply(.fill(other.type, Element(1, other.dtype)), [])
}

extension Shape {
  /// A shape that a user gave, if it can be one.
  init?(checking sizes: [Int], for operation: String) {
    guard sizes.count <= Shape.maximumRank, sizes.allSatisfy({ $0 >= 0 }) else { return nil }
    self.init(sizes)
    guard isRepresentable else { return nil }
  }
}

/// The error for a shape that cannot be one.
func fail(_ sizes: [Int], _ operation: String) -> Tensor {
  fail(
    OpError(
      operation,
      "\(sizes) is not a shape: at most \(Shape.maximumRank) axes, sizes from 0 up that fit in memory"
    ))
}

/// One value in another tensor's shape and dtype.
public func full<S: TensorScalar>(like other: Tensor, _ value: S) -> Tensor {
  if other.isFailed { return other }
  return full(other.shape, value, dtype: other.dtype)
}
