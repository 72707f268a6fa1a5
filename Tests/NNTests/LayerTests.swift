import Duet
import Testing

@Suite struct LayerTests {
  struct Case: Decodable {
    var x: Fixture.Array
    var parameters: [String: Fixture.Array]
    var y: Fixture.Array
    var dy: Fixture.Array
    var dx: Fixture.Array?
    var gradients: [String: Fixture.Array]
  }

  static let layers: [String: @Sendable () -> any UnaryLayer] = [
    "linear": { Linear(7, 5) },
    "linear_no_bias": { Linear(7, 5, bias: false) },
    "conv2d": { Conv2d(2, 4, kernelSize: 3) },
    "conv2d_stride_padding": {
      Conv2d(3, 4, kernelSize: [3, 5], stride: [2, 1], padding: [1, 2])
    },
    "conv2d_dilation": { Conv2d(2, 3, kernelSize: 3, dilation: 2, bias: false) },
    "conv2d_groups": { Conv2d(4, 6, kernelSize: 3, padding: 1, groups: 2) },
    "conv1d": { Conv1d(2, 4, kernelSize: 3) },
    "conv1d_groups": {
      Conv1d(4, 6, kernelSize: 3, stride: 2, padding: 1, dilation: 2, groups: 2, bias: false)
    },
    "conv_transposed1d": {
      ConvTransposed1d(3, 4, kernelSize: 4, stride: 2, padding: 1, outputPadding: 1)
    },
    "conv_transposed2d": { ConvTransposed2d(3, 4, kernelSize: 3) },
    "conv_transposed2d_groups": {
      ConvTransposed2d(
        4, 6, kernelSize: [3, 2], stride: [2, 3], padding: [1, 0], outputPadding: [1, 2],
        dilation: [2, 1], groups: 2, bias: false)
    },
    "max_pool2d": { MaxPool2d(2) },
    "max_pool2d_stride_padding": { MaxPool2d(3, stride: 2, padding: 1) },
    "avg_pool2d": { AvgPool2d(2) },
    "avg_pool2d_padding": { AvgPool2d(3, stride: 2, padding: 1, countIncludePad: false) },
    "relu": { ReLU() },
    "leaky_relu": { LeakyReLU(negativeSlope: 0.2) },
    "elu": { ELU(alpha: 1.5) },
    "gelu": { GELU() },
    "gelu_tanh": { GELU(approximate: .tanh) },
    "silu": { SiLU() },
    "sigmoid": { Sigmoid() },
    "tanh": { Tanh() },
    "softplus": { Softplus() },
    "softmax": { Softmax() },
    "softmax_axis0": { Softmax(axis: 0) },
    "log_softmax": { LogSoftmax() },
    "flatten": { Flatten() },
    "identity": { Identity() },
    "embedding": { Embedding(11, 4) },
    "layer_norm": { LayerNorm(6) },
    "layer_norm_two_axes": { LayerNorm([3, 5], eps: 1e-3) },
    "layer_norm_plain": { LayerNorm(6, affine: false) },
    "rms_norm": { RMSNorm(6) },
    "rms_norm_eps": { RMSNorm(6, eps: 1e-2) },
    "batch_norm2d": { BatchNorm2d(3) },
    "batch_norm1d": { BatchNorm1d(3) },
    "batch_norm1d_sequence": { BatchNorm1d(3, affine: false) },
    "sequential": {
      Sequential {
        Linear(5, 8)
        Tanh()
        Sequential {
          Linear(8, 3)
          LayerNorm(3)
        }
      }
    },
  ]

  static let cases = Result { try Fixture.load("layers", as: [String: Case].self) }

  @Test func everyCaseOfTheFixtureIsTested() throws {
    #expect(try Set(Self.cases.get().keys) == Set(Self.layers.keys))
  }

  @Test("A layer and its gradients are PyTorch's", arguments: Array(layers.keys).sorted())
  func agrees(_ name: String) throws {
    let expected = try #require(try Self.cases.get()[name])
    let layer = Self.layers[name]!()
    let parameters = layer.parameters
    #expect(Set(parameters.names) == Set(expected.parameters.keys))
    for (name, parameter) in parameters.named {
      parameter.value = try #require(expected.parameters[name]).tensor
    }
    let x = expected.dx == nil ? expected.x.tensor : expected.x.tensor.requiringGrad()
    let y = layer(x)
    expectClose(y, expected.y, "result")
    if y.requiresGrad { y.backward(expected.dy.tensor) }
    if let dx = expected.dx, y.gradFn != nil {
      expectClose(try #require(x.grad), dx, "dx", tolerance: 1e-5)
    }
    for (name, parameter) in parameters.named {
      expectClose(
        try #require(parameter.grad), try #require(expected.gradients[name]), name, tolerance: 1e-5)
    }
  }

  @Test func batchNormKeepsRunningStatisticsAsPyTorchDoes() throws {
    struct Step: Decodable {
      var x: Fixture.Array
      var mean: Fixture.Array
      var variance: Fixture.Array
    }
    struct Run: Decodable {
      var steps: [Step]
      var x: Fixture.Array
      var y: Fixture.Array
      var names: [String]
    }
    let run = try Fixture.load("batch_norm", as: Run.self)
    let layer = BatchNorm2d(2)
    #expect(layer.parameters.names + layer.buffers.map(\.name) == run.names)
    for step in run.steps {
      _ = layer(step.x.tensor)
      expectClose(try #require(layer.runningMean).value, step.mean, "mean")
      expectClose(try #require(layer.runningVariance).value, step.variance, "variance")
    }
    #expect(layer.buffers.last?.variable.value.item(Int.self) == run.steps.count)
    layer.eval()
    expectClose(layer(run.x.tensor), run.y, "result in use")
  }

  @Test func dropoutKeepsTheShareAndTheSumThatItShould() {
    let layer = Dropout(0.25, generator: Generator(seed: 3))
    let x = ones([100, 100])
    let y = layer(x)
    let kept = (y .!= 0).asType(.float64).mean().item(Double.self)
    #expect(abs(kept - 0.75) < 0.02)
    #expect(abs(y.max().item(Double.self) - 1 / 0.75) < 1e-6)
    #expect((layer(x) .== y).all().item(Bool.self) == false)
    layer.eval()
    #expect((layer(x) .== x).all().item(Bool.self))
  }

  @Test func dropoutOfAllOrNothing() {
    let x = Tensor([1.0, -2.0])
    #expect(Dropout(1)(x).asArray(Float.self) == [0, 0])
    #expect(Dropout(0)(x).asArray(Float.self) == [1, -2])
  }

  @Test func weightsBeginWithinPyTorchsBounds() {
    Random.seed(5)
    let linear = Linear(64, 300)
    let convolution = Conv2d(8, 32, kernelSize: [3, 5], groups: 2)
    let transposed = ConvTransposed2d(32, 8, kernelSize: [3, 5], groups: 2)
    for (parameter, fanIn) in [
      (linear.weight, 64.0), (linear.bias!, 64), (convolution.weight, 60), (convolution.bias!, 60),
      (transposed.weight, 60), (transposed.bias!, 60),
    ] {
      let bound = 1 / fanIn.squareRoot()
      let largest = parameter.value.abs().max().item(Double.self)
      #expect(largest <= bound + 1e-7 && largest > 0.8 * bound)
    }
    #expect(abs(linear.weight.value.std().item(Double.self) - 0.125 / 3.0.squareRoot()) < 2e-3)
  }

  @Test func sameSeedSameWeights() {
    func weights() -> [Float] {
      Random.seed(9)
      return Linear(3, 4).weight.value.asArray(Float.self)
    }
    #expect(weights() == weights())
  }

  @Test func wrongShapesAreNamed() {
    func message(_ body: () -> Void) -> String {
      do {
        try checked(body)
        return "no error"
      } catch { return "\(error)" }
    }
    #expect(message { _ = Linear(3, 4)(ones([2, 5])) }.contains("[2, 5]"))
    #expect(message { _ = BatchNorm2d(3)(ones([2, 5, 1, 1])) }.contains("C = 3"))
    #expect(message { _ = BatchNorm1d(3)(ones([1, 3])) }.contains("more than one value"))
    #expect(message { _ = Conv2d(3, 4, kernelSize: 3, groups: 2) }.contains("groups"))
    #expect(message { _ = Dropout(1.5) }.contains("1.5"))
    #expect(
      message { _ = crossEntropy(ones([2, 5]), Tensor([1, 2, 3])) }.contains("crossEntropy"))
    #expect(message { _ = crossEntropy(ones([2, 5]), Tensor([1, 7])) }.contains("7"))
  }

  @Test func normalizedAxesMustHaveTheLayersShape() {
    for layer in [LayerNorm(4), LayerNorm(4, affine: false), RMSNorm(4)] as [any UnaryLayer] {
      #expect(throws: TensorError.self) { try checked { layer(ones([2, 1])) } }
      #expect(throws: TensorError.self) { try checked { layer(ones([4, 2])) } }
    }
    #expect(throws: TensorError.self) { try checked { layerNorm(ones([2]), axes: -1) } }
    #expect(throws: TensorError.self) {
      try checked { StepLR(SGD(Linear(1, 1).parameters, learningRate: 1), stepSize: 0) }
    }
  }
}
