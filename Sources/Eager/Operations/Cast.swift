import DuetRuntime

extension Tensor {
  /// The same values as another dtype: fractions are cut off, integers out of range saturate from floating
  /// point and wrap from integers, not-a-number becomes 0, and anything but zero is true.
  public consuming func asType(_ dtype: DType) -> Tensor {
    if body.dtype == dtype { return self }
    return apply(.cast(dtype), self)
  }

  /// The same values as the dtype of a Swift type.
  public consuming func asType(_ type: (some TensorScalar).Type) -> Tensor { asType(type.dtype) }
}
