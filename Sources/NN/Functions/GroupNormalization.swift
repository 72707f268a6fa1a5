import DuetEager
import DuetRuntime

/// Groups of the channels of `[N, C, ...]` with mean 0 and variance 1 in each element of the batch, then scaled and
/// moved channel by channel (Wu and He, 2018).
///
/// - Parameters:
///   - x: Floating point, at least two axes.
///   - groups: How many groups the channels, in order, are divided into; divides C.
///   - weight: A factor for each channel, `[C]`.
///   - bias: A summand for each channel, `[C]`.
///   - eps: Is added to the variance, which is the biased one.
/// - Returns: Of the shape of `x`.
public func groupNorm(
  _ x: Tensor, groups: Int, weight: Tensor? = nil, bias: Tensor? = nil, eps: Double = 1e-5
) -> Tensor {
  groupNorm("groupNorm", x, groups: groups, weight: weight, bias: bias, eps: eps)
}

func groupNorm(
  _ operation: String, _ x: Tensor, groups: Int, weight: Tensor?, bias: Tensor?, eps: Double
) -> Tensor {
  if let failed = firstFailed(x, weight, bias) { return failed }
  guard x.ndim >= 2, x.dtype.isFloatingPoint, groups > 0, x.dim(1) % groups == 0 else {
    return fail(
      OpError(
        operation,
        "needs floating-point channels [N, C, ...] that divide into \(groups) groups, not \(x.type)"
      ))
  }
  if let failed = mistake(operation, channels: x.dim(1), weight, bias) { return failed }
  if groups == x.dim(1) {
    // Each group is a channel: scale and offset are the normalisation's own.
    let (n, rows) = (x.dim(0), x.reshaped(GroupShapes(x.shape, groups).channels))
    let y = batchNorm(rows, weight: weight?.tiled([n]), bias: bias?.tiled([n]), eps: eps)
    return y.isFailed ? y : y.reshaped(x.shape)
  }
  return normalizedGroups(x, groups, weight, bias, eps)
}

/// Each channel of each element of `[N, C, ...]` with mean 0 and variance 1, then scaled and moved channel by channel
/// (Ulyanov and others, 2016), as PyTorch's `instance_norm`.
///
/// By the elements' own statistics, which move the running ones if there are any; otherwise by the running ones.
///
/// - Parameters:
///   - x: Floating point, at least three axes.
///   - runningMean: `[C]`.
///   - runningVariance: `[C]`.
///   - weight: A factor for each channel, `[C]`.
///   - bias: A summand for each channel, `[C]`.
///   - usesInputStatistics: Whether the statistics are those of `x`. If not, running ones are needed.
///   - momentum: How far each batch moves the running statistics toward the mean of its elements' own; the variance is
///     the unbiased one there.
///   - eps: Is added to the variance.
/// - Returns: Of the shape of `x`.
public func instanceNorm(
  _ x: Tensor, runningMean: Variable? = nil, runningVariance: Variable? = nil,
  weight: Tensor? = nil, bias: Tensor? = nil, usesInputStatistics: Bool = true,
  momentum: Double = 0.1, eps: Double = 1e-5
) -> Tensor {
  instanceNorm(
    "instanceNorm", x, runningMean, runningVariance, weight, bias,
    usesInputStatistics: usesInputStatistics, momentum, eps)
}

func instanceNorm(
  _ operation: String, _ x: Tensor, _ runningMean: Variable?, _ runningVariance: Variable?,
  _ weight: Tensor?, _ bias: Tensor?, usesInputStatistics: Bool, _ momentum: Double, _ eps: Double
) -> Tensor {
  if let failed = firstFailed(x, weight, bias) { return failed }
  guard x.ndim >= 3, x.dtype.isFloatingPoint else {
    return fail(
      OpError(operation, "needs floating-point channels [N, C, L, ...], not \(x.type)"))
  }
  if let failed = mistake(operation, channels: x.dim(1), weight, bias) { return failed }
  for running in [runningMean, runningVariance] {
    if let running, running.shape != [x.dim(1)] {
      return fail(
        OpError(
          operation,
          "running statistics of shape \(running.shape) do not fit channels of \(x.shape)"))
    }
  }
  guard usesInputStatistics else {
    guard let runningMean, let runningVariance else {
      return fail(
        OpError(operation, "needs running mean and variance where those of the input are not used"))
    }
    return batchNorm(
      x, mean: runningMean.value, variance: runningVariance.value, weight: weight, bias: bias,
      eps: eps)
  }
  let (n, c) = (x.dim(0), x.dim(1))
  let count = x.shape.dropFirst(2).reduce(1, *)
  guard count > 1 else {
    return fail(
      OpError(operation, "needs more than one value per channel of an element: \(x.shape)"))
  }
  // As many channels of one image as there are in the batch.
  let rows = x.reshaped([1, n * c, count])
  guard
    let (y, moments) = normalizedChannels(rows, weight?.tiled([n]), bias?.tiled([n]), eps)
  else { return .failed }
  if y.isFailed { return y }
  noGrad {
    let means = moments.reshaped([2, n, c]).mean(axis: 1)
    func move(_ running: Variable?, _ current: Tensor) {
      guard let running else { return }
      running.value =
        running.value * (1 - momentum) + (current * momentum).asType(running.dtype)
    }
    if runningMean != nil { move(runningMean, means[0]) }
    if runningVariance != nil {
      move(runningVariance, means[1] * (Double(count) / Double(count - 1)))
    }
  }
  return y.reshaped(x.shape)
}

/// A failed tensor if scale and offset are not one floating-point number for each channel.
private func mistake(
  _ operation: String, channels: Int, _ weight: Tensor?, _ bias: Tensor?
) -> Tensor? {
  for (parameter, what) in [(weight, "weight"), (bias, "bias")] {
    guard let parameter, parameter.shape != [channels] || !parameter.dtype.isFloatingPoint
    else { continue }
    return fail(
      OpError(
        operation,
        "the \(what) is \(parameter.type), expected one number for each of "
          + "\(channels) channels"))
  }
  return nil
}
