import DuetEager
import DuetRuntime

/// Elements with mean 0 and variance 1 over the last axes, then scaled and moved (Ba and others, 2016).
public struct LayerNorm: UnaryLayer {
  /// Of the normalised axes' shape, beginning as ones.
  public let weight: Parameter?
  /// Of the normalised axes' shape, beginning as zeros.
  public let bias: Parameter?
  public let eps: Double
  let shape: [Int]

  /// - Parameters:
  ///   - shape: The sizes of the axes that are normalised, the last ones of what comes in.
  ///   - eps: Is added to the variance.
  ///   - affine: Whether the result is scaled and moved by learned amounts.
  public init(
    _ shape: [Int], eps: Double = 1e-5, affine: Bool = true, bias: Bool = true,
    dtype: DType = .float32
  ) {
    weight = affine ? Parameter(ones(shape, dtype: dtype), name: "weight") : nil
    self.bias = affine && bias ? Parameter(zeros(shape, dtype: dtype), name: "bias") : nil
    self.eps = eps
    self.shape = shape
  }

  /// Normalises over the last axis, which has that size.
  public init(
    _ size: Int, eps: Double = 1e-5, affine: Bool = true, bias: Bool = true,
    dtype: DType = .float32
  ) {
    self.init([size], eps: eps, affine: affine, bias: bias, dtype: dtype)
  }

  public func callAsFunction(_ x: Tensor) -> Tensor {
    if let error = mistake("LayerNorm", x, shape) { return error }
    return layerNorm(x, weight: weight?.value, bias: bias?.value, axes: shape.count, eps: eps)
  }
}

/// A failed tensor if the last axes of `x` are not of that shape. Else they might broadcast.
private func mistake(_ operation: String, _ x: Tensor, _ shape: [Int]) -> Tensor? {
  if x.isFailed { return x }
  if x.shape.suffix(shape.count) == shape[...] { return nil }
  return fail(
    OpError(operation, "expects last axes \(shape), not shape \(x.shape)"))
}

/// Elements with mean 0 and variance 1 over the last `axes` axes, then scaled and moved.
public func layerNorm(
  _ x: Tensor, weight: Tensor? = nil, bias: Tensor? = nil, axes: Int = 1, eps: Double = 1e-5
) -> Tensor {
  guard axes >= 0 else { return fail(OpError("layerNorm", "cannot be over \(axes) axes")) }
  let last = (0..<axes).map { $0 - axes }
  let centred = x - x.mean(axes: last, keepDims: true)
  let variance = centred.square().mean(axes: last, keepDims: true)
  var result = centred * rsqrt(variance + eps)
  if let weight { result = result * weight }
  if let bias { result = result + bias }
  return result
}

/// Elements over the root of their mean square, over the last axes, then scaled (Zhang and Sennrich, 2019).
public struct RMSNorm: UnaryLayer {
  /// Of the normalised axes' shape, beginning as ones.
  public let weight: Parameter?
  public let eps: Double?
  let shape: [Int]

  /// - Parameters:
  ///   - shape: The sizes of the axes that are normalised, the last ones of what comes in.
  ///   - eps: Is added to the mean square; the distance from 1 to the next number of the dtype if nil.
  public init(_ shape: [Int], eps: Double? = nil, affine: Bool = true, dtype: DType = .float32) {
    weight = affine ? Parameter(ones(shape, dtype: dtype), name: "weight") : nil
    self.eps = eps
    self.shape = shape
  }

  /// Normalises over the last axis, which has that size.
  public init(_ size: Int, eps: Double? = nil, affine: Bool = true, dtype: DType = .float32) {
    self.init([size], eps: eps, affine: affine, dtype: dtype)
  }

  public func callAsFunction(_ x: Tensor) -> Tensor {
    if let error = mistake("RMSNorm", x, shape) { return error }
    let last = shape.indices.map { $0 - shape.count }
    let meanSquare = x.square().mean(axes: last, keepDims: true)
    let result = x * rsqrt(meanSquare + (eps ?? x.dtype.epsilon))
    return weight.map { result * $0.value } ?? result
  }
}

extension DType {
  /// The distance from 1 to the next larger number; 0 if the elements are not floating-point numbers.
  fileprivate var epsilon: Double {
    switch self {
    case .float16: 0x1p-10
    case .bfloat16: 0x1p-7
    case .float32: 0x1p-23
    case .float64: 0x1p-52
    case .bool, .uint8, .int8, .int16, .int32, .int64: 0
    }
  }
}
