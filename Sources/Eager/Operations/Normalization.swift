import DuetRuntime

/// Elements with mean 0 and variance 1 over the last `axes` axes, then scaled and moved (Ba and others,
/// 2016).
///
/// Mean and variance (biased) come of two passes with a correction, in the elements' dtype, of 16-bit
/// floats in `float32`. A row with NaN or an infinity is NaN.
///
/// - Parameters:
///   - x: Floating point.
///   - weight: A factor for each element of a row, of the last axes' shape.
///   - bias: A summand for each element of a row, of the last axes' shape.
///   - eps: Is added to the variance.
public func layerNorm(
  _ x: Tensor, weight: Tensor? = nil, bias: Tensor? = nil, axes: Int = 1, eps: Double = 1e-5
) -> Tensor {
  normalizedRows(x, weight, bias, RowNorm(.layer, axes: axes, eps: eps), "layerNorm")
}

/// Elements over the root of their mean square over the last `axes` axes, then scaled (Zhang and
/// Sennrich, 2019).
///
/// - Parameters:
///   - x: Floating point.
///   - weight: A factor for each element of a row, of the last axes' shape.
///   - eps: Is added to the mean square; the distance from 1 to the next number of the dtype if nil.
public func rmsNorm(
  _ x: Tensor, weight: Tensor? = nil, axes: Int = 1, eps: Double? = nil
) -> Tensor {
  let eps = eps ?? x.dtype.epsilon
  return normalizedRows(
    x, weight, nil, RowNorm(.rootMeanSquare, axes: axes, eps: eps), "rmsNorm")
}

private func normalizedRows(
  _ x: Tensor, _ weight: Tensor?, _ bias: Tensor?, _ norm: RowNorm, _ operation: String
) -> Tensor {
  guard x.requireFloatingPoint(operation) else { return .failed }
  guard norm.axes >= 0 && norm.axes <= x.ndim else {
    return fail(OpError(operation, "cannot be over \(norm.axes) axes of shape \(x.shape)"))
  }
  let shape = Array(x.shape.suffix(norm.axes))
  guard let inputs = scaled(x, weight, bias, shape, operation) else { return .failed }
  return apply(.rowNorm(norm), norm.kind == .layer ? inputs : Array(inputs.dropLast()))
}

/// Input, scale and offset in their common dtype, ones and zeros for those left out; nil after noting
/// what is wrong.
private func scaled(
  _ x: Tensor, _ weight: Tensor?, _ bias: Tensor?, _ shape: [Int], _ operation: String
) -> [Tensor]? {
  var dtype = x.dtype
  for (parameter, what) in [(weight, "weight"), (bias, "bias")] {
    guard let parameter else { continue }
    if parameter.isFailed { return nil }
    guard parameter.shape == shape, parameter.dtype.isFloatingPoint else {
      note(OpError(operation, "the \(what) is \(parameter.type), expected \(dtype)\(shape)"))
      return nil
    }
    dtype = DType.promoted(dtype, parameter.dtype)
  }
  return [
    x.asType(dtype), weight?.asType(dtype) ?? ones(shape, dtype: dtype),
    bias?.asType(dtype) ?? zeros(shape, dtype: dtype),
  ]
}

/// The means and biased variances of the channels of `[N, C, ...]`: `[2, C]`; of 16-bit floats in
/// `float32`.
package func channelMoments(_ x: Tensor) -> Tensor { apply(.channelMoments, x) }

/// Channels `[N, C, ...]` with mean 0 and variance 1 by their own statistics, then scaled and moved
/// (Ioffe and Szegedy, 2015).
///
/// - Parameters:
///   - x: Floating point, at least two axes.
///   - weight: A factor for each channel, `[C]`.
///   - bias: A summand for each channel, `[C]`.
///   - eps: Is added to the variance.
public func batchNorm(
  _ x: Tensor, weight: Tensor? = nil, bias: Tensor? = nil, eps: Double = 1e-5
) -> Tensor {
  normalizedChannels(x, weight, bias, eps)?.result ?? .failed
}

/// As ``batchNorm(_:weight:bias:eps:)``, with the moments that it was done by.
package func normalizedChannels(
  _ x: Tensor, _ weight: Tensor?, _ bias: Tensor?, _ eps: Double
) -> (result: Tensor, moments: Tensor)? {
  guard let inputs = channels(x, weight, bias) else { return nil }
  // The gradient goes through the moments without help of theirs.
  let moments = channelMoments(inputs[0].detached())
  let norm = ChannelNorm(eps: eps, ownMoments: true)
  return (apply(.channelNorm(norm), [inputs[0], moments, inputs[1], inputs[2]]), moments)
}

/// Channels `[N, C, ...]` less given means, over the roots of given variances, then scaled and moved.
///
/// - Parameters:
///   - mean: `[C]`.
///   - variance: `[C]`.
public func batchNorm(
  _ x: Tensor, mean: Tensor, variance: Tensor, weight: Tensor? = nil, bias: Tensor? = nil,
  eps: Double = 1e-5
) -> Tensor {
  guard let inputs = channels(x, weight, bias) else { return .failed }
  for (moment, what) in [(mean, "mean"), (variance, "variance")] where moment.shape != [x.dim(1)] {
    return moment.isFailed
      ? .failed
      : fail(OpError("batchNorm", "the \(what) has shape \(moment.shape), not [\(x.dim(1))]"))
  }
  let moments = stacked([mean, variance], axis: 0).asType(inputs[0].dtype.statisticsDType)
  let norm = ChannelNorm(eps: eps, ownMoments: false)
  return apply(.channelNorm(norm), [inputs[0], moments, inputs[1], inputs[2]])
}

/// Batch normalisation with running statistics, as PyTorch's `batch_norm`.
///
/// In training by the batch's own statistics, which move the running ones; otherwise by the running
/// ones.
///
/// - Parameters:
///   - training: Whether the batch's own statistics are used.
///   - momentum: How far each batch moves the running statistics toward its own; the variance is the
///     unbiased one there.
public func batchNorm(
  _ x: Tensor, runningMean: Variable?, runningVariance: Variable?, weight: Tensor? = nil,
  bias: Tensor? = nil, training: Bool = false, momentum: Double = 0.1, eps: Double = 1e-5
) -> Tensor {
  if !training, let runningMean, let runningVariance {
    return batchNorm(
      x, mean: runningMean.value, variance: runningVariance.value, weight: weight, bias: bias,
      eps: eps)
  }
  guard training || (runningMean == nil && runningVariance == nil) else {
    return fail(OpError("batchNorm", "needs running mean and variance both, or neither"))
  }
  guard let (result, moments) = normalizedChannels(x, weight, bias, eps) else { return .failed }
  let count = x.size / Swift.max(x.dim(1), 1)
  guard count > 1 || !training else {
    return fail(
      OpError("batchNorm", "needs more than one value per channel in training: \(x.shape)"))
  }
  noGrad {
    func move(_ running: Variable?, _ current: Tensor) {
      guard let running else { return }
      running.value =
        running.value * (1 - momentum) + (current * momentum).asType(running.type.dtype)
    }
    move(runningMean, moments[0])
    move(runningVariance, moments[1] * (Double(count) / Double(count - 1)))
  }
  return result
}

private func channels(_ x: Tensor, _ weight: Tensor?, _ bias: Tensor?) -> [Tensor]? {
  guard x.requireFloatingPoint("batchNorm") else { return nil }
  guard x.ndim >= 2 else {
    note(OpError("batchNorm", "needs channels [N, C, ...], not shape \(x.shape)"))
    return nil
  }
  return scaled(x, weight, bias, [x.dim(1)], "batchNorm")
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
