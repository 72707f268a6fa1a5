import DuetEager
import DuetRuntime

/// The weights of one layer of a recurrent network in one direction, or of a cell: uniformly distributed in ±1/√hidden,
/// as in PyTorch.
struct RecurrentWeights: Sendable {
  /// `[gates · hidden, in]`.
  let input: Parameter
  /// `[gates · hidden, hidden]`.
  let hidden: Parameter
  /// `[gates · hidden]`.
  let inputBias: Parameter?
  /// `[gates · hidden]`.
  let hiddenBias: Parameter?

  /// - Parameter suffix: Behind the names `weight_ih` and so on: `_l0_reverse`.
  init(
    _ inputSize: Int, _ hiddenSize: Int, gates: Int, bias: Bool, _ dtype: DType,
    suffix: String = ""
  ) {
    func weight(_ name: String, _ shape: [Int]) -> Parameter {
      .uniform(shape, fanIn: hiddenSize, dtype, name: name + suffix)
    }
    input = weight("weight_ih", [gates * hiddenSize, inputSize])
    hidden = weight("weight_hh", [gates * hiddenSize, hiddenSize])
    inputBias = bias ? weight("bias_ih", [gates * hiddenSize]) : nil
    hiddenBias = bias ? weight("bias_hh", [gates * hiddenSize]) : nil
  }

  /// The names that PyTorch's state dicts have.
  func parts(suffix: String = "") -> [(name: String, part: Any)] {
    var parts: [(name: String, part: Any)] = [
      ("weight_ih" + suffix, input), ("weight_hh" + suffix, hidden),
    ]
    if let inputBias { parts.append(("bias_ih" + suffix, inputBias)) }
    if let hiddenBias { parts.append(("bias_hh" + suffix, hiddenBias)) }
    return parts
  }
}

/// What a recurrent network does in one step.
protocol RecurrentStep: Sendable {
  /// How many times as many features as the state the weights make.
  static var gates: Int { get }
  /// How many tensors the state has: the hidden one, which is the output, and others.
  static var states: Int { get }
  /// The share of the input in the gates of all steps at once.
  /// - Parameter x: `[..., in]`.
  /// - Returns: `[..., gates · hidden]`.
  func projected(_ x: Tensor, _ weights: ReadWeights) -> Tensor
  /// The next state.
  /// - Parameters:
  ///   - input: The step's share of what `projected` gave, `[N, gates · hidden]`.
  ///   - state: `[N, hidden]` each.
  func next(_ input: Tensor, _ state: [Tensor], _ weights: ReadWeights) -> [Tensor]
}

/// The values of weights, which are read once for all steps.
struct ReadWeights {
  let input: Tensor
  let hidden: Tensor
  let inputBias: Tensor?
  let hiddenBias: Tensor?

  init(_ weights: RecurrentWeights) {
    input = weights.input.value
    hidden = weights.hidden.value
    inputBias = weights.inputBias?.value
    hiddenBias = weights.hiddenBias?.value
  }

  /// Both biases together, for gates that only add them.
  var bias: Tensor? {
    guard let inputBias, let hiddenBias else { return nil }
    return inputBias + hiddenBias
  }
}
