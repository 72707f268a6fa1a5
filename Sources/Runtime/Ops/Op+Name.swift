extension Op {
  /// The operation's name in messages and printed graphs.
  public var name: String {
    switch self {
    case .unary(let op): "\(op)"
    case .binary(let op): "\(op)"
    case .compare(let op): "\(op)"
    case .select: "which"
    case .cast: "cast"
    case .fill: "fill"
    case .iota: "iota"
    case .reduce(let op, _, _): "\(op)"
    case .softmax: "softmax"
    case .logSoftmax: "logSoftmax"
    case .softmaxGradient: "softmaxGradient"
    case .logSoftmaxGradient: "logSoftmaxGradient"
    case .cumulative(.sum, _): "cumulativeSum"
    case .cumulative(.product, _): "cumulativeProduct"
    case .cumulative(.max, _): "cumulativeMax"
    case .cumulative(.min, _): "cumulativeMin"
    case .argSort: "argSort"
    case .argTopK: "argTopK"
    case .rowNorm(let norm): norm.name
    case .rowNormInputGradient(let norm): "\(norm.name)InputGradient"
    case .rowNormParameterGradient(let norm): "\(norm.name)ParameterGradient"
    case .channelMoments: "channelMoments"
    case .channelNorm: "batchNorm"
    case .channelNormParameterGradient: "batchNormParameterGradient"
    case .channelNormInputGradient: "batchNormInputGradient"
    case .crossEntropy(let loss): loss.name
    case .crossEntropyGradient(let loss): "\(loss.name)Gradient"
    case .matmul: "matmul"
    case .wideMatmul: "wideMatmul"
    case .linear: "linear"
    case .conv2d: "conv2d"
    case .conv2dInputGradient: "conv2dInputGradient"
    case .conv2dWeightGradient: "conv2dWeightGradient"
    case .maxPool2d: "maxPool2d"
    case .maxPool2dSelect: "maxPool2dSelect"
    case .maxPool2dGradient: "maxPool2dGradient"
    case .averagePool2d: "averagePool2d"
    case .averagePool2dGradient: "averagePool2dGradient"
    case .reshape: "reshape"
    case .transpose: "transpose"
    case .broadcast: "broadcast"
    case .slice: "slice"
    case .copy: "copy"
    case .barrier: "barrier"
    case .concatenate: "concatenate"
    case .updateSlice: "updateSlice"
    case .take: "take"
    case .takeAlong: "takeAlong"
    case .scatterAdd: "scatterAdd"
    case .scatterAddAlong: "scatterAddAlong"
    case .scatterSet: "scatterSet"
    case .random(.uniform, _): "randomUniform"
    case .random(.normal, _): "randomNormal"
    case .random(.integer, _): "randomInteger"
    case .random(.permutation, _): "randomPermutation"
    case .advanceRandom: "advanceRandom"
    case .region(let region): region.name
    case .regionResult: "result"
    }
  }
}

extension RowNorm {
  fileprivate var name: String {
    switch kind {
    case .layer: "layerNorm"
    case .rootMeanSquare: "rmsNorm"
    }
  }
}

extension CrossEntropy {
  fileprivate var name: String { areLogProbabilities ? "nllLoss" : "crossEntropy" }
}
