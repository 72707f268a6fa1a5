/// What is known of a tensor without its elements: dtype and shape.
@frozen public struct TensorType: Sendable, Hashable {
  /// The elements' type.
  public var dtype: DType
  /// The sizes of the axes; none for a scalar.
  public var shape: Shape

  /// In the order in which it is printed: `float32`, `[2, 3]`.
  @inlinable public init(_ dtype: DType, _ shape: Shape) {
    self.dtype = dtype
    self.shape = shape
  }

  /// The bytes that the elements take when they lie one behind the other.
  @inlinable public var byteCount: Int { shape.elementCount * dtype.size }
}

extension TensorType: CustomStringConvertible {
  /// As in a printed graph: `float32[2, 3]`.
  public var description: String { "\(dtype)\(shape)" }
}
