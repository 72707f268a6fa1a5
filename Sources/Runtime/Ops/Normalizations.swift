/// How rows, the elements over the last axes, are normalised.
public struct RowNorm: Sendable, Hashable {
  /// What is true of a row before it is scaled and moved.
  public enum Kind: Int32, Sendable, Hashable {
    /// Mean 0 and variance 1; has an offset.
    case layer
    /// Mean square 1.
    case rootMeanSquare
  }

  /// Layer norm (Ba and others, 2016) or RMS norm (Zhang and Sennrich, 2019).
  public var kind: Kind
  /// The number of axes that make a row.
  public var axes: Int
  /// Is added to the variance or the mean square.
  public var eps: Double

  /// Rows over the last `axes` axes, with `eps` under the root.
  public init(_ kind: Kind, axes: Int, eps: Double) {
    self.kind = kind
    self.axes = axes
    self.eps = eps
  }
}

/// How channels, the second axis, are normalised.
public struct ChannelNorm: Sendable, Hashable {
  /// Is added to the variance.
  public var eps: Double
  /// Whether the moments are those of the very input. A gradient by the input then goes through them;
  /// otherwise they are operands like others.
  public var ownMoments: Bool

  /// Channels by moments of the very input, as in training, or by given ones, as in use.
  public init(eps: Double, ownMoments: Bool) {
    self.eps = eps
    self.ownMoments = ownMoments
  }
}

/// A loss of scores for classes and labels.
public struct CrossEntropy: Sendable, Hashable {
  /// What becomes of the losses.
  public enum Reduction: Int, Sendable, Hashable, CaseIterable {
    /// A loss for each label; their mean, weighted where there are weights; or their sum.
    case each, mean, sum
  }

  /// Whether the result has the labels' shape or is a scalar, and which.
  public var reduction: Reduction
  /// Whether there is an operand with a factor for each class.
  public var hasWeights: Bool
  /// A label that does not count.
  public var ignored: Int?
  /// How much of a label is spread evenly over all classes.
  public var smoothing: Double
  /// Whether the scores have been through a logarithmic softmax.
  public var areLogProbabilities: Bool

  /// By default classes count alike, no label is ignored or smoothed, and scores go through a softmax.
  public init(
    reduction: Reduction, hasWeights: Bool = false, ignored: Int? = nil, smoothing: Double = 0,
    areLogProbabilities: Bool = false
  ) {
    self.reduction = reduction
    self.hasWeights = hasWeights
    self.ignored = ignored
    self.smoothing = smoothing
    self.areLogProbabilities = areLogProbabilities
  }

  /// The axis of the classes in scores of that shape.
  public static func axis(of scores: Shape) -> Int { scores.rank <= 1 ? 0 : 1 }
}

extension DType {
  /// What statistics and sums of elements are kept in: `float32` for the 16-bit floats.
  public var statisticsDType: DType {
    switch self {
    case .float16, .bfloat16: .float32
    case .bool, .uint8, .int8, .int16, .int32, .int64, .float32, .float64: self
    }
  }
}
