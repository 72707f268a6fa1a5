// Unsafe: holds the address of a tensor's first element. The storage that owns the memory is held beside it.

import DuetRuntime

/// What a tensor is: memory seen through a layout, and its place in the autograd graph. Never changes, except
/// through the only reference to it.
///
/// Tensors without elements of their own are of the subclasses ``SymbolicBody`` and ``PendingBody``, so that all
/// others are as small as can be.
package class TensorBody: @unchecked Sendable {
  // Sendable: constant but for `storage`, which only the only owner looks at as something that might change
  // (`ownsStorageAlone`). So are elements: they are written by the only owner, or before anyone has the tensor.

  /// Nil for a tensor without elements of its own: symbolic or failed.
  @exclusivity(unchecked) package final var storage: Storage?
  /// The first element.
  package final let pointer: UnsafeMutableRawPointer
  package final let dtype: DType
  package final let isContiguous: Bool
  package final let count: Int
  package final let layout: Layout
  /// Present if the tensor takes part in differentiation.
  package final let autograd: AutogradMeta?

  package init(
    storage: Storage?, pointer: UnsafeMutableRawPointer, dtype: DType, layout: Layout,
    isContiguous: Bool, count: Int, autograd: AutogradMeta?
  ) {
    self.storage = storage
    self.pointer = pointer
    self.dtype = dtype
    self.layout = layout
    self.isContiguous = isContiguous
    self.count = count
    self.autograd = autograd
  }

  /// Whether there are elements to read: as `storage != nil`, without looking for another access under way.
  @inlinable
  package final var hasElements: Bool { pointer != TensorBody.nowhere }

  /// Whether nobody else has the memory, and it may be written to. For the only owner to ask.
  @inline(__always)
  final func ownsStorageAlone() -> Bool {
    storage != nil && isKnownUniquelyReferenced(&storage!) && storage!.isWritable
  }

  /// Fresh memory for a result, with arbitrary contents.
  package convenience init(allocating type: TensorType, autograd: AutogradMeta? = nil) {
    self.init(
      owning: Storage.allocate(byteCount: type.shape.elementCount &* type.dtype.size), type,
      autograd: autograd)
  }

  /// Fresh memory for a result of a form that is known beforehand, with arbitrary contents.
  package convenience init(
    allocating form: UnsafePointer<TensorForm>, autograd: AutogradMeta? = nil
  ) {
    let storage = Storage.allocate(byteCount: form.pointee.byteCount)
    self.init(
      storage: storage, pointer: storage.base, dtype: form.pointee.dtype,
      layout: form.pointee.layout, isContiguous: true, count: form.pointee.count,
      autograd: autograd)
  }

  /// All of a storage's memory as a contiguous tensor.
  package convenience init(owning storage: Storage, _ type: TensorType, autograd: AutogradMeta?) {
    self.init(
      storage: storage, pointer: storage.base, dtype: type.dtype,
      layout: Layout(contiguous: type.shape), isContiguous: true, count: type.shape.elementCount,
      autograd: autograd)
  }

  /// Another view of the same memory, `offset` elements further on.
  package convenience init(
    viewOf source: TensorBody, layout: Layout, offset: Int = 0, autograd: AutogradMeta? = nil
  ) {
    self.init(
      storage: source.storage, pointer: source.pointer + offset &* source.dtype.size,
      dtype: source.dtype, layout: layout, isContiguous: layout.isContiguous,
      count: layout.shape.elementCount, autograd: autograd)
  }

  /// The same elements with another place in the autograd graph. `attached(to:)` is for values that may have none.
  package convenience init(_ source: TensorBody, autograd: AutogradMeta?) {
    self.init(
      storage: source.storage, pointer: source.pointer, dtype: source.dtype, layout: source.layout,
      isContiguous: source.isContiguous, count: source.count, autograd: autograd)
  }

  /// The same value with another place in the autograd graph.
  package final func attached(to autograd: AutogradMeta?) -> TensorBody {
    storage == nil
      ? attachedWithoutElements(to: autograd) : TensorBody(self, autograd: autograd)
  }

  func attachedWithoutElements(to autograd: AutogradMeta?) -> TensorBody {
    TensorBody(self, autograd: autograd)
  }

  /// A tensor that only stands for a value of that type.
  package init(withoutElements type: TensorType, autograd: AutogradMeta? = nil) {
    storage = nil
    pointer = TensorBody.nowhere
    dtype = type.dtype
    layout = Layout(contiguous: type.shape)
    isContiguous = true
    count = type.shape.elementCount
    self.autograd = autograd
  }

  /// The address of a tensor without elements.
  @inlinable
  package static var nowhere: UnsafeMutableRawPointer { UnsafeMutableRawPointer(bitPattern: 64)! }

  package final var type: TensorType { TensorType(dtype, layout.shape) }
  package final var view: TensorView { TensorView(pointer, dtype, layout) }
}

/// What there is to know of a result before it is computed: it only has to be copied.
package struct TensorForm {
  package let dtype: DType
  package let byteCount: Int
  package let count: Int
  package let layout: Layout

  package init(_ type: TensorType) {
    dtype = type.dtype
    byteCount = type.byteCount
    count = type.shape.elementCount
    layout = Layout(contiguous: type.shape)
  }
}
