import DuetEager
import DuetRuntime

/// Images `[N, C, H, W]` with mean 0 and variance 1 in each channel, then scaled and moved (Ioffe and Szegedy,
/// 2015). In training by the batch's own statistics, otherwise by the running ones.
public struct BatchNorm2d: UnaryLayer, NamesItsParts, Sendable {
  let norm: BatchNorm

  /// - Parameters:
  ///   - momentum: How far each batch moves the running statistics toward its own; the unbiased variance, as
  ///     in PyTorch.
  ///   - affine: Whether the result is scaled and moved by learned amounts.
  ///   - trackRunningStats: Whether running statistics are kept. If not, the batch's own are always used.
  public init(
    _ channels: Int, eps: Double = 1e-5, momentum: Double = 0.1, affine: Bool = true,
    trackRunningStats: Bool = true, dtype: DType = .float32
  ) {
    norm = BatchNorm(channels, eps, momentum, affine, trackRunningStats, dtype)
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
    norm(x, isShapeRight: x.ndim == 4, "BatchNorm2d", "[N, C, H, W]")
  }
}

/// Features `[N, C]` or sequences `[N, C, L]` with mean 0 and variance 1 in each channel, then scaled and
/// moved. See ``BatchNorm2d``.
public struct BatchNorm1d: UnaryLayer, NamesItsParts, Sendable {
  let norm: BatchNorm

  /// As `BatchNorm2d.init`.
  public init(
    _ channels: Int, eps: Double = 1e-5, momentum: Double = 0.1, affine: Bool = true,
    trackRunningStats: Bool = true, dtype: DType = .float32
  ) {
    norm = BatchNorm(channels, eps, momentum, affine, trackRunningStats, dtype)
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
    norm(x, isShapeRight: x.ndim == 2 || x.ndim == 3, "BatchNorm1d", "[N, C] or [N, C, L]")
  }
}

/// Batch normalisation over all axes but the second.
struct BatchNorm {
  let statistics: ChannelStatistics
  let eps: Double
  let momentum: Double

  init(
    _ channels: Int, _ eps: Double, _ momentum: Double, _ affine: Bool, _ tracks: Bool,
    _ dtype: DType
  ) {
    statistics = ChannelStatistics("BatchNorm", channels, affine: affine, tracks: tracks, dtype)
    self.eps = eps
    self.momentum = momentum
  }

  func callAsFunction(
    _ x: Tensor, isShapeRight: Bool, _ operation: String, _ expected: String
  ) -> Tensor {
    if x.isFailed { return x }
    let (channels, count) = (statistics.channels, statistics.batchCount)
    guard isShapeRight, x.dim(1) == channels else {
      return fail(
        OpError(operation, "expects \(expected) with C = \(channels), not shape \(x.shape)"))
    }
    let isTraining = statistics.usesInputStatistics
    if isTraining && x.size / max(channels, 1) <= 1 {
      return fail(
        OpError(operation, "needs more than one value per channel in training: \(x.shape)"))
    }
    if statistics.mode.isTraining, let count { noGrad { count.value = count.value + 1 } }
    return batchNorm(
      x, runningMean: statistics.runningMean, runningVariance: statistics.runningVariance,
      weight: statistics.weight?.value, bias: statistics.bias?.value, training: isTraining,
      momentum: momentum, eps: eps)
  }
}
