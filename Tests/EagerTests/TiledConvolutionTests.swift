import DuetEager
import DuetRuntime
import Testing

/// 3 x 3 convolutions of stride 1, which go by Winograd's algorithm from 16 channels on.
@Suite struct TiledConvolutionTests {
  /// A convolution of padding 1 with the gradients of its input and weight.
  private struct Results {
    var result, inputGradient, weightGradient: Tensor

    var each: [(String, Tensor)] {
      [
        ("result", result), ("input gradient", inputGradient), ("weight gradient", weightGradient),
      ]
    }
  }

  private func convolved(_ x: Tensor, _ w: Tensor, _ dy: Tensor) -> Results {
    let (x, w) = (x.detached().requiringGrad(), w.detached().requiringGrad())
    let y = conv2d(x, w, padding: 1)
    let gradients = gradients(of: [y], by: [x, w], cotangents: [dy])
    return Results(
      result: y.detached(), inputGradient: gradients[0], weightGradient: gradients[1])
  }

  /// `[N, C, H, W]` to `[N * H * W, C * 9]`: what the taps of each position see.
  private func patches(_ x: Tensor) -> Tensor {
    let (height, width) = (x.shape[2], x.shape[3])
    let padded = x.padded(widths: [(0, 0), (0, 0), (1, 1), (1, 1)])
    let taps = (0..<9).map { padded[0..., 0..., $0 / 3..<$0 / 3 + height, $0 % 3..<$0 % 3 + width] }
    return stacked(taps, axis: 2).transposed(0, 3, 4, 1, 2).reshaped(-1, x.shape[1] * 9)
  }

  private func image(_ rows: Tensor, like x: Tensor) -> Tensor {
    rows.reshaped(x.shape[0], x.shape[2], x.shape[3], -1).transposed(0, 3, 1, 2)
  }

  /// The direct form by matrix products: every element is one chain over channels and taps, or over
  /// positions.
  private func multiplied(_ x: Tensor, _ w: Tensor, _ dy: Tensor) -> Results {
    let turned = w.flipped(axes: [2, 3]).swappedAxes(0, 1)
    let result = matmul(patches(x), w.reshaped(w.shape[0], -1).transposed(1, 0))
    let inputGradient = matmul(
      patches(dy), turned.reshaped(w.shape[1], -1).transposed(1, 0))
    let positions = dy.transposed(1, 0, 2, 3).reshaped(dy.shape[1], -1)
    return Results(
      result: image(result, like: x), inputGradient: image(inputGradient, like: x),
      weightGradient: matmul(positions, patches(x)).reshaped(w.shape))
  }

  private func errors(_ actual: Tensor, _ exact: Tensor) -> (largest: Double, meanSquare: Double) {
    let pairs = zip(actual.asArray(Double.self), exact.asArray(Double.self))
    let errors = pairs.map { abs($0 - $1) }
    return (errors.max()!, errors.map { $0 * $0 }.reduce(0, +) / Double(errors.count))
  }

  @Test(
    "errors against float64 are at most twice those of the direct form, NaN nowhere",
    arguments: [[2, 64, 14, 15, 48], [1, 16, 40, 131, 17], [3, 160, 7, 7, 33]])
  func isAccurate(_ size: [Int]) {
    let generator = Generator(seed: 11)
    let x = Random.normal([size[0], size[1], size[2], size[3]], generator: generator)
    let w = Random.normal([size[4], size[1], 3, 3], generator: generator)
    let dy = Random.normal([size[0], size[4], size[2], size[3]], generator: generator)
    let exact = convolved(x.asType(.float64), w.asType(.float64), dy.asType(.float64))
    let tiled = convolved(x, w, dy)
    let direct = multiplied(x, w, dy)
    for (((what, exact), (_, tiled)), (_, direct)) in zip(zip(exact.each, tiled.each), direct.each)
    {
      #expect(tiled.shape == exact.shape && direct.shape == exact.shape)
      let (ours, theirs) = (errors(tiled, exact), errors(direct, exact))
      #expect(theirs.largest > 0)
      #expect(ours.largest <= 2 * theirs.largest, "largest error of the \(what) of \(size)")
      #expect(ours.meanSquare <= 4 * theirs.meanSquare, "rms error of the \(what) of \(size)")
    }
  }

  @Test(
    "integers stay exact", arguments: [[2, 16, 5, 7, 19], [1, 40, 2, 2, 16], [1, 33, 3, 3, 50]])
  func isExactOnIntegers(_ size: [Int]) {
    let generator = Generator(seed: 12)
    func integers(_ shape: [Int]) -> Tensor {
      Random.randInt(-40..<41, shape, generator: generator).asType(.float32)
    }
    let x = integers([size[0], size[1], size[2], size[3]])
    let w = integers([size[4], size[1], 3, 3])
    let dy = integers([size[0], size[4], size[2], size[3]])
    let exact = convolved(x.asType(.float64), w.asType(.float64), dy.asType(.float64))
    for ((what, exact), (_, tiled)) in zip(exact.each, convolved(x, w, dy).each) {
      #expect(
        tiled.asArray(Double.self) == exact.asArray(Double.self), "\(what) of \(size)")
    }
  }

  @Test("a number that is not finite reaches the tiles that read it, and no others")
  func spreadsOverTiles() {
    let x = sample([1, 16, 12, 12])
    let w = sample([16, 16, 3, 3], seed: 1)
    let clean = conv2d(x, w, padding: 1).asArray(Double.self)
    for value in [Double.nan, .infinity, -.infinity] {
      // Pixel (5, 6) is in the windows of rows 4 ... 6 and columns 5 ... 7: tiles 2 ... 3 both ways.
      let spoilt = x.reshaped(-1).scatterSet(Tensor([(3 * 12 + 5) * 12 + 6]), Tensor([value]))
        .reshaped(x.shape)
      let y = conv2d(spoilt, w, padding: 1).asArray(Double.self)
      for (i, (a, b)) in zip(y, clean).enumerated() {
        let (row, column) = (i / 12 % 12, i % 12)
        if (4...6).contains(row) && (5...7).contains(column) {
          #expect(!a.isFinite, "row \(row), column \(column) of \(value)")
        } else if !(4...7).contains(row) || !(4...7).contains(column) {
          #expect(a == b, "row \(row), column \(column) of \(value)")
        }
      }
    }
  }
}
