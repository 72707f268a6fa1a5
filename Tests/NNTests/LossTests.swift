import Duet
import Testing

@Suite struct LossTests {
  struct Case: Decodable {
    struct Value: Decodable {
      var loss: Fixture.Array
      var gradient: Fixture.Array
    }
    var x: Fixture.Array
    var target: Fixture.Array
    var results: [String: Value]
    var weight: Fixture.Array?
  }

  typealias Loss = @Sendable (Tensor, Tensor, Reduction, Tensor?) -> Tensor

  static let losses: [String: Loss] = [
    "cross_entropy": { x, y, r, _ in crossEntropy(x, y, reduction: r) },
    "cross_entropy_large": { x, y, r, _ in crossEntropy(x, y, reduction: r) },
    "cross_entropy_smoothing": { x, y, r, _ in crossEntropy(x, y, reduction: r, labelSmoothing: 0.1)
    },
    "cross_entropy_ignore": { x, y, r, _ in crossEntropy(x, y, reduction: r, ignoreIndex: -1) },
    "cross_entropy_weight": { x, y, r, w in crossEntropy(x, y, reduction: r, weight: w) },
    "cross_entropy_weight_smoothing_ignore": { x, y, r, w in
      crossEntropy(x, y, reduction: r, weight: w, labelSmoothing: 0.2, ignoreIndex: -1)
    },
    "cross_entropy_images": { x, y, r, _ in crossEntropy(x, y, reduction: r) },
    "cross_entropy_probabilities": { x, y, r, _ in crossEntropy(x, y, reduction: r) },
    "cross_entropy_probabilities_smoothing": { x, y, r, _ in
      crossEntropy(x, y, reduction: r, labelSmoothing: 0.1)
    },
    "cross_entropy_vector": { x, y, r, _ in crossEntropy(x, y, reduction: r) },
    "nll": { x, y, r, _ in nllLoss(x, y, reduction: r) },
    "mse": { x, y, r, _ in mseLoss(x, y, reduction: r) },
    "l1": { x, y, r, _ in l1Loss(x, y, reduction: r) },
    "smooth_l1": { x, y, r, _ in smoothL1Loss(x, y, beta: 0.7, reduction: r) },
    "huber": { x, y, r, _ in huberLoss(x, y, delta: 1.3, reduction: r) },
    "binary": { x, y, r, _ in binaryCrossEntropy(x, y, reduction: r) },
    "binary_logits": { x, y, r, _ in binaryCrossEntropyWithLogits(x, y, reduction: r) },
    "binary_logits_positive": { x, y, r, w in
      binaryCrossEntropyWithLogits(x, y, positiveWeight: w, reduction: r)
    },
    "kl": { x, y, r, _ in klDivergence(x, y, reduction: r) },
    "kl_log": { x, y, r, _ in klDivergence(x, y, logTargets: true, reduction: r) },
  ]

  static let cases = Result { try Fixture.load("losses", as: [String: Case].self) }

  @Test func everyCaseOfTheFixtureIsTested() throws {
    #expect(try Set(Self.cases.get().keys) == Set(Self.losses.keys))
  }

  @Test("A loss and its gradient are PyTorch's", arguments: Array(losses.keys).sorted())
  func agrees(_ name: String) throws {
    let expected = try #require(try Self.cases.get()[name])
    let reductions: [(String, Reduction)] = [("mean", .mean), ("sum", .sum), ("none", .none)]
    for (label, reduction) in reductions {
      let value = try #require(expected.results[label])
      let x = expected.x.tensor.requiringGrad()
      let loss = Self.losses[name]!(x, expected.target.tensor, reduction, expected.weight?.tensor)
      expectClose(loss, value.loss, label, tolerance: 5e-6)
      loss.sum().backward()
      expectClose(try #require(x.grad), value.gradient, "gradient, \(label)", tolerance: 5e-6)
    }
  }

  @Test func crossEntropyTakesAnyIntegerLabels() {
    let logits = Tensor([[2.0, 1.0, 0.0], [0.0, 3.0, 1.0]])
    let expected = crossEntropy(logits, Tensor([0, 2])).item(Float.self)
    for dtype in [DType.uint8, .int8, .int16, .int32] {
      #expect(crossEntropy(logits, Tensor([0, 2], dtype: dtype)).item(Float.self) == expected)
    }
  }

  @Test func divergenceOfProbabilitiesWithZerosIsFinite() {
    let input = Tensor([[0.5, 0.5]]).log()
    let loss = klDivergence(input, Tensor([[1.0, 0.0]]), reduction: .sum)
    #expect(abs(loss.item(Double.self) - 0.6931471805599453) < 1e-6)
  }

  @Test func accuracyCountsRowsWhoseLabelScoresHighest() {
    let logits = Tensor([[1.0, 2.0], [3.0, 0.0], [0.0, 1.0], [5.0, 4.0]])
    #expect(accuracy(logits, Tensor([1, 0, 0, 0])).item(Double.self) == 0.75)
  }

  @Test func binaryTargetsMustHaveTheShapeOfTheScores() {
    #expect(throws: TensorError.self) {
      try checked { binaryCrossEntropy(full([4, 1], 0.5), ones([4])) }
    }
    #expect(throws: TensorError.self) {
      try checked { binaryCrossEntropyWithLogits(ones([4, 1]), ones([4])) }
    }
  }

  /// Values and gradients are PyTorch's; those of targets are bounded as the loss is.
  @Test func certainProbabilitiesHaveFiniteGradients() {
    let x = Tensor([0.0, 0.0, 1.0, 1.0, 0.3], requiresGrad: true)
    let t = Tensor([0.0, 1.0, 0.0, 1.0, 0.6], requiresGrad: true)
    let losses = binaryCrossEntropy(x, t, reduction: .none)
    #expect(losses.asArray(Float.self) == [0, 100, 100, 0, 0.86505371])
    losses.sum().backward()
    #expect(x.grad!.asArray(Float.self) == [0, -999_999_995_904, 999_999_995_904, 0, -1.4285715])
    let targets = t.grad!.asArray(Float.self)
    #expect(targets[..<4] == [100, 100, -100, -100] && abs(targets[4] - 0.8473) < 1e-4)
    let whole = binaryCrossEntropy(Tensor([0.3, 0.6]), Tensor([1, 0]))
    #expect(abs(whole.item(Double.self) - (1.2039728 + 0.9162907) / 2) < 1e-6)
  }

  @Test func halvesAreReducedWithoutOverflow() {
    let (x, y) = (Tensor([320.0, 0], dtype: .float16), zeros([2], dtype: .float16))
    #expect(mseLoss(x, y).item(Double.self) == 51_200)
    let big = Tensor([40_000.0], dtype: .float16, requiresGrad: true)
    (mseLoss(big, zeros([1], dtype: .float16), reduction: .sum) * 0.25).backward()
    #expect(big.grad!.item(Double.self) == 20_000)
  }
}
