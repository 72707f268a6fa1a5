import Duet
import Foundation

/// Does what the options ask for.
func train(_ options: Options) throws {
  if let threads = options.threads { setThreadCount(threads) }
  let digits = try Digits(at: options.data)
  print("data: \(digits.description)")

  Random.seed(options.seed)
  let model = LeNet()
  if let url = options.load { try load(model, from: url) }
  let parameters = model.parameters
  let optimizer = SGD(
    parameters, learningRate: options.learningRate, momentum: options.momentum)
  let step = trainingStep(model, optimizer, options.mode)
  let loader = DataLoader(
    digits.training, batchSize: options.batchSize, shuffle: true, workers: options.workers,
    seed: options.seed)
  print(
    "LeNet, \(model.parameterCount) parameters, \(options.mode.rawValue), \(threadCount) threads, "
      + "batches of \(options.batchSize), learning rate \(options.learningRate)")

  var durations: [Double] = []
  for epoch in 1...max(options.epochs, 1) where epoch <= options.epochs {
    var progress = Progress("epoch \(epoch)/\(options.epochs)", steps: loader.batchCount)
    for (images, labels) in loader {
      let start = ContinuousClock.now
      let loss = step(images, labels)
      durations.append((ContinuousClock.now - start) / .seconds(1))
      progress.advance(images: labels.size, loss: Double(loss.item(Float.self)))
    }
    progress.finish()
  }

  let share = noGrad { testAccuracy(model.callAsFunction, digits.test) }
  print(String(format: "test accuracy: %.2f%% of %ld images", 100 * share, digits.test.count))
  if !durations.isEmpty {
    let mean = durations.reduce(0, +) / Double(durations.count)
    let median = durations.sorted()[durations.count / 2]
    print(
      String(format: "time per step: %.1f µs (median), %.1f µs (mean)", median * 1e6, mean * 1e6))
  }
  print("parameters: \(hash(of: parameters))")
  if let url = options.save { try save(model, to: url) }
  if let url = options.export {
    try export(model, to: url)
    let classify = try SavedFunction(contentsOf: url)
    let share = testAccuracy({ classify([$0])[0] }, digits.test)
    print(String(format: "exported function: %.2f%%", 100 * share))
  }
}

/// Writes the model as a function from any number of images to the probabilities of the digits.
private func export(_ model: LeNet, to url: URL) throws {
  let classify = traced { (images: Tensor) in noGrad { softmax(model(images), axis: 1) } }
  try classify.lower(TensorSpec([nil, 1, 28, 28]))
  try classify.save(to: url)
}

/// One step of training: takes images and labels and gives the loss.
private func trainingStep(
  _ model: LeNet, _ optimizer: SGD, _ mode: Options.Mode
) -> (Tensor, Tensor) -> Tensor {
  let step = { (images: Tensor, labels: Tensor) -> Tensor in
    optimizer.zeroGrad()
    let loss = crossEntropy(model(images), labels)
    loss.backward()
    optimizer.step()
    return loss
  }
  switch mode {
  case .eager: return step
  case .traced:
    let tracedStep = traced(step)
    return { tracedStep($0, $1) }
  }
}

/// The share of images whose digit gets the highest score.
private func testAccuracy(_ scores: (Tensor) -> Tensor, _ images: some Dataset) -> Double {
  var right = 0.0
  for (images, labels) in DataLoader(images, batchSize: 250) {
    right += accuracy(scores(images), labels).item(Double.self) * Double(labels.size)
  }
  return right / Double(images.count)
}

/// The 64-bit FNV-1a hash of all parameters' bits in order (Fowler, Noll and Vo).
private func hash(of parameters: ParameterList) -> String {
  var hash: UInt64 = 0xcbf2_9ce4_8422_2325
  for parameter in parameters {
    for value in parameter.value.asArray(Float.self) {
      withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes in
        for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
      }
    }
  }
  let digits = String(hash, radix: 16)
  return "0x" + String(repeating: "0", count: 16 - digits.count) + digits
}
