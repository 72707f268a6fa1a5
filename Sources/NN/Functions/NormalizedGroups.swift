import DuetEager
import DuetRuntime

/// The shapes in which groups, and channels, of all elements of a batch are as many channels of one image.
struct GroupShapes {
  /// `[1, N · groups, elements of a group]`.
  let groups: [Int]
  /// `[1, N · C, elements of a channel]`.
  let channels: [Int]

  /// - Parameter x: `[N, C, ...]`, whose channels divide into groups.
  init(_ x: [Int], _ groups: Int) {
    let inChannel = x.dropFirst(2).reduce(1, *)
    self.groups = [1, x[0] * groups, x[1] / groups * inChannel]
    channels = [1, x[0] * x[1], inChannel]
  }
}

/// What `groupNorm` does, with arguments that fit: the moments of groups, and then channels by them, scaled and moved
/// in the same pass.
func normalizedGroups(
  _ x: Tensor, _ groups: Int, _ weight: Tensor?, _ bias: Tensor?, _ eps: Double
) -> Tensor {
  let dtype = [weight, bias].reduce(x.dtype) { DType.promoted($0, $1?.dtype ?? $0) }
  let (channels, inGroup) = (x.dim(1), x.dim(1) / groups)
  let inputs = [
    x.asType(dtype), weight?.asType(dtype) ?? ones([channels], dtype: dtype),
    bias?.asType(dtype) ?? zeros([channels], dtype: dtype),
  ]
  let shapes = GroupShapes(x.shape, groups)
  let n = x.dim(0)
  let norm = ChannelNorm(eps: eps, ownMoments: false)
  func perChannel(_ moments: Tensor) -> Tensor { moments.repeated(count: inGroup, axis: 1) }

  let (y, moments) = noGrad {
    let values = inputs.map { $0.detached() }
    let moments = channelMoments(values[0].reshaped(shapes.groups))
    let y = apply(
      .channelNorm(norm),
      [
        values[0].reshaped(shapes.channels), perChannel(moments), values[1].tiled([n]),
        values[2].tiled([n]),
      ])
    return (y.reshaped(x.shape), moments)
  }
  guard ThreadContext.isGradEnabled, inputs.contains(where: \.requiresGrad) else { return y }
  let wanted = inputs.map(\.requiresGrad)
  return CustomGradient.attach([y], to: inputs, named: "groupNorm", keepsResults: false) {
    inputs, _, cotangents in
    let dy = cotangents[0]
    let rows = inputs[0].reshaped(shapes.groups)
    // The gradient of the gradient goes through the moments.
    let moments = ThreadContext.isGradEnabled ? channelMoments(rows) : moments
    // Σ x̂ dy and Σ dy of each channel of each element: `[2, N, C]`.
    let sums = apply(
      .channelNormParameterGradient(norm),
      [inputs[0].reshaped(shapes.channels), perChannel(moments), dy.reshaped(shapes.channels)]
    ).reshaped([2, n, channels])
    func parameter(_ row: Int) -> Tensor? {
      wanted[row + 1] ? sums[row].sum(axis: 0).asType(dtype) : nil
    }
    var byInput: Tensor?
    if wanted[0] {
      let spread = [channels] + Array(repeating: 1, count: x.ndim - 2)
      let scaled = weight == nil ? dy : dy * inputs[1].reshaped(spread)
      let scaledSums = weight == nil ? sums : sums * inputs[1].asType(sums.dtype)
      let inGroups = scaledSums.reshaped([2, n * groups, inGroup]).sum(axis: 2)
      byInput = apply(
        .channelNormInputGradient(eps: eps),
        [
          rows, moments, ones([n * groups], dtype: dtype), inGroups,
          scaled.reshaped(shapes.groups),
        ]
      ).reshaped(x.shape)
    }
    return [byInput, parameter(0), parameter(1)]
  }[0]
}
