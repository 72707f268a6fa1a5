import DuetRuntime

extension Op {
  /// What an operation's gradient reads: a bit for every input, and whether it reads the output.
  var gradientNeeds: (inputs: UInt8, output: Bool) {
    switch self {
    case .unary(let op): op.gradientNeeds
    case .binary(let op): op.gradientNeeds
    case .select: (0b001, false)
    case .reduce(let op, _, _):
      switch op {
      case .sum, .mean, .all, .any, .argMax, .argMin: (0, false)
      case .product: (1, false)
      case .max, .min: (1, true)
      }
    case .softmax, .logSoftmax: (0, true)
    case .softmaxGradient, .logSoftmaxGradient: (0b11, false)
    case .cumulative(.sum, _): (0, false)
    case .cumulative(.product, _): (1, false)
    case .cumulative(.max, _), .cumulative(.min, _): (1, true)
    case .rowNorm: (0b11, false)
    case .rowNormInputGradient: (0b111, false)
    case .rowNormParameterGradient: (0b11, false)
    case .channelMoments: (1, true)
    case .channelNorm, .channelNormParameterGradient: (0b111, false)
    case .channelNormInputGradient: (0b10101, false)
    case .crossEntropy: (0b111, false)
    case .crossEntropyGradient: (0b1111, false)
    case .matmul, .wideMatmul, .linear, .conv2d, .conv2dInputGradient, .conv2dWeightGradient:
      (0b11, false)
    case .maxPool2d, .maxPool2dSelect, .maxPool2dGradient: (1, false)
    case .averagePool2d, .averagePool2dGradient: (0, false)
    case .take, .takeAlong: (0b10, false)
    case .scatterAdd, .scatterAddAlong, .scatterSet: (0b010, false)
    case .compare, .cast, .fill, .iota, .argSort, .argTopK, .reshape, .transpose, .broadcast,
      .slice, .copy, .barrier,
      .concatenate, .updateSlice, .random, .advanceRandom, .region, .regionResult:
      (0, false)
    }
  }

  /// The name of the gradient function, as PyTorch would call it.
  var gradientName: String {
    let base: String
    switch self {
    case .binary(.subtract): base = "Sub"
    case .binary(.multiply): base = "Mul"
    case .binary(.divide): base = "Div"
    case .binary(.power): base = "Pow"
    case .unary(.negate): base = "Neg"
    case .unary(.absolute): base = "Abs"
    case .matmul: base = "Matmul"
    default: base = name.prefix(1).uppercased() + name.dropFirst()
    }
    return base + "Backward"
  }
}

extension UnaryOp {
  var gradientNeeds: (inputs: UInt8, output: Bool) {
    switch self {
    case .negate, .sign, .floor, .ceil, .round, .truncate, .logicalNot, .isNaN, .isInfinite,
      .isFinite:
      (0, false)
    case .sqrt, .rsqrt, .reciprocal, .exp, .expm1, .tan, .tanh, .sigmoid, .relu: (0, true)
    case .absolute, .square, .log, .log1p, .log2, .log10, .sin, .cos, .asin, .acos, .atan, .sinh,
      .cosh,
      .erf, .gelu, .geluTanh, .silu, .softplus:
      (1, false)
    }
  }
}

extension BinaryOp {
  var gradientNeeds: (inputs: UInt8, output: Bool) {
    switch self {
    case .add, .subtract, .floorDivide, .bitwiseAnd, .bitwiseOr, .bitwiseXor, .shiftLeft,
      .shiftRight:
      (0, false)
    case .multiply, .maximum, .minimum, .atLeast, .atMost, .atan2, .remainder, .floorRemainder:
      (0b11, false)
    case .divide: (0b11, false)
    case .power, .hypot: (0b11, true)
    }
  }
}
