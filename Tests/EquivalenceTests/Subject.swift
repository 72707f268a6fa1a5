import Duet
import Testing

/// An operation without its attributes: what the equivalence tests go through one by one.
enum Subject: Hashable, Sendable {
  case unary(UnaryOp)
  case binary(BinaryOp)
  case compare(ComparisonOp)
  case select
  case cast(DType)
  case fill, iota
  case reduce(ReductionOp)
  case softmax, logSoftmax, softmaxGradient, logSoftmaxGradient
  case cumulative(CumulativeOp)
  case argSort, argTopK
  case layerNorm, layerNormInputGradient, layerNormParameterGradient
  case rmsNorm, rmsNormInputGradient, rmsNormParameterGradient
  case channelMoments, channelNorm, channelNormParameterGradient, channelNormInputGradient
  case crossEntropy, crossEntropyGradient
  case matmul, wideMatmul, linear
  case conv2d, conv2dInputGradient, conv2dWeightGradient
  case maxPool2d, maxPool2dSelect, maxPool2dGradient, averagePool2d, averagePool2dGradient
  case reshape, transpose, broadcast, slice, copy, barrier, concatenate, updateSlice
  case take, takeAlong, scatterAdd, scatterAddAlong, scatterSet
  case randomUniform, randomNormal, randomInteger, randomPermutation
  case advanceRandom
  /// Not among `all`: the tests of branches and loops compare them with Swift's own.
  case controlFlow

  /// The subject that an operation belongs to. Without a default, so that a new operation does not compile
  /// until it is tested.
  init(_ op: Op) {
    switch op {
    case .unary(let op): self = .unary(op)
    case .binary(let op): self = .binary(op)
    case .compare(let op): self = .compare(op)
    case .select: self = .select
    case .cast(let dtype): self = .cast(dtype)
    case .fill: self = .fill
    case .iota: self = .iota
    case .reduce(let op, _, _): self = .reduce(op)
    case .softmax: self = .softmax
    case .logSoftmax: self = .logSoftmax
    case .softmaxGradient: self = .softmaxGradient
    case .logSoftmaxGradient: self = .logSoftmaxGradient
    case .cumulative(let op, _): self = .cumulative(op)
    case .argSort: self = .argSort
    case .argTopK: self = .argTopK
    case .rowNorm(let norm): self = norm.kind == .layer ? .layerNorm : .rmsNorm
    case .rowNormInputGradient(let norm):
      self = norm.kind == .layer ? .layerNormInputGradient : .rmsNormInputGradient
    case .rowNormParameterGradient(let norm):
      self = norm.kind == .layer ? .layerNormParameterGradient : .rmsNormParameterGradient
    case .channelMoments: self = .channelMoments
    case .channelNorm: self = .channelNorm
    case .channelNormParameterGradient: self = .channelNormParameterGradient
    case .channelNormInputGradient: self = .channelNormInputGradient
    case .crossEntropy: self = .crossEntropy
    case .crossEntropyGradient: self = .crossEntropyGradient
    case .matmul: self = .matmul
    case .wideMatmul: self = .wideMatmul
    case .linear: self = .linear
    case .conv2d: self = .conv2d
    case .conv2dInputGradient: self = .conv2dInputGradient
    case .conv2dWeightGradient: self = .conv2dWeightGradient
    case .maxPool2d: self = .maxPool2d
    case .maxPool2dSelect: self = .maxPool2dSelect
    case .maxPool2dGradient: self = .maxPool2dGradient
    case .averagePool2d: self = .averagePool2d
    case .averagePool2dGradient: self = .averagePool2dGradient
    case .reshape: self = .reshape
    case .transpose: self = .transpose
    case .broadcast: self = .broadcast
    case .slice: self = .slice
    case .copy: self = .copy
    case .barrier: self = .barrier
    case .concatenate: self = .concatenate
    case .updateSlice: self = .updateSlice
    case .take: self = .take
    case .takeAlong: self = .takeAlong
    case .scatterAdd: self = .scatterAdd
    case .scatterAddAlong: self = .scatterAddAlong
    case .scatterSet: self = .scatterSet
    case .random(.uniform, _): self = .randomUniform
    case .random(.normal, _): self = .randomNormal
    case .random(.integer, _): self = .randomInteger
    case .random(.permutation, _): self = .randomPermutation
    case .advanceRandom: self = .advanceRandom
    case .region, .regionResult: self = .controlFlow
    }
  }

  static let all: [Subject] =
    UnaryOp.allCases.map { .unary($0) } + BinaryOp.allCases.map { .binary($0) }
    + ComparisonOp.allCases.map { .compare($0) } + DType.allCases.map { .cast($0) }
    + ReductionOp.allCases.map { .reduce($0) } + CumulativeOp.allCases.map { .cumulative($0) }
    + [
      .layerNorm, .layerNormInputGradient, .layerNormParameterGradient, .rmsNorm,
      .rmsNormInputGradient, .rmsNormParameterGradient, .channelMoments, .channelNorm,
      .channelNormParameterGradient, .channelNormInputGradient, .crossEntropy,
      .crossEntropyGradient,
      .select, .fill, .iota, .softmax, .logSoftmax, .softmaxGradient, .logSoftmaxGradient, .argSort,
      .argTopK, .matmul, .wideMatmul, .linear, .conv2d,
      .conv2dInputGradient,
      .conv2dWeightGradient, .maxPool2d, .maxPool2dSelect, .maxPool2dGradient, .averagePool2d,
      .averagePool2dGradient, .reshape, .transpose, .broadcast, .slice, .copy, .barrier,
      .concatenate,
      .updateSlice, .take, .takeAlong, .scatterAdd, .scatterAddAlong, .scatterSet, .randomUniform,
      .randomNormal, .randomInteger, .randomPermutation, .advanceRandom,
    ]

  /// The dtypes that the subject takes, or gives if it takes none.
  var dtypes: [DType] {
    let all = DType.allCases
    let floating = all.filter(\.isFloatingPoint)
    let integers = all.filter(\.isInteger)
    switch self {
    case .unary(let op):
      switch op {
      case .negate, .absolute, .sign, .square, .relu, .floor, .ceil, .round, .truncate:
        return integers + floating
      case .sqrt, .rsqrt, .reciprocal, .exp, .expm1, .log, .log1p, .log2, .log10, .sin, .cos, .tan,
        .asin, .acos, .atan, .sinh, .cosh, .tanh, .erf, .sigmoid, .gelu, .geluTanh, .silu,
        .softplus:
        return floating
      case .logicalNot: return [.bool] + integers
      case .isNaN, .isInfinite, .isFinite: return all
      }
    case .binary(let op):
      switch op {
      case .add, .subtract, .multiply, .divide, .floorDivide, .remainder, .floorRemainder, .power:
        return integers + floating
      case .maximum, .minimum, .atLeast, .atMost: return all
      case .atan2, .hypot: return floating
      case .bitwiseAnd, .bitwiseOr, .bitwiseXor: return [.bool] + integers
      case .shiftLeft, .shiftRight: return integers
      }
    case .compare, .select, .cast, .fill, .argSort, .argTopK, .reshape, .transpose, .broadcast,
      .slice, .copy, .barrier,
      .concatenate, .updateSlice, .take, .takeAlong, .scatterSet:
      return all
    case .iota, .cumulative, .maxPool2d: return integers + floating
    case .scatterAdd, .scatterAddAlong: return integers + floating
    case .reduce(let op):
      switch op {
      case .sum, .product, .max, .min, .argMax, .argMin: return all
      case .mean: return floating
      case .all, .any: return [.bool]
      }
    case .softmax, .logSoftmax, .softmaxGradient, .logSoftmaxGradient, .maxPool2dGradient,
      .averagePool2d, .averagePool2dGradient,
      .randomUniform, .randomNormal:
      return floating
    case .layerNorm, .layerNormInputGradient, .layerNormParameterGradient, .rmsNorm,
      .rmsNormInputGradient, .rmsNormParameterGradient, .channelMoments, .channelNorm,
      .channelNormParameterGradient, .channelNormInputGradient, .crossEntropy,
      .crossEntropyGradient:
      return floating
    case .matmul, .linear: return integers + floating
    case .wideMatmul: return all.filter { $0.productSums != nil }
    case .conv2d, .conv2dInputGradient, .conv2dWeightGradient: return [.float32, .float64]
    case .maxPool2dSelect: return integers + floating
    case .randomInteger: return integers
    case .randomPermutation, .advanceRandom, .controlFlow: return [.int64]
    }
  }
}

extension Subject: CustomTestStringConvertible {
  var testDescription: String { "\(self)" }
}
