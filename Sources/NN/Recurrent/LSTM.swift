import DuetEager
import DuetRuntime
import DuetTracer

/// What an LSTM carries from step to step.
public struct LSTMState: TensorStruct, Sendable {
  /// h, which is the output: `[layers · directions, N, hidden]`; of a cell `[N, hidden]`. Without N for one sequence.
  public var hidden: Tensor
  /// c, of the same shape.
  public var cell: Tensor

  /// The state of both tensors.
  public init(hidden: Tensor, cell: Tensor) {
    self.hidden = hidden
    self.cell = cell
  }

  public static var parts: [PartialKeyPath<LSTMState>] { [\.hidden, \.cell] }
}

/// Long short-term memory (Hochreiter and Schmidhuber, 1997): i, f, o = σ(W x + b + U h + c), g = tanh(...),
/// c' = f c + i g, h' = o tanh(c').
///
///     let lstm = LSTM(64, 128, numLayers: 2, batchFirst: true, bidirectional: true)
///     let (output, state) = lstm(x)                  // x: [N, T, 64], output: [N, T, 256]
///     let (more, _) = lstm(y, state: state)
///
/// Parameters are PyTorch's: `weight_ih_l0` `[4 hidden, in]`, `weight_hh_l0` `[4 hidden, hidden]`, `bias_ih_l0` and
/// `bias_hh_l0` `[4 hidden]` with gates in the order i, f, g, o; `_l0_reverse` for the other direction; `_l1` and so
/// on. All begin uniformly distributed in ±1/√hidden.
public struct LSTM: Module, NamesItsParts, Sendable {
  let network: RecurrentNetwork<LSTMStep>

  /// Defaults are PyTorch's.
  /// - Parameters:
  ///   - inputSize: The features of an input.
  ///   - hiddenSize: The features of the state.
  ///   - numLayers: How many layers lie one above the other.
  ///   - batchFirst: Whether sequences are `[N, T, in]` instead of `[T, N, in]`.
  ///   - dropout: The probability that an element of what a layer gives to the next one is 0 in training.
  ///   - bidirectional: Whether other weights go through the sequence from its end, with outputs behind the others'.
  public init(
    _ inputSize: Int, _ hiddenSize: Int, numLayers: Int = 1, bias: Bool = true,
    batchFirst: Bool = false, dropout: Double = 0, bidirectional: Bool = false,
    dtype: DType = .float32
  ) {
    network = RecurrentNetwork(
      "LSTM", LSTMStep(), inputSize, hiddenSize, layers: numLayers, bias: bias,
      batchFirst: batchFirst, dropout: dropout, bidirectional: bidirectional, dtype)
  }

  var parts: [(name: String, part: Any)] { network.parts }

  /// - Parameters:
  ///   - x: `[T, N, in]`, with `batchFirst` `[N, T, in]`, or one sequence `[T, in]`.
  ///   - state: Where the sequences begin; zeros if nil.
  /// - Returns: The last layer's h of all steps `[T, N, directions · hidden]`, with axes as those of `x`, and the last
  ///   state of each layer and direction.
  public func callAsFunction(
    _ x: Tensor, state: LSTMState? = nil
  ) -> (output: Tensor, state: LSTMState) {
    let (output, last) = network(x, state.map { [$0.hidden, $0.cell] })
    return (output, LSTMState(hidden: last[0], cell: last[1]))
  }
}
