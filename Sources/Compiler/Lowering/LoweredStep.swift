import DuetRuntime

/// Memory that a step reads or writes.
package struct Buffer: Sendable {
  package enum Kind: Hashable, Sendable {
    /// A value between steps.
    case arena
    case input(Int)
    case output(Int)
    case constant(Int)
  }

  package let kind: Kind
  package let byteCount: Int
}

/// An operand of a step: elements in a buffer.
package struct StepOperand: Hashable, Sendable {
  /// Index into the buffers.
  package var buffer: Int
  package var byteOffset: Int
  package var dtype: DType
  package var layout: Layout

  /// Whether the elements are all of a buffer that begins with them, in row-major order.
  package func isWhole(_ shape: Shape) -> Bool {
    byteOffset == 0 && layout.isContiguous && layout.shape.elementCount == shape.elementCount
  }
}

/// One step of the program: an operation with its own kernels, or a tile program.
package struct LoweredStep: Sendable {
  package enum Work: Sendable {
    case operation(Op)
    case tiles(TileGroup)
    /// Elementwise operations on one element each. The last output is room for values within.
    case scalars(TileGroup)
    /// The last output is the part of the arena that the region works in.
    case region(LoweredRegion)

    /// Whether values decide if the step can be done.
    var canFail: Bool {
      switch self {
      case .operation(let op): op.canFail
      case .region(let region): region.region.canFail
      case .tiles, .scalars: false
      }
    }
  }

  package let work: Work
  package let outputs: [StepOperand]
  package let inputs: [StepOperand]
  /// The graph's nodes that the step computes; empty for a copy that the graph does not show.
  package let nodes: [ValueID]

  /// Whether an output may lie in the memory of an input: every element is read from there before, or at the
  /// time when, it is overwritten.
  package func mayOverwrite(_ buffer: Int, with output: Int) -> Bool {
    let target = outputs[output]
    // A part of a larger result begins elsewhere than an operand that would be replaced by it, or has gaps.
    guard target.byteOffset == 0 && target.layout.isContiguous else {
      return !inputs.contains { $0.buffer == buffer }
    }
    let shape = target.layout.shape
    switch work {
    case .tiles(let group), .scalars(let group):
      return group.mayOverwrite(buffer, with: output, inputs)
    case .region:
      return !inputs.contains { $0.buffer == buffer }
    case .operation(let op):
      for (i, input) in inputs.enumerated() where input.buffer == buffer {
        guard input.isWhole(shape), input.dtype.size == target.dtype.size else { return false }
        switch op {
        case .unary, .binary, .compare, .select, .cast, .copy, .barrier, .reshape: continue
        case .updateSlice, .scatterAdd, .scatterAddAlong: if i > 0 { return false }
        case .softmaxGradient, .logSoftmaxGradient: continue
        case .rowNorm, .rowNormInputGradient, .rowNormParameterGradient, .channelMoments,
          .channelNorm, .channelNormParameterGradient, .channelNormInputGradient, .crossEntropy,
          .crossEntropyGradient:
          return false
        case .fill, .iota, .reduce, .softmax, .logSoftmax, .cumulative, .argSort, .argTopK, .matmul,
          .wideMatmul, .linear, .conv2d,
          .conv2dInputGradient, .conv2dWeightGradient, .maxPool2d, .maxPool2dSelect,
          .maxPool2dGradient, .averagePool2d, .averagePool2dGradient, .transpose, .broadcast,
          .slice,
          .concatenate, .take, .takeAlong, .scatterSet, .random, .advanceRandom, .region,
          .regionResult:
          return false
        }
      }
      return true
    }
  }
}
