import Duet
import Foundation
import Testing

@Suite struct OptimizerTests {
  struct Runs: Decodable {
    var start: [Fixture.Array]
    var gradients: [[Fixture.Array]]
    var results: [String: [[Fixture.Array]]]
    var norm: Fixture.Array
    var clipped: [Fixture.Array]

    var parameters: [Parameter] { start.map { Parameter($0.tensor) } }
  }

  static let optimizers: [String: @Sendable ([Parameter]) -> any Optimizer] = [
    "sgd": { SGD($0, learningRate: 0.1) },
    "sgd_decay": { SGD($0, learningRate: 0.1, weightDecay: 0.05) },
    "sgd_momentum": { SGD($0, learningRate: 0.1, momentum: 0.9) },
    "sgd_dampening": { SGD($0, learningRate: 0.1, momentum: 0.9, dampening: 0.3) },
    "sgd_nesterov": {
      SGD($0, learningRate: 0.1, momentum: 0.8, nesterov: true, weightDecay: 0.01)
    },
    "adam": { Adam($0, learningRate: 0.01) },
    "adam_decay": {
      Adam($0, learningRate: 0.02, betas: (0.8, 0.95), eps: 1e-6, weightDecay: 0.1)
    },
    "adam_amsgrad": { Adam($0, learningRate: 0.01, amsgrad: true) },
    "adamw": { AdamW($0, learningRate: 0.01) },
    "adamw_decay": { AdamW($0, learningRate: 0.02, weightDecay: 0.3, amsgrad: true) },
  ]

  static let runs = Result { try Fixture.load("optimizers", as: Runs.self) }

  @Test func optimisersGoToOtherThreads() async {
    let parameter = Parameter(ones([3]), name: "p")
    let optimizers: [any Optimizer & Sendable] = [
      SGD([parameter], learningRate: 1), AdamW([parameter], learningRate: 1),
      Lion([parameter], learningRate: 1),
    ]
    for optimizer in optimizers {
      let before = parameter.value.asArray(Float.self)
      parameter.grad = ones([3])
      await Task.detached { optimizer.step() }.value
      #expect(parameter.value.asArray(Float.self) != before)
    }
  }

  @Test("Five steps are PyTorch's", arguments: Array(optimizers.keys).sorted())
  func agrees(_ name: String) throws {
    let runs = try Self.runs.get()
    let parameters = runs.parameters
    let optimizer = Self.optimizers[name]!(parameters)
    for (i, expected) in try #require(runs.results[name]).enumerated() {
      for (parameter, gradient) in zip(parameters, runs.gradients[i]) {
        parameter.grad = gradient.tensor
      }
      optimizer.step()
      for (j, parameter) in parameters.enumerated() {
        expectClose(parameter.value, expected[j], "step \(i), parameter \(j)", tolerance: 1e-6)
      }
    }
  }

  @Test(
    "A traced step is traced once and gives the same bits",
    arguments: Array(optimizers.keys).sorted())
  func tracedOnce(_ name: String) throws {
    let runs = try Self.runs.get()
    let (eager, replayed) = (runs.parameters, runs.parameters)
    let (a, b) = (Self.optimizers[name]!(eager), Self.optimizers[name]!(replayed))
    let step = traced { (first: Tensor, second: Tensor) in
      replayed[0].grad = first
      replayed[1].grad = second
      b.step()
    }
    for (i, gradients) in runs.gradients.enumerated() {
      if i == 3 { (a.learningRate, b.learningRate) = (0.5, 0.5) }
      for (parameter, gradient) in zip(eager, gradients) { parameter.grad = gradient.tensor }
      a.step()
      step(gradients[0].tensor, gradients[1].tensor)
      for (left, right) in zip(eager, replayed) {
        #expect(left.value.asArray(Float.self) == right.value.asArray(Float.self), "step \(i)")
      }
    }
    #expect(step.traceCount == 1)
  }

  @Test func parametersWithoutGradientStay() {
    let parameters = [Parameter(ones([2])), Parameter(ones([2]))]
    let optimizer = SGD(parameters, learningRate: 1, momentum: 0.9)
    parameters[0].grad = ones([2])
    optimizer.step()
    #expect(parameters[0].value.asArray(Float.self) == [0, 0])
    #expect(parameters[1].value.asArray(Float.self) == [1, 1])
    optimizer.zeroGrad()
    #expect(parameters[0].grad == nil)
  }

  @Test func otherDtypesKeepTheirs() {
    for dtype in [DType.float16, .bfloat16, .float64] {
      let parameter = Parameter(ones([3], dtype: dtype))
      for optimizer in [
        SGD([parameter], learningRate: 0.1, momentum: 0.9) as any Optimizer,
        AdamW([parameter], learningRate: 0.1, eps: 1e-3),
      ] {
        parameter.grad = ones([3], dtype: dtype)
        optimizer.step()
        #expect(parameter.value.dtype == dtype)
      }
      #expect(parameter.value.asType(.float64).max().item(Double.self) < 0.95)
    }
  }

  @Test func gradientsAreClippedByTheirCommonNorm() throws {
    let runs = try Self.runs.get()
    let parameters = runs.parameters
    for (parameter, gradient) in zip(parameters, runs.gradients[0]) {
      parameter.grad = gradient.tensor
    }
    let norm = clipGradNorm(parameters, maxNorm: 1.5)
    expectClose(norm, runs.norm, "norm")
    for (parameter, expected) in zip(parameters, runs.clipped) {
      expectClose(try #require(parameter.grad), expected, "gradient")
    }
    clipGradNorm(parameters, maxNorm: 100)
    for (parameter, expected) in zip(parameters, runs.clipped) {
      expectClose(try #require(parameter.grad), expected, "gradient below the limit")
    }
    clipGradValue(parameters, limit: 0.01)
    for parameter in parameters {
      #expect(try #require(parameter.grad).abs().max().item(Double.self) <= 0.0100001)
    }
  }

  @Test func schedulesGoOnInsideATracedStep() {
    func rates(
      _ isTraced: Bool, _ make: (any Optimizer) -> LearningRateScheduler
    ) -> (rates: [Double], weights: [Float], traces: Int) {
      let weight = Parameter(ones([3]))
      let optimizer = Adam([weight], learningRate: 0.3)
      let scheduler = make(optimizer)
      let body = { (x: Tensor) -> Tensor in
        optimizer.zeroGrad()
        let loss = (weight.value * x).square().sum()
        loss.backward()
        optimizer.step()
        scheduler.step()
        return loss.detached()
      }
      let step = traced(body)
      let found = (0..<7).map { i in
        _ = isTraced ? step(full([3], Float(i))) : body(full([3], Float(i)))
        return optimizer.learningRate
      }
      #expect(scheduler.stepCount == 7)
      #expect(found.enumerated().allSatisfy { scheduler.rate(at: $0 + 1) == $1 })
      return (found, weight.value.asArray(Float.self), step.traceCount)
    }
    let schedules: [(any Optimizer) -> LearningRateScheduler] = [
      { StepLR($0, stepSize: 2, gamma: 0.7) },
      { CosineAnnealingLR($0, steps: 5, minimum: 0.01) },
      { LinearWarmup($0, steps: 3) },
      { LinearWarmup($0, steps: 3, then: CosineAnnealingLR($0, steps: 3)) },
    ]
    for make in schedules {
      let (eager, traced) = (rates(false, make), rates(true, make))
      #expect(eager.rates == traced.rates && Set(eager.rates).count > 1)
      #expect(eager.weights == traced.weights)
      #expect(traced.traces == 1)
    }
  }

  @Test func eitherFormOfARateIsEnough() {
    final class Numbers: LearningRateScheduler {
      override func rate(at step: Int) -> Double { initialRate / Double(1 + step) }
    }
    final class Tensors: LearningRateScheduler {
      override func rate(at step: Tensor) -> Tensor { initialRate / (step + 1) }
    }
    let optimizer = SGD([Parameter(ones([1]))], learningRate: 6)
    for scheduler in [Numbers(optimizer), Tensors(optimizer)] {
      #expect((0..<3).map { scheduler.rate(at: $0) } == [6, 3, 2])
      let three = Tensor(Double(3))
      #expect(scheduler.rate(at: three).item(Double.self) == 1.5)
    }
    #expect(LearningRateScheduler(optimizer).rate(at: 4) == 6)
    /// Keeps its step size in a number of its own.
    final class Plain: Optimizer {
      let parameters: [Parameter] = []
      var learningRate = 1.0
      func step() {}
    }
    let plain = Plain()
    let scheduler = StepLR(plain, stepSize: 1, gamma: 0.5)
    scheduler.step()
    scheduler.step()
    #expect(plain.learningRate == 0.25)
  }

  @Test func aScheduleOfNumbersIsRightInATracedStep() {
    final class Halving: LearningRateScheduler {
      override func rate(at step: Int) -> Double { initialRate / Double(1 << step) }
    }
    let optimizer = SGD([Parameter(ones([1]))], learningRate: 1)
    let scheduler = Halving(optimizer)
    let step = traced { (x: Tensor) -> Tensor in
      scheduler.step()
      return x + 1
    }
    for i in 1...12 {
      _ = step(ones([1]))
      #expect(optimizer.learningRate == 1 / Double(1 << i))
    }
    #expect(scheduler.stepCount == 12)
  }

  @Test func learningRatesFollowTheirSchedules() {
    func rates(_ count: Int, _ make: (SGD) -> LearningRateScheduler) -> [Double] {
      let optimizer = SGD([Parameter(ones([1]))], learningRate: 1)
      let scheduler = make(optimizer)
      return (0..<count).map { _ in
        defer { scheduler.step() }
        return (optimizer.learningRate * 1e6).rounded() / 1e6
      }
    }
    #expect(rates(5) { StepLR($0, stepSize: 2, gamma: 0.5) } == [1, 1, 0.5, 0.5, 0.25])
    #expect(
      rates(6) { CosineAnnealingLR($0, steps: 4, minimum: 0.2) }
        == [1, 0.882843, 0.6, 0.317157, 0.2, 0.2])
    #expect(rates(5) { LinearWarmup($0, steps: 4) } == [0.25, 0.5, 0.75, 1, 1])
    #expect(
      rates(5) { LinearWarmup($0, steps: 2, then: StepLR($0, stepSize: 2, gamma: 0.1)) }
        == [0.5, 1, 1, 1, 0.1])
  }

  @Test func halvesAreClippedByTheirNorm() {
    let p = Parameter(zeros([2], dtype: .float16))
    for (gradient, maxNorm, expected) in [(400.0, 1.0, 0.7070), (1e-4, 1e-5, 7.033e-6)] {
      p.grad = full([2], gradient, dtype: .float16)
      clipGradNorm([p], maxNorm: maxNorm)
      let clipped = p.grad!.asArray(Double.self)
      #expect(clipped.allSatisfy { abs($0 / expected - 1) < 0.01 }, "\(clipped)")
    }
  }
}
