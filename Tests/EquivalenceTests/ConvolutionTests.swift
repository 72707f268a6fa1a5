import Duet
import DuetTestSupport
import Testing

/// Convolutions of every kind that has a way of its own through the kernels: the bits depend neither
/// on the instruction set nor on the number of threads.
@Suite(.serialized) struct ConvolutionTests {
  struct Shape: CustomTestStringConvertible, Sendable {
    let name: String
    let input, weight: [Int]
    var stride = [1, 1]
    var padding = [0, 0]
    var dilation = [1, 1]
    var groups = 1

    var testDescription: String { name }
    var convolution: Convolution {
      Convolution(
        stride: Extent(stride[0], stride[1]), padding: Extent(padding[0], padding[1]),
        dilation: Extent(dilation[0], dilation[1]), groups: groups)
    }
  }

  static let shapes = [
    Shape(name: "1x1, large planes", input: [2, 40, 33, 37], weight: [72, 40, 1, 1]),
    Shape(name: "1x1, small planes", input: [9, 130, 7, 7], weight: [150, 130, 1, 1]),
    Shape(
      name: "1x1, two apart", input: [3, 70, 15, 13], weight: [100, 70, 1, 1], stride: [2, 2]),
    Shape(
      name: "1x1, padded, strides that differ", input: [2, 33, 9, 20], weight: [40, 33, 1, 1],
      stride: [3, 2], padding: [1, 2]),
    Shape(name: "1x1, deep", input: [2, 1100, 5, 6], weight: [300, 1100, 1, 1]),
    Shape(
      name: "3x3, two apart", input: [4, 100, 14, 15], weight: [110, 100, 3, 3], stride: [2, 2],
      padding: [1, 1]),
    Shape(
      name: "3x3, three apart, dilated", input: [2, 97, 17, 12], weight: [99, 97, 3, 3],
      stride: [3, 3], padding: [2, 1], dilation: [2, 1]),
    Shape(
      name: "5x5 over many channels", input: [2, 96, 9, 11], weight: [96, 96, 5, 5],
      padding: [2, 2]),
    Shape(
      name: "7x7 over three channels, two apart", input: [2, 3, 41, 39], weight: [64, 3, 7, 7],
      stride: [2, 2], padding: [3, 3]),
    Shape(
      name: "groups of many channels", input: [2, 200, 8, 9], weight: [202, 100, 3, 3],
      stride: [2, 1], padding: [1, 1], groups: 2),
    Shape(
      name: "rows as signals, dilated", input: [2, 24, 1, 700], weight: [100, 24, 1, 5],
      padding: [0, 4], dilation: [1, 2]),
    Shape(name: "one channel", input: [5, 1, 28, 28], weight: [6, 1, 5, 5]),
    Shape(
      name: "depthwise 3x3", input: [3, 37, 19, 23], weight: [37, 1, 3, 3], padding: [1, 1],
      groups: 37),
    Shape(
      name: "depthwise 3x3, two apart", input: [2, 34, 20, 41], weight: [34, 1, 3, 3],
      stride: [2, 2], padding: [1, 1], groups: 34),
    Shape(
      name: "depthwise, several outputs a channel, dilated", input: [2, 9, 21, 18],
      weight: [27, 1, 5, 3], padding: [3, 2], dilation: [2, 2], groups: 9),
    Shape(
      name: "depthwise 1xk", input: [2, 50, 1, 333], weight: [50, 1, 1, 7], stride: [1, 3],
      padding: [0, 3], groups: 50),
    Shape(
      name: "depthwise, small images", input: [5, 70, 14, 13], weight: [70, 1, 5, 5],
      padding: [2, 2], groups: 70),
    Shape(
      name: "depthwise, small images two apart, several outputs a channel", input: [3, 17, 19, 27],
      weight: [34, 1, 3, 5], stride: [2, 2], padding: [1, 3], dilation: [1, 2], groups: 17),
    Shape(
      name: "depthwise, narrow bands", input: [1, 33, 401, 5], weight: [33, 1, 3, 3],
      stride: [3, 1], padding: [1, 1], groups: 33),
    Shape(
      name: "wide rows, two apart", input: [1, 40, 3, 2_305], weight: [35, 40, 1, 1],
      stride: [2, 2]),
    Shape(name: "few channels", input: [19, 6, 12, 12], weight: [16, 6, 5, 5]),
    Shape(
      name: "one channel, padded, dilated", input: [3, 1, 30, 41], weight: [7, 1, 3, 7],
      padding: [2, 5], dilation: [3, 2]),
    Shape(
      name: "few channels in groups", input: [2, 6, 17, 18], weight: [36, 2, 4, 3],
      padding: [1, 2], groups: 3),
  ]

  @Test(
    "convolutions and their gradients have the same bits everywhere", arguments: shapes,
    [DType.float32, .float64])
  func bits(_ shape: Shape, _ dtype: DType) throws {
    var random = SplitMix64(shape.input.reduce(shape.weight.count, +))
    let x = random.tensor(dtype, shape.input, .ordinary)
    let w = random.tensor(dtype, shape.weight, .ordinary)
    let type = try Op.conv2d(shape.convolution).resultType(for: [x.type, w.type])
    let dy = random.tensor(dtype, Array(type.shape), .ordinary)
    let calls: [(Op, [Tensor])] = [
      (.conv2d(shape.convolution), [x, w]),
      (
        .conv2dInputGradient(
          shape.convolution, inputSize: Extent(shape.input[2], shape.input[3])), [dy, w]
      ),
      (
        .conv2dWeightGradient(
          shape.convolution, kernelSize: Extent(shape.weight[2], shape.weight[3])), [x, dy]
      ),
    ]
    let expected = ProcessSettings.with(
      threads: 1, instructionSet: ProcessSettings.instructionSets[0]
    ) {
      calls.map { Bits(apply($0.0, $0.1)) }
    }
    for set in ProcessSettings.instructionSets {
      for threads in [1, 2, 3, 7] {
        let actual = ProcessSettings.with(threads: threads, instructionSet: set) {
          calls.map { Bits(apply($0.0, $0.1)) }
        }
        for (i, result) in actual.enumerated() {
          expectSame(result, expected[i], "\(calls[i].0), \(set), \(threads) threads")
        }
      }
    }
  }
}
