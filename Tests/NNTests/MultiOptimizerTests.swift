import Duet
import DuetTestSupport
import Testing

@Suite struct MultiOptimizerTests {
  private func parameters() -> [Parameter] {
    let g = Generator(seed: 4)
    return [[3, 2], [3], [4]].enumerated().map { i, shape in
      Parameter(Random.normal(shape, generator: g), name: "p\(i)")
    }
  }

  private func optimizers(_ p: [Parameter]) -> [any Optimizer] {
    [
      AdamW([p[0]], learningRate: 0.5, weightDecay: 0.1),
      AdamW([p[1]], learningRate: 0.25, weightDecay: 0),
      SGD([p[2]], learningRate: 0.125, momentum: 0.9),
    ]
  }

  private func setGradients(_ p: [Parameter], _ seed: Int) {
    let g = Generator(seed: seed)
    for parameter in p { parameter.grad = Random.normal(parameter.shape, generator: g) }
  }

  @Test func stepsAreThoseOfTheOptimisers() {
    let (together, apart) = (parameters(), parameters())
    let multi = MultiOptimizer(optimizers(together))
    let schedule = CosineAnnealingLR(multi, steps: 5)
    let alone = optimizers(apart)
    let schedules = alone.map { CosineAnnealingLR($0, steps: 5) }
    #expect(multi.learningRate == 0.5 && multi.parameters.count == 3)
    for seed in 0..<4 {
      setGradients(together, seed)
      setGradients(apart, seed)
      multi.step()
      for optimizer in alone { optimizer.step() }
      for (a, b) in zip(together, apart) { expectSame(a.value, b.value) }
      schedule.step()
      for schedule in schedules { schedule.step() }
      #expect(multi.learningRate == alone[0].learningRate)
    }
    multi.zeroGrad()
    #expect(together.allSatisfy { $0.grad == nil })
  }

  @Test func ratesKeepTheirProportion() {
    let members = optimizers(parameters())
    let multi = MultiOptimizer(members)
    multi.learningRate = 1
    #expect(members.map(\.learningRate) == [1, 0.5, 0.25])
    let p = parameters()
    let still = [SGD([p[0]], learningRate: 0), SGD([p[1]], learningRate: 0)]
    let zero = MultiOptimizer(still)
    zero.learningRate = 0.5
    #expect(still.map(\.learningRate) == [0.5, 0.5])
  }

  @Test func tracedStepsAreEagerOnes() {
    func run(_ isTraced: Bool) -> (values: [Tensor], traces: Int) {
      let p = parameters()
      let multi = MultiOptimizer(optimizers(p))
      let schedule = LinearLR(multi, startFactor: 0.25, endFactor: 1, steps: 3)
      let x = Random.normal([2], generator: Generator(seed: 8))
      let body = { (x: Tensor) -> Tensor in
        multi.zeroGrad()
        let loss = (matmul(p[0].value, x) + p[1].value).square().sum() + p[2].value.square().sum()
        loss.backward()
        multi.step()
        schedule.step()
        return loss
      }
      let step = traced(body)
      for _ in 0..<5 { _ = isTraced ? step(x) : body(x) }
      return (p.map(\.value), step.traceCount)
    }
    let (eager, replayed) = (run(false), run(true))
    for (a, b) in zip(eager.values, replayed.values) { expectSame(a, b) }
    #expect(replayed.traces == 1)
  }

  @Test func runsGoOn() throws {
    try withFile("safetensors") { url in
      let p = parameters()
      let multi = MultiOptimizer(optimizers(p))
      for seed in 0..<3 {
        setGradients(p, seed)
        multi.step()
      }
      multi.learningRate = 0.0625
      try save(multi, to: url)
      let copies = p.map { Parameter($0.value.detached(), name: $0.name) }
      let other = MultiOptimizer(optimizers(copies))
      try load(other, from: url)
      #expect(other.stateVariables.map(\.name).contains("2.velocity.0"))
      #expect(other.learningRate == 0.0625)
      for (parameters, optimizer) in [(p, multi), (copies, other)] {
        setGradients(parameters, 9)
        optimizer.step()
      }
      for (a, b) in zip(p, copies) { expectSame(a.value, b.value) }
    }
  }

  @Test func mistakesAreTold() {
    #expect(throws: TensorError.self) { try checked { _ = MultiOptimizer([]) } }
    let p = parameters()
    do {
      try checked {
        _ = MultiOptimizer([SGD(p, learningRate: 1), SGD([p[1]], learningRate: 1)])
      }
      Issue.record("a parameter is in two optimisers")
    } catch {
      #expect("\(error)".contains("'p1' is in the optimisers 0 and 1"), "\(error)")
    }
  }
}
