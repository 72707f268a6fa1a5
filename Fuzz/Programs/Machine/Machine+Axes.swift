import Duet
import DuetNN

extension Machine {
  func alongAxes(
    _ kind: Kind, _ a: Operand, _ b: Operand, _ random: inout SplitMix64
  ) -> Operand {
    switch kind {
    case .reduction: return reduction(a, &random)
    case .statistic: return statistic(floating(a), &random)
    case .extreme: return extreme(numeric(nonempty(a)), &random)
    case .softmax:
      let x = withAxis(floating(a))
      let axis = random.int(below: x.tensor.ndim)
      return random.chance(0.5)
        ? say(x.tensor.softmax(axis: axis), "\(x).softmax(axis: \(axis))")
        : say(x.tensor.logSoftmax(axis: axis), "\(x).logSoftmax(axis: \(axis))")
    case .running:
      let x = withAxis(numeric(a))
      let axis = random.int(below: x.tensor.ndim)
      switch random.int(below: 4) {
      case 0: return say(x.tensor.cumsum(axis: axis), "\(x).cumsum(axis: \(axis))")
      case 1: return say(x.tensor.cumprod(axis: axis), "\(x).cumprod(axis: \(axis))")
      case 2: return say(x.tensor.cummax(axis: axis), "\(x).cummax(axis: \(axis))")
      default: return say(x.tensor.cummin(axis: axis), "\(x).cummin(axis: \(axis))")
      }
    case .sorting: return sorting(withAxis(numeric(a)), &random)
    case .normalization: return normalization(matrix(floating(a)), &random)
    default: return losses(wide(a), b, &random)
    }
  }

  private func axes(_ x: Operand, _ random: inout SplitMix64) -> ([Int], Bool) {
    ((0..<x.tensor.ndim).filter { _ in random.chance(0.5) }, random.chance(0.4))
  }

  private func reduction(_ x: Operand, _ random: inout SplitMix64) -> Operand {
    let (axes, keepDims) = axes(x, &random)
    let attributes = "axes: \(axes), keepDims: \(keepDims)"
    switch random.int(below: 7) {
    case 0, 1:
      return say(x.tensor.sum(axes: axes, keepDims: keepDims), "\(x).sum(\(attributes))")
    case 2: return say(x.tensor.sum(), "\(x).sum()")
    case 3:
      let x = floating(x)
      return say(x.tensor.mean(axes: axes, keepDims: keepDims), "\(x).mean(\(attributes))")
    case 4:
      return say(x.tensor.prod(axes: axes, keepDims: keepDims), "\(x).prod(\(attributes))")
    case 5:
      let x = numeric(x)
      return say(
        (x.tensor .> 0).any(axes: axes, keepDims: keepDims), "(\(x) .> 0).any(\(attributes))")
    default:
      let x = numeric(x)
      return say(
        (x.tensor .> 0).all(axes: axes, keepDims: keepDims), "(\(x) .> 0).all(\(attributes))")
    }
  }

  private func statistic(_ x: Operand, _ random: inout SplitMix64) -> Operand {
    let (axes, keepDims) = axes(x, &random)
    let attributes = "axes: \(axes), keepDims: \(keepDims)"
    switch random.int(below: 4) {
    case 0:
      return say(x.tensor.variance(axes: axes, keepDims: keepDims), "\(x).variance(\(attributes))")
    case 1: return say(x.tensor.std(axes: axes, keepDims: keepDims), "\(x).std(\(attributes))")
    case 2: return say(x.tensor.norm(axes: axes, keepDims: keepDims), "\(x).norm(\(attributes))")
    default:
      let x = nonempty(x)
      let axes = axes.filter { $0 < x.tensor.ndim }
      return say(
        x.tensor.logSumExp(axes: axes, keepDims: keepDims),
        "\(x).logSumExp(axes: \(axes), keepDims: \(keepDims))")
    }
  }

  private func extreme(_ x: Operand, _ random: inout SplitMix64) -> Operand {
    let (axes, keepDims) = axes(x, &random)
    let attributes = "axes: \(axes), keepDims: \(keepDims)"
    switch random.int(below: 4) {
    case 0: return say(x.tensor.max(axes: axes, keepDims: keepDims), "\(x).max(\(attributes))")
    case 1: return say(x.tensor.min(axes: axes, keepDims: keepDims), "\(x).min(\(attributes))")
    case 2: return say(x.tensor.argMax(axis: axes.first), "\(x).argMax(axis: \(show(axes.first)))")
    default: return say(x.tensor.argMin(axis: axes.first), "\(x).argMin(axis: \(show(axes.first)))")
    }
  }

  private func show(_ axis: Int?) -> String { axis.map(String.init) ?? "nil" }

  private func sorting(_ x: Operand, _ random: inout SplitMix64) -> Operand {
    let axis = random.int(below: x.tensor.ndim)
    let descending = random.chance(0.5)
    switch random.int(below: 3) {
    case 0:
      return say(
        x.tensor.sort(axis: axis, descending: descending),
        "\(x).sort(axis: \(axis), descending: \(descending))")
    case 1:
      return say(
        x.tensor.argSort(axis: axis, descending: descending),
        "\(x).argSort(axis: \(axis), descending: \(descending))")
    default:
      let k = min(3, x.tensor.dim(axis))
      let (values, places) = x.tensor.topK(k, axis: axis)
      return descending
        ? say(values, "\(x).topK(\(k), axis: \(axis)).values")
        : say(places, "\(x).topK(\(k), axis: \(axis)).indices")
    }
  }

  private func normalization(_ x: Operand, _ random: inout SplitMix64) -> Operand {
    switch random.int(below: 3) {
    case 0: return say(layerNorm(x.tensor), "layerNorm(\(x))")
    case 1: return say(rmsNorm(x.tensor), "rmsNorm(\(x))")
    default: return say(batchNorm(x.tensor), "batchNorm(\(x))")
    }
  }

  private func losses(
    _ x: Operand, _ other: Operand, _ random: inout SplitMix64
  ) -> Operand {
    switch random.int(below: 4) {
    case 0:
      let rows = random.int(1...5)
      let scores = shaped(x, [rows, 4])
      let labels = random.pick([0, 1, 2, 3])
      return say(
        crossEntropy(scores.tensor, full([rows], labels)),
        "crossEntropy(\(scores), full([\(rows)], \(labels)))")
    case 1:
      let y = wide(fitting(other, with: x))
      return say(
        mseLoss(x.tensor, y.tensor.broadcast(to: x.shape)),
        "mseLoss(\(x), \(y).broadcast(to: \(x.shape)))", unlessLarger: y, x)
    case 2:
      let y = say(zeros(like: x.tensor), "zeros(like: \(x))")
      return say(huberLoss(x.tensor, y.tensor), "huberLoss(\(x), \(y))")
    default:
      let y = say(ones(like: x.tensor), "ones(like: \(x))")
      return say(
        binaryCrossEntropyWithLogits(x.tensor, y.tensor),
        "binaryCrossEntropyWithLogits(\(x), \(y))")
    }
  }

  /// As `say`, but with the square of x where y does not broadcast to x.
  private func say(
    _ tensor: @autoclosure () -> Tensor, _ text: @autoclosure () -> String,
    unlessLarger y: Operand, _ x: Operand
  ) -> Operand {
    Shape.broadcast(y.tensor.type.shape, x.tensor.type.shape) == x.tensor.type.shape
      ? say(tensor(), text()) : say(x.tensor.square().mean(), "\(x).square().mean()")
  }
}
