import DuetEager
import DuetRuntime

/// Each channel of each image of `[N, C, H, W]`, or of one image `[C, H, W]`, with mean 0 and variance 1, then scaled
/// and moved if wished (Ulyanov and others, 2016).
public struct InstanceNorm2d: UnaryLayer, NamesItsParts, Sendable {
  let norm: InstanceNorm

  /// Defaults are PyTorch's.
  /// - Parameters:
  ///   - eps: Is added to the variance.
  ///   - momentum: How far each batch moves the running statistics toward its own; the unbiased variance, as
  ///     in PyTorch.
  ///   - affine: Whether the result is scaled and moved by learned amounts.
  ///   - trackRunningStats: Whether running statistics are kept, and take the place of the image's own in use.
  public init(
    _ channels: Int, eps: Double = 1e-5, momentum: Double = 0.1, affine: Bool = false,
    trackRunningStats: Bool = false, dtype: DType = .float32
  ) {
    norm = InstanceNorm(
      "InstanceNorm2d", channels, eps, momentum, affine, trackRunningStats, dtype)
  }

  /// `[C]`, beginning as ones.
  public var weight: Parameter? { norm.statistics.weight }
  /// `[C]`, beginning as zeros.
  public var bias: Parameter? { norm.statistics.bias }
  /// `[C]`, beginning as zeros.
  public var runningMean: Variable? { norm.statistics.runningMean }
  /// `[C]`, beginning as ones.
  public var runningVariance: Variable? { norm.statistics.runningVariance }

  var parts: [(name: String, part: Any)] { norm.statistics.parts }

  public func callAsFunction(_ x: Tensor) -> Tensor {
    norm(x, rank: 4, "[N, C, H, W] or [C, H, W]")
  }
}

/// Each channel of each sequence of `[N, C, L]`, or of one sequence `[C, L]`, with mean 0 and variance 1, then scaled
/// and moved if wished. See ``InstanceNorm2d``.
public struct InstanceNorm1d: UnaryLayer, NamesItsParts, Sendable {
  let norm: InstanceNorm

  /// As `InstanceNorm2d.init`.
  public init(
    _ channels: Int, eps: Double = 1e-5, momentum: Double = 0.1, affine: Bool = false,
    trackRunningStats: Bool = false, dtype: DType = .float32
  ) {
    norm = InstanceNorm(
      "InstanceNorm1d", channels, eps, momentum, affine, trackRunningStats, dtype)
  }

  /// `[C]`, beginning as ones.
  public var weight: Parameter? { norm.statistics.weight }
  /// `[C]`, beginning as zeros.
  public var bias: Parameter? { norm.statistics.bias }
  /// `[C]`, beginning as zeros.
  public var runningMean: Variable? { norm.statistics.runningMean }
  /// `[C]`, beginning as ones.
  public var runningVariance: Variable? { norm.statistics.runningVariance }

  var parts: [(name: String, part: Any)] { norm.statistics.parts }

  public func callAsFunction(_ x: Tensor) -> Tensor { norm(x, rank: 3, "[N, C, L] or [C, L]") }
}

/// Instance normalisation over all axes but the first two. As in PyTorch, nobody counts the batches.
struct InstanceNorm {
  let operation: String
  let statistics: ChannelStatistics
  let eps: Double
  let momentum: Double

  init(
    _ operation: String, _ channels: Int, _ eps: Double, _ momentum: Double, _ affine: Bool,
    _ tracks: Bool, _ dtype: DType
  ) {
    self.operation = operation
    statistics = ChannelStatistics(operation, channels, affine: affine, tracks: tracks, dtype)
    self.eps = eps
    self.momentum = momentum
  }

  func callAsFunction(_ x: Tensor, rank: Int, _ expected: String) -> Tensor {
    if x.isFailed { return x }
    let isSingle = x.ndim == rank - 1
    guard x.ndim == rank || isSingle, x.dim(isSingle ? 0 : 1) == statistics.channels else {
      return fail(
        OpError(
          operation, "expects \(expected) with C = \(statistics.channels), not shape \(x.shape)"))
    }
    let y = instanceNorm(
      operation, isSingle ? x.expandedDimensions(axis: 0) : x, statistics.runningMean,
      statistics.runningVariance, statistics.weight?.value, statistics.bias?.value,
      usesInputStatistics: statistics.usesInputStatistics, momentum, eps)
    return isSingle && !y.isFailed ? y.squeezed(axis: 0) : y
  }
}
