import Duet
import DuetTestSupport
import Foundation
import Testing

@Suite struct TrainingTests {
  struct Runs: Decodable {
    struct Run: Decodable {
      var learningRate: Double
      var losses: [Double]
    }
    var names: [String]
    var shapes: [[Int]]
    var runs: [Run]
  }

  /// Gives the model PyTorch's initial weights.
  private func load(_ model: LeNet, _ runs: Runs) throws {
    let bytes = try Data(contentsOf: Fixture.url("lenet.f32"))
    var values = stride(from: 0, to: bytes.count, by: 4).map { i in
      Float(
        bitPattern: (0..<4).reduce(0) { $0 | UInt32(bytes[bytes.startIndex + i + $1]) << (8 * $1) })
    }[...]
    let parameters = model.parameters
    #expect(parameters.names == runs.names)
    #expect(parameters.map(\.shape) == runs.shapes)
    for parameter in parameters {
      let count = parameter.value.size
      parameter.value = Tensor(Array(values.prefix(count)), parameter.shape)
      values = values.dropFirst(count)
    }
    #expect(values.isEmpty)
  }

  @Test("Twenty steps of LeNet have PyTorch's losses", arguments: [0, 1], [false, true])
  func lenet(_ index: Int, _ isTraced: Bool) throws {
    let runs = try Fixture.load("lenet", as: Runs.self)
    let run = runs.runs[index]
    let model = LeNet()
    try load(model, runs)
    let optimizer = SGD(model.parameters, learningRate: run.learningRate, momentum: 0.9)
    let body = { (x: Tensor, y: Tensor) -> Tensor in
      optimizer.zeroGrad()
      let loss = crossEntropy(model(x), y)
      loss.backward()
      optimizer.step()
      return loss
    }
    let replayed = traced(body)
    let images = try MNIST(.test, at: Fixture.sampleFolder)
    let losses = DataLoader(images, batchSize: 8).prefix(run.losses.count).map { x, y in
      (isTraced ? replayed(x, y) : body(x, y)).item(Double.self)
    }
    #expect(losses.count == run.losses.count)
    for (step, (loss, expected)) in zip(losses, run.losses).enumerated() {
      #expect(
        abs(loss - expected) <= 1e-4 * expected, "step \(step): \(loss), expected \(expected)")
    }
    if isTraced { #expect(replayed.traceCount == 1) }
  }
}
