import DuetRuntime

/// A matrix `[rows, columns]` with ones on a diagonal and zeros elsewhere; `k` > 0 is above the
/// main diagonal.
public func eye(_ rows: Int, _ columns: Int? = nil, k: Int = 0, dtype: DType = .float32) -> Tensor {
  grid(rows, columns, k, dtype, "eye") { $0 .== $1 }
}

/// A matrix `[rows, columns]` with ones at and below the diagonal `k` and zeros above.
public func tri(_ rows: Int, _ columns: Int? = nil, k: Int = 0, dtype: DType = .float32) -> Tensor {
  grid(rows, columns, k, dtype, "tri") { $0 .>= $1 }
}

/// Where a condition on (row + k, column) holds.
private func grid(
  _ rows: Int, _ columns: Int?, _ k: Int, _ dtype: DType, _ operation: String,
  _ condition: (Tensor, Tensor) -> Tensor
) -> Tensor {
  let sizes = [rows, columns ?? rows]
  guard Shape(checking: sizes, for: operation) != nil else { return fail(sizes, operation) }
  // Beyond the matrix's corners all diagonals are alike.
  let k = Swift.min(Swift.max(k, -sizes[0]), sizes[1])
  let places: DType = sizes[0] + sizes[1] < 1 << 30 ? .int32 : .int64
  let row = arange(k, k + sizes[0], dtype: places).reshaped(sizes[0], 1)
  let column = arange(sizes[1], dtype: places).reshaped(1, sizes[1])
  return condition(row, column).asType(dtype)
}

/// The matrices in the last two axes `[..., n, m]` with zeros above the diagonal `k`.
public func tril(_ x: Tensor, k: Int = 0) -> Tensor { x.tril(k: k) }

/// The matrices in the last two axes `[..., n, m]` with zeros below the diagonal `k`.
public func triu(_ x: Tensor, k: Int = 0) -> Tensor { x.triu(k: k) }

extension Tensor {
  /// The matrices in the last two axes `[..., n, m]` with zeros above the diagonal `k`.
  public func tril(k: Int = 0) -> Tensor {
    guard requireMatrix("tril") else { return .failed }
    return apply(
      .select, [tri(dim(-2), dim(-1), k: k, dtype: .bool), self, zeros([], dtype: dtype)])
  }

  /// The matrices in the last two axes `[..., n, m]` with zeros below the diagonal `k`.
  public func triu(k: Int = 0) -> Tensor {
    guard requireMatrix("triu") else { return .failed }
    return apply(
      .select,
      [
        tri(dim(-2), dim(-1), k: k == .min ? k : k - 1, dtype: .bool), zeros([], dtype: dtype),
        self,
      ])
  }

  /// The diagonals of two axes as the last axis of the result; `offset` > 0 is above the main
  /// diagonal.
  public func diagonal(offset: Int = 0, axis1: Int = 0, axis2: Int = 1) -> Tensor {
    guard let first = checkedAxis(axis1, "diagonal"), let second = checkedAxis(axis2, "diagonal")
    else { return .failed }
    guard first != second else {
      return fail(OpError("diagonal", "axis1 and axis2 are the same axis \(first)"))
    }
    let others = (0..<ndim).filter { $0 != first && $0 != second }
    var matrices = transposed(axes: others + [first, second])
    // The square part of the matrices that begins where the diagonal does.
    let top = Swift.min(Int(clamping: offset < 0 ? offset.magnitude : 0), matrices.dim(-2))
    let left = Swift.max(0, offset)
    let n = Swift.max(0, Swift.min(matrices.dim(-2) - top, matrices.dim(-1) - left))
    let shape = matrices.body.layout.shape
    var slice = Slice(all: shape)
    (slice.starts[ndim - 2], slice.starts[ndim - 1]) = n == 0 ? (0, 0) : (top, left)
    (slice.sizes[ndim - 2], slice.sizes[ndim - 1]) = (n, n)
    matrices = apply(.slice(slice), matrices)
    var flat = Shape(shape.dropLast(2))
    flat.append(n * n)
    var steps = Slice(all: flat)
    steps.sizes[flat.rank - 1] = n
    steps.steps[flat.rank - 1] = n + 1
    return apply(.slice(steps), apply(.reshape(flat), matrices))
  }

  /// Whether there are two axes at least; notes the mistake if not.
  func requireMatrix(_ operation: String) -> Bool {
    if isFailed { return false }
    if ndim < 2 { note(OpError(operation, "needs at least two axes, not shape \(shape)")) }
    return ndim >= 2
  }
}

/// The diagonal of a matrix, or a square matrix with that vector as its diagonal.
public func diag(_ x: Tensor, k: Int = 0) -> Tensor {
  if x.isFailed { return x }
  switch x.ndim {
  case 1:
    let n = x.size + Int(clamping: Swift.min(k.magnitude, 1 << 44))
    guard Shape(checking: [n, n], for: "diag") != nil else { return fail([n, n], "diag") }
    let vector = k == 0 ? x : padded(x, widths: [k > 0 ? (k, 0) : (0, -k)])
    // Column j of row i holds element j of the vector, where j = i + k.
    return apply(
      .select, [eye(n, k: k, dtype: .bool), vector.reshaped(1, n), zeros([], dtype: x.dtype)])
  case 2: return x.diagonal(offset: k)
  default: return fail(OpError("diag", "needs a vector or a matrix, not shape \(x.shape)"))
  }
}

/// The coordinates of a grid: result i varies along axis i as vector i does.
///
/// - Parameters:
///   - vectors: The coordinates along each axis.
///   - swapsFirstTwo: Whether the first vector varies along axis 1 and the second along axis 0:
///     NumPy's `indexing="xy"`.
/// - Returns: One tensor per vector, all of the shape of the grid.
public func meshgrid(_ vectors: Tensor..., swapsFirstTwo: Bool = false) -> [Tensor] {
  if vectors.contains(where: \.isFailed) { return vectors.map { _ in .failed } }
  if let odd = vectors.first(where: { $0.ndim > 1 }) {
    return vectors.map { _ in fail(OpError("meshgrid", "needs vectors, not shape \(odd.shape)")) }
  }
  guard vectors.count <= Shape.maximumRank else {
    return vectors.map { _ in fail(OpError("meshgrid", "at most 8 vectors, not \(vectors.count)")) }
  }
  var axes = Array(vectors.indices)
  if swapsFirstTwo && axes.count > 1 { axes.swapAt(0, 1) }
  var grid = [Int](repeating: 1, count: vectors.count)
  for (vector, axis) in zip(vectors, axes) { grid[axis] = vector.size }
  return zip(vectors, axes).map { vector, axis in
    var shape = [Int](repeating: 1, count: vectors.count)
    shape[axis] = vector.size
    return vector.reshaped(shape).broadcast(to: grid).contiguous()
  }
}
