import DuetEager
import DuetRuntime

extension Batching {
  /// `[..., m, k]` × `[..., k, n]`. A factor that all examples share meets the rows of all of them in one product.
  func matmul(_ op: Op, _ a: Batched, _ b: Batched, _ type: TensorType) -> Batched {
    let k = a.shape[a.shape.rank - 1]
    let (m, n) = (type.shape[type.shape.rank - 2], type.shape[type.shape.rank - 1])
    if !b.isMapped && b.shape.rank == 2 {
      let rows = reshaped(a.tensor, [a.tensor.size / max(k, 1), k])
      if k > 0 { return unfolded(apply(op, rows, b.tensor), type) }
    }
    if !a.isMapped && a.shape.rank == 2 && n == 1 && k > 0 {
      // Columns of all examples, as the rows of the product with the transposed matrix.
      let columns = reshaped(b.tensor, [b.tensor.size / k, k])
      let product = apply(op, columns, apply(.transpose([1, 0]), a.tensor))
      let leading = Array(type.shape.dropLast(2))
      return .mapped(reshaped(product, [size] + leading + [m, n]))
    }
    let rank = max(a.shape.rank, b.shape.rank)
    // A column times a row, as a layer's gradient by its weight is for one example, has no sums.
    let product: Op = if case .matmul = op, k == 1 { .binary(.multiply) } else { op }
    return .mapped(apply(product, aligned(a, rank: rank), aligned(b, rank: rank)))
  }

  /// The last two axes exchanged.
  private func swapped(_ tensor: Tensor) -> Tensor {
    moving(tensor, tensor.ndim - 1, to: tensor.ndim - 2)
  }

  /// Input `[..., k]`, weight `[n, k]`, perhaps bias `[n]`.
  func linear(_ operands: [Batched], _ type: TensorType) -> Batched {
    let (x, weight) = (operands[0], operands[1])
    let bias = operands.count == 3 ? operands[2] : nil
    let (n, k) = (weight.shape[0], weight.shape[1])
    func biased(_ product: Batched) -> Batched {
      bias.map { elementwise(.binary(.add), product, $0) } ?? product
    }
    guard weight.isMapped else {
      if bias?.isMapped ?? false {
        return biased(Batched(apply(.linear, x.tensor, weight.tensor), isMapped: x.isMapped))
      }
      return .mapped(apply(.linear, operands.map(\.tensor)))
    }
    guard x.isMapped else {
      // One input for all: the weights of all examples are the rows of one.
      let product = apply(.linear, [x.tensor, folded(weight)] + (bias.map { [folded($0)] } ?? []))
      let apart = reshaped(product, Array(x.shape.dropLast()) + [size, n])
      return .mapped(moving(apart, apart.ndim - 2, to: 0))
    }
    let rows = x.shape.dropLast().reduce(1, *)
    let product = apply(.matmul, reshaped(x.tensor, [size, rows, k]), swapped(weight.tensor))
    return biased(.mapped(reshaped(product, [size] + Array(type.shape))))
  }

  /// Weights that all examples share see the images of all of them; others are those of groups of channels.
  func convolution(_ op: Op, _ a: Batched, _ b: Batched, _ type: TensorType) -> Batched {
    if case .conv2dWeightGradient(var form, let size) = op {
      // Input and cotangent. What the images of one example give is summed up for it alone.
      if self.size == 0 { return .mapped(filled(whole(type), 0)) }
      form.groups *= self.size
      return unfolded(
        apply(
          .conv2dWeightGradient(form, kernelSize: size), channelsFolded(a), channelsFolded(b)),
        type)
    }
    // Images and weight.
    if !b.isMapped { return unfolded(apply(op, folded(a), b.tensor), type) }
    if size == 0 { return .mapped(filled(whole(type), 0)) }
    switch op {
    case .conv2d(let form) where !a.isMapped && form.groups == 1:
      return channelsUnfolded(apply(op, a.tensor, folded(b)), type)
    case .conv2d(var form):
      form.groups *= size
      return channelsUnfolded(apply(.conv2d(form), channelsFolded(a), folded(b)), type)
    case .conv2dInputGradient(var form, let inputSize):
      form.groups *= size
      return channelsUnfolded(
        apply(.conv2dInputGradient(form, inputSize: inputSize), channelsFolded(a), folded(b)), type)
    default: preconditionFailure("\(op.name) is not a convolution")
    }
  }
}
