import Duet
import Testing

/// Normalisations and cross entropies as functions, against PyTorch's and against their formulas.
@Suite struct NormalizationTests {
  struct Case: Decodable {
    var inputs: [Fixture.Array]
    var integers: [Fixture.Array]
    var y: Fixture.Array
    var dy: Fixture.Array
    var gradients: [Fixture.Array]
  }

  static let cases = Result { try Fixture.load("normalization", as: [String: Case].self) }
  static let names = ((try? cases.get()) ?? [:]).keys.sorted()

  /// What Duet gives for a case of the fixture, by its name without the dtype.
  private static func result(_ name: String, _ x: [Tensor], _ other: [Tensor]) -> Tensor? {
    switch name {
    case "layer_norm", "layer_norm_long", "layer_norm_tall":
      return layerNorm(x[0], weight: x[1], bias: x[2])
    case "layer_norm_two_axes": return layerNorm(x[0], weight: x[1], bias: x[2], axes: 2, eps: 1e-3)
    case "rms_norm": return rmsNorm(x[0], weight: x[1])
    case "rms_norm_eps": return rmsNorm(x[0], weight: x[1], axes: 2, eps: 1e-2)
    case "batch_norm_in_use":
      return batchNorm(
        x[0], runningMean: Variable(other[0]), runningVariance: Variable(other[1]), weight: x[1],
        bias: x[2])
    case "cross_entropy_many": return crossEntropy(x[0], other[0])
    case "nll": return nllLoss(x[0], other[0], weight: other[1])
    default: break
    }
    if name.hasPrefix("batch_norm") { return batchNorm(x[0], weight: x[1], bias: x[2]) }
    guard name.hasPrefix("cross_entropy") else { return nil }
    let reduction: Reduction =
      name.hasSuffix("_mean") ? .mean : name.hasSuffix("_sum") ? .sum : .none
    return crossEntropy(
      x[0], other[0], reduction: reduction, weight: name.contains("weighted") ? other[1] : nil,
      labelSmoothing: name.contains("smooth") ? 0.2 : 0)
  }

  @Test("a function and its gradients are PyTorch's", arguments: names)
  func agrees(_ name: String) throws {
    let expected = try #require(try Self.cases.get()[name])
    let parts = name.split(separator: " ")
    let tolerance = parts[1] == "float64" ? 1e-12 : 5e-6
    let x = expected.inputs.map { $0.tensor.requiringGrad() }
    let y = try #require(
      Self.result(String(parts[0]), x, expected.integers.map(\.tensor)), "unknown case \(name)")
    expectClose(y, expected.y, "result", tolerance: tolerance)
    y.backward(expected.dy.tensor)
    for (i, gradient) in expected.gradients.enumerated() {
      expectClose(
        try #require(x[i].grad), gradient, "gradient \(i)", tolerance: tolerance * 4)
    }
  }

  @Test func theFixtureCoversEveryFunction() {
    #expect(Self.names.count > 60)
  }

  private static func spread(_ row: [Double]) -> (mean: Double, variance: Double) {
    let mean = row.reduce(0, +) / Double(row.count)
    return (mean, row.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(row.count))
  }

  /// The statistics' own error must be no larger than the one with which the elements came.
  @Test("a mean ten thousand times the deviation does no harm", arguments: [1e4, -1e4, 1e6])
  func largeMeans(_ mean: Double) {
    let generator = Generator(seed: 3)
    let x = (Random.normal([6, 1000], generator: generator) + mean).asType(.float32)
    let y = layerNorm(x, eps: 0).asArray(Double.self)
    let elements = x.asArray(Double.self)
    for r in 0..<6 {
      let row = Array(elements[(r * 1000)..<(r * 1000 + 1000)])
      let (mean, variance) = Self.spread(row)
      for i in row.indices {
        let expected = (row[i] - mean) / variance.squareRoot()
        #expect(abs(y[r * 1000 + i] - expected) < 4e-6 * (1 + abs(expected)))
      }
    }
    // Channels keep their mean as one number of the dtype.
    let moments = channelMoments(x.reshaped(1, 6, 1000)).asArray(Double.self)
    for c in 0..<6 {
      let (mean, variance) = Self.spread(Array(elements[(c * 1000)..<(c * 1000 + 1000)]))
      #expect(abs(moments[c] - mean) <= abs(mean) * 0x1p-24)
      #expect(abs(moments[6 + c] - variance) <= variance * 1e-6)
    }
  }

  @Test("half precision is float32 rounded once", arguments: [DType.float16, .bfloat16])
  func halves(_ dtype: DType) {
    let generator = Generator(seed: 4)
    func draw(_ shape: [Int]) -> Tensor { Random.normal(shape, generator: generator).asType(dtype) }
    let x = draw([5, 33, 7])
    let w = draw([7])
    let b = draw([7])
    let (scale, offset) = (draw([33]), draw([33]))
    let scores = draw([9, 70])
    let labels = Tensor([0, 69, 3, -100, 8, 9, 10, 44, 5])
    func all(_ cast: (Tensor) -> Tensor) -> [Tensor] {
      [
        layerNorm(cast(x), weight: cast(w), bias: cast(b)),
        rmsNorm(cast(x), weight: cast(w), eps: 0),
        batchNorm(cast(x), weight: cast(scale), bias: cast(offset)),
        crossEntropy(cast(scores), labels), crossEntropy(cast(scores), labels, reduction: .none),
      ]
    }
    for (half, wide) in zip(all { $0 }, all { $0.asType(.float32) }) {
      #expect(half.dtype == dtype)
      #expect(half.asArray(Double.self) == wide.asType(dtype).asArray(Double.self))
    }
  }

  @Test func rowsOfOneElementAreTheOffset() {
    let x = Tensor([[3.0], [-7.0]])
    #expect(
      layerNorm(x, weight: Tensor([2.0]), bias: Tensor([0.5])).asArray(Float.self) == [0.5, 0.5])
    #expect(layerNorm(x, axes: 0).asArray(Float.self) == [0, 0])
    #expect(rmsNorm(x, eps: 0).asArray(Float.self) == [1, -1])
  }

  @Test func constantRowsAreZero() {
    let y = layerNorm(full([3, 1000], 0.1), eps: 1e-5)
    #expect(y.abs().max().item(Double.self) < 1e-5)
    #expect(layerNorm(ones([1, 5]), eps: 0).isNaN().all().item())
  }

  @Test func aBadNumberSpoilsItsRowAlone() {
    for bad in [Double.nan, .infinity, -.infinity] {
      let x = Tensor([[1.0, 2.0, 3.0], [1.0, bad, 3.0]])
      let y = layerNorm(x).isNaN().asArray(Bool.self)
      #expect(y == [false, false, false, true, true, true])
    }
  }

  @Test func emptyTensors() {
    #expect(layerNorm(zeros([0, 4])).shape == [0, 4])
    #expect(layerNorm(zeros([3, 0])).shape == [3, 0])
    #expect(batchNorm(zeros([0, 3, 2])).shape == [0, 3, 2])
    let w = ones([4]).requiringGrad()
    layerNorm(zeros([0, 4]), weight: w, bias: zeros([4])).sum().backward()
    #expect(w.grad?.asArray(Float.self) == [0, 0, 0, 0])
    #expect(
      crossEntropy(zeros([0, 3]), zeros([0], dtype: .int64), reduction: .sum).item(Float.self) == 0)
    #expect(crossEntropy(zeros([0, 3]), zeros([0], dtype: .int64)).item(Float.self).isNaN)
  }

  @Test func nothingCountedGivesNaNAndNoGradient() {
    let x = Random.normal([2, 3]).requiringGrad()
    let loss = crossEntropy(x, Tensor([-100, -100]))
    #expect(loss.item(Float.self).isNaN)
    loss.backward()
    #expect(x.grad?.asArray(Float.self) == Array(repeating: 0, count: 6))
  }

  @Test("labels that are no class are errors, in replays too", arguments: [-1, 5, 100, -101])
  func labelsOutOfRange(_ label: Int) throws {
    let x = ones([2, 5])
    for loss in [{ crossEntropy($0, $1) }, { nllLoss($0, $1) }] as [(Tensor, Tensor) -> Tensor] {
      let error = #expect(throws: TensorError.self) {
        try checked { loss(x, Tensor([1, label])) }
      }
      #expect(error?.description.contains("label \(label) is out of range for 5 classes") == true)
      let function = traced { (x: Tensor, labels: Tensor) in loss(x, labels) }
      _ = function(x, Tensor([1, 4]))
      #expect(throws: TensorError.self) { try checked { function(x, Tensor([1, label])) } }
      #expect(function(x, Tensor([1, 0])).item(Float.self).isFinite)
    }
    #expect(throws: Never.self) {
      try checked { crossEntropy(x, Tensor([1, label]), ignoreIndex: label) }
    }
  }

  @Test func mistakesAreNamed() {
    func message(_ body: () -> Tensor) -> String {
      do {
        _ = try checked(body)
        return "no error"
      } catch { return "\(error)" }
    }
    #expect(message { layerNorm(ones([2, 3]), weight: ones([2])) }.contains("weight"))
    #expect(message { layerNorm(Tensor([1, 2])) }.contains("floating-point"))
    #expect(message { rmsNorm(ones([2]), axes: 2) }.contains("2 axes"))
    #expect(message { batchNorm(ones([3])) }.contains("[N, C, ...]"))
    #expect(message { batchNorm(ones([2, 3]), bias: ones([2])) }.contains("bias"))
    #expect(
      message { batchNorm(ones([2, 3]), mean: ones([2]), variance: ones([3])) }.contains("mean"))
    #expect(
      message { crossEntropy(ones([2, 3]), Tensor([0, 1]), labelSmoothing: 2) }.contains("0 ... 1"))
    #expect(
      message { crossEntropy(ones([2, 3]), Tensor([0, 1]), weight: ones([2])) }.contains("weight"))
    let weight = ones([3]).requiringGrad()
    #expect(
      message { crossEntropy(ones([2, 3]), Tensor([0, 1]), weight: weight) }.contains("constant"))
  }

  @Test func targetsMustHaveThePredictionsShape() {
    let losses: [(Tensor, Tensor) -> Tensor] = [
      { mseLoss($0, $1) }, { l1Loss($0, $1) }, { smoothL1Loss($0, $1) }, { huberLoss($0, $1) },
    ]
    for loss in losses {
      #expect(throws: TensorError.self) { try checked { loss(ones([4, 1]), ones([4])) } }
      #expect(loss(ones([4, 1]), Tensor(1.0)).item(Float.self) == 0)
    }
  }

  @Test("running statistics and losses of a training are PyTorch's", arguments: [false, true])
  func training(isTraced: Bool) throws {
    struct Step: Decodable {
      var x, y, loss: Fixture.Array
      var statistics: [Fixture.Array]
    }
    struct Run: Decodable {
      var parameters: [String: Fixture.Array]
      var steps: [Step]
    }
    let run = try Fixture.load("batch_norm_training", as: Run.self)
    let images = BatchNorm2d(4)
    let features = BatchNorm1d(6, momentum: 0.3)
    let model = Sequential {
      Conv2d(1, 4, kernelSize: 3)
      images
      ReLU()
      Flatten()
      Linear(144, 6)
      features
      ReLU()
      Linear(6, 3)
    }
    for (name, parameter) in model.parameters.named {
      parameter.value = try #require(run.parameters[name]).tensor
    }
    let optimizer = SGD(model.parameters, learningRate: 0.05)
    let step = { (x: Tensor, y: Tensor) in
      optimizer.zeroGrad()
      let loss = crossEntropy(model(x), y)
      loss.backward()
      optimizer.step()
      return loss.detached()
    }
    let function = traced(step)
    for (i, expected) in run.steps.enumerated() {
      let (x, y) = (expected.x.tensor, expected.y.tensor)
      let loss = isTraced ? function(x, y) : step(x, y)
      expectClose(loss, expected.loss, "loss \(i)", tolerance: 2e-5)
      let statistics = [
        images.runningMean, images.runningVariance, features.runningMean, features.runningVariance,
      ]
      for (variable, value) in zip(statistics, expected.statistics) {
        expectClose(try #require(variable).value, value, "statistics \(i)", tolerance: 2e-5)
      }
    }
    #expect(images.buffers.last?.variable.value.item(Int.self) == run.steps.count)
  }

  @Test func runningVariancesOfHalvesDoNotOverflow() {
    let norm = BatchNorm1d(1, dtype: .float16)
    _ = norm(Tensor([[300.0], [600], [900], [1200]], dtype: .float16))
    #expect(norm.runningVariance!.value.item(Double.self) == 15_000)
  }
}
