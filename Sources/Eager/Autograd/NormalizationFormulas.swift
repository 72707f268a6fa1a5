import DuetRuntime

// What the gradient operations of normalisations and cross entropies compute, written with public
// operations: for the gradients of gradients.

private func lastAxes(_ count: Int) -> [Int] { (0..<count).map { $0 - count } }

/// x̂ and the reciprocal deviation of rows.
private func normalized(_ norm: RowNorm, _ x: Tensor) -> (Tensor, Tensor) {
  let axes = lastAxes(norm.axes)
  let centred = norm.kind == .layer ? x - x.mean(axes: axes, keepDims: true) : x
  let r = rsqrt(centred.square().mean(axes: axes, keepDims: true) + norm.eps)
  return (centred * r, r)
}

func rowNormInputGradient(_ norm: RowNorm, _ x: Tensor, _ scale: Tensor, _ dy: Tensor) -> Tensor {
  let axes = lastAxes(norm.axes)
  let (normal, r) = normalized(norm, x)
  let g = dy * scale
  let along = normal * (g * normal).mean(axes: axes, keepDims: true)
  return r * (norm.kind == .layer ? g - g.mean(axes: axes, keepDims: true) - along : g - along)
}

func rowNormParameterGradient(_ norm: RowNorm, _ x: Tensor, _ dy: Tensor) -> Tensor {
  let columns = x.shape.suffix(norm.axes).reduce(1, *)
  let rows = x.shape.dropLast(norm.axes).reduce(1, *)
  func sum(_ values: Tensor) -> Tensor {
    values.reshaped([rows, columns]).sum(axis: 0, keepDims: true)
  }
  let byScale = sum(dy * normalized(norm, x).0)
  return norm.kind == .layer ? concatenated([byScale, sum(dy)], axis: 0) : byScale
}

private func otherAxes(_ x: Tensor) -> [Int] { (0..<x.ndim).filter { $0 != 1 } }

/// x̂ and the reciprocal deviation of channels: by their own moments, or by given ones.
private func normalizedChannels(
  _ x: Tensor, _ eps: Double, _ moments: Tensor? = nil
) -> (Tensor, Tensor) {
  let x = x.asType(x.dtype.statisticsDType)
  let perChannel = ChannelShape(x.body.layout.shape)
  let axes = otherAxes(x)
  let mean =
    moments.map { perChannel.spread($0.part(along: 0, 0, 1)) }
    ?? x.mean(axes: axes, keepDims: true)
  let centred = x - mean
  let variance =
    moments.map { perChannel.spread($0.part(along: 0, 1, 1)) }
    ?? centred.square().mean(axes: axes, keepDims: true)
  let r = rsqrt(variance + eps)
  return (centred * r, r)
}

func channelNormParameterGradient(
  _ norm: ChannelNorm, _ x: Tensor, _ moments: Tensor?, _ dy: Tensor
) -> Tensor {
  let (normal, _) = normalizedChannels(x, norm.eps, moments)
  let g = dy.asType(normal.dtype)
  func sum(_ values: Tensor) -> Tensor {
    values.sum(axes: otherAxes(x)).reshaped([1, x.dim(1)])
  }
  return concatenated([sum(g * normal), sum(g)], axis: 0)
}

func channelNormInputGradient(
  _ eps: Double, _ x: Tensor, _ scale: Tensor, _ dy: Tensor
) -> Tensor {
  let (normal, r) = normalizedChannels(x, eps)
  let g = dy.asType(normal.dtype)
  let axes = otherAxes(x)
  let along = normal * (g * normal).mean(axes: axes, keepDims: true)
  let factor = ChannelShape(x.body.layout.shape).spread(scale.asType(r.dtype)) * r
  return (factor * (g - g.mean(axes: axes, keepDims: true) - along)).asType(x.dtype)
}

func crossEntropyGradient(
  _ loss: CrossEntropy, _ scores: Tensor, _ labels: Tensor, _ cotangent: Tensor,
  _ weights: Tensor?
) -> Tensor {
  let axis = CrossEntropy.axis(of: scores.body.layout.shape)
  let dtype = scores.dtype
  let classes = scores.dim(axis)
  let counts = loss.ignored.map { labels .!= $0 }
  let picked = counts.map { which($0, labels, 0) } ?? labels
  var share = weights.map { take($0, picked, axis: 0) } ?? ones(labels.shape, dtype: dtype)
  if let counts { share = which(counts, share, 0) }
  var g = cotangent
  if loss.reduction == .mean { g = g / share.sum() }
  func spread(_ values: Tensor) -> Tensor { values.expandedDimensions(axis: axis) }
  var perClass = Shape(repeating: 1, rank: scores.ndim)
  perClass[axis] = classes
  let places = apply(
    .reshape(perClass), arange(classes, dtype: labels.dtype))
  let isLabel = (spread(picked) .== places).asType(dtype)
  let own = g * share * (1 - loss.smoothing)
  if loss.areLogProbabilities { return -(spread(own) * isLabel) }
  let probabilities = scores.softmax(axis: axis)
  if loss.smoothing == 0 { return spread(own) * probabilities - spread(own) * isLabel }
  let even =
    g * (loss.smoothing / Double(classes)) * (counts?.asType(dtype) ?? ones(like: share))
  let all = weights.map { apply(.reshape(perClass), $0) } ?? ones(Array(perClass), dtype: dtype)
  return spread(own + even * all.sum()) * probabilities - spread(own) * isLabel
    - spread(even) * all
}
