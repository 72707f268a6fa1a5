import DuetEager
import DuetRuntime

/// Elements with mean 0 and variance 1 over the last axes, then scaled and moved (Ba and others, 2016).
public struct LayerNorm: UnaryLayer, Sendable {
  /// Of the normalised axes' shape, beginning as ones.
  public let weight: Parameter?
  /// Of the normalised axes' shape, beginning as zeros.
  public let bias: Parameter?
  /// Is added to the variance, so that equal elements do not divide by 0.
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
    noteNegative(["a size": shape.min() ?? 0], in: "LayerNorm")
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

/// Elements over the root of their mean square, over the last axes, then scaled (Zhang and Sennrich, 2019).
public struct RMSNorm: UnaryLayer, Sendable {
  /// Of the normalised axes' shape, beginning as ones.
  public let weight: Parameter?
  /// Is added to the mean square; the distance from 1 to the next number of the dtype if nil.
  public let eps: Double?
  let shape: [Int]

  /// - Parameters:
  ///   - shape: The sizes of the axes that are normalised, the last ones of what comes in.
  ///   - eps: Is added to the mean square; the distance from 1 to the next number of the dtype if nil.
  public init(_ shape: [Int], eps: Double? = nil, affine: Bool = true, dtype: DType = .float32) {
    noteNegative(["a size": shape.min() ?? 0], in: "RMSNorm")
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
    return rmsNorm(x, weight: weight?.value, axes: shape.count, eps: eps)
  }
}
