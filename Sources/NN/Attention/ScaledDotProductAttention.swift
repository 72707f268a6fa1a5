import DuetEager
import DuetRuntime

/// softmax(q kᵀ · scale + mask) v (Vaswani and others, 2017), as PyTorch's `scaled_dot_product_attention`. Floating
/// point.
///
/// - Parameters:
///   - q: Queries `[..., L, E]`.
///   - k: Keys `[..., S, E]`.
///   - v: Values `[..., S, F]`. Leading axes broadcast.
///   - mask: Whether a query looks at a key, as `bool`, or what is added to its score; broadcasts to `[..., L, S]`.
///   - isCausal: Whether query i looks at the keys 0 ... i alone.
///   - dropout: The probability that a weight is set to 0, the others growing by 1 / (1 - dropout).
///   - scale: The factor of scores; 1/√E if nil.
/// - Returns: `[..., L, F]`; a query that may look at nothing gives zeros.
public func scaledDotProductAttention(
  _ q: Tensor, _ k: Tensor, _ v: Tensor, mask: Tensor? = nil, isCausal: Bool = false,
  dropout: Double = 0, scale: Double? = nil
) -> Tensor {
  attention("scaledDotProductAttention", q, k, v, mask, isCausal, dropout, scale)?.result ?? .failed
}

/// As `scaledDotProductAttention`, with the weights `[..., L, S]`, before dropout; nil after noting what is wrong.
func attention(
  _ operation: String, _ q: Tensor, _ k: Tensor, _ v: Tensor, _ mask: Tensor?, _ isCausal: Bool,
  _ dropout: Double, _ scale: Double?
) -> (result: Tensor, weights: Tensor)? {
  if firstFailed(q, k, v, mask) != nil { return nil }
  let forms = [(q, "queries [..., L, E]"), (k, "keys [..., S, E]"), (v, "values [..., S, F]")]
  for (tensor, what) in forms
  where !tensor.dtype.isFloatingPoint || tensor.ndim < 2 {
    note(OpError(operation, "needs floating-point \(what), not \(tensor.type)"))
    return nil
  }
  guard q.dim(-1) == k.dim(-1), k.dim(-2) == v.dim(-2) else {
    note(
      OpError(
        operation,
        "queries \(q.shape), keys \(k.shape) and values \(v.shape) do not fit [L, E], [S, E] and "
          + "[S, F]"))
    return nil
  }
  if !(0...1 ~= dropout) {
    noteImprobable(dropout, "dropout", in: operation)
    return nil
  }
  let keys = k.swappedAxes(-1, -2)
  var scores = matmul(q * (scale ?? 1 / Double(max(q.dim(-1), 1)).squareRoot()), keys)
  if scores.isFailed { return nil }
  if let mask {
    guard mask.dtype == .bool || mask.dtype.isFloatingPoint,
      broadcasts(mask.shape, to: scores.shape)
    else {
      note(
        OpError(
          operation,
          "the mask is \(mask.type), expected bool or floating point that broadcasts to "
            + "\(scores.shape)"))
      return nil
    }
  }
  // In the dtype of the scores: a large number may be infinite there.
  let summand = mask.flatMap { $0.dtype == .bool ? nil : $0.asType(scores.dtype) }
  var allowed = summand.map { $0 .!= -Double.infinity } ?? mask
  if let scalar = allowed, scalar.ndim == 0 { allowed = scalar.reshaped([1]) }
  if isCausal {
    let causal = tri(q.dim(-2), k.dim(-2), dtype: .bool)
    allowed = allowed.map { logicalAnd($0, causal) } ?? causal
  }
  // Scores of -∞ alone have no softmax: where there is nothing to see, all is seen, and then forgotten.
  let sees = allowed?.any(axis: -1, keepDims: true)
  if let summand, let sees { scores = scores + which(sees, summand, 0) }
  // Summands hide by themselves what they hide.
  if let allowed, let sees, summand == nil || isCausal {
    scores = which(logicalOr(allowed, logicalNot(sees)), scores, -Double.infinity)
  }
  var weights = softmax(scores, axis: -1)
  if mask != nil, let sees { weights = which(sees, weights, 0) }
  let kept = dropout > 0 ? dropped(weights, dropout) : weights
  return (matmul(kept, v), weights)
}

/// What `Dropout` gives in training.
private func dropped(_ x: Tensor, _ p: Double) -> Tensor {
  if p >= 1 { return x * 0 }
  return x * (Random.bernoulli(1 - p, x.shape).asType(x.dtype) * (1 / (1 - p)))
}

private func broadcasts(_ shape: [Int], to target: [Int]) -> Bool {
  shape.count <= target.count
    && zip(shape.reversed(), target.reversed()).allSatisfy { $0 == $1 || $0 == 1 }
}
