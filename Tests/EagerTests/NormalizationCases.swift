import DuetEager
import DuetRuntime

extension GradientCase {
  static var normalizations: [GradientCase] { rowNorms + channelNorms + crossEntropies }

  private static var rowNorms: [GradientCase] {
    let x = sample([2, 3, 4], seed: 21)
    let dy = sample([2, 3, 4], seed: 22)
    return (0...2).flatMap { axes -> [GradientCase] in
      let row = Array(x.shape.suffix(axes))
      let scale = sample(row, 0.5, 1.5, seed: 23)
      let offset = sample(row, seed: 24)
      let layer = RowNorm(.layer, axes: axes, eps: 0.1)
      let root = RowNorm(.rootMeanSquare, axes: axes, eps: 0.1)
      return [
        GradientCase("layerNorm over \(axes)", [x, scale, offset]) { apply(.rowNorm(layer), $0) },
        GradientCase("layerNorm of a view", [x.transposed(1, 0, 2), scale, offset]) {
          apply(.rowNorm(layer), [$0[0].transposed(1, 0, 2), $0[1], $0[2]])
        },
        GradientCase("rmsNorm over \(axes)", [x, scale]) { apply(.rowNorm(root), $0) },
        GradientCase("layerNorm's input gradient over \(axes)", [x, scale, dy]) {
          apply(.rowNormInputGradient(layer), $0)
        },
        GradientCase("rmsNorm's input gradient over \(axes)", [x, scale, dy]) {
          apply(.rowNormInputGradient(root), $0)
        },
        GradientCase("layerNorm's parameter gradient over \(axes)", [x, dy]) {
          apply(.rowNormParameterGradient(layer), $0)
        },
        GradientCase("rmsNorm's parameter gradient over \(axes)", [x, dy]) {
          apply(.rowNormParameterGradient(root), $0)
        },
      ]
    }
  }

  private static var channelNorms: [GradientCase] {
    let scale = sample([3], 0.5, 1.5, seed: 25)
    let offset = sample([3], seed: 26)
    let moments = concatenated(
      [sample([1, 3], seed: 27), sample([1, 3], 0.5, 2, seed: 28)], axis: 0)
    let own = ChannelNorm(eps: 0.1, ownMoments: true)
    let given = ChannelNorm(eps: 0.1, ownMoments: false)
    return [[5, 3], [2, 3, 2, 2]].flatMap { shape -> [GradientCase] in
      let x = sample(shape, seed: 29)
      let dy = sample(shape, seed: 31)
      return [
        GradientCase("channelMoments of \(shape)", [x]) { channelMoments($0[0]) },
        GradientCase("batchNorm of \(shape)", [x, scale, offset]) {
          batchNorm($0[0], weight: $0[1], bias: $0[2], eps: 0.1)
        },
        GradientCase("batchNorm of \(shape) by given moments", [x, moments, scale, offset]) {
          apply(.channelNorm(given), $0)
        },
        GradientCase("batchNorm's parameter gradient of \(shape)", [x, dy]) {
          apply(.channelNormParameterGradient(own), [$0[0], channelMoments($0[0]), $0[1]])
        },
        GradientCase("the same by given moments", [x, moments, dy]) {
          apply(.channelNormParameterGradient(given), $0)
        },
        GradientCase("batchNorm's input gradient of \(shape)", [x, scale, dy]) {
          let moments = channelMoments($0[0])
          let sums = apply(.channelNormParameterGradient(own), [$0[0], moments, $0[2]])
          return apply(.channelNormInputGradient(eps: 0.1), [$0[0], moments, $0[1], sums, $0[2]])
        },
      ]
    }
  }

  private static var crossEntropies: [GradientCase] {
    var cases: [GradientCase] = []
    for (shape, labels) in [
      ([4, 3], Tensor([2, 0, -7, 1])), ([2, 3, 2], Tensor([[1, 2], [0, -7]])), ([3], Tensor(1)),
    ] {
      for (i, reduction) in CrossEntropy.Reduction.allCases.enumerated() {
        for smoothing in [0, 0.2] {
          for areLogarithms in [false, true] where !areLogarithms || smoothing == 0 {
            let loss = CrossEntropy(
              reduction: reduction, hasWeights: i % 2 == 0, ignored: -7, smoothing: smoothing,
              areLogProbabilities: areLogarithms)
            let x = sample(shape, seed: 32)
            let weights = i % 2 == 0 ? [sample([3], 0.5, 1.5, seed: 33)] : []
            let cotangent = sample(reduction == .each ? labels.shape : [], seed: 34)
            let name = "\(loss) of \(shape)"
            cases += [
              GradientCase(name, [x]) { apply(.crossEntropy(loss), [$0[0], labels] + weights) },
              GradientCase("the gradient of \(name)", [x, cotangent]) {
                apply(.crossEntropyGradient(loss), [$0[0], labels, $0[1]] + weights)
              },
            ]
          }
        }
      }
    }
    return cases
  }
}
