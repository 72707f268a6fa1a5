import Duet
import Foundation
import Testing

/// Convolutions of small integers, whose sums are exact, against PyTorch's: equal, not near.
@Suite struct ConvolutionTests {
  struct Fixture: Decodable {
    let cases: [Item]
  }

  struct Item: Decodable, Sendable, CustomTestStringConvertible {
    let stride, padding, dilation: [Int]
    let groups: Int
    /// Of transposed ones.
    let outputPadding: [Int]?
    let inputShape, weightShape, outputShape: [Int]
    let input, weight, cotangent, output, inputGradient, weightGradient: Data

    var testDescription: String {
      (outputPadding.map { "transposed (\($0)) " } ?? "")
        + "\(inputShape) by \(weightShape), stride \(stride), padding \(padding), dilation \(dilation), groups \(groups)"
    }
  }

  static let items: [Item] = {
    let url = Bundle.module.url(
      forResource: "convolutions", withExtension: "json", subdirectory: "Fixtures")!
    return try! JSONDecoder().decode(Fixture.self, from: Data(contentsOf: url)).cases
  }()

  private func small(_ data: Data, _ shape: [Int], _ dtype: DType) -> Tensor {
    Tensor(data.map { Int(Int8(bitPattern: $0)) }, shape).asType(dtype)
  }

  private func expect(_ actual: Tensor, _ stored: Data, _ shape: [Int], _ what: String) {
    let bytes = [UInt8](stored)
    let expected = stride(from: 0, to: bytes.count, by: 2).map { i in
      Int(Int16(bitPattern: UInt16(bytes[i]) | UInt16(bytes[i + 1]) << 8))
    }
    #expect(Array(actual.shape) == shape, "\(what)")
    let values = actual.asArray(Double.self)
    #expect(values.count == expected.count, "\(what)")
    for (i, (a, b)) in zip(values, expected).enumerated() where a != Double(b) {
      Issue.record("\(what): element \(i) is \(a) instead of \(b)")
      return
    }
  }

  @Test(
    "convolutions and both gradients equal PyTorch's", arguments: items, [DType.float32, .float64])
  func equalsPyTorch(_ item: Item, _ dtype: DType) {
    let x = small(item.input, item.inputShape, dtype).requiringGrad()
    let w = small(item.weight, item.weightShape, dtype).requiringGrad()
    let y = convolved(item, x, w)
    expect(y.detached(), item.output, item.outputShape, "output")
    let cotangent = small(item.cotangent, item.outputShape, dtype)
    let gradient = gradients(of: [y], by: [x, w], cotangents: [cotangent])
    expect(gradient[0], item.inputGradient, item.inputShape, "gradient of the input")
    expect(gradient[1], item.weightGradient, item.weightShape, "gradient of the weight")
  }

  private func convolved(_ item: Item, _ x: Tensor, _ w: Tensor) -> Tensor {
    let (stride, padding, dilation) = (item.stride, item.padding, item.dilation)
    switch (item.outputPadding, item.stride.count) {
    case (nil, 1):
      return conv1d(
        x, w, stride: stride[0], padding: padding[0], dilation: dilation[0], groups: item.groups)
    case (let outputPadding?, 1):
      return convTransposed1d(
        x, w, stride: stride[0], padding: padding[0], outputPadding: outputPadding[0],
        dilation: dilation[0], groups: item.groups)
    case (nil, _):
      return conv2d(
        x, w, stride: stride, padding: padding, dilation: dilation, groups: item.groups)
    case (let outputPadding?, _):
      return convTransposed2d(
        x, w, stride: stride, padding: padding, outputPadding: outputPadding, dilation: dilation,
        groups: item.groups)
    }
  }

  @Test("of 16 bits they are those in float32, rounded once", arguments: items)
  func halves(_ item: Item) {
    for dtype in [DType.float16, .bfloat16] {
      func all(_ dtype: DType) -> [Tensor] {
        let x = small(item.input, item.inputShape, dtype).requiringGrad()
        let w = small(item.weight, item.weightShape, dtype).requiringGrad()
        let y = convolved(item, x, w)
        let cotangent = small(item.cotangent, item.outputShape, dtype)
        return [y] + gradients(of: [y], by: [x, w], cotangents: [cotangent])
      }
      for (narrow, wide) in zip(all(dtype), all(.float32)) {
        #expect(narrow.dtype == dtype)
        #expect(
          (narrow .== wide.asType(dtype)).all().item(Bool.self), "\(dtype), \(narrow.shape)")
      }
    }
  }

  /// With a kernel of one tap that is 1 for every channel, and strides, the gradient is dy on the grid of the strides.
  @Test(
    "the gradient by a wide input of strides is dy on their grid",
    arguments: [[1, 2], [2, 1], [3, 3]], [33, 3])
  func wideRows(_ stride: [Int], _ channels: Int) {
    let (height, width) = (5, 3_301)
    let x = zeros([1, channels, height, width]).requiringGrad()
    let y = conv2d(x, ones([1, channels, 1, 1]), stride: stride)
    let (rows, columns) = ((height - 1) / stride[0] + 1, (width - 1) / stride[1] + 1)
    let cotangent = arange(rows * columns, dtype: .float32).reshaped([1, 1, rows, columns]) + 1
    let gradient = gradients(of: [y], by: [x], cotangents: [cotangent])[0].asArray(Float.self)
    for (i, value) in gradient.enumerated() {
      let (row, column) = (i / width % height, i % width)
      let isOnGrid = row % stride[0] == 0 && column % stride[1] == 0
      let expected =
        isOnGrid ? Float(row / stride[0] * columns + column / stride[1] + 1) : 0
      if value != expected {
        Issue.record("row \(row), column \(column): \(value) instead of \(expected)")
        return
      }
    }
  }
}
