import Duet
import DuetTestSupport
import Foundation
import Testing

/// Training that goes on from files has the bits of training that was never interrupted.
@Suite struct ResumingTests {
  /// A model in training: all that a step reads and changes.
  private final class Run {
    let generator = Duet.Generator(seed: 7)
    let model: Sequential
    let optimizer: any Optimizer
    let scheduler: StepLR
    let loader: DataLoader<TensorDataset>
    private let step: (Tensor, Tensor) -> Tensor

    init(_ kind: Kind, isTraced: Bool) {
      let dropout = Dropout(0.2, generator: generator)
      let model = Sequential {
        Linear(6, 16)
        BatchNorm1d(16)
        ReLU()
        dropout
        Linear(16, 3)
      }
      let optimizer = kind.make(model.parameters)
      self.model = model
      self.optimizer = optimizer
      scheduler = StepLR(optimizer, stepSize: 1, gamma: 0.7)
      let numbers = Duet.Generator(seed: 5)
      let data = TensorDataset(
        Random.normal([40, 6], generator: numbers), Random.randInt(0..<3, [40], generator: numbers))
      loader = DataLoader(data, batchSize: 8, shuffle: true, seed: 11)
      let body = { (x: Tensor, y: Tensor) -> Tensor in
        optimizer.zeroGrad()
        let loss = crossEntropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss
      }
      let replayed = traced(body)
      step = isTraced ? { replayed($0, $1) } : body
    }

    func train(epochs: Int) -> [Tensor] {
      var losses: [Tensor] = []
      for _ in 0..<epochs {
        for (x, y) in loader { losses.append(step(x, y)) }
        scheduler.step()
      }
      return losses
    }

    var contents: [Tensor] {
      model.parameters.map(\.value) + model.buffers.map(\.variable.value)
        + optimizer.stateVariables.map(\.variable.value)
    }
  }

  enum Kind: CaseIterable, Sendable {
    case sgd, momentum, adam, adamW, own

    func make(_ parameters: ParameterList) -> any Optimizer {
      switch self {
      case .sgd: SGD(parameters, learningRate: 0.1)
      case .momentum: SGD(parameters, learningRate: 0.1, momentum: 0.9, dampening: 0.1)
      case .adam: Adam(parameters, learningRate: 0.01, amsgrad: true)
      case .adamW: AdamW(parameters, learningRate: 0.01)
      case .own: SignDescent(parameters, learningRate: 0.01)
      }
    }
  }

  /// An optimiser that says nothing of its state, which is found by reflection.
  final class SignDescent: Optimizer {
    let parameters: [Parameter]
    var learningRate: Double
    private let means: [Variable]

    init(_ parameters: ParameterList, learningRate: Double) {
      self.parameters = Array(parameters)
      self.learningRate = learningRate
      means = parameters.map { Variable(zeros($0.shape)) }
    }

    func step() {
      noGrad {
        for (parameter, mean) in zip(parameters, means) {
          guard let gradient = parameter.grad else { continue }
          mean.value = mean.value * 0.5 + gradient
          parameter.value = parameter.value - mean.value.sign() * learningRate
        }
      }
    }
  }

  @Test("resumed training has equal bits", arguments: Kind.allCases, [false, true])
  func resumed(_ kind: Kind, _ isTraced: Bool) throws {
    let isTraced = isTraced && kind != .own  // whose learning rate is a plain number
    try withTemporaryFile("safetensors") { modelFile in
      try withTemporaryFile("npz") { optimizerFile in
        try withTemporaryFile("npy") { generatorFile in
          let first = Run(kind, isTraced: isTraced)
          _ = first.train(epochs: 2)
          try save(first.model, to: modelFile)
          try save(first.optimizer, to: optimizerFile)
          try save(first.generator.snapshot, to: generatorFile)
          let (steps, epoch) = (first.scheduler.stepCount, first.loader.epoch)
          let expected = first.train(epochs: 2)

          let second = Run(kind, isTraced: isTraced)
          try load(second.model, from: modelFile)
          try load(second.optimizer, from: optimizerFile)
          second.generator.snapshot = try loadArray(url: generatorFile)
          second.scheduler.stepCount = steps
          second.loader.epoch = epoch
          expectSame(second.train(epochs: 2), expected)
          expectSame(second.contents, first.contents)
          #expect(second.optimizer.learningRate == first.optimizer.learningRate)
        }
      }
    }
  }

  @Test func namesOfOptimizersStateStay() {
    let parameters = Linear(2, 2).parameters
    func names(_ kind: Kind) -> [String] { kind.make(parameters).stateVariables.map(\.name) }
    #expect(names(.sgd) == [])
    #expect(names(.momentum) == ["velocity.0", "velocity.1", "gain.0", "gain.1"])
    #expect(names(.adamW) == ["step_count", "mean.0", "mean.1", "square.0", "square.1"])
    #expect(names(.adam).suffix(2) == ["largest_square.0", "largest_square.1"])
    #expect(names(.own) == ["means.0", "means.1"])
  }

  /// State in all kinds of places, and an optimiser inside.
  private final class Wrapping: Optimizer {
    struct Slots { let first = Variable(Tensor(1.0)), none: Variable? = nil }
    final class Helper { let counts = ["b": Variable(Tensor(2)), "a": Variable(Tensor(3))] }

    let inner: SGD
    let slots = Slots()
    let helper = Helper()
    let pair: (Variable, known: Variable) = (Variable(Tensor(4)), Variable(Tensor(5)))
    let numbers = [1.0, 2.0]
    let model: Linear
    var parameters: [Parameter] { inner.parameters }
    var learningRate: Double {
      get { inner.learningRate }
      set { inner.learningRate = newValue }
    }

    init(_ model: Linear) {
      self.model = model
      inner = SGD(model.parameters, learningRate: 0.1, momentum: 0.9)
    }

    func step() { inner.step() }
  }

  @Test func reflectionFindsStateWhereverItIs() throws {
    let optimizer = Wrapping(Linear(2, 2))
    #expect(
      optimizer.stateVariables.map(\.name) == [
        "inner.velocity.0", "inner.velocity.1", "inner.learning_rate", "slots.first",
        "helper.counts.a", "helper.counts.b", "pair.0", "pair.known",
      ])
    try withTemporaryFile("safetensors") { url in
      try save(optimizer, to: url)
      let other = Wrapping(Linear(2, 2))
      other.slots.first.value = Tensor(7.0)
      try load(other, from: url)
      #expect(other.slots.first.value.item(Double.self) == 1)
    }
  }

  @Test func stateOfAnotherOptimizerIsRefused() throws {
    let parameters = Linear(2, 2).parameters
    try withTemporaryFile("safetensors") { url in
      try save(Kind.adam.make(parameters) as! Adam, to: url)
      let optimizer = SGD(parameters, learningRate: 0.5, momentum: 0.9)
      let error = #expect(throws: DataError.self) { try load(optimizer, from: url) }
      #expect(error?.reason.contains("2 missing (velocity.0, velocity.1); 7 unexpected") == true)
      #expect(optimizer.learningRate == 0.5)
    }
  }

  @Test func generatorsGoOnWhereTheyWere() throws {
    try withTemporaryFile("npy") { url in
      let generator = Duet.Generator(seed: 3)
      _ = Random.normal([7], generator: generator)
      try save(generator.snapshot, to: url)
      let expected = Random.normal([5], generator: generator)
      let other = Duet.Generator(seed: 9)
      other.snapshot = try loadArray(url: url)
      expectSame(Random.normal([5], generator: other), expected)
      #expect(message { other.snapshot = zeros([3]) }?.contains("int64[2]") == true)
    }
  }
}
