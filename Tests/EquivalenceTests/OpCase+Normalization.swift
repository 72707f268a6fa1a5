import Duet
import DuetTestSupport

extension CaseGenerator {
  mutating func rowNorm(_ subject: Subject, _ dtype: DType) -> OpCase {
    let shape = anyShape(rank: 1...4)
    let axes = random.int(size == .large ? 1...1 : 0...shape.count)
    let row = Array(shape.suffix(axes))
    let eps = random.pick([1e-5, 1e-3, 0])
    let x = operand(dtype, shape)
    let layer = RowNorm(.layer, axes: axes, eps: eps)
    let root = RowNorm(.rootMeanSquare, axes: axes, eps: eps)
    switch subject {
    case .layerNorm:
      return OpCase(
        op: .rowNorm(layer), inputs: [x, operand(dtype, row), operand(dtype, row)])
    case .rmsNorm: return OpCase(op: .rowNorm(root), inputs: [x, operand(dtype, row)])
    case .layerNormInputGradient, .rmsNormInputGradient:
      let norm = subject == .layerNormInputGradient ? layer : root
      return OpCase(
        op: .rowNormInputGradient(norm), inputs: [x, operand(dtype, row), operand(dtype, shape)])
    default:
      let norm = subject == .layerNormParameterGradient ? layer : root
      return OpCase(op: .rowNormParameterGradient(norm), inputs: [x, operand(dtype, shape)])
    }
  }

  mutating func channelNorm(_ subject: Subject, _ dtype: DType) -> OpCase {
    let shape =
      size == .small
      ? random.chance(0.3)
        ? [random.pick([0, 1, 5, 70]), random.pick([1, 3, 16, 37])]
        : anyShape(rank: 2...4)
      : random.pick([[16, 13, 28, 28], [40, 11, 7, 7], [2100, 33], [3, 5, 4096]])
    let statistics = dtype.statisticsDType
    let (eps, channels) = (random.pick([1e-5, 0.1]), shape[1])
    let norm = ChannelNorm(eps: eps, ownMoments: random.chance(0.7))
    let x = operand(dtype, shape)
    let moments = operand(statistics, [2, channels])
    let parameters = (0..<2).map { _ in operand(dtype, [channels]) }
    switch subject {
    case .channelMoments: return OpCase(op: .channelMoments, inputs: [x])
    case .channelNorm:
      return OpCase(op: .channelNorm(norm), inputs: [x, moments] + parameters)
    case .channelNormParameterGradient:
      return OpCase(
        op: .channelNormParameterGradient(norm), inputs: [x, moments, operand(dtype, shape)])
    default:
      let sums = operand(statistics, [2, channels])
      return OpCase(
        op: .channelNormInputGradient(eps: eps),
        inputs: [x, moments, parameters[0], sums, operand(dtype, shape)])
    }
  }

  mutating func crossEntropy(_ subject: Subject, _ dtype: DType) -> OpCase {
    let shape =
      size == .small
      ? random.pick([
        [7], [1, 1], [0, 5], [33, 10], [4, 1030], [9, 2100], [2, 5, 3], [3, 4, 5, 7],
        [2, 1100, 17],
      ])
      : random.pick([[40, 4100], [20_000, 10], [3, 17, 60, 61]])
    let scores = operand(dtype, shape)
    let axis = shape.count == 1 ? 0 : 1
    var places = shape
    let classes = places.remove(at: axis)
    let loss = CrossEntropy(
      reduction: random.pick([.each, .mean, .sum]), hasWeights: random.chance(0.5),
      ignored: random.pick([nil, -100, 0]), smoothing: random.pick([0, 0, 0.1]),
      areLogProbabilities: random.chance(0.25))
    let labels = Tensor(
      (0..<places.reduce(1, *)).map { _ in
        loss.ignored != nil && random.chance(0.1) ? loss.ignored! : random.int(below: classes)
      }, places
    ).asType(random.chance(0.5) ? .int64 : .int32)
    var inputs = [scores, labels]
    if subject == .crossEntropyGradient {
      inputs.append(operand(dtype, loss.reduction == .each ? places : []))
    }
    if loss.hasWeights { inputs.append(operand(dtype, [classes])) }
    return OpCase(
      op: subject == .crossEntropy ? .crossEntropy(loss) : .crossEntropyGradient(loss),
      inputs: inputs)
  }
}
