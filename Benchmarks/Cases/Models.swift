import Duet

/// Whole models: a perceptron and a convolutional network for 28×28 images.
func modelCases() -> Family {
  Family(
    title: "Models",
    cases: [
      Case(
        "mlp_infer_b1", "784-256-128-10, one image", cost: perceptronInferenceCost(batch: 1)
      ) { inferPerceptron(batch: 1, $0) },
      Case(
        "mlp_infer_b128", "784-256-128-10, 128 images", cost: perceptronInferenceCost(batch: 128)
      ) { inferPerceptron(batch: 128, $0) },
      Case(
        "mlp_train_b128", "the same: forward, backward, SGD with momentum",
        cost: perceptronTrainingCost(), prepare: trainPerceptron),
      Case(
        "lenet_train_b8", "LeNet: forward, backward, SGD, 8 images", cost: leNetCost(batch: 8)
      ) { trainLeNet(batch: 8, $0) },
      Case(
        "lenet_train_b128", "LeNet: forward, backward, SGD, 128 images", cost: leNetCost(batch: 128)
      ) { trainLeNet(batch: 128, $0) },
    ])
}

// Weights of 784-256-128-10 and of its first layer; a training step multiplies with each weight
// three times per image, but for the gradient of the images, which nobody wants.
private let perceptronWeights = 784 * 256 + 256 * 128 + 128 * 10
private let perceptronParameters = perceptronWeights + 256 + 128 + 10

private func perceptronInferenceCost(batch: Int) -> Cost {
  Cost(
    flops: 2 * batch * perceptronWeights, reading: perceptronParameters + batch * 784,
    writing: batch * 10)
}

func perceptronTrainingCost(batch: Int = 128) -> Cost {
  .training(
    flops: 2 * batch * (3 * perceptronWeights - 784 * 256), parameters: perceptronParameters,
    slots: 1, batch: batch * 784)
}

/// LeNet's training step; the convolutions' outputs are 6 × 24 × 24 and 16 × 8 × 8.
func leNetCost(batch: Int) -> Cost {
  let first = 6 * 24 * 24 * 25
  let second = 16 * 8 * 8 * 150
  let head = 256 * 120 + 120 * 84 + 84 * 10
  let parameters = 6 * 25 + 6 + 16 * 150 + 16 + head + 120 + 84 + 10
  return .training(
    flops: 2 * batch * (2 * first + 3 * second + 3 * head), parameters: parameters, slots: 1,
    batch: batch * 784)
}

private func perceptron(batch: Int) -> (x: Tensor, labels: Tensor, model: Perceptron) {
  var draw = Draws()
  let x = draw.normal(batch, 784)
  let labels = draw.labels(batch)
  return (x, labels, Perceptron(&draw, 784, 256, 128, 10))
}

private func inferPerceptron(batch: Int, _ mode: Mode) -> Step {
  let (x, _, model) = perceptron(batch: batch)
  let infer = mode.function { (x: Tensor) in noGrad { model(x) } }
  return Step { infer(x) }
}

func trainPerceptron(_ mode: Mode) -> Step {
  let (x, labels, model) = perceptron(batch: 128)
  let train = training(mode, model.parameters, learningRate: 0.01) { model($0) }
  return Step { train(x, labels) }.changing(model.parameters)
}

/// Convolution 1→6 and 6→16, kernels 5×5, each with relu and pooling, and a perceptron
/// 256-120-84-10.
private struct LeNet {
  let weight1, bias1, weight2, bias2: Parameter
  let head: Perceptron

  init(_ draw: inout Draws) {
    weight1 = Parameter(draw.weight(6, 1, 5, 5, fanIn: 25))
    bias1 = Parameter(draw.weight(6, fanIn: 25))
    weight2 = Parameter(draw.weight(16, 6, 5, 5, fanIn: 150))
    bias2 = Parameter(draw.weight(16, fanIn: 150))
    head = Perceptron(&draw, 256, 120, 84, 10)
  }

  var parameters: [Parameter] { [weight1, bias1, weight2, bias2] + head.parameters }

  func callAsFunction(_ x: Tensor) -> Tensor {
    var x = relu(conv2d(x, weight1.value, bias: bias1.value))
    x = maxPool2d(x, kernelSize: 2)
    x = relu(conv2d(x, weight2.value, bias: bias2.value))
    x = maxPool2d(x, kernelSize: 2)
    return head(x.flattened(start: 1))
  }
}

func trainLeNet(batch: Int, _ mode: Mode) -> Step {
  var draw = Draws()
  let model = LeNet(&draw)
  let x = draw.normal(batch, 1, 28, 28)
  let labels = draw.labels(batch)
  let train = training(mode, model.parameters, learningRate: 0.001) { model($0) }
  return Step { train(x, labels) }.changing(model.parameters)
}

/// A training step: forward, mean cross-entropy, backward, SGD with momentum 0.9.
private func training(
  _ mode: Mode, _ parameters: [Parameter], learningRate: Double,
  _ model: @escaping (Tensor) -> Tensor
) -> (Tensor, Tensor) -> Tensor {
  let optimizer = SGD(parameters, learningRate: learningRate, momentum: 0.9)
  return mode.function { (x: Tensor, labels: Tensor) in
    optimizer.zeroGrad()
    let loss = crossEntropy(model(x), labels)
    loss.backward()
    optimizer.step()
    return loss
  }
}
