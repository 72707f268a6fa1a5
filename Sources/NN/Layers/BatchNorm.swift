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
  public var weight: Parameter? { norm.weight }
  /// `[C]`, beginning as zeros.
  public var bias: Parameter? { norm.bias }
  /// `[C]`, beginning as zeros.
  public var runningMean: Variable? { norm.runningMean }
  /// `[C]`, beginning as ones.
  public var runningVariance: Variable? { norm.runningVariance }

  var parts: [(name: String, part: Any)] { norm.parts }

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
  public var weight: Parameter? { norm.weight }
  /// `[C]`, beginning as zeros.
  public var bias: Parameter? { norm.bias }
  /// `[C]`, beginning as zeros.
  public var runningMean: Variable? { norm.runningMean }
  /// `[C]`, beginning as ones.
  public var runningVariance: Variable? { norm.runningVariance }

  var parts: [(name: String, part: Any)] { norm.parts }

  public func callAsFunction(_ x: Tensor) -> Tensor {
    norm(x, isShapeRight: x.ndim == 2 || x.ndim == 3, "BatchNorm1d", "[N, C] or [N, C, L]")
  }
}

/// Batch normalisation over all axes but the second.
struct BatchNorm {
  let weight: Parameter?
  let bias: Parameter?
  let runningMean: Variable?
  let runningVariance: Variable?
  let batchCount: Variable?
  let eps: Double
  let momentum: Double
  let channels: Int
  let mode = TrainingMode()

  init(
    _ channels: Int, _ eps: Double, _ momentum: Double, _ affine: Bool, _ tracks: Bool,
    _ dtype: DType
  ) {
    noteNegative(["channels": channels], in: "BatchNorm")
    weight = affine ? Parameter(ones([channels], dtype: dtype), name: "weight") : nil
    bias = affine ? Parameter(zeros([channels], dtype: dtype), name: "bias") : nil
    runningMean =
      tracks ? Variable(zeros([channels], dtype: dtype), name: "running_mean") : nil
    runningVariance = tracks ? Variable(ones([channels], dtype: dtype), name: "running_var") : nil
    batchCount = tracks ? Variable(zeros([], dtype: .int64), name: "num_batches_tracked") : nil
    self.eps = eps
    self.momentum = momentum
    self.channels = channels
  }

  /// The names that PyTorch's state dicts have.
  var parts: [(name: String, part: Any)] {
    let variables: [(String, Variable?)] = [
      ("weight", weight), ("bias", bias), ("running_mean", runningMean),
      ("running_var", runningVariance), ("num_batches_tracked", batchCount),
    ]
    var parts = variables.compactMap { name, variable in variable.map { (name, $0 as Any) } }
    parts.append(("mode", mode))
    return parts
  }

  func callAsFunction(
    _ x: Tensor, isShapeRight: Bool, _ operation: String, _ expected: String
  ) -> Tensor {
    if x.isFailed { return x }
    guard isShapeRight, x.dim(1) == channels else {
      return fail(
        OpError(operation, "expects \(expected) with C = \(channels), not shape \(x.shape)"))
    }
    let isTraining = mode.isTraining || runningMean == nil
    if isTraining && x.size / max(channels, 1) <= 1 {
      return fail(
        OpError(operation, "needs more than one value per channel in training: \(x.shape)"))
    }
    if mode.isTraining, let batchCount {
      noGrad { batchCount.value = batchCount.value + 1 }
    }
    return batchNorm(
      x, runningMean: runningMean, runningVariance: runningVariance, weight: weight?.value,
      bias: bias?.value, training: isTraining, momentum: momentum, eps: eps)
  }
}
