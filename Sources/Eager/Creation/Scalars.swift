// Unsafe: copies Swift arrays into fresh tensor memory as bytes.

import DuetRuntime

// Values of the program's variables keep their Swift type: [Double] gives float64, [Float] float32,
// [Int] int64. Disfavoured, so that literals become `TensorLiteral`.
extension Tensor {
  /// A scalar of the Swift type's dtype.
  @_disfavoredOverload
  public init<S: TensorScalar>(_ value: S, dtype: DType? = nil, requiresGrad: Bool = false) {
    self = Tensor(copying: [value], []).asLeaf(dtype, requiresGrad)
  }

  /// A vector of the Swift type's dtype.
  @_disfavoredOverload
  public init<S: TensorScalar>(_ values: [S], dtype: DType? = nil, requiresGrad: Bool = false) {
    self = Tensor(copying: values, [values.count]).asLeaf(dtype, requiresGrad)
  }

  /// A tensor of that shape from its elements in row-major order.
  @_disfavoredOverload
  public init<S: TensorScalar>(
    _ values: [S], _ shape: [Int], dtype: DType? = nil, requiresGrad: Bool = false
  ) {
    guard let shape = Shape(of: values.count, shape) else {
      self = .failed
      return
    }
    self = Tensor(copying: values, shape).asLeaf(dtype, requiresGrad)
  }

  /// A matrix from its rows, which have one length.
  @_disfavoredOverload
  public init<S: TensorScalar>(_ rows: [[S]], dtype: DType? = nil, requiresGrad: Bool = false) {
    self = Tensor(rows: rows, level: 1).asLeaf(dtype, requiresGrad)
  }

  /// A tensor of three axes from its matrices, which have one shape.
  @_disfavoredOverload
  public init<S: TensorScalar>(_ blocks: [[[S]]], dtype: DType? = nil, requiresGrad: Bool = false) {
    let height = blocks.first?.count ?? 0
    if let odd = blocks.first(where: { $0.count != height }) {
      self = fail(Tensor.raggedError(1, height, odd.count))
      return
    }
    let rows = Array(blocks.joined())
    let width = rows.first?.count ?? 0
    let matrix = Tensor(rows: rows, level: 2)
    if matrix.isFailed {
      self = matrix
      return
    }
    self = Tensor(
      TensorBody(
        viewOf: matrix.body, layout: Layout(contiguous: [blocks.count, height, width]))
    ).asLeaf(dtype, requiresGrad)
  }

  private init<S: TensorScalar>(rows: [[S]], level: Int) {
    let width = rows.first?.count ?? 0
    if let odd = rows.first(where: { $0.count != width }) {
      self = fail(Tensor.raggedError(level, width, odd.count))
      return
    }
    self.init(copying: Array(rows.joined()), [rows.count, width])
  }

  private static func raggedError(_ level: Int, _ a: Int, _ b: Int) -> OpError {
    OpError("Tensor", "the arrays at level \(level) have different sizes: \(a) and \(b)")
  }

  /// The elements in fresh memory; their number fits the shape.
  init<S: TensorScalar>(copying values: [S], _ shape: Shape) {
    let body = TensorBody(allocating: TensorType(S.dtype, shape))
    values.withUnsafeBytes { bytes in
      if let base = bytes.baseAddress {
        body.pointer.copyMemory(from: base, byteCount: bytes.count)
      }
    }
    self.init(body)
  }

  /// This new tensor as that dtype, and as a leaf whose gradient is asked for if so wished.
  func asLeaf(_ dtype: DType?, _ requiresGrad: Bool) -> Tensor {
    if isFailed { return self }
    return (dtype.map { asType($0) } ?? self).asLeaf(requiresGrad)
  }
}
