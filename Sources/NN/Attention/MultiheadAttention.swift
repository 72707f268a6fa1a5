import DuetEager
import DuetRuntime

/// Attention in several heads side by side (Vaswani and others, 2017), as PyTorch's layer of that name.
///
///     let attention = MultiheadAttention(512, 8, batchFirst: true)
///     let (y, _) = attention(x, x, x, needWeights: false)        // x and y: [N, L, 512]
///
/// Parameters are PyTorch's: `in_proj_weight` `[3 E, E]`, the projections of queries, keys and values one below the
/// other, or `q_proj_weight` `[E, E]`, `k_proj_weight` `[E, kdim]` and `v_proj_weight` `[E, vdim]` where these differ;
/// `in_proj_bias` `[3 E]`, `out_proj.weight` `[E, E]`, `out_proj.bias` `[E]`. Projections begin uniformly distributed
/// after Glorot and Bengio (2010), biases as zeros.
///
/// As in PyTorch, and unlike `scaledDotProductAttention`, `true` in a mask is what nobody looks at.
public struct MultiheadAttention: Module, NamesItsParts, Sendable {
  /// E: the features of queries and results.
  public let dimensions: Int
  /// The number of heads, each with E / heads features.
  public let heads: Int
  /// The projections of queries, keys and values in one, where all have E features.
  public let inProjWeight: Parameter?
  /// The projections of queries, keys and values, where these have other numbers of features.
  public let projWeights: (query: Parameter, key: Parameter, value: Parameter)?
  /// `[3 E]`.
  public let inProjBias: Parameter?
  /// From the heads' results to the layer's.
  public let outProj: Linear
  let keyDimensions: Int
  let valueDimensions: Int
  let batchFirst: Bool
  let dropout: Double
  let mode = TrainingMode()

  /// Defaults are PyTorch's.
  /// - Parameters:
  ///   - dimensions: E; a multiple of `heads`.
  ///   - dropout: The probability that a weight is set to 0 in training.
  ///   - bias: Whether projections have summands.
  ///   - kdim: The features of keys; E if nil.
  ///   - vdim: The features of values; E if nil.
  ///   - batchFirst: Whether batches are `[N, L, E]` instead of `[L, N, E]`.
  public init(
    _ dimensions: Int, _ heads: Int, dropout: Double = 0, bias: Bool = true, kdim: Int? = nil,
    vdim: Int? = nil, batchFirst: Bool = false, dtype: DType = .float32
  ) {
    let (k, v) = (kdim ?? dimensions, vdim ?? dimensions)
    noteNegative(["kdim": k, "vdim": v], in: "MultiheadAttention")
    if dimensions < 1 || heads < 1 || dimensions % max(heads, 1) != 0 {
      note(
        OpError(
          "MultiheadAttention", "\(dimensions) features do not divide into \(heads) heads"))
    }
    noteImprobable(dropout, "dropout", in: "MultiheadAttention")
    self.dimensions = dimensions
    self.heads = max(heads, 1)
    self.dropout = dropout
    self.batchFirst = batchFirst
    (keyDimensions, valueDimensions) = (k, v)
    let e = boundedSize(dimensions)
    func weight(_ rows: Int, _ columns: Int, _ name: String) -> Parameter {
      Parameter(Initializer.xavierUniform()([rows, columns], dtype: dtype), name: name)
    }
    if k == dimensions && v == dimensions {
      inProjWeight = weight(3 * e, e, "in_proj_weight")
      projWeights = nil
    } else {
      inProjWeight = nil
      projWeights = (
        weight(e, e, "q_proj_weight"), weight(e, k, "k_proj_weight"), weight(e, v, "v_proj_weight")
      )
    }
    inProjBias = bias ? Parameter(zeros([3 * e], dtype: dtype), name: "in_proj_bias") : nil
    outProj = Linear(e, e, bias: bias, dtype: dtype)
    outProj.bias?.value = zeros([e], dtype: dtype)
  }

  /// The names that PyTorch's state dicts have.
  var parts: [(name: String, part: Any)] {
    var parts: [(name: String, part: Any)] = []
    if let inProjWeight { parts.append(("in_proj_weight", inProjWeight)) }
    if let projWeights {
      parts += [
        ("q_proj_weight", projWeights.query), ("k_proj_weight", projWeights.key),
        ("v_proj_weight", projWeights.value),
      ]
    }
    if let inProjBias { parts.append(("in_proj_bias", inProjBias)) }
    return parts + [("out_proj", outProj), ("mode", mode)]
  }

  /// - Parameters:
  ///   - query: `[L, N, E]`, with `batchFirst` `[N, L, E]`, or `[L, E]`.
  ///   - key: `[S, N, kdim]`, with axes as those of `query`.
  ///   - value: `[S, N, vdim]`, with axes as those of `query`.
  ///   - keyPaddingMask: `[N, S]`, or `[S]` without N: which keys nobody looks at, as `bool`, or what is added to their
  ///     scores.
  ///   - attentionMask: `[L, S]`, or `[N · heads, L, S]`: which keys a query does not look at, or what is added to the
  ///     scores.
  ///   - needWeights: Whether the weights are wanted.
  ///   - averageWeights: Whether weights are the mean of the heads' ones, `[N, L, S]`, or of each head,
  ///     `[N, heads, L, S]`.
  ///   - isCausal: Whether query i looks at the keys 0 ... i alone, whatever the masks say beside.
  /// - Returns: The result, of the form of `query`, and the weights, without dropout.
  public func callAsFunction(
    _ query: Tensor, _ key: Tensor, _ value: Tensor, keyPaddingMask: Tensor? = nil,
    attentionMask: Tensor? = nil, needWeights: Bool = true, averageWeights: Bool = true,
    isCausal: Bool = false
  ) -> (output: Tensor, weights: Tensor?) {
    let failed = (Tensor.failed, needWeights ? Tensor.failed : nil)
    guard hasFittingForms(query, key, value) else { return failed }
    let isSingle = query.ndim == 2
    let projected = projections(query, key, value)
    // [N, heads, L, E / heads]
    let parts = projected.map { x -> Tensor in
      let batched = isSingle ? x.expandedDimensions(axis: 0) : x
      let divided = batched.reshaped([batched.dim(0), batched.dim(1), heads, dimensions / heads])
      return divided.transposed(axes: batchFirst || isSingle ? [0, 2, 1, 3] : [1, 2, 0, 3])
    }
    if let error = parts.first(where: \.isFailed) { return (error, needWeights ? error : nil) }
    let (n, l, s) = (parts[0].dim(0), parts[0].dim(2), parts[1].dim(2))
    let masks: [Tensor?] = [
      mask(attentionMask, [l, s], [n * heads, l, s], "attentionMask")?.reshapedForHeads(
        n, heads, l, s),
      mask(keyPaddingMask, isSingle ? [s] : [n, s], nil, "keyPaddingMask")?.reshaped([n, 1, 1, s]),
    ]
    if masks.contains(where: { $0?.isFailed == true }) { return failed }
    guard
      let (heads, weights) = attention(
        "MultiheadAttention", parts[0], parts[1], parts[2], joined(masks.compactMap { $0 }),
        isCausal,
        mode.isTraining ? dropout : 0, nil, needWeights: needWeights)
    else { return failed }
    let order = batchFirst || isSingle ? [0, 2, 1, 3] : [2, 0, 1, 3]
    let output = outProj(heads.transposed(axes: order).reshaped(query.shape))
    guard let weights else { return (output, nil) }
    let shown = averageWeights ? weights.mean(axis: 1) : weights
    return (output, isSingle ? shown.squeezed(axis: 0) : shown)
  }

  private func hasFittingForms(_ query: Tensor, _ key: Tensor, _ value: Tensor) -> Bool {
    if firstFailed(query, key, value) != nil { return false }
    let isBatchFirst = batchFirst || query.ndim == 2
    let axes = (batch: isBatchFirst ? 0 : 1, length: isBatchFirst ? query.ndim - 2 : 0)
    guard [query, key, value].allSatisfy({ $0.dtype.isFloatingPoint && $0.ndim == query.ndim }),
      query.ndim == 2 || query.ndim == 3,
      query.dim(-1) == dimensions, key.dim(-1) == keyDimensions, value.dim(-1) == valueDimensions,
      key.dim(axes.length) == value.dim(axes.length),
      query.ndim == 2
        || (query.dim(axes.batch) == key.dim(axes.batch)
          && key.dim(axes.batch) == value.dim(axes.batch))
    else {
      let form = batchFirst ? "[N, L, features]" : "[L, N, features]"
      note(
        OpError(
          "MultiheadAttention",
          "expects floating-point \(form) with \(dimensions), \(keyDimensions) and "
            + "\(valueDimensions) features, not queries \(query.type), keys \(key.type) and values "
            + "\(value.type)"))
      return false
    }
    return true
  }

  /// Queries, keys and values, each `[..., E]`. What comes from one tensor meets its weights in one product.
  private func projections(_ query: Tensor, _ key: Tensor, _ value: Tensor) -> [Tensor] {
    let bias = inProjBias?.value
    func biases(_ range: Range<Int>) -> Tensor? {
      bias.map { $0[range.lowerBound * dimensions..<range.upperBound * dimensions] }
    }
    guard let inProjWeight else {
      let weights = [projWeights!.query.value, projWeights!.key.value, projWeights!.value.value]
      return zip([query, key, value], weights).enumerated().map { i, pair in
        linear(pair.0, pair.1, biases(i..<i + 1))
      }
    }
    let weight = inProjWeight.value
    func product(_ x: Tensor, _ range: Range<Int>) -> [Tensor] {
      let rows =
        range.count == 3
        ? weight : weight[range.lowerBound * dimensions..<range.upperBound * dimensions]
      let y = linear(x, rows, range.count == 3 ? bias : biases(range))
      return range.count == 1 ? [y] : y.split(parts: range.count, axis: -1)
    }
    if key.body === value.body {
      return query.body === key.body
        ? product(query, 0..<3) : product(query, 0..<1) + product(key, 1..<3)
    }
    return product(query, 0..<1) + product(key, 1..<2) + product(value, 2..<3)
  }

  /// A mask in `scaledDotProductAttention`'s form, where `true` is what is looked at.
  private func mask(
    _ mask: Tensor?, _ shape: [Int], _ other: [Int]?, _ name: String
  ) -> Tensor? {
    guard let mask, !mask.isFailed else { return mask }
    guard mask.shape == shape || mask.shape == other,
      mask.dtype == .bool || mask.dtype.isFloatingPoint
    else {
      return fail(
        OpError(
          "MultiheadAttention",
          "\(name) is \(mask.type), expected bool or floating point \(shape)"
            + (other.map { " or \($0)" } ?? "")))
    }
    return mask.dtype == .bool ? logicalNot(mask) : mask
  }

  /// Two masks as one.
  private func joined(_ masks: [Tensor]) -> Tensor? {
    guard masks.count == 2 else { return masks.first }
    if masks.allSatisfy({ $0.dtype == .bool }) { return logicalAnd(masks[0], masks[1]) }
    let numbers = masks.map { $0.dtype == .bool ? which($0, 0.0, -Double.infinity) : $0 }
    let dtype = masks.first { $0.dtype != .bool }!.dtype
    return numbers[0].asType(dtype) + numbers[1].asType(dtype)
  }
}

extension Tensor {
  /// A mask for all heads, or for each.
  fileprivate func reshapedForHeads(_ n: Int, _ heads: Int, _ l: Int, _ s: Int) -> Tensor {
    if isFailed { return self }
    return ndim == 2 ? self : reshaped([n, heads, l, s])
  }
}
