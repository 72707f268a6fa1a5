// Unsafe: carries a bare address. A view is used only while its storage is held by the caller.

/// What a kernel needs to know of an operand: where it is, what its elements are and where they lie.
package struct TensorView {
  package var pointer: UnsafeMutableRawPointer
  package var dtype: DType
  package var layout: Layout

  package init(_ pointer: UnsafeMutableRawPointer, _ dtype: DType, _ layout: Layout) {
    self.pointer = pointer
    self.dtype = dtype
    self.layout = layout
  }

  package var shape: Shape { layout.shape }

  /// The part of the elements that a slice names.
  func sliced(_ slice: Slice) -> TensorView {
    let (layout, offset) = layout.sliced(slice)
    return TensorView(pointer + offset * dtype.size, dtype, layout)
  }
}

/// A constant array: shared memory with dtype and layout. What graphs and plans hold.
public struct ConstantArray: @unchecked Sendable {
  // Sendable: nobody writes to the storage of a constant.

  package let storage: Storage
  package let byteOffset: Int
  /// The elements' dtype and the array's shape.
  public let type: TensorType
  package let layout: Layout

  package init(storage: Storage, byteOffset: Int, type: TensorType, layout: Layout) {
    self.storage = storage
    self.byteOffset = byteOffset
    self.type = type
    self.layout = layout
  }

  package var view: TensorView { TensorView(storage.base + byteOffset, type.dtype, layout) }

  /// Whether both are the very same elements.
  package func isIdentical(to other: ConstantArray) -> Bool {
    storage === other.storage && byteOffset == other.byteOffset && type == other.type
      && layout == other.layout
  }
}
