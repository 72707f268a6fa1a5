import DuetEager
import DuetRuntime

/// The function between the two linear layers of a transformer's feed-forward part.
public enum FeedForwardActivation: Sendable, Hashable {
  /// max(x, 0).
  case relu
  /// x Φ(x), with the normal distribution Φ.
  case gelu

  func callAsFunction(_ x: Tensor) -> Tensor {
    self == .relu ? DuetEager.relu(x) : DuetEager.gelu(x)
  }
}

/// Self-attention and two linear layers, each with a path around it (Vaswani and others, 2017), as PyTorch's layer of
/// that name.
///
/// Parameters are PyTorch's: `self_attn` (see ``MultiheadAttention``), `linear1`, `linear2`, `norm1`, `norm2`.
public struct TransformerEncoderLayer: UnaryLayer, NamesItsParts, Sendable {
  /// Attention of the sequence to itself.
  public let selfAttention: MultiheadAttention
  /// From E to `feedForward` features.
  public let linear1: Linear
  /// Back to E features.
  public let linear2: Linear
  /// Beside self-attention.
  public let norm1: LayerNorm
  /// Beside the feed-forward part.
  public let norm2: LayerNorm
  /// Of both parts' results, and between the linear layers.
  public let dropout: Dropout
  let activation: FeedForwardActivation
  let normFirst: Bool

  /// Defaults are PyTorch's.
  /// - Parameters:
  ///   - dimensions: E: the features of what comes in and goes out.
  ///   - heads: The number of heads of attention.
  ///   - feedForward: The features between the linear layers.
  ///   - eps: Is added to the normalisations' variances.
  ///   - batchFirst: Whether batches are `[N, L, E]` instead of `[L, N, E]`.
  ///   - normFirst: Whether each part's input is normalised instead of its sum with the path around.
  public init(
    _ dimensions: Int, _ heads: Int, feedForward: Int = 2048, dropout: Double = 0.1,
    activation: FeedForwardActivation = .relu, eps: Double = 1e-5, batchFirst: Bool = false,
    normFirst: Bool = false, bias: Bool = true, dtype: DType = .float32
  ) {
    selfAttention = MultiheadAttention(
      dimensions, heads, dropout: dropout, bias: bias, batchFirst: batchFirst, dtype: dtype)
    linear1 = Linear(dimensions, feedForward, bias: bias, dtype: dtype)
    linear2 = Linear(feedForward, dimensions, bias: bias, dtype: dtype)
    norm1 = LayerNorm(dimensions, eps: eps, bias: bias, dtype: dtype)
    norm2 = LayerNorm(dimensions, eps: eps, bias: bias, dtype: dtype)
    self.dropout = Dropout(dropout)
    self.activation = activation
    self.normFirst = normFirst
  }

  /// The names that PyTorch's state dicts have.
  var parts: [(name: String, part: Any)] {
    [
      ("self_attn", selfAttention), ("linear1", linear1), ("linear2", linear2), ("norm1", norm1),
      ("norm2", norm2), ("dropout", dropout),
    ]
  }

  public func callAsFunction(_ x: Tensor) -> Tensor { self(x, mask: nil) }

  /// - Parameters:
  ///   - x: `[L, N, E]`, with `batchFirst` `[N, L, E]`, or `[L, E]`.
  ///   - mask: As `attentionMask` of ``MultiheadAttention``: `true` is what is not looked at.
  ///   - keyPaddingMask: As that of ``MultiheadAttention``.
  ///   - isCausal: Whether each place looks at itself and what comes before alone.
  public func callAsFunction(
    _ x: Tensor, mask: Tensor?, keyPaddingMask: Tensor? = nil, isCausal: Bool = false
  ) -> Tensor {
    func attended(_ x: Tensor) -> Tensor {
      dropout(
        selfAttention(
          x, x, x, keyPaddingMask: keyPaddingMask, attentionMask: mask, needWeights: false,
          isCausal: isCausal
        ).output)
    }
    func fed(_ x: Tensor) -> Tensor { dropout(linear2(dropout(activation(linear1(x))))) }
    if normFirst {
      let y = x + attended(norm1(x))
      return y + fed(norm2(y))
    }
    let y = norm1(x + attended(x))
    return norm2(y + fed(y))
  }
}

/// Encoder layers one after the other, and a normalisation at the end if wished.
///
///     let encoder = TransformerEncoder(6) { TransformerEncoderLayer(512, 8, batchFirst: true) }
///
/// Parameters are PyTorch's: `layers.0.self_attn.in_proj_weight` and so on, `norm.weight`. Unlike PyTorch's, layers
/// begin with weights of their own instead of copies of one layer's.
public struct TransformerEncoder: UnaryLayer, Sendable {
  /// In the order in which they are called.
  public let layers: [TransformerEncoderLayer]
  /// After the last layer.
  public let norm: LayerNorm?

  /// - Parameters:
  ///   - count: How many layers there are.
  ///   - layer: Makes each of them.
  public init(
    _ count: Int, norm: LayerNorm? = nil, _ layer: () -> TransformerEncoderLayer
  ) {
    noteNegative(["the number of layers": count], in: "TransformerEncoder")
    layers = (0..<max(count, 0)).map { _ in layer() }
    self.norm = norm
  }

  public func callAsFunction(_ x: Tensor) -> Tensor { self(x, mask: nil) }

  /// As a layer's.
  public func callAsFunction(
    _ x: Tensor, mask: Tensor?, keyPaddingMask: Tensor? = nil, isCausal: Bool = false
  ) -> Tensor {
    let y = layers.reduce(x) { x, layer in
      layer(x, mask: mask, keyPaddingMask: keyPaddingMask, isCausal: isCausal)
    }
    return norm?(y) ?? y
  }
}
