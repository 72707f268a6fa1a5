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

  /// The parameters' and losses' bits after training a model from the same start.
  private static func train(
    _ makeModel: () -> any UnaryLayer, _ batches: [(Tensor, Tensor)], isTraced: Bool
  ) -> [Bits] {
    // Initialisation draws from the global generator: one model is made at a time.
    let model = ProcessSettings.with {
      Random.seed(5)
      return makeModel()
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
    let losses = batches.map { x, labels in isTraced ? function(x, labels) : step(x, labels) }
    if isTraced { #expect(function.traceCount <= 3, "\(function.explain())") }
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

  @Test("100 steps of a perceptron: eager = traced = 1 thread = 2 threads = every instruction set")
  func perceptron() {
    let batches = Self.batches(100, [32, 784])
    func train(_ isTraced: Bool) -> [Bits] {
      Self.train(
        {
          Sequential {
            Linear(784, 64)
            ReLU()
            Linear(64, 10)
          }
        }, batches, isTraced: isTraced)
    }
    var runs: [(String, [Bits])] = []
    for threads in 1...2 {
      ProcessSettings.with(threads: threads) {
        runs.append(("eager, \(threads) threads", train(false)))
        runs.append(("traced, \(threads) threads", train(true)))
      }
    }
    for set in ProcessSettings.instructionSets {
      ProcessSettings.with(instructionSet: set) {
        runs.append(("eager, \(set)", train(false)))
        runs.append(("traced, \(set)", train(true)))
      }
    }
    Self.expectEqual(runs)
  }

  @Test("100 steps of a convolutional network: eager = traced = 1 thread = 2 threads")
  func convolutionalNetwork() {
    let batches = Self.batches(100, [8, 1, 28, 28])
    var runs: [(String, [Bits])] = []
    for threads in 1...2 {
      ProcessSettings.with(threads: threads) {
        runs.append(("eager, \(threads) threads", Self.train(LeNet.init, batches, isTraced: false)))
        runs.append(("traced, \(threads) threads", Self.train(LeNet.init, batches, isTraced: true)))
      }
    }
    Self.expectEqual(runs)
  }
}

private struct LeNet: UnaryLayer {
  let conv1 = Conv2d(1, 6, kernelSize: 5), conv2 = Conv2d(6, 16, kernelSize: 5)
  let fc1 = Linear(256, 120), fc2 = Linear(120, 84), fc3 = Linear(84, 10)

  func callAsFunction(_ x: Tensor) -> Tensor {
    var x = maxPool2d(relu(conv1(x)), kernelSize: 2)
    x = maxPool2d(relu(conv2(x)), kernelSize: 2).flattened(start: 1)
    return fc3(relu(fc2(relu(fc1(x)))))
  }
}
