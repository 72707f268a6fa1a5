import Duet
import DuetTestSupport
import Testing

/// Optimisers and schedules beside PyTorch's, see make_layer_fixtures.py.
@Suite struct OptimizerRuleTests {
  struct Rules: Decodable {
    var start: [ModuleCase.Values]
    var gradients: [[ModuleCase.Values]]
    var runs: [String: [[ModuleCase.Values]]]
    var rates: [String: [Double]]
    var metrics: [Double]
    var plateaus: [String: [Double]]
  }

  static let rules = Result { try Fixture.load("rules", as: Rules.self) }

  static let optimizers: [String: @Sendable ([Parameter]) -> any Optimizer] = [
    "rmsprop": { RMSprop($0) },
    "rmsprop_all": {
      RMSprop(
        $0, learningRate: 0.02, alpha: 0.9, eps: 1e-6, weightDecay: 0.1, momentum: 0.8,
        centered: true)
    },
    "adagrad": { Adagrad($0) },
    "adagrad_all": {
      Adagrad(
        $0, learningRate: 0.1, rateDecay: 0.2, weightDecay: 0.1, initialSum: 0.5, eps: 1e-6)
    },
    "adadelta": { Adadelta($0) },
    "adadelta_all": { Adadelta($0, learningRate: 0.5, rho: 0.8, eps: 1e-4, weightDecay: 0.1) },
    "adamax": { Adamax($0) },
    "adamax_all": {
      Adamax($0, learningRate: 0.1, betas: (0.8, 0.9), eps: 1e-6, weightDecay: 0.1)
    },
    "nadam": { NAdam($0) },
    "nadam_all": {
      NAdam($0, learningRate: 0.1, betas: (0.8, 0.9), weightDecay: 0.1, momentumDecay: 0.01)
    },
    "nadam_decoupled": {
      NAdam($0, learningRate: 0.1, weightDecay: 0.1, decoupledWeightDecay: true)
    },
    "radam": { RAdam($0) },
    "radam_all": { RAdam($0, learningRate: 0.1, betas: (0.8, 0.9), weightDecay: 0.1) },
    "radam_decoupled": {
      RAdam($0, learningRate: 0.1, weightDecay: 0.1, decoupledWeightDecay: true)
    },
  ]

  @Test(
    "Steps are PyTorch's, in every dtype, and traced once with the same bits",
    arguments: optimizers.keys.sorted())
  func steps(_ name: String) throws {
    let rules = try Self.rules.get()
    let expected = try #require(rules.runs[name])
    for dtype in [DType.float64, .float32, .float16, .bfloat16] {
      let tolerance: Double? =
        switch dtype {
        case .float64: 1e-6
        case .float32: 1e-5
        default: nil
        }
      let (eager, replayed) = (parameters(rules, dtype), parameters(rules, dtype))
      let (a, b) = (Self.optimizers[name]!(eager), Self.optimizers[name]!(replayed))
      let step = traced { (gradients: [Tensor]) in
        for (parameter, gradient) in zip(replayed, gradients) { parameter.grad = gradient }
        b.step()
      }
      for (i, values) in rules.gradients.enumerated() {
        let gradients = values.map { $0.tensor(dtype) }
        for (parameter, gradient) in zip(eager, gradients) { parameter.grad = gradient }
        a.step()
        step(gradients)
        for (j, parameter) in eager.enumerated() {
          expectSame(replayed[j].value, parameter.value, "\(dtype), step \(i)")
          guard let tolerance else { continue }
          expectClose(
            parameter.value, expected[i][j].tensor(dtype), "\(dtype), step \(i)",
            tolerance: tolerance)
        }
      }
      #expect(step.traceCount == 1)
    }
  }

  private func parameters(_ rules: Rules, _ dtype: DType) -> [Parameter] {
    rules.start.map { Parameter($0.tensor(dtype)) }
  }

  @Test func manyElementsAreChangedAsFew() {
    let g = Generator(seed: 3)
    let (x, y) = (Random.normal([40_000], generator: g), Random.normal([40_000], generator: g))
    for (name, make) in Self.optimizers.merging(
      ["lion": { Lion($0, learningRate: 0.1) }], uniquingKeysWith: { $1 })
    {
      let whole = [Parameter(x)]
      let parts = x.split(parts: 10).map { Parameter($0) }
      for (optimizer, parameters) in [(make(whole), whole), (make(parts), parts)] {
        for i in 0..<3 {
          let gradients = (y * Double(i)).split(parts: parameters.count)
          for (parameter, gradient) in zip(parameters, gradients) { parameter.grad = gradient }
          optimizer.step()
        }
      }
      expectSame(concatenated(parts.map(\.value)), whole[0].value.detached(), name)
    }
  }

  /// The numbers are PyTorch's: 1 where the gradient is 0 and the variance not yet known.
  @Test func radamBeginsWithoutAVariance() {
    for (dtype, eps) in [(DType.float16, 1e-8), (.float32, 0)] {
      let parameter = Parameter(ones([3], dtype: dtype))
      let optimizer = RAdam([parameter], eps: eps)
      for _ in 0..<3 {
        parameter.grad = Tensor([1e-5, 0, 1], dtype: dtype)
        optimizer.step()
      }
      let found = parameter.value.asArray(Double.self)
      #expect(abs(found[0] - 1) < 1e-6 && found[1] == 1 && abs(found[2] - 0.997) < 2e-4)
    }
  }

  @Test func lionStepsByTheSignOfItsMean() {
    let parameter = Parameter(Tensor([1.0, 2.0, 3.0], dtype: .float64))
    let optimizer = Lion([parameter], learningRate: 0.1, betas: (0.5, 0.75), weightDecay: 0.5)
    var (p, m) = ([1.0, 2.0, 3.0], [0.0, 0.0, 0.0])
    for g in [[4.0, 0, -1], [-1.0, 0, -1], [-8.0, 1, 0.5]] {
      parameter.grad = Tensor(g)
      optimizer.step()
      for i in 0..<3 {
        let c = 0.5 * m[i] + 0.5 * g[i]
        p[i] -= 0.1 * ((c > 0 ? 1 : c < 0 ? -1 : 0) + 0.5 * p[i])
        m[i] = 0.75 * m[i] + 0.25 * g[i]
      }
      expectClose(parameter.value, Tensor(p), "values", tolerance: 1e-14)
    }
  }

  static let schedules: [String: @Sendable (any Optimizer) -> LearningRateScheduler] = [
    "exponential": { ExponentialLR($0, gamma: 0.8) },
    "multi_step": { MultiStepLR($0, milestones: [2, 5, 5], gamma: 0.5) },
    "linear": { LinearLR($0) },
    "linear_all": { LinearLR($0, startFactor: 0.5, endFactor: 0.75, steps: 4) },
    "constant": { ConstantLR($0, factor: 0.25, steps: 3) },
    "polynomial": { PolynomialLR($0, steps: 4, power: 2) },
    "one_cycle": { OneCycleLR($0, maximumRate: 4, totalSteps: 12) },
    "one_cycle_linear": {
      OneCycleLR(
        $0, maximumRate: 4, totalSteps: 12, risingShare: 0.4, annealing: .linear, startDivisor: 5,
        endDivisor: 100, threePhases: true)
    },
    "restarts": { CosineAnnealingWarmRestarts($0, steps: 3) },
    "restarts_longer": { CosineAnnealingWarmRestarts($0, steps: 2, factor: 2, minimum: 0.125) },
    "lambda": { LambdaLR($0) { step in 1 / (1 + step) } },
    "sequential": {
      SequentialLR($0, milestones: [3, 7]) {
        [
          LinearLR($0, startFactor: 0.25, steps: 3), ExponentialLR($0, gamma: 0.5),
          ConstantLR($0, factor: 0.1, steps: 2),
        ]
      }
    },
  ]

  @Test("Rates are PyTorch's, and traced once", arguments: schedules.keys.sorted())
  func rates(_ name: String) throws {
    let expected = try #require(try Self.rules.get().rates[name])
    for isTraced in [false, true] {
      let optimizer = SGD([Parameter(ones([1]))], learningRate: 2)
      let scheduler = Self.schedules[name]!(optimizer)
      let step = traced { (x: Tensor) -> Tensor in
        scheduler.step()
        return x + 1
      }
      for (i, rate) in expected.enumerated() {
        #expect(abs(optimizer.learningRate - rate) <= 1e-9 * (1 + rate), "step \(i)")
        if isTraced { _ = step(ones([1])) } else { scheduler.step() }
      }
      if isTraced { #expect(step.traceCount == 1) }
    }
  }

  @Test func aFunctionOfNumbersIsASchedule() {
    let optimizer = SGD([Parameter(ones([1]))], learningRate: 3)
    let scheduler = LambdaLR(optimizer, factorOf: { $0 < 2 ? 1 : 0.5 })
    #expect((0..<4).map { scheduler.rate(at: $0) } == [3, 3, 1.5, 1.5])
  }

  @Test("Rates on a plateau are PyTorch's", arguments: ["min", "max", "abs"], [false, true])
  func plateaus(_ name: String, _ isTraced: Bool) throws {
    let rules = try Self.rules.get()
    let optimizer = SGD([Parameter(ones([1]))], learningRate: 2)
    let scheduler =
      switch name {
      case "min": ReduceLROnPlateau(optimizer, factor: 0.5, patience: 1)
      case "max": ReduceLROnPlateau(optimizer, mode: .max, patience: 2, cooldown: 2)
      default:
        ReduceLROnPlateau(
          optimizer, factor: 0.5, patience: 0, threshold: .absolute(0.25), minimum: 0.05)
      }
    let step = traced { (metric: Tensor) in scheduler.step(metric) }
    for (metric, rate) in zip(rules.metrics, try #require(rules.plateaus[name])) {
      if isTraced { step(Tensor(metric, dtype: .float64)) } else { scheduler.step(metric) }
      #expect(abs(optimizer.learningRate - rate) < 1e-12)
    }
    if isTraced { #expect(step.traceCount == 1) }
  }

  @Test func mistakesAreNamed() {
    func expect(_ parts: String..., from body: () -> Void) {
      let found = mistake(body)
      for part in parts { #expect(found.contains(part), "\(found)") }
    }
    let parameters = [Parameter(ones([1]))]
    expect("RMSprop", "alpha") { _ = RMSprop(parameters, alpha: -1) }
    expect("Adagrad", "rateDecay") { _ = Adagrad(parameters, rateDecay: -1) }
    expect("Adadelta", "rho") { _ = Adadelta(parameters, rho: 2) }
    expect("Adamax", "betas") { _ = Adamax(parameters, betas: (1, 0)) }
    expect("NAdam", "momentumDecay") { _ = NAdam(parameters, momentumDecay: -1) }
    expect("RAdam", "betas") { _ = RAdam(parameters, betas: (0, 1)) }
    expect("Lion", "weightDecay") { _ = Lion(parameters, learningRate: 1, weightDecay: -1) }
    let sgd = SGD(parameters, learningRate: 1)
    expect("LinearLR", "steps") { _ = LinearLR(sgd, steps: 0) }
    expect("SequentialLR", "milestone") {
      _ = SequentialLR(sgd, milestones: []) { [LinearLR($0), LinearLR($0)] }
    }
    expect("ReduceLROnPlateau", "factor") { _ = ReduceLROnPlateau(sgd, factor: 1) }
    expect("ReduceLROnPlateau", "one number") { ReduceLROnPlateau(sgd).step(ones([2])) }
    expect("OneCycleLR", "share") {
      _ = OneCycleLR(sgd, maximumRate: 1, totalSteps: 3, risingShare: 2)
    }
  }
}
