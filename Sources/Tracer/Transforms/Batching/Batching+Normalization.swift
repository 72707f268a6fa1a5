import DuetEager
import DuetRuntime

extension Batching {
  // MARK: Rows

  /// Rows do not see each other. Scale and offset that examples have for themselves come behind a norm without.
  func rowNorm(_ op: Op, _ operands: [Batched], _ type: TensorType) -> Batched {
    let x = operands[0]
    switch op {
    case .rowNorm(let norm):
      guard operands.dropFirst().contains(where: \.isMapped) else {
        return .mapped(apply(op, operands.map(\.tensor)))
      }
      let normal = Batched(normalRows(norm, x.tensor, operands[1].type), isMapped: x.isMapped)
      let scaled = elementwise(.binary(.multiply), normal, operands[1])
      return operands.count == 3 ? elementwise(.binary(.add), scaled, operands[2]) : scaled
    case .rowNormInputGradient:
      var (scale, dy) = (operands[1], operands[2])
      if scale.isMapped {
        dy = elementwise(.binary(.multiply), dy, scale)
        scale = .shared(filled(scale.type, 1))
      }
      return .mapped(apply(op, [expanded(x), scale.tensor, expanded(dy)]))
    case .rowNormParameterGradient(let norm):
      let row = TensorType(x.type.dtype, Shape(x.shape.suffix(norm.axes)))
      let wide = x.type.dtype.statisticsDType
      let normal = normalRows(norm, expanded(x), row).asType(wide)
      let dy = expanded(operands[1]).asType(wide)
      let columns = row.shape.elementCount
      let rows = x.shape.dropLast(norm.axes).reduce(1, *)
      func sums(_ values: Tensor) -> Tensor {
        apply(
          .reduce(.sum, axes: AxisSet(1), keepDims: true), reshaped(values, [size, rows, columns]))
      }
      let byScale = sums(dy * normal)
      let both =
        norm.kind == .layer ? apply(.concatenate(axis: 1), byScale, sums(dy)) : byScale
      return .mapped(both.asType(type.dtype))
    default: preconditionFailure("\(op.name) is not a norm of rows")
    }
  }

  private func normalRows(_ norm: RowNorm, _ x: Tensor, _ row: TensorType) -> Tensor {
    let scale = filled(row, 1)
    return apply(.rowNorm(norm), norm.kind == .layer ? [x, scale, filled(row, 0)] : [x, scale])
  }

  func elementwise(_ op: Op, _ a: Batched, _ b: Batched) -> Batched {
    let rank = max(a.shape.rank, b.shape.rank)
    return Batched(
      apply(op, aligned(a, rank: rank), aligned(b, rank: rank)), isMapped: a.isMapped || b.isMapped)
  }

  // MARK: Channels

  /// Channels do not see each other either: those of all examples are the channels of one array.
  func channelNorm(_ op: Op, _ operands: [Batched], _ type: TensorType) -> Batched {
    if case .channelNorm(let norm) = op, !norm.ownMoments,
      !operands.dropFirst().contains(where: \.isMapped)
    {
      return unfolded(apply(op, [folded(operands[0])] + operands.dropFirst().map(\.tensor)), type)
    }
    let all = operands.map { operand in
      // Scale and offset `[C]`, moments and their like `[2, C]`.
      operand.shape.rank == 1 ? folded(operand) : channelsFolded(operand)
    }
    return channelsUnfolded(apply(op, all), type)
  }

  // MARK: Cross entropy

  /// Each example's losses are losses of its rows; what a mean is divided by is its own.
  func crossEntropy(_ loss: CrossEntropy, _ operands: [Batched], _ type: TensorType) -> Batched {
    // A kernel takes one array of weights.
    if loss.hasWeights && operands[2].isMapped {
      return oneByOne(.crossEntropy(loss), operands, type)
    }
    var each = loss
    each.reduction = .each
    let weights = operands.dropFirst(2).map(\.tensor)
    let labels = operands[1].type
    let losses = apply(
      .crossEntropy(each), [scores(operands[0]), rows(operands[1])] + weights)
    if loss.reduction == .each { return unfolded(losses, type) }
    let mapped = reshaped(losses, [size, labels.shape.elementCount])
    let sums = apply(.reduce(.sum, axes: AxisSet(1), keepDims: false), mapped)
    if loss.reduction == .sum { return .mapped(sums) }
    let wide = sums.asType(type.dtype.statisticsDType)
    return .mapped(
      (wide / divisor(loss, operands[1], weights.first, wide.dtype)).asType(type.dtype))
  }

  func crossEntropyGradient(
    _ loss: CrossEntropy, _ operands: [Batched], _ type: TensorType
  ) -> Batched {
    if loss.hasWeights && operands[3].isMapped {
      return oneByOne(.crossEntropyGradient(loss), operands, type)
    }
    var each = loss
    each.reduction = .each
    let weights = operands.dropFirst(3).map(\.tensor)
    var dy = expanded(operands[2])
    if loss.reduction != .each {
      if loss.reduction == .mean {
        let wide = dy.asType(dy.dtype.statisticsDType)
        dy = (wide / divisor(loss, operands[1], weights.first, wide.dtype)).asType(dy.dtype)
      }
      let count = operands[1].shape.elementCount
      dy = apply(.broadcast([size, count]), reshaped(dy, [size, 1]))
    }
    let folded = rows(operands[1])
    let gradient = apply(
      .crossEntropyGradient(each),
      [scores(operands[0]), folded, reshaped(dy, Array(folded.shape))] + weights)
    return unfolded(gradient, type)
  }

  /// `[N, C, ...]` as rows of all examples; the `[C]` of a single label is a row by itself.
  private func scores(_ value: Batched) -> Tensor {
    value.shape.rank == 1 ? expanded(value) : folded(value)
  }

  private func rows(_ labels: Batched) -> Tensor {
    labels.shape.rank == 0 ? expanded(labels) : folded(labels)
  }

  /// What the mean of each example's losses is divided by: the number of labels that count, or their weights.
  private func divisor(
    _ loss: CrossEntropy, _ labels: Batched, _ weights: Tensor?, _ dtype: DType
  ) -> Tensor {
    let count = labels.shape.elementCount
    if weights == nil && loss.ignored == nil {
      return filled(TensorType(dtype, []), Double(count))
    }
    let flat = reshaped(expanded(labels), [size, count])
    let one = filled(TensorType(dtype, []), 1)
    var shares = apply(.broadcast([size, count]), one)
    let counting = loss.ignored.map { flat .!= $0 }
    let known = counting.map { which($0, flat, 0) } ?? flat
    if let weights { shares = apply(.take(axis: 0), weights, known).asType(dtype) }
    if let counting { shares = which(counting, shares, 0) }
    return apply(.reduce(.sum, axes: AxisSet(1), keepDims: false), shares)
  }
}
