import DuetEager
import DuetRuntime

/// A plain recurrent network (Elman, 1990): h' = tanh(W x + b + U h + c), or with max(x, 0) instead of tanh.
///
///     let (output, hidden) = RNN(64, 128)(x)         // x: [T, N, 64], output: [T, N, 128], hidden: [1, N, 128]
///
/// Parameters are named and laid out as those of ``LSTM``, with one row for each feature of the state.
public struct RNN: Module, NamesItsParts, Sendable {
  let network: RecurrentNetwork<ElmanStep>

  /// As `LSTM.init`.
  /// - Parameter nonlinearity: The function of a step.
  public init(
    _ inputSize: Int, _ hiddenSize: Int, numLayers: Int = 1,
    nonlinearity: RecurrentActivation = .tanh, bias: Bool = true, batchFirst: Bool = false,
    dropout: Double = 0, bidirectional: Bool = false, dtype: DType = .float32
  ) {
    network = RecurrentNetwork(
      "RNN", ElmanStep(activation: nonlinearity), inputSize, hiddenSize, layers: numLayers,
      bias: bias, batchFirst: batchFirst, dropout: dropout, bidirectional: bidirectional, dtype)
  }

  var parts: [(name: String, part: Any)] { network.parts }

  /// - Parameters:
  ///   - x: `[T, N, in]`, with `batchFirst` `[N, T, in]`, or one sequence `[T, in]`.
  ///   - state: h `[layers · directions, N, hidden]`, without N for one sequence; zeros if nil.
  /// - Returns: The last layer's h of all steps `[T, N, directions · hidden]`, with axes as those of `x`, and the last
  ///   h of each layer and direction.
  public func callAsFunction(
    _ x: Tensor, state: Tensor? = nil
  ) -> (output: Tensor, state: Tensor) {
    let (output, last) = network(x, state.map { [$0] })
    return (output, last[0])
  }
}
