import Duet
import DuetTestSupport
import Testing

/// Pooling, resizing and rearranging layers.
@Suite struct ResizingTests {
  static let layers: [String: @Sendable () -> any UnaryLayer] = [
    "adaptive_avg_one": { AdaptiveAvgPool2d(1) },
    "adaptive_avg_even": { AdaptiveAvgPool2d([2, 3]) },
    "adaptive_avg_odd": { AdaptiveAvgPool2d([3, 4]) },
    "adaptive_avg_larger": { AdaptiveAvgPool2d(6) },
    "adaptive_max_odd": { AdaptiveMaxPool2d([3, 4]) },
    "adaptive_max_even": { AdaptiveMaxPool2d([2, 3]) },
    "adaptive_max_one": { AdaptiveMaxPool2d(1) },
    "adaptive_avg1d": { AdaptiveAvgPool1d(3) },
    "adaptive_max1d": { AdaptiveMaxPool1d(3) },
    "max_pool1d": { MaxPool1d(3, stride: 2, padding: 1, dilation: 2) },
    "avg_pool1d": { AvgPool1d(3, stride: 2, padding: 1, countIncludePad: false) },
    "nearest1d": { Upsample(scaleFactor: 2) },
    "nearest2d": { Upsample(scaleFactor: [2, 3]) },
    "nearest2d_size": { Upsample(size: [5, 3]) },
    "nearest2d_factor": { Upsample(scaleFactor: 1.7) },
    "linear1d": { Upsample(scaleFactor: 2, mode: .linear()) },
    "linear1d_corners": { Upsample(size: 7, mode: .linear(alignCorners: true)) },
    "bilinear": { Upsample(scaleFactor: 2, mode: .linear()) },
    "bilinear_corners": { Upsample(size: [5, 6], mode: .linear(alignCorners: true)) },
    "bilinear_smaller": { Upsample(size: [2, 3], mode: .linear()) },
    "bilinear_factor": { Upsample(scaleFactor: 1.3, mode: .linear()) },
    "pixel_shuffle": { PixelShuffle(2) },
    "pixel_unshuffle": { PixelUnshuffle(2) },
    "zero_pad2d": { ZeroPad2d(left: 1, right: 2, bottom: 3) },
    "unflatten": { Unflatten(axis: 1, [2, 3]) },
  ]

  @Test("A layer and its gradients are PyTorch's", arguments: layers.keys.sorted())
  func agrees(_ name: String) throws {
    try ModuleCase.check(name) { _ in ModuleCase.Subject(Self.layers[name]!()) }
  }

  @Test func aBadNumberStaysInItsWindows() {
    var x = ones([1, 1, 5, 5])
    x[0, 0, 0, 0] = Tensor(Double.infinity, dtype: .float32)
    let y = adaptiveAvgPool2d(x, outputSize: 3).isFinite().asArray(Bool.self)
    #expect(y == [false] + Array(repeating: true, count: 8))
    let z = interpolate(x, size: 10, mode: .linear()).isFinite()
    #expect(z[0, 0, 4..., 4...].all().item())
  }

  @Test func shufflingIsUndone() {
    let x = arange(2 * 9 * 2 * 3).reshaped(2, 9, 2, 3)
    expectSame(pixelUnshuffle(pixelShuffle(x, upscaleFactor: 3), downscaleFactor: 3), x)
    expectSame(
      Unflatten(axis: -1, [-1, 3])(Flatten()(x)).flattened(start: 1), x.flattened(start: 1))
  }

  @Test func mistakesAreNamed() {
    func expect(_ parts: String..., from body: () -> Void) {
      let found = mistake(body)
      for part in parts { #expect(found.contains(part), "\(found)") }
    }
    expect("AdaptiveAvgPool2d", "[2, 3]") { _ = AdaptiveAvgPool2d(1)(ones([2, 3])) }
    expect("AdaptiveAvgPool2d", "outputSize") { _ = AdaptiveAvgPool2d(0)(ones([1, 1, 2, 2])) }
    expect("AdaptiveMaxPool2d", "[1, 1, 0, 2]") { _ = AdaptiveMaxPool2d(1)(ones([1, 1, 0, 2])) }
    expect("AdaptiveAvgPool1d", "[N, C, L]") { _ = AdaptiveAvgPool1d(2)(ones([1, 2])) }
    let row = ones([1, 1, 4])
    expect("AdaptiveMaxPool1d", "sequences") { _ = AdaptiveMaxPool1d(2)(Tensor([[[1, 2]]])) }
    expect("AdaptiveAvgPool1d", "not 0") { _ = AdaptiveAvgPool1d(0)(row) }
    expect("adaptiveMaxPool1d", "not -1") { _ = adaptiveMaxPool1d(row, outputSize: -1) }
    expect("AdaptiveAvgPool1d", "too large") { _ = AdaptiveAvgPool1d(1 << 40)(row) }
    expect("MaxPool1d: ", "kernel 0,", "length 4") { _ = MaxPool1d(0)(row) }
    expect("AvgPool1d: ", "kernel 5,", "length 4") { _ = AvgPool1d(5)(row) }
    expect("maxPool1d: ", "dilation 2") { _ = maxPool1d(row, kernelSize: 3, dilation: 2) }
    expect("avgPool1d: ", "stride 0") { _ = avgPool1d(row, kernelSize: 2, stride: 0) }
    expect("MaxPool1d: ", "padding 2") { _ = MaxPool1d(3, padding: 2)(row) }
    expect("maxPool1d", "[3]") { _ = maxPool1d(ones([3]), kernelSize: 2) }
    expect("Upsample", "factors") { _ = Upsample(scaleFactor: -1) }
    expect("Upsample", "[2, 3]") { _ = Upsample(scaleFactor: 2)(ones([2, 3])) }
    expect("interpolate", "sizes") { _ = interpolate(ones([1, 1, 0]), size: 2) }
    expect("interpolate", "factor") { _ = interpolate(ones([1, 1, 2]), scaleFactor: [2, 2]) }
    expect("interpolate", "size") { _ = interpolate(ones([1, 1, 2]), size: [1, 2, 3]) }
    expect("interpolate", "too large") { _ = interpolate(ones([1, 1, 4, 4]), size: 1 << 32) }
    expect("interpolate", "too large") { _ = interpolate(ones([1, 1, 3]), size: 1 << 32) }
    expect("interpolate", "too large") {
      _ = interpolate(zeros([0, 1, 1 << 40]), scaleFactor: 0x1p39)
    }
    expect("pixelShuffle", "channels") { _ = PixelShuffle(1 << 40)(ones([1, 4, 2, 2])) }
    expect("pixelShuffle", "channels") { _ = PixelShuffle(1 << 31)(ones([1, 0, 1 << 33, 2])) }
    expect("pixelUnshuffle", "multiples") { _ = PixelUnshuffle(1 << 40)(ones([1, 4, 0, 0])) }
    expect("Unflatten", "sizes") { _ = Unflatten(axis: 0, [1 << 40, 1 << 40])(ones([4])) }
    expect("pixelShuffle", "2²") { _ = PixelShuffle(2)(ones([1, 3, 2, 2])) }
    expect("pixelUnshuffle", "multiples of 2") { _ = PixelUnshuffle(2)(ones([1, 3, 3, 2])) }
    expect("ZeroPad2d", "left") { _ = ZeroPad2d(left: -1) }
    expect("ZeroPad2d", "[3]") { _ = ZeroPad2d(1)(ones([3])) }
    expect("Unflatten", "[4, 2]") { _ = Unflatten(axis: 1, [4, 2])(ones([1, 6])) }
    expect("Unflatten", "axis 3") { _ = Unflatten(axis: 3, [4, 2])(ones([1, 6])) }
  }
}
