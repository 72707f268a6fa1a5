import Duet
import DuetTestSupport
import Foundation
import Testing

/// What optimisers and schedules save has names by meaning, and runs go on with the same bits.
@Suite struct ResumedStateTests {
  private func names(_ variables: [(name: String, variable: Variable)]) -> [String] {
    variables.map(\.name)
  }

  @Test func slotsHaveNames() {
    let p = Linear(2, 2).parameters
    #expect(
      names(RMSprop(p, momentum: 0.9, centered: true).stateVariables) == [
        "step_count", "square.0", "square.1", "mean.0", "mean.1", "velocity.0", "velocity.1",
      ])
    #expect(names(RMSprop(p).stateVariables) == ["step_count", "square.0", "square.1"])
    #expect(
      names(NAdam(p).stateVariables) == [
        "momentum_product", "step_count", "mean.0", "mean.1", "square.0", "square.1",
      ])
    #expect(
      names(Adadelta(p).stateVariables) == [
        "step_count", "square.0", "square.1", "step_square.0", "step_square.1",
      ])
  }

  @Test func stateOfAnotherRuleIsAnError() throws {
    let p = Linear(2, 2).parameters
    try withFile("safetensors") { url in
      try save(RMSprop(p, momentum: 0.9), to: url)
      do {
        try load(RMSprop(p, centered: true), from: url)
        Issue.record("velocities are no means")
      } catch {
        #expect("\(error)".contains("2 missing (mean.0, mean.1)"), "\(error)")
        #expect("\(error)".contains("2 unexpected (velocity.0, velocity.1)"), "\(error)")
      }
    }
  }

  @Test("Optimisers go on", arguments: OptimizerRuleTests.optimizers.keys.sorted())
  func optimizers(_ name: String) throws {
    let make = OptimizerRuleTests.optimizers[name]!
    func steps(_ optimizer: any Optimizer, _ seed: Int) {
      let generator = Generator(seed: seed)
      for _ in 0..<3 {
        for p in optimizer.parameters { p.grad = Random.normal(p.shape, generator: generator) }
        optimizer.step()
      }
    }
    try withFile("safetensors") { url in
      let first = [Parameter(ones([3])), Parameter(ones([2, 2]))]
      let a = make(first)
      steps(a, 1)
      let second = first.map { Parameter($0.value.detached()) }
      try save(a, to: url)
      let b = make(second)
      try load(b, from: url)
      steps(a, 2)
      steps(b, 2)
      expectSame(second.map { $0.value.detached() }, first.map { $0.value.detached() })
    }
  }

  @Test("Schedules go on", arguments: OptimizerRuleTests.schedules.keys.sorted(), [false, true])
  func schedules(_ name: String, isMadeLate: Bool) throws {
    try goesOn(isMadeLate: isMadeLate, OptimizerRuleTests.schedules[name]!)
  }

  @Test(arguments: [false, true]) func warmupsGoOn(isMadeLate: Bool) throws {
    try goesOn(isMadeLate: isMadeLate) {
      LinearWarmup($0, steps: 2, then: StepLR($0, stepSize: 2, gamma: 0.5))
    }
    try goesOn(isMadeLate: isMadeLate) { CosineAnnealingLR($0, steps: 7, minimum: 0.1) }
  }

  /// - Parameter isMadeLate: Whether the second schedule is made when the optimiser has its state already.
  private func goesOn(
    isMadeLate: Bool, _ make: (any Optimizer) -> LearningRateScheduler
  ) throws {
    func optimizer() -> SGD { SGD([Parameter(ones([1]))], learningRate: 2) }
    func rates(_ scheduler: LearningRateScheduler) -> [Double] {
      (0..<5).map { _ in
        scheduler.step()
        return scheduler.optimizer.learningRate
      }
    }
    try withFile("npz") { optimizerFile in
      try withFile("safetensors") { file in
        let (a, b) = (optimizer(), optimizer())
        let first = make(a)
        _ = rates(first)
        try save(a, to: optimizerFile)
        try save(first, to: file)
        let early = isMadeLate ? nil : make(b)
        try load(b, from: optimizerFile)
        let second = early ?? make(b)
        try load(second, from: file)
        // A late one may have set its first rate.
        try load(b, from: optimizerFile)
        #expect(second.stepCount == 5 && second.initialRate == 2)
        #expect(rates(first) == rates(second))
      }
    }
  }

  @Test(arguments: [0, 2]) func plateausGoOn(cooldown: Int) throws {
    let metrics = [3, 2, 2, 2.5, 1, 1, 1.5, 1, 2, 2, 2, 2.0]
    func scheduler() -> ReduceLROnPlateau {
      ReduceLROnPlateau(
        SGD([Parameter(ones([1]))], learningRate: 2), factor: 0.5, patience: 1, cooldown: cooldown)
    }
    for cut in 1..<metrics.count {
      try withFile("npz") { optimizerFile in
        try withFile("safetensors") { file in
          let (first, second) = (scheduler(), scheduler())
          for metric in metrics[..<cut] { first.step(metric) }
          try save(first.optimizer, to: optimizerFile)
          try save(first, to: file)
          try load(second.optimizer, from: optimizerFile)
          try load(second, from: file)
          for metric in metrics[cut...] {
            first.step(metric)
            second.step(metric)
            #expect(first.optimizer.learningRate == second.optimizer.learningRate, "cut at \(cut)")
          }
        }
      }
    }
  }

  @Test func namesOfSchedulesStateStay() throws {
    let optimizer = SGD([Parameter(ones([1]))], learningRate: 2)
    let count = Tensor(Double(3))
    let best = ["best": count, "bad_count": count, "cool_count": count]
    let plateau = ReduceLROnPlateau(optimizer)
    try load(plateau, from: best)
    #expect(plateau.stateVariables.allSatisfy { $0.variable.value.item(Double.self) == 3 })
    let step = StepLR(optimizer, stepSize: 2)
    try load(step, from: ["step_count": count, "initial_rate": Tensor(0.5, dtype: .float64)])
    #expect(step.stepCount == 3 && step.initialRate == 0.5)
    #expect(throws: StateError.self) { try load(step, from: best) }
    let warmup = LinearWarmup(optimizer, steps: 2, then: StepLR(optimizer, stepSize: 2))
    do { try load(warmup, from: best) } catch {
      let whole = ["initial_rate", "step_count", "next.initial_rate", "next.step_count"]
      #expect("\(error)".contains(whole.joined(separator: ", ")), "\(error)")
    }
  }
}

/// Runs a body with the place of a file, and deletes it.
func withFile<R>(_ suffix: String, _ body: (URL) throws -> R) throws -> R {
  let url = FileManager.default.temporaryDirectory.appendingPathComponent(
    "duet-\(UUID().uuidString).\(suffix)")
  defer { try? FileManager.default.removeItem(at: url) }
  return try body(url)
}
