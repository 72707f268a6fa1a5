import DuetEager
import DuetRuntime

// Labels of these losses are 1 and -1, of any dtype.

/// max(0, -label (a - b) + margin): by how much less than the margin a is above b where the label is 1, or below b
/// where it is -1.
///
/// - Parameters:
///   - a: Scores, floating point.
///   - b: Scores of the same shape.
///   - labels: 1 or -1, of the same shape.
public func marginRankingLoss(
  _ a: Tensor, _ b: Tensor, _ labels: Tensor, margin: Double = 0, reduction: Reduction = .mean
) -> Tensor {
  if let error = mistake("marginRankingLoss", a, b) ?? mistake("marginRankingLoss", a, labels) {
    return error
  }
  let signs = labels.asType(a.dtype)
  return reduction(clip(-signs * (a - b) + margin, min: 0))
}

/// x where the label is 1, and max(0, margin - x) where it is -1, for distances x (Hadsell and others, 2006).
///
/// - Parameter labels: 1 or -1, of the shape of `x`.
public func hingeEmbeddingLoss(
  _ x: Tensor, _ labels: Tensor, margin: Double = 1, reduction: Reduction = .mean
) -> Tensor {
  if let error = mistake("hingeEmbeddingLoss", x, labels) { return error }
  return reduction(which(labels .== 1, x, clip(margin - x, min: 0)))
}

/// log(1 + e^(-label x)).
///
/// - Parameter labels: 1 or -1, of the shape of `x`.
public func softMarginLoss(
  _ x: Tensor, _ labels: Tensor, reduction: Reduction = .mean
) -> Tensor {
  if let error = mistake("softMarginLoss", x, labels) { return error }
  return reduction(softplus(-labels.asType(x.dtype) * x))
}

/// 1 - cos(a, b) where the label is 1, and max(0, cos(a, b) - margin) where it is -1.
///
/// - Parameters:
///   - a: Vectors `[N, D]`, or one `[D]`.
///   - b: Of the same shape.
///   - labels: 1 or -1 for each vector: `[N]`, or `[]`.
public func cosineEmbeddingLoss(
  _ a: Tensor, _ b: Tensor, _ labels: Tensor, margin: Double = 0, reduction: Reduction = .mean
) -> Tensor {
  if let error = mistake("cosineEmbeddingLoss", a, b) { return error }
  if labels.isFailed { return labels }
  guard a.ndim == 1 || a.ndim == 2, labels.shape == Array(a.shape.dropLast()) else {
    return fail(
      OpError(
        "cosineEmbeddingLoss",
        "vectors \(a.shape) need to be [N, D] or [D], with a label each, not labels \(labels.shape)"
      ))
  }
  // PyTorch adds this to the squares of lengths.
  let least = 1e-12
  let squares = [a, b].map { $0.square().sum(axis: -1) + least }
  let cosine = (a * b).sum(axis: -1) / sqrt(squares[0] * squares[1])
  return reduction(which(labels .== 1, 1 - cosine, clip(cosine - margin, min: 0)))
}

/// max(0, d(anchor, positive) - d(anchor, negative) + margin) for the distance d of a norm (Schroff and others, 2015).
///
/// - Parameters:
///   - anchor: Vectors `[..., D]`, floating point.
///   - positive: Vectors that shall be closer, of the same shape.
///   - negative: Vectors that shall be farther, of the same shape.
///   - p: The norm.
///   - eps: Is added to differences.
///   - swap: Whether the negative's distance is the smaller of those from the anchor and from the positive (Balntas and
///     others, 2016).
public func tripletMarginLoss(
  _ anchor: Tensor, _ positive: Tensor, _ negative: Tensor, margin: Double = 1, p: Double = 2,
  eps: Double = 1e-6, swap: Bool = false, reduction: Reduction = .mean
) -> Tensor {
  let name = "tripletMarginLoss"
  if let error = mistake(name, anchor, positive) ?? mistake(name, anchor, negative) { return error }
  func distance(_ a: Tensor, _ b: Tensor) -> Tensor { pairwiseDistance(name, a, b, p: p, eps: eps) }
  let near = distance(anchor, positive)
  var far = distance(anchor, negative)
  if swap { far = minimum(far, distance(positive, negative)) }
  return reduction(clip(near - far + margin, min: 0))
}
