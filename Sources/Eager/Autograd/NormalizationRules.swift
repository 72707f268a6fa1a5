import DuetRuntime

// The gradients of normalisations and cross entropies are operations of their own. Those of the gradients
// in turn come of the same formulas written with public operations (NormalizationFormulas.swift).

extension GradientRule {
  func normalization(_ op: Op, _ dy: Tensor) -> [Tensor?] {
    switch op {
    case .rowNorm(let norm):
      let rows = parameterGradients(wanted[1] || wanted.count > 2 && wanted[2]) {
        apply(.rowNormParameterGradient(norm), x(0), dy)
      }
      let all = [
        wanted[0] ? apply(.rowNormInputGradient(norm), [x(0), x(1), dy]) : nil,
        wanted[1] ? rows[0].map { apply(.reshape(inputTypes[1].shape), $0) } : nil,
      ]
      guard norm.kind == .layer else { return all }
      return all + [wanted[2] ? rows[1].map { apply(.reshape(inputTypes[2].shape), $0) } : nil]
    case .rowNormInputGradient(let norm):
      return byFormula([0, 1, 2], dy) { rowNormInputGradient(norm, $0[0], $0[1], $0[2]) }
    case .rowNormParameterGradient(let norm):
      return byFormula([0, 1], dy) { rowNormParameterGradient(norm, $0[0], $0[1]) }
    case .channelMoments: return [momentsGradient(dy)]
    case .channelNorm(let norm): return channelNorm(norm, dy)
    case .channelNormParameterGradient(let norm):
      let inputs = norm.ownMoments ? [0, 2] : [0, 2, 1]
      return byFormula(inputs, dy) {
        channelNormParameterGradient(
          norm, $0[0], norm.ownMoments ? nil : $0[2], $0[1])
      }
    case .channelNormInputGradient(let eps):
      return byFormula([0, 2, 4], dy) { channelNormInputGradient(eps, $0[0], $0[1], $0[2]) }
    case .crossEntropy(let loss):
      var inputs = [x(0), x(1), dy]
      if loss.hasWeights { inputs.append(x(2)) }
      return [wanted[0] ? apply(.crossEntropyGradient(loss), inputs) : nil, nil]
        + (loss.hasWeights ? [nil] : [])
    case .crossEntropyGradient(let loss):
      let weights = loss.hasWeights ? x(3) : nil
      return byFormula([0, 2], dy) {
        crossEntropyGradient(loss, $0[0], x(1), $0[1], weights)
      }
    default: preconditionFailure("\(op.name) is not a normalisation")
    }
  }

  /// The rows of the sums that a parameter gradient gives.
  private func parameterGradients(_ isWanted: Bool, _ sums: () -> Tensor) -> [Tensor?] {
    guard isWanted else { return [nil, nil] }
    let sums = sums()
    return (0..<2).map { $0 < sums.dim(0) ? sums.part(along: 0, $0, 1) : nil }
  }

  private func momentsGradient(_ d: Tensor) -> Tensor {
    let type = inputTypes[0]
    let count = Double(type.shape.elementCount) / Double(max(type.shape[1], 1))
    let perChannel = ChannelShape(type.shape)
    let centred = x(0).asType(d.dtype) - perChannel.spread(y.part(along: 0, 0, 1))
    let byMean = perChannel.spread(d.part(along: 0, 0, 1) / count)
    let byVariance = perChannel.spread(d.part(along: 0, 1, 1) * (2 / count))
    return (centred * byVariance + byMean).asType(type.dtype)
  }

  private func channelNorm(_ norm: ChannelNorm, _ dy: Tensor) -> [Tensor?] {
    let wantsInput = norm.ownMoments && wanted[0]
    let wantsMoments = !norm.ownMoments && wanted[1]
    let needsSums = wantsInput || wantsMoments || wanted[2] || wanted[3]
    let sums =
      needsSums ? apply(.channelNormParameterGradient(norm), [x(0), x(1), dy]) : nil
    let dtype = inputTypes[0].dtype
    let channels = inputTypes[2].shape
    func parameter(_ row: Int) -> Tensor? {
      sums.map { apply(.reshape(channels), $0.part(along: 0, row, 1)).asType(dtype) }
    }
    /// Scale over deviation, and the deviation's reciprocal.
    func factors() -> (Tensor, Tensor) {
      let r = apply(.rsqrt, x(1).part(along: 0, 1, 1) + norm.eps)
      return (apply(.reshape([1, channels[0]]), x(2)).asType(r.dtype) * r, r)
    }
    var byInput: Tensor?
    if wantsInput {
      byInput = apply(.channelNormInputGradient(eps: norm.eps), [x(0), x(1), x(2), sums!, dy])
    } else if wanted[0] {
      let factor = ChannelShape(inputTypes[0].shape).spread(factors().0)
      byInput = (dy.asType(factor.dtype) * factor).asType(dtype)
    }
    var byMoments: Tensor?
    if wantsMoments, let sums {
      let (factor, r) = factors()
      byMoments = apply(
        .concatenate(axis: 0),
        [
          -(factor * sums.part(along: 0, 1, 1)),
          factor * r * sums.part(along: 0, 0, 1) * -0.5,
        ])
    }
    return [byInput, byMoments, wanted[2] ? parameter(0) : nil, wanted[3] ? parameter(1) : nil]
  }

  /// The cotangents of some inputs of an operation that is also a formula of theirs: the formula is
  /// computed and its own operations are gone back through, no further than to the inputs.
  private func byFormula(
    _ places: [Int], _ cotangent: Tensor, _ formula: ([Tensor]) -> Tensor
  ) -> [Tensor?] {
    var results: [Tensor?] = Array(repeating: nil, count: wanted.count)
    // What begins at the inputs' own places in the graph would go on to what they were made from.
    let (inputs, output) = enableGrad {
      let inputs = places.map { i in
        wanted[i] ? apply(.reshape(inputTypes[i].shape), x(i)) : x(i).detached()
      }
      return (inputs, formula(inputs))
    }
    guard let root = output.body.autograd else { return results }
    var stops: [ObjectIdentifier: Int] = [:]
    for (input, i) in zip(inputs, places) where wanted[i] {
      if let meta = input.body.autograd { stops[ObjectIdentifier(meta)] = i }
    }
    Backward.run(
      from: [(root, cotangent)], keepingGraph: ThreadContext.isGradEnabled,
      stoppingAt: Set(stops.keys), isWanted: { stops[ObjectIdentifier($0)] != nil },
      visit: { meta, gradient, _ in results[stops[ObjectIdentifier(meta)]!] = gradient })
    return results
  }
}

/// The shape that an array per channel has among `[N, C, ...]`.
struct ChannelShape {
  let shape: Shape

  init(_ x: Shape) {
    var shape = Shape(repeating: 1, rank: x.rank)
    shape[1] = x[1]
    self.shape = shape
  }

  func spread(_ perChannel: Tensor) -> Tensor { apply(.reshape(shape), perChannel) }
}
