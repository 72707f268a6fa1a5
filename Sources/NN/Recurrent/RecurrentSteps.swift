import DuetEager

/// The function of an Elman network's step.
public enum RecurrentActivation: Sendable, Hashable {
  /// The hyperbolic tangent.
  case tanh
  /// max(x, 0).
  case relu
}

/// h' = f(W x + b + U h + c).
struct ElmanStep: RecurrentStep {
  static let gates = 1
  static let states = 1
  let activation: RecurrentActivation

  func projected(_ x: Tensor, _ weights: ReadWeights) -> Tensor {
    linear(x, weights.input, weights.bias)
  }

  func next(_ input: Tensor, _ state: [Tensor], _ weights: ReadWeights) -> [Tensor] {
    let sum = linear(state[0], weights.hidden) + input
    return [activation == .tanh ? tanh(sum) : relu(sum)]
  }
}

/// i, f, o = σ(...), g = tanh(...), c' = f c + i g, h' = o tanh(c') (Hochreiter and Schmidhuber, 1997; with the forget
/// gate of Gers and others, 2000). Gates lie in PyTorch's order: i, f, g, o.
struct LSTMStep: RecurrentStep {
  static let gates = 4
  static let states = 2

  func projected(_ x: Tensor, _ weights: ReadWeights) -> Tensor {
    linear(x, weights.input, weights.bias)
  }

  func next(_ input: Tensor, _ state: [Tensor], _ weights: ReadWeights) -> [Tensor] {
    let gates = (linear(state[0], weights.hidden) + input).split(parts: 4, axis: -1)
    let cell = sigmoid(gates[1]) * state[1] + sigmoid(gates[0]) * tanh(gates[2])
    return [sigmoid(gates[3]) * tanh(cell), cell]
  }
}

/// r, z = σ(...), n = tanh(W x + b + r (U h + c)), h' = n + z (h - n) (Cho and others, 2014, in PyTorch's form). Gates
/// lie in PyTorch's order: r, z, n.
struct GRUStep: RecurrentStep {
  static let gates = 3
  static let states = 1

  func projected(_ x: Tensor, _ weights: ReadWeights) -> Tensor {
    linear(x, weights.input, weights.inputBias)
  }

  func next(_ input: Tensor, _ state: [Tensor], _ weights: ReadWeights) -> [Tensor] {
    let own = linear(state[0], weights.hidden, weights.hiddenBias).split(parts: 3, axis: -1)
    let given = input.split(parts: 3, axis: -1)
    let (reset, update) = (sigmoid(own[0] + given[0]), sigmoid(own[1] + given[1]))
    let new = tanh(given[2] + reset * own[2])
    return [new + update * (state[0] - new)]
  }
}
