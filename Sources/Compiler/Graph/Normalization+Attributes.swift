import DuetRuntime

extension Op {
  /// The normalisation or loss of that name; nil: it is none.
  static func normalization(_ name: String, _ attributes: AttributeReader) throws(GraphError)
    -> Op?
  {
    switch name {
    case "layerNorm": .rowNorm(try attributes.rowNorm(.layer))
    case "layerNormInputGradient": .rowNormInputGradient(try attributes.rowNorm(.layer))
    case "layerNormParameterGradient": .rowNormParameterGradient(try attributes.rowNorm(.layer))
    case "rmsNorm": .rowNorm(try attributes.rowNorm(.rootMeanSquare))
    case "rmsNormInputGradient": .rowNormInputGradient(try attributes.rowNorm(.rootMeanSquare))
    case "rmsNormParameterGradient":
      .rowNormParameterGradient(try attributes.rowNorm(.rootMeanSquare))
    case "batchNorm": .channelNorm(try attributes.channelNorm())
    case "batchNormParameterGradient":
      .channelNormParameterGradient(try attributes.channelNorm())
    case "batchNormInputGradient":
      .channelNormInputGradient(eps: try attributes.number("eps"))
    case "crossEntropy": .crossEntropy(try attributes.crossEntropy(ofLogarithms: false))
    case "crossEntropyGradient":
      .crossEntropyGradient(try attributes.crossEntropy(ofLogarithms: false))
    case "nllLoss": .crossEntropy(try attributes.crossEntropy(ofLogarithms: true))
    case "nllLossGradient": .crossEntropyGradient(try attributes.crossEntropy(ofLogarithms: true))
    default: nil
    }
  }
}

extension RowNorm {
  var attributes: [(label: String, value: OpAttribute)] {
    [("axes", .integer(axes)), ("eps", .number(eps))]
  }
}

extension ChannelNorm {
  var attributes: [(label: String, value: OpAttribute)] {
    [("eps", .number(eps)), ("ownMoments", .flag(ownMoments))]
  }
}

extension CrossEntropy {
  var attributes: [(label: String, value: OpAttribute)] {
    [
      ("reduction", .integer(reduction.rawValue)), ("weights", .flag(hasWeights)),
      ("smoothing", .number(smoothing)), ("ignored", .integers(ignored.map { [$0] } ?? [])),
    ]
  }
}

extension AttributeReader {
  fileprivate func rowNorm(_ kind: RowNorm.Kind) throws(GraphError) -> RowNorm {
    RowNorm(kind, axes: try integer("axes"), eps: try number("eps"))
  }

  fileprivate func channelNorm() throws(GraphError) -> ChannelNorm {
    ChannelNorm(eps: try number("eps"), ownMoments: try flag("ownMoments"))
  }

  fileprivate func crossEntropy(ofLogarithms: Bool) throws(GraphError) -> CrossEntropy {
    guard let reduction = CrossEntropy.Reduction(rawValue: try integer("reduction")) else {
      throw GraphError("\(operation): no reduction of losses has that number")
    }
    return CrossEntropy(
      reduction: reduction, hasWeights: try flag("weights"),
      ignored: try integers("ignored").first, smoothing: try number("smoothing"),
      areLogProbabilities: ofLogarithms)
  }
}
