import DuetEager
import DuetRuntime

/// Gated recurrent units (Cho and others, 2014) in PyTorch's form: r, z = σ(W x + b + U h + c),
/// n = tanh(W x + b + r (U h + c)), h' = (1 - z) n + z h.
///
///     let (output, hidden) = GRU(64, 128)(x)         // x: [T, N, 64], output: [T, N, 128], hidden: [1, N, 128]
///
/// Parameters are named and laid out as those of ``LSTM``, with three gates in the order r, z, n.
public struct GRU: Module, NamesItsParts, Sendable {
  let network: RecurrentNetwork<GRUStep>

  /// As `LSTM.init`.
  public init(
    _ inputSize: Int, _ hiddenSize: Int, numLayers: Int = 1, bias: Bool = true,
    batchFirst: Bool = false, dropout: Double = 0, bidirectional: Bool = false,
    dtype: DType = .float32
  ) {
    network = RecurrentNetwork(
      "GRU", GRUStep(), inputSize, hiddenSize, layers: numLayers, bias: bias,
      batchFirst: batchFirst, dropout: dropout, bidirectional: bidirectional, dtype)
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
