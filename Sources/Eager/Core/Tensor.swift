import DuetRuntime

// Let go of after its last use, not at the end of its scope, as arrays are: the operation that uses a named value for
// the last time may then leave its result there.

/// A multi-dimensional array of numbers: a value that never changes behind your back.
///
/// Operations give new tensors; `x[i] = v` copies first where another tensor shares the elements. State
/// that changes lives in a ``Variable``.
@_eagerMove public struct Tensor: Sendable {
  package var body: TensorBody

  @inline(__always)
  package init(_ body: TensorBody) { self.body = body }

  /// The size of each axis; `[]` for a scalar.
  public var shape: [Int] { Array(body.layout.shape) }
  /// The number of axes.
  public var ndim: Int { body.layout.shape.rank }
  /// The number of elements.
  public var size: Int { body.count }
  /// The type of the elements.
  public var dtype: DType { body.dtype }
  /// The size of one axis; negative ones count from the end. 0 after a mistake inside `checked`.
  public func dim(_ axis: Int) -> Int {
    guard let axis = checkedAxis(axis, "dim") else { return 0 }
    return body.layout.shape[axis]
  }

  package var type: TensorType { body.type }
  /// Whether there are elements to read: false for symbolic and for failed tensors.
  package var hasElements: Bool { body.storage != nil }

  /// Whether nobody else could see a change of the elements, which lie one behind the other.
  @inline(__always)
  mutating func isOwnedAlone() -> Bool {
    isKnownUniquelyReferenced(&body) && body.autograd == nil && body.isContiguous
      && body.ownsStorageAlone()
  }

  /// The elements as they are, for a graph's constant.
  package var constant: ConstantArray {
    ConstantArray(
      storage: body.storage!, byteOffset: body.pointer - body.storage!.base, type: body.type,
      layout: body.layout)
  }

  package init(_ constant: ConstantArray) {
    self.init(
      TensorBody(
        storage: constant.storage, pointer: constant.storage.base + constant.byteOffset,
        dtype: constant.type.dtype, layout: constant.layout,
        isContiguous: constant.layout.isContiguous, count: constant.type.shape.elementCount,
        autograd: nil))
  }
}
