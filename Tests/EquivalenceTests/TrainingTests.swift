import Duet
import DuetTestSupport
import Testing

/// Training gives the same parameters to the last bit, whichever way and wherever it runs.
@Suite(.serialized) struct TrainingTests {
  /// Images of random pixels and random labels, the same for every run.
  private static func batches(_ count: Int, _ shape: [Int]) -> [(Tensor, Tensor)] {
    let generator = Generator(seed: 11)
    return (0..<count).map { _ in
      (
        Random.uniform(shape, generator: generator),
        Random.randInt(0..<10, [shape[0]], generator: generator)
      )
    }
  }

  private enum Way { case eager, traced, deferred }

  /// The parameters' and losses' bits after training a model from the same start.
  private static func train(
    _ makeModel: () -> any UnaryLayer, _ batches: [(Tensor, Tensor)], _ way: Way
  ) -> [Bits] {
    let model = makeModel()
    // Other tests may draw from the global generator at the same time: the start is this test's own.
    let generator = Generator(seed: 5)
    for parameter in model.parameters {
      parameter.value = Random.uniform(low: -0.1, high: 0.1, parameter.shape, generator: generator)
    }
    let optimizer = SGD(model.parameters, learningRate: 0.05, momentum: 0.9)
    func step(_ x: Tensor, _ labels: Tensor) -> Tensor {
      optimizer.zeroGrad()
      let loss = crossEntropy(model(x), labels)
      loss.backward()
      optimizer.step()
      return loss.detached()
    }
    let function = traced { (x: Tensor, labels: Tensor) in step(x, labels) }
    let losses = batches.map { x, labels in
      switch way {
      case .eager: step(x, labels)
      case .traced: function(x, labels)
      case .deferred:
        withExecution(.deferred) {
          let loss = step(x, labels)
          _ = loss.item(Float.self)
          return loss
        }
      }
    }
    if way == .traced { #expect(function.traceCount <= 3, "\(function.explain())") }
    return model.parameters.map { Bits($0.value) } + losses.map(Bits.init)
  }

  private static func expectEqual(_ runs: [(name: String, bits: [Bits])]) {
    for run in runs.dropFirst() {
      #expect(run.bits.count == runs[0].bits.count)
      for i in run.bits.indices {
        expectSame(run.bits[i], runs[0].bits[i], "\(run.name) against \(runs[0].name), tensor \(i)")
      }
    }
  }

  /// Trains with one and two threads and with every instruction set, eagerly, traced and deferred.
  private static func trainEverywhere(
    _ makeModel: () -> any UnaryLayer, _ batches: [(Tensor, Tensor)]
  ) {
    var runs: [(String, [Bits])] = []
    func add(_ name: String) {
      runs.append(("eager, " + name, train(makeModel, batches, .eager)))
      runs.append(("traced, " + name, train(makeModel, batches, .traced)))
      runs.append(("deferred, " + name, train(makeModel, batches, .deferred)))
    }
    for threads in 1...2 {
      ProcessSettings.with(threads: threads) { add("\(threads) threads") }
    }
    for set in ProcessSettings.instructionSets where set != instructionSet {
      ProcessSettings.with(instructionSet: set) { add(set) }
    }
    expectEqual(runs)
  }

  @Test("100 steps of a perceptron: eager = traced = deferred = any threads = any instruction set")
  func perceptron() {
    Self.trainEverywhere(
      {
        Sequential {
          Linear(784, 64)
          ReLU()
          Linear(64, 10)
        }
      }, Self.batches(100, [32, 784]))
  }

  @Test(
    "100 steps of a convolutional network: eager = traced = deferred = any threads = any instruction set"
  )
  func convolutionalNetwork() {
    Self.trainEverywhere(LeNet.init, Self.batches(100, [8, 1, 28, 28]))
  }
}
