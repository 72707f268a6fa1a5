import DuetEager
import DuetRuntime

/// The cross entropy of class scores and labels: -log softmax(logits)[label].
///
/// - Parameters:
///   - logits: Unnormalised scores `[N, C]` or `[N, C, ...]`, or `[C]`.
///   - labels: Classes as integers `[N]` or `[N, ...]`, or probabilities of the shape of `logits`.
///   - weight: A factor for each class, `[C]`. A mean is then weighted by the labels' factors.
///   - labelSmoothing: How much of each label is spread evenly over all classes (Szegedy and others, 2016).
///   - ignoreIndex: A label whose elements do not count.
public func crossEntropy(
  _ logits: Tensor, _ labels: Tensor, reduction: Reduction = .mean, weight: Tensor? = nil,
  labelSmoothing: Double = 0, ignoreIndex: Int? = nil
) -> Tensor {
  if logits.isFailed || labels.isFailed { return logits.isFailed ? logits : labels }
  let axis = logits.ndim <= 1 ? 0 : 1
  guard logits.ndim > 0 else {
    return fail(OpError("crossEntropy", "needs scores of shape [N, C] or [C], not a scalar"))
  }
  let logProbabilities = logSoftmax(logits, axis: axis)
  if labels.dtype.isFloatingPoint {
    return crossEntropy(
      logProbabilities, probabilities: labels, axis, reduction, weight, labelSmoothing)
  }
  if let error = ClassLabels.mistake("crossEntropy", labels, scores: logits, axis, weight) {
    return fail(error)
  }
  let labels = ClassLabels(labels, axis, weight, ignoreIndex)
  if labelSmoothing == 0 { return labels.loss(logProbabilities, reduction) }
  // Every class has a share; the label's class has the rest besides.
  let even =
    -(weight.map { logProbabilities * perClass($0, logits.ndim, axis) } ?? logProbabilities)
    .sum(axis: axis)
  let classes = Double(logits.dim(axis))
  let smooth = labels.masked(even) * (labelSmoothing / classes)
  return labels.reduced(labels.chosen(logProbabilities) * (1 - labelSmoothing) + smooth, reduction)
}

/// The negative of the log-probability of each label: what is left of `crossEntropy` after the softmax.
///
/// - Parameters:
///   - logProbabilities: `[N, C]` or `[N, C, ...]`, or `[C]`.
///   - labels: Classes as integers `[N]` or `[N, ...]`.
///   - weight: A factor for each class, `[C]`. A mean is then weighted by the labels' factors.
///   - ignoreIndex: A label whose elements do not count.
public func nllLoss(
  _ logProbabilities: Tensor, _ labels: Tensor, reduction: Reduction = .mean, weight: Tensor? = nil,
  ignoreIndex: Int? = nil
) -> Tensor {
  if logProbabilities.isFailed || labels.isFailed {
    return logProbabilities.isFailed ? logProbabilities : labels
  }
  let axis = logProbabilities.ndim <= 1 ? 0 : 1
  if let error = ClassLabels.mistake("nllLoss", labels, scores: logProbabilities, axis, weight) {
    return fail(error)
  }
  return ClassLabels(labels, axis, weight, ignoreIndex).loss(logProbabilities, reduction)
}

/// Labels that name classes, ready to pick from scores.
private struct ClassLabels {
  let labels: Tensor
  let axis: Int
  let weight: Tensor?
  let isCounted: Tensor?

  /// Why labels and scores do not fit, if they do not.
  static func mistake(
    _ operation: String, _ labels: Tensor, scores: Tensor, _ axis: Int, _ weight: Tensor?
  ) -> OpError? {
    guard !labels.dtype.isFloatingPoint, labels.dtype != .bool, scores.ndim > 0,
      labels.body.layout.shape == scores.body.layout.shape.removing(axis: axis)
    else {
      return OpError(
        operation,
        "scores \(scores.type) need integer labels of that shape without axis \(axis), not "
          + "\(labels.type)")
    }
    if let weight, weight.shape != [scores.dim(axis)] {
      return OpError(operation, "the weight has shape \(weight.shape), not [\(scores.dim(axis))]")
    }
    return nil
  }

  init(_ labels: Tensor, _ axis: Int, _ weight: Tensor?, _ ignoreIndex: Int?) {
    self.axis = axis
    self.weight = weight
    isCounted = ignoreIndex.map { labels .!= $0 }
    self.labels = isCounted.map { which($0, labels, 0) } ?? labels
  }

  /// The reduced loss, in as few operations as it takes: the usual one is in every step of training.
  func loss(_ logProbabilities: Tensor, _ reduction: Reduction) -> Tensor {
    if weight == nil && isCounted == nil && reduction != .none {
      return -reduction(picked(logProbabilities))
    }
    return reduced(chosen(logProbabilities), reduction)
  }

  private func picked(_ logProbabilities: Tensor) -> Tensor {
    takeAlong(logProbabilities, labels.expandedDimensions(axis: axis), axis: axis)
  }

  /// The weighted loss of each label.
  func chosen(_ logProbabilities: Tensor) -> Tensor {
    let losses = -picked(logProbabilities).squeezed(axis: axis)
    return masked(weight.map { losses * take($0, labels, axis: 0) } ?? losses)
  }

  /// 0 for what does not count.
  func masked(_ losses: Tensor) -> Tensor { isCounted.map { which($0, losses, 0) } ?? losses }

  func reduced(_ losses: Tensor, _ reduction: Reduction) -> Tensor {
    guard reduction == .mean, weight != nil || isCounted != nil else { return reduction(losses) }
    let share = weight.map { take($0, labels, axis: 0) } ?? ones(like: losses)
    return losses.sum() / masked(share).sum()
  }
}

private func crossEntropy(
  _ logProbabilities: Tensor, probabilities: Tensor, _ axis: Int, _ reduction: Reduction,
  _ weight: Tensor?, _ labelSmoothing: Double
) -> Tensor {
  guard probabilities.shape == logProbabilities.shape else {
    return fail(
      OpError(
        "crossEntropy",
        "scores \(logProbabilities.type) need probabilities of the same shape, not "
          + "\(probabilities.type)"))
  }
  var target = probabilities
  if labelSmoothing > 0 {
    let classes = Double(logProbabilities.dim(axis))
    target = target * (1 - labelSmoothing) + labelSmoothing / classes
  }
  var terms = logProbabilities * target
  if let weight { terms = terms * perClass(weight, logProbabilities.ndim, axis) }
  return reduction(-terms.sum(axis: axis))
}

/// A factor for each class, to go with scores.
private func perClass(_ weight: Tensor, _ rank: Int, _ axis: Int) -> Tensor {
  var shape = Array(repeating: 1, count: rank)
  shape[axis] = -1
  return weight.reshaped(shape)
}

/// The cross entropy of probabilities in 0 ... 1 and targets: -(t log p + (1 - t) log(1 - p)).
///
/// Logarithms are kept above -100, as in PyTorch. `binaryCrossEntropyWithLogits` is safer and faster.
public func binaryCrossEntropy(
  _ probabilities: Tensor, _ targets: Tensor, weight: Tensor? = nil, reduction: Reduction = .mean
) -> Tensor {
  if let error = mistake("binaryCrossEntropy", probabilities, targets) { return error }
  // 0 and 1 are kept from the logarithms, whose gradients there would give 0 · ∞; theirs count as 0.
  let (isZero, isOne) = (probabilities .== 0, probabilities .== 1)
  let hit = which(isZero, -100, maximum(log(which(isZero, 1, probabilities)), -100))
  let miss = which(isOne, -100, maximum(log1p(-which(isOne, 0, probabilities)), -100))
  let losses = -(targets * hit + (1 - targets) * miss)
  return reduction(weight.map { losses * $0 } ?? losses)
}

/// A failed tensor if scores and targets differ in shape: `[N, 1]` and `[N]` would broadcast to `[N, N]`.
private func mistake(_ operation: String, _ scores: Tensor, _ targets: Tensor) -> Tensor? {
  if scores.isFailed || targets.isFailed { return scores.isFailed ? scores : targets }
  if scores.shape == targets.shape { return nil }
  return fail(
    OpError(
      operation, "scores \(scores.shape) need targets of the same shape, not \(targets.shape)"))
}

/// The cross entropy of sigmoid(logits) and targets in 0 ... 1, without overflow.
///
/// - Parameters:
///   - weight: A factor for each element; broadcasts.
///   - positiveWeight: A factor for the positive part of each target; broadcasts.
public func binaryCrossEntropyWithLogits(
  _ logits: Tensor, _ targets: Tensor, weight: Tensor? = nil, positiveWeight: Tensor? = nil,
  reduction: Reduction = .mean
) -> Tensor {
  if let error = mistake("binaryCrossEntropyWithLogits", logits, targets) { return error }
  // (1 - t) x + softplus(-x), the second term times 1 + (w - 1) t
  let negative = softplus(-logits)
  let scaled = positiveWeight.map { negative * (($0 - 1) * targets + 1) } ?? negative
  let losses = (1 - targets) * logits + scaled
  return reduction(weight.map { losses * $0 } ?? losses)
}

/// The Kullback-Leibler divergence Σ t (log t - input) of log-probabilities from targets, elementwise.
///
/// - Parameters:
///   - logProbabilities: The logarithms of the model's probabilities.
///   - targets: Probabilities, or with `logTargets` their logarithms.
public func klDivergence(
  _ logProbabilities: Tensor, _ targets: Tensor, logTargets: Bool = false,
  reduction: Reduction = .mean
) -> Tensor {
  if logTargets { return reduction(exp(targets) * (targets - logProbabilities)) }
  // t log t goes to 0 with t.
  let isPositive = targets .> 0
  let entropy = targets * log(which(isPositive, targets, 1))
  return reduction(entropy - targets * logProbabilities)
}
