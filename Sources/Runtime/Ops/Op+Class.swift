/// What operations have in common as far as scheduling and fusion care.
public enum OpClass: Sendable, Hashable {
  /// Result element i depends on element i of the broadcast inputs.
  case elementwise
  /// The groups of these names in ``Op``.
  case creation, reduction, normalization, contraction, window, movement, indexing, random
  /// A branch or a loop, and its results.
  case controlFlow
}

extension Op {
  /// The group that the operation belongs to.
  public var opClass: OpClass {
    switch self {
    case .unary, .binary, .compare, .select, .cast: .elementwise
    case .fill, .iota: .creation
    case .reduce, .softmax, .logSoftmax, .softmaxGradient, .logSoftmaxGradient, .cumulative,
      .argSort, .argTopK:
      .reduction
    case .rowNorm, .rowNormInputGradient, .rowNormParameterGradient, .channelMoments, .channelNorm,
      .channelNormParameterGradient, .channelNormInputGradient, .crossEntropy,
      .crossEntropyGradient:
      .normalization
    case .matmul, .wideMatmul, .linear, .conv2d, .conv2dInputGradient, .conv2dWeightGradient:
      .contraction
    case .maxPool2d, .maxPool2dSelect, .maxPool2dGradient, .averagePool2d, .averagePool2dGradient:
      .window
    case .reshape, .transpose, .broadcast, .slice, .copy, .barrier, .concatenate, .updateSlice:
      .movement
    case .take, .takeAlong, .scatterAdd, .scatterAddAlong, .scatterSet: .indexing
    case .random, .advanceRandom: .random
    case .region, .regionResult: .controlFlow
    }
  }

  /// Whether values decide if the operation can be done: an index, or a label, may be out of range.
  package var canFail: Bool {
    switch self {
    case .crossEntropy, .crossEntropyGradient: true
    case .region(let region): region.canFail
    default: opClass == .indexing
    }
  }

  /// Whether the kernel takes inputs of any strides. Others need contiguous ones.
  public var takesStridedInputs: Bool {
    switch self {
    case .unary, .binary, .compare, .select, .cast, .reduce, .matmul, .wideMatmul, .linear, .copy,
      .barrier, .concatenate, .updateSlice, .reshape, .transpose, .broadcast, .slice:
      true
    case .rowNorm, .rowNormInputGradient, .rowNormParameterGradient, .channelMoments, .channelNorm,
      .channelNormParameterGradient, .channelNormInputGradient, .crossEntropy,
      .crossEntropyGradient:
      false
    case .fill, .iota, .softmax, .logSoftmax, .softmaxGradient, .logSoftmaxGradient, .cumulative,
      .argSort, .argTopK, .conv2d, .conv2dInputGradient,
      .conv2dWeightGradient, .maxPool2d, .maxPool2dSelect, .maxPool2dGradient, .averagePool2d,
      .averagePool2dGradient, .take, .takeAlong, .scatterAdd, .scatterAddAlong, .scatterSet,
      .random,
      .advanceRandom, .region, .regionResult:
      false
    }
  }

  /// Where the result lies if it is a view of the input: its layout, and its first element's distance
  /// in elements from the input's first. Nil if the operation computes or must move elements.
  public func view(of input: Layout) -> (layout: Layout, offset: Int)? {
    switch self {
    case .reshape(let shape): return input.reshaped(shape).map { ($0, 0) }
    case .transpose(let permutation): return (input.transposed(permutation), 0)
    case .broadcast(let shape): return (input.broadcast(to: shape), 0)
    case .barrier: return (input, 0)
    case .slice(let slice):
      let (layout, offset) = input.sliced(slice)
      return (layout, offset)
    default: return nil
    }
  }
}
