import DuetCompiler
import DuetEager
import DuetRuntime

extension Batching {
  /// The result of an operation for all examples.
  /// - Parameter type: The result's for one example.
  func result(of op: Op, _ operands: [Batched], _ type: TensorType) -> Batched {
    if operands.contains(where: \.tensor.isFailed) { return .shared(.failed) }
    if op.opClass == .random { return random(op, operands[0], type) }
    guard operands.contains(where: \.isMapped) else {
      return .shared(apply(op, operands.map(\.tensor)))
    }
    if type.shape.rank == Shape.maximumRank {
      return .shared(
        fail(
          OpError(
            "vmap",
            "\(op.name) gives \(type) for each example, and a tensor of all of them would have "
              + "\(Shape.maximumRank + 1) axes")))
    }
    return rule(op, operands, type)
  }

  /// Every operation has its rule; those that go example by example say why.
  private func rule(_ op: Op, _ operands: [Batched], _ type: TensorType) -> Batched {
    switch op {
    case .unary, .binary, .compare, .select, .cast:
      let rank = operands.reduce(0) { max($0, $1.shape.rank) }
      return .mapped(apply(op, operands.map { aligned($0, rank: rank) }))
    case .reduce(let reduction, let axes, let keepDims):
      let axes = AxisSet(axes.axes.map { $0 + 1 })
      return all(.reduce(reduction, axes: axes, keepDims: keepDims), operands)
    case .softmax(let axis): return all(.softmax(axis: axis + 1), operands)
    case .logSoftmax(let axis): return all(.logSoftmax(axis: axis + 1), operands)
    case .softmaxGradient(let axis): return all(.softmaxGradient(axis: axis + 1), operands)
    case .logSoftmaxGradient(let axis): return all(.logSoftmaxGradient(axis: axis + 1), operands)
    case .cumulative(let running, let axis):
      return all(.cumulative(running, axis: axis + 1), operands)
    case .argSort(let axis, let descending):
      return all(.argSort(axis: axis + 1, descending: descending), operands)
    case .argTopK(let axis, let count):
      return all(.argTopK(axis: axis + 1, count: count), operands)

    case .rowNorm, .rowNormInputGradient, .rowNormParameterGradient:
      return rowNorm(op, operands, type)
    case .channelMoments, .channelNorm, .channelNormParameterGradient, .channelNormInputGradient:
      return channelNorm(op, operands, type)
    case .crossEntropy(let loss): return crossEntropy(loss, operands, type)
    case .crossEntropyGradient(let loss): return crossEntropyGradient(loss, operands, type)

    case .matmul, .wideMatmul: return matmul(op, operands[0], operands[1], type)
    case .linear: return linear(operands, type)
    case .conv2d, .conv2dInputGradient, .conv2dWeightGradient:
      return convolution(op, operands[0], operands[1], type)
    case .maxPool2d, .maxPool2dSelect, .maxPool2dGradient, .averagePool2d, .averagePool2dGradient:
      return unfolded(apply(op, operands.map(folded)), type)

    case .reshape, .broadcast:
      let rank = op.opClass == .movement && isBroadcast(op) ? type.shape.rank : 0
      let input = aligned(operands[0], rank: rank)
      return .mapped(
        apply(isBroadcast(op) ? .broadcast(whole(type.shape)) : .reshape(whole(type.shape)), input))
    case .transpose(let permutation):
      return all(.transpose(Shape([0] + permutation.map { $0 + 1 })), operands)
    case .slice(let slice): return all(.slice(slice.ofEach(size)), operands)
    case .updateSlice(let slice): return all(.updateSlice(slice.ofEach(size)), operands)
    case .concatenate(let axis): return all(.concatenate(axis: axis + 1), operands)
    case .copy, .barrier: return all(op, operands)

    case .take(let axis): return take(axis, operands[0], operands[1], type)
    case .takeAlong(let axis): return all(.takeAlong(axis: axis + 1), operands)
    case .scatterAddAlong(let axis): return all(.scatterAddAlong(axis: axis + 1), operands)
    case .scatterAdd(let axis): return scatter(.scatterAdd(axis: axis), axis, operands, type)
    case .scatterSet(let axis): return scatter(.scatterSet(axis: axis), axis, operands, type)

    case .fill, .iota, .random, .advanceRandom, .region, .regionResult:
      preconditionFailure("\(op.name) takes nothing that is mapped, or has a rule elsewhere")
    }
  }

  private func isBroadcast(_ op: Op) -> Bool { if case .broadcast = op { true } else { false } }

  /// The operation on operands that all have their examples along axis 0.
  func all(_ op: Op, _ operands: [Batched]) -> Batched {
    .mapped(apply(op, operands.map(expanded)))
  }

  /// The operation on one example after the other: always right, and as slow as a loop.
  func oneByOne(_ op: Op, _ operands: [Batched], _ type: TensorType) -> Batched {
    if size == 0 { return .mapped(filled(whole(type), 0)) }
    let rows = (0..<size).map { i in
      apply(
        op, operands.map { $0.isMapped ? example($0, i) : $0.tensor })
    }
    return .mapped(stacked(rows))
  }

  /// One of the examples.
  func example(_ value: Batched, _ index: Int) -> Tensor {
    guard value.isMapped, !value.tensor.isFailed else { return value.tensor }
    var slice = Slice(all: value.tensor.type.shape)
    slice.starts[0] = index
    slice.sizes[0] = 1
    return reshaped(apply(.slice(slice), value.tensor), Array(value.shape))
  }

  // MARK: Random numbers

  /// Each example draws numbers of its own, from the numbers of one generator.
  private func random(_ op: Op, _ state: Batched, _ type: TensorType) -> Batched {
    switch op {
    case .advanceRandom(let blocks):
      if state.isMapped { return oneByOne(op, [state], type) }
      let advance = Op.advanceRandom(blocks: blocks * size)
      // As `Generator` does it: draws would wait in a chain.
      let isAtOnce = ThreadContext.isDeferred && state.tensor.hasElements
      return .shared(
        isAtOnce
          ? ThreadContext.withRecorder(nil) { apply(advance, state.tensor) }
          : apply(advance, state.tensor))
    case .random(let distribution, let type):
      // A generator that each example has seeded for itself.
      if state.isMapped { return oneByOne(op, [state], type) }
      guard case .permutation = distribution else {
        return .mapped(apply(.random(distribution, whole(type)), state.tensor))
      }
      // All examples at once would be one permutation of more numbers.
      if size == 0 { return .mapped(filled(whole(type), 0)) }
      let blocks = distribution.blocks(for: type)
      return .mapped(
        stacked(
          (0..<size).map { i in
            let own =
              i == 0 ? state.tensor : apply(.advanceRandom(blocks: blocks * i), state.tensor)
            return apply(op, own)
          }))
    default: preconditionFailure("\(op.name) draws nothing")
    }
  }
}
