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

/// As `scaledDotProductAttention`, with the weights `[..., L, S]`, before dropout, if they are wanted; nil after noting
/// what is wrong.
func attention(
  _ operation: String, _ q: Tensor, _ k: Tensor, _ v: Tensor, _ mask: Tensor?, _ isCausal: Bool,
  _ dropout: Double, _ scale: Double?, needWeights: Bool = false
) -> (result: Tensor, weights: Tensor?)? {
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
  let factor = scale ?? 1 / Double(max(q.dim(-1), 1)).squareRoot()
  // Dropout draws for all rows at once. What does not fit is told of the whole.
  guard isCausal, !needWeights, dropout == 0, !ThreadContext.isForAnySizes,
    let parts = Queries.parts(q, k, v, mask)
  else {
    let all = Queries(
      q: q * factor, keys: k.swappedAxes(-1, -2), mask: mask, causalFrom: isCausal ? 0 : nil)
    guard let weights = all.weights(operation) else { return nil }
    let kept = dropout > 0 ? dropped(weights, dropout) : weights
    return (matmul(kept, v), needWeights ? weights : nil)
  }
  // For finite values the same bits, without the scores of keys that come after all of some rows.
  let (length, count) = (q.dim(-2), k.dim(-2))
  var results: [Tensor] = []
  for part in 0..<parts {
    let (first, end) = (part * length / parts, (part + 1) * length / parts)
    let seen = min(end, count)
    let rows = Queries(
      q: q[.ellipsis, first..<end, 0...] * factor,
      keys: k[.ellipsis, 0..<seen, 0...].swappedAxes(-1, -2),
      mask: mask.map { Queries.mask($0, rows: first..<end, keys: 0..<seen) }, causalFrom: first)
    guard let weights = rows.weights(operation) else { return nil }
    results.append(matmul(weights, v[.ellipsis, 0..<seen, 0...]))
  }
  return (concatenated(results, axis: -2), nil)
}

/// Rows of queries with the keys that they may look at.
private struct Queries {
  /// `[..., L, E]`, scaled.
  let q: Tensor
  /// `[..., E, S]`.
  let keys: Tensor
  let mask: Tensor?
  /// The first row's place, if row i looks at the keys 0 ... i alone.
  let causalFrom: Int?

  /// In how many parts a causal attention is done; nil: in one, or something does not fit. Parts of one row would be
  /// products of a vector, which add in another order.
  static func parts(_ q: Tensor, _ k: Tensor, _ v: Tensor, _ mask: Tensor?) -> Int? {
    let length = q.dim(-2)
    let parts = min(length / 64, 16)
    guard parts > 1 else { return nil }
    func leading(_ tensor: Tensor) -> Shape { Shape(tensor.shape.dropLast(2)) }
    guard let batch = Shape.broadcast(leading(q), leading(k)),
      Shape.broadcast(batch, leading(v)) != nil
    else { return nil }
    if let mask {
      guard mask.dtype == .bool || mask.dtype.isFloatingPoint,
        broadcasts(mask.shape, to: Array(batch) + [length, k.dim(-2)])
      else { return nil }
    }
    return parts
  }

  /// The part of a mask for some rows and keys, where there is more than one.
  static func mask(_ mask: Tensor, rows: Range<Int>, keys: Range<Int>) -> Tensor {
    var part = mask
    if part.ndim >= 1, part.dim(-1) != 1 { part = part[.ellipsis, keys] }
    if part.ndim >= 2, part.dim(-2) != 1 { part = part[.ellipsis, rows, 0...] }
    return part
  }

  /// What each row takes of the values, `[..., L, S]`; nil after noting what is wrong.
  func weights(_ operation: String) -> Tensor? {
    var scores = matmul(q, keys)
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
    if let causalFrom {
      let causal = tri(q.dim(-2), keys.dim(-1), k: causalFrom, dtype: .bool)
      // Every row looks at the first key.
      if mask == nil { return softmax(which(causal, scores, -Double.infinity), axis: -1) }
      allowed = allowed.map { logicalAnd($0, causal) } ?? causal
    }
    // Scores of -∞ alone have no softmax: where there is nothing to see, all is seen, and then forgotten.
    let sees = allowed?.any(axis: -1, keepDims: true)
    if let summand, let sees { scores = scores + which(sees, summand, 0) }
    // Summands hide by themselves what they hide.
    if let allowed, let sees, summand == nil || causalFrom != nil {
      scores = which(logicalOr(allowed, logicalNot(sees)), scores, -Double.infinity)
    }
    let weights = softmax(scores, axis: -1)
    guard mask != nil, let sees else { return weights }
    return which(sees, weights, 0)
  }
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
