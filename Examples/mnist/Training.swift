import Duet
import Foundation

/// Does what the options ask for.
func train(_ options: Options) throws {
  if let threads = options.threads { setThreadCount(threads) }
  let digits = try Digits(at: options.data)
  print("data: \(digits.description)")

  Random.seed(options.seed)
  let model = LeNet()
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

  let share = testAccuracy(model, digits.test)
  print(String(format: "test accuracy: %.2f%% of %ld images", 100 * share, digits.test.count))
  if !durations.isEmpty {
    let mean = durations.reduce(0, +) / Double(durations.count)
    let median = durations.sorted()[durations.count / 2]
    print(
      String(format: "time per step: %.1f µs (median), %.1f µs (mean)", median * 1e6, mean * 1e6))
  }
  print("parameters: \(hash(of: parameters))")
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

/// The share of images whose digit the model finds.
private func testAccuracy(_ model: LeNet, _ images: some Dataset) -> Double {
  noGrad {
    var right = 0.0
    for (images, labels) in DataLoader(images, batchSize: 250) {
      right += accuracy(model(images), labels).item(Double.self) * Double(labels.size)
    }
    return right / Double(images.count)
  }
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
