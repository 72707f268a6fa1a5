import Duet
import DuetTestSupport
import Foundation
import Testing

@Suite struct RankingLossTests {
  static let losses: [String: @Sendable ([Tensor], Reduction) -> Tensor] = [
    "margin_ranking": { marginRankingLoss($0[0], $0[1], $0[2], margin: 0.5, reduction: $1) },
    "hinge_embedding": { hingeEmbeddingLoss($0[0], $0[1], margin: 1.5, reduction: $1) },
    "cosine_embedding": {
      cosineEmbeddingLoss($0[0], $0[1], $0[2], margin: 0.25, reduction: $1)
    },
    "triplet": { tripletMarginLoss($0[0], $0[1], $0[2], margin: 1.5, reduction: $1) },
    "triplet_swap": {
      tripletMarginLoss($0[0], $0[1], $0[2], margin: 2, p: 1, swap: true, reduction: $1)
    },
    "poisson": { poissonNLLLoss($0[0], $0[1], reduction: $1) },
    "poisson_full": { poissonNLLLoss($0[0], $0[1], logInput: false, full: true, reduction: $1) },
    "gaussian": { gaussianNLLLoss($0[0], $0[1], variance: $0[2], full: true, reduction: $1) },
    "soft_margin": { softMarginLoss($0[0], $0[1], reduction: $1) },
    "ctc": {
      ctcLoss(
        logSoftmax($0[0]), $0[1], inputLengths: $0[2], labelLengths: $0[3], reduction: $1)
    },
  ]

  @Test("A loss and its gradients are PyTorch's", arguments: losses.keys.sorted())
  func agrees(_ name: String) throws {
    let reductions: [(String, Reduction)] = [("none", .none), ("mean", .mean), ("sum", .sum)]
    for (label, reduction) in reductions {
      try ModuleCase.check(name + " " + label) { _ in
        ModuleCase.Subject { [Self.losses[name]!($0, reduction)] }
      }
    }
  }

  @Test func distancesArePyTorchs() throws {
    try ModuleCase.check("cosine_similarity") { _ in .init { [cosineSimilarity($0[0], $0[1])] } }
    try ModuleCase.check("pairwise_distance") { _ in .init { [pairwiseDistance($0[0], $0[1])] } }
    let (a, b) = (Tensor([1.0, 2.0, -3.0]), Tensor([0.0, 4.0, 1.0]))
    #expect(pairwiseDistance(a, b, p: .infinity, eps: 0).item(Float.self) == 4)
    #expect(
      abs(pairwiseDistance(a, b, p: 3, eps: 0).item(Double.self) - 4.179339196381232) < 1e-5)
  }

  @Test func sequencesThatDoNotFitHaveNoProbability() {
    let x = logSoftmax(Random.normal([2, 1, 3], generator: Generator(seed: 1)))
    let labels = Tensor([[1, 1]])
    func loss(_ zero: Bool) -> Tensor {
      let leaf = x.requiringGrad()
      let loss = ctcLoss(
        leaf, labels, inputLengths: Tensor([2]), labelLengths: Tensor([2]), reduction: .sum,
        zeroInfinity: zero)
      if zero {
        loss.backward()
        #expect(leaf.grad!.abs().max().item(Double.self) == 0)
      }
      return loss
    }
    #expect(loss(false).item(Double.self) == .infinity)
    #expect(loss(true).item(Double.self) == 0)
  }

  @Test func labelsBehindTheEndDoNotCount() {
    let x = logSoftmax(Random.normal([3, 2, 4], generator: Generator(seed: 1)))
    func losses(_ labels: [[Int]], _ steps: [Int], _ lengths: [Int]) -> [Float] {
      ctcLoss(
        x, Tensor(labels), inputLengths: Tensor(steps), labelLengths: Tensor(lengths),
        reduction: .none
      ).asArray(Float.self)
    }
    let expected = losses([[1, 2], [3, 2]], [3, 2], [1, 1])
    #expect(losses([[1, 9], [3, -1]], [3, 2], [1, 1]) == expected)
    // Without steps there is one sequence of labels: the empty one. PyTorch's losses.
    #expect(losses([[1, 2], [1, 2]], [0, 0], [1, 0]) == [.infinity, 0])
    let leaf = x.requiringGrad()
    ctcLoss(
      leaf, Tensor([[1], [1]]), inputLengths: Tensor([0, 3]), labelLengths: Tensor([1, 1]),
      reduction: .sum, zeroInfinity: true
    ).backward()
    let gradient = leaf.grad!.abs().sum(axes: [0, 2]).asArray(Float.self)
    #expect(gradient[0] == 0 && gradient[1] > 0)
  }

  /// Losses and gradients are PyTorch's, but for the negative variance, which it refuses.
  @Test func variancesBelowEpsCountAsEps() {
    let variance = Tensor([-100, 0, 1e-7, .infinity, 1], dtype: .float64).requiringGrad()
    let losses = gaussianNLLLoss(
      zeros([5], dtype: .float64), ones([5], dtype: .float64), variance: variance,
      reduction: .none)
    losses.sum().backward()
    let small = 0.5 * (log(1e-6) + 1e6)
    let slope = 0.5 * (1e6 - 1e12)
    expectClose(
      losses.detached(), Tensor([small, small, small, .infinity, 0.5]), "losses",
      tolerance: 1e-12)
    expectClose(
      variance.grad!, Tensor([slope, slope, slope, 0, 0]), "gradients", tolerance: 1e-12)
  }

  @Test func mistakesAreNamed() {
    func expect(_ parts: String..., from body: () -> Void) {
      let found = mistake(body)
      for part in parts { #expect(found.contains(part), "\(found)") }
    }
    let (x, y) = (ones([4, 3]), ones([4]))
    expect("marginRankingLoss", "[4, 3]", "[4]") { _ = marginRankingLoss(x, y, y) }
    expect("hingeEmbeddingLoss", "[4, 3]", "[4]") { _ = hingeEmbeddingLoss(x, y) }
    expect("softMarginLoss", "[4, 3]", "[4]") { _ = softMarginLoss(x, y) }
    expect("cosineEmbeddingLoss", "[4, 3]", "[3]") { _ = cosineEmbeddingLoss(x, x, ones([3])) }
    expect("tripletMarginLoss", "[4, 3]", "[4]") { _ = tripletMarginLoss(x, x, y) }
    expect("tripletMarginLoss", "p = 0") { _ = tripletMarginLoss(x, x, x, p: 0) }
    expect("poissonNLLLoss", "[4]") { _ = poissonNLLLoss(x, y) }
    expect("gaussianNLLLoss", "[3]") { _ = gaussianNLLLoss(x, x, variance: ones([3])) }
    expect("cosineSimilarity", "axis 2") { _ = cosineSimilarity(x, x, axis: 2) }
    let lengths = Tensor([1])
    expect("ctcLoss", "[T, N, C]") {
      _ = ctcLoss(x, lengths, inputLengths: lengths, labelLengths: lengths)
    }
    expect("ctcLoss", "[2, 1, 3]", "int64[1]") {
      _ = ctcLoss(ones([2, 1, 3]), lengths, inputLengths: lengths, labelLengths: lengths)
    }
    func ofLengths(_ steps: Int, _ labels: Int) {
      _ = ctcLoss(
        ones([2, 1, 3]), Tensor([[1]]), inputLengths: Tensor([steps]),
        labelLengths: Tensor([labels]))
    }
    expect("ctcLoss", "inputLengths", "0 ... 2", "3") { ofLengths(3, 1) }
    expect("ctcLoss", "inputLengths", "-1") { ofLengths(-1, 1) }
    expect("ctcLoss", "labelLengths", "0 ... 1", "2") { ofLengths(2, 2) }
    expect("ctcLoss", "labelLengths", "-1") { ofLengths(2, -1) }
    expect("ctcLoss", "blank 3") {
      _ = ctcLoss(
        ones([2, 1, 3]), Tensor([[1]]), inputLengths: lengths, labelLengths: lengths, blank: 3)
    }
  }
}
