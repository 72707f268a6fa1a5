import Duet

/// Layers that go through a sequence step by step.
func sequenceCases() -> Family {
  Family(
    title: "Sequences",
    cases: [
      Case(
        "lstm_train", "50 steps of 32 × 64, 128 hidden: loss and 3 gradients", cost: sequenceCost,
        prepare: trainLSTM)
    ])
}

// Forward and the weights' gradients multiply with both weights, the hidden state's with one.
private let sequenceCost: Cost = {
  let (input, hidden) = (64 * 512, 128 * 512)
  let parameters = input + hidden + 512
  return Cost(
    flops: 2 * 50 * 32 * (2 * input + 3 * hidden), reading: 50 * 32 * (64 + 128) + parameters,
    writing: parameters)
}()

private func trainLSTM(_ mode: Mode) -> Step {
  let hidden = 128
  var draw = Draws()
  let inputWeight = Parameter(draw.denseWeight(64, 4 * hidden, fanIn: hidden))
  let hiddenWeight = Parameter(draw.denseWeight(hidden, 4 * hidden, fanIn: hidden))
  let bias = Parameter(draw.weight(4 * hidden, fanIn: hidden))
  let x = draw.normal(50, 32, 64)
  let y = draw.normal(50, 32, hidden)
  let leaves = [inputWeight, hiddenWeight, bias]
  let train = mode.function { (x: Tensor, y: Tensor) in
    let parameters = leaves.map(\.value)
    let loss = meanSquareError(lstm(x, parameters[0], parameters[1], parameters[2]), y)
    return [loss.detached()] + gradients(of: [loss], by: parameters)
  }
  return Step { train(x, y) }
}

/// The outputs of all steps, [T, N, hidden], of a long short-term memory that starts from zeros.
///
/// S. Hochreiter and J. Schmidhuber (1997), with forget gates; the gates lie in the order input,
/// forget, cell, output.
private func lstm(
  _ x: Tensor, _ inputWeight: Tensor, _ hiddenWeight: Tensor, _ bias: Tensor
) -> Tensor {
  let projected = matmul(x, inputWeight.T) + bias
  let recurrent = hiddenWeight.T
  var h = zeros([x.dim(1), hiddenWeight.dim(1)])
  var c = h
  var outputs: [Tensor] = []
  for t in 0..<x.dim(0) {
    let gates = (projected[t] + matmul(h, recurrent)).split(parts: 4, axis: 1)
    c = sigmoid(gates[1]) * c + sigmoid(gates[0]) * tanh(gates[2])
    h = sigmoid(gates[3]) * tanh(c)
    outputs.append(h)
  }
  return stacked(outputs)
}
