import DuetEager
import DuetRuntime

/// The cross entropy of class scores and labels: -log softmax(logits)[label].
///
/// A label that is neither a class, 0 ..< C, nor `ignoreIndex` is an error.
///
/// - Parameters:
///   - logits: Unnormalised scores `[N, C]` or `[N, C, ...]`, or `[C]`.
///   - labels: Classes as integers `[N]` or `[N, ...]`, or probabilities of the shape of `logits`.
///   - weight: A factor for each class, `[C]`, a constant. A mean is then weighted by the labels' factors.
///   - labelSmoothing: How much of each label is spread evenly over all classes (Szegedy and others, 2016).
///   - ignoreIndex: A label whose elements do not count; nil: none. A mean over no labels is NaN.
public func crossEntropy(
  _ logits: Tensor, _ labels: Tensor, reduction: Reduction = .mean, weight: Tensor? = nil,
  labelSmoothing: Double = 0, ignoreIndex: Int? = -100
) -> Tensor {
  guard 0...1 ~= labelSmoothing else {
    return fail(OpError("crossEntropy", "a label smoothing of \(labelSmoothing) is not in 0 ... 1"))
  }
  if labels.dtype.isFloatingPoint && !logits.isFailed && !labels.isFailed {
    return crossEntropy(logits, probabilities: labels, reduction, weight, labelSmoothing)
  }
  return loss(
    "crossEntropy", logits, labels, weight,
    CrossEntropy(
      reduction: reduction.code, hasWeights: weight != nil, ignored: ignoreIndex,
      smoothing: labelSmoothing))
}

/// The negative of the log-probability of each label: what is left of `crossEntropy` after the softmax.
///
/// A label that is neither a class, 0 ..< C, nor `ignoreIndex` is an error.
///
/// - Parameters:
///   - logProbabilities: `[N, C]` or `[N, C, ...]`, or `[C]`.
///   - labels: Classes as integers `[N]` or `[N, ...]`.
///   - weight: A factor for each class, `[C]`, a constant. A mean is then weighted by the labels' factors.
///   - ignoreIndex: A label whose elements do not count; nil: none. A mean over no labels is NaN.
public func nllLoss(
  _ logProbabilities: Tensor, _ labels: Tensor, reduction: Reduction = .mean, weight: Tensor? = nil,
  ignoreIndex: Int? = -100
) -> Tensor {
  loss(
    "nllLoss", logProbabilities, labels, weight,
    CrossEntropy(
      reduction: reduction.code, hasWeights: weight != nil, ignored: ignoreIndex,
      areLogProbabilities: true))
}

private func loss(
  _ operation: String, _ scores: Tensor, _ labels: Tensor, _ weight: Tensor?, _ loss: CrossEntropy
) -> Tensor {
  for input in [scores, labels, weight ?? scores] where input.isFailed { return input }
  guard scores.ndim > 0, scores.dtype.isFloatingPoint else {
    return fail(
      OpError(operation, "needs scores of shape [N, C] or [C], not \(scores.type)"))
  }
  let axis = CrossEntropy.axis(of: scores.body.layout.shape)
  guard !labels.dtype.isFloatingPoint, labels.dtype != .bool,
    labels.body.layout.shape == scores.body.layout.shape.removing(axis: axis)
  else {
    return fail(
      OpError(
        operation,
        "scores \(scores.type) need integer labels of that shape without axis \(axis), not "
          + "\(labels.type)"))
  }
  let labels = labels.dtype == .int32 ? labels : labels.asType(.int64)
  guard let weight else { return apply(.crossEntropy(loss), scores, labels) }
  if let error = mistake(operation, weight, classes: scores.dim(axis)) { return fail(error) }
  return apply(.crossEntropy(loss), [scores, labels, weight.asType(scores.dtype)])
}

/// What is wrong with a factor for each class, if anything is.
private func mistake(_ operation: String, _ weight: Tensor, classes: Int) -> OpError? {
  if weight.shape != [classes] {
    return OpError(operation, "the weight has shape \(weight.shape), not [\(classes)]")
  }
  if weight.requiresGrad {
    return OpError(operation, "the weight is a constant and has no gradient; detach it")
  }
  return nil
}

extension Reduction {
  fileprivate var code: CrossEntropy.Reduction {
    switch self {
    case .none: .each
    case .mean: .mean
    case .sum: .sum
    }
  }
}

private func crossEntropy(
  _ logits: Tensor, probabilities: Tensor, _ reduction: Reduction, _ weight: Tensor?,
  _ labelSmoothing: Double
) -> Tensor {
  guard probabilities.shape == logits.shape, logits.ndim > 0 else {
    return fail(
      OpError(
        "crossEntropy",
        "scores \(logits.type) need probabilities of the same shape, not "
          + "\(probabilities.type)"))
  }
  let axis = CrossEntropy.axis(of: logits.body.layout.shape)
  var target = probabilities
  if labelSmoothing > 0 {
    target = target * (1 - labelSmoothing) + labelSmoothing / Double(logits.dim(axis))
  }
  var terms = logSoftmax(logits, axis: axis) * target
  if let weight {
    if weight.isFailed { return weight }
    guard weight.shape == [logits.dim(axis)] else {
      return fail(
        OpError(
          "crossEntropy", "the weight has shape \(weight.shape), not [\(logits.dim(axis))]"))
    }
    var shape = Array(repeating: 1, count: logits.ndim)
    shape[axis] = -1
    terms = terms * weight.reshaped(shape)
  }
  return reduction(-terms.sum(axis: axis))
}

/// The cross entropy of probabilities in 0 ... 1 and targets: -(t log p + (1 - t) log(1 - p)).
///
/// Logarithms are kept above -100, as in PyTorch. `binaryCrossEntropyWithLogits` is safer and faster.
public func binaryCrossEntropy(
  _ probabilities: Tensor, _ targets: Tensor, weight: Tensor? = nil, reduction: Reduction = .mean
) -> Tensor {
  if let error = mistake("binaryCrossEntropy", probabilities, targets) { return error }
  let dtype = DType.promoted(probabilities.dtype, targets.dtype)
  // Logarithms are bounded by -100, and the divisor of their slopes by 10⁻¹², as in PyTorch.
  func logarithms(_ p: Tensor) -> (hit: Tensor, miss: Tensor) {
    (maximum(log(p), -100), maximum(log1p(-p), -100))
  }
  let losses = elementwiseFunction(
    "binaryCrossEntropy", FusedCode(.probabilities),
    [probabilities.asType(dtype), targets.asType(dtype)],
    reducedBy: weight == nil ? reduction.op : nil
  ) { inputs in
    let (hit, miss) = logarithms(inputs[0])
    return (inputs[1] - 1) * miss - inputs[1] * hit
  } gradient: { inputs, wanted, dy in
    let p = inputs[0]
    func slope() -> Tensor { (p - inputs[1]) / maximum((1 - p) * p, 1e-12) }
    func difference() -> Tensor {
      let (hit, miss) = logarithms(p)
      return miss - hit
    }
    return [wanted[0] ? dy * slope() : nil, wanted[1] ? dy * difference() : nil]
  }
  guard let weight else { return losses }
  return reduction(losses * weight)
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
  let losses: Tensor
  if let positiveWeight {
    losses = (1 - targets) * logits + softplus(-logits) * ((positiveWeight - 1) * targets + 1)
  } else {
    losses = elementwiseFunction(
      "binaryCrossEntropyWithLogits", FusedCode(.logits), [logits, targets],
      reducedBy: weight == nil ? reduction.op : nil
    ) { inputs in
      (1 - inputs[1]) * inputs[0] + softplus(-inputs[0])
    } gradient: { inputs, wanted, dy in
      [
        wanted[0] ? dy * (sigmoid(inputs[0]) - inputs[1]) : nil,
        wanted[1] ? -(dy * inputs[0]) : nil,
      ]
    }
    if weight == nil { return losses }
  }
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
  if let error = mistake("klDivergence", logProbabilities, targets) { return error }
  if logTargets { return reduction(exp(targets) * (targets - logProbabilities)) }
  // t log t goes to 0 with t.
  let isPositive = targets .> 0
  let entropy = targets * log(which(isPositive, targets, 1))
  return reduction(entropy - targets * logProbabilities)
}
