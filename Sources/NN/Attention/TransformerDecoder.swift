import DuetEager
import DuetRuntime

/// Self-attention, attention to an encoder's result, and two linear layers, each with a path around it (Vaswani and
/// others, 2017), as PyTorch's layer of that name.
///
/// Parameters are PyTorch's: `self_attn`, `multihead_attn` (see ``MultiheadAttention``), `linear1`, `linear2`, `norm1`,
/// `norm2`, `norm3`.
public struct TransformerDecoderLayer: Module, NamesItsParts, Sendable {
  /// Attention of the sequence to itself.
  public let selfAttention: MultiheadAttention
  /// Attention to the encoder's result.
  public let crossAttention: MultiheadAttention
  /// From E to `feedForward` features.
  public let linear1: Linear
  /// Back to E features.
  public let linear2: Linear
  /// Beside self-attention.
  public let norm1: LayerNorm
  /// Beside attention to the encoder's result.
  public let norm2: LayerNorm
  /// Beside the feed-forward part.
  public let norm3: LayerNorm
  /// Of all parts' results, and between the linear layers.
  public let dropout: Dropout
  let activation: FeedForwardActivation
  let normFirst: Bool

  /// As `TransformerEncoderLayer.init`.
  public init(
    _ dimensions: Int, _ heads: Int, feedForward: Int = 2048, dropout: Double = 0.1,
    activation: FeedForwardActivation = .relu, eps: Double = 1e-5, batchFirst: Bool = false,
    normFirst: Bool = false, bias: Bool = true, dtype: DType = .float32
  ) {
    func attention() -> MultiheadAttention {
      MultiheadAttention(
        dimensions, heads, dropout: dropout, bias: bias, batchFirst: batchFirst, dtype: dtype)
    }
    func norm() -> LayerNorm { LayerNorm(dimensions, eps: eps, bias: bias, dtype: dtype) }
    selfAttention = attention()
    crossAttention = attention()
    linear1 = Linear(dimensions, feedForward, bias: bias, dtype: dtype)
    linear2 = Linear(feedForward, dimensions, bias: bias, dtype: dtype)
    (norm1, norm2, norm3) = (norm(), norm(), norm())
    self.dropout = Dropout(dropout)
    self.activation = activation
    self.normFirst = normFirst
  }

  /// The names that PyTorch's state dicts have.
  var parts: [(name: String, part: Any)] {
    [
      ("self_attn", selfAttention), ("multihead_attn", crossAttention), ("linear1", linear1),
      ("linear2", linear2), ("norm1", norm1), ("norm2", norm2), ("norm3", norm3),
      ("dropout", dropout),
    ]
  }

  /// - Parameters:
  ///   - x: `[L, N, E]`, with `batchFirst` `[N, L, E]`, or `[L, E]`.
  ///   - memory: The encoder's result `[S, N, E]`, with axes as those of `x`.
  ///   - mask: As `attentionMask` of ``MultiheadAttention``, for self-attention: `true` is what is not looked at.
  ///   - memoryMask: The same for attention to `memory`.
  ///   - keyPaddingMask: As that of ``MultiheadAttention``, for self-attention.
  ///   - memoryKeyPaddingMask: The same for attention to `memory`.
  ///   - isCausal: Whether each place looks at itself and what comes before alone.
  public func callAsFunction(
    _ x: Tensor, _ memory: Tensor, mask: Tensor? = nil, memoryMask: Tensor? = nil,
    keyPaddingMask: Tensor? = nil, memoryKeyPaddingMask: Tensor? = nil, isCausal: Bool = false
  ) -> Tensor {
    func attended(_ x: Tensor) -> Tensor {
      dropout(
        selfAttention(
          x, x, x, keyPaddingMask: keyPaddingMask, attentionMask: mask, needWeights: false,
          isCausal: isCausal
        ).output)
    }
    func crossed(_ x: Tensor) -> Tensor {
      dropout(
        crossAttention(
          x, memory, memory, keyPaddingMask: memoryKeyPaddingMask, attentionMask: memoryMask,
          needWeights: false
        ).output)
    }
    func fed(_ x: Tensor) -> Tensor { dropout(linear2(dropout(activation(linear1(x))))) }
    if normFirst {
      let y = x + attended(norm1(x))
      let z = y + crossed(norm2(y))
      return z + fed(norm3(z))
    }
    let y = norm1(x + attended(x))
    let z = norm2(y + crossed(y))
    return norm3(z + fed(z))
  }
}

/// Decoder layers one after the other, and a normalisation at the end if wished. See ``TransformerEncoder``.
public struct TransformerDecoder: Module, Sendable {
  /// In the order in which they are called.
  public let layers: [TransformerDecoderLayer]
  /// After the last layer.
  public let norm: LayerNorm?

  /// - Parameters:
  ///   - count: How many layers there are.
  ///   - layer: Makes each of them.
  public init(
    _ count: Int, norm: LayerNorm? = nil, _ layer: () -> TransformerDecoderLayer
  ) {
    noteNegative(["the number of layers": count], in: "TransformerDecoder")
    layers = (0..<max(count, 0)).map { _ in layer() }
    self.norm = norm
  }

  /// As a layer's.
  public func callAsFunction(
    _ x: Tensor, _ memory: Tensor, mask: Tensor? = nil, memoryMask: Tensor? = nil,
    keyPaddingMask: Tensor? = nil, memoryKeyPaddingMask: Tensor? = nil, isCausal: Bool = false
  ) -> Tensor {
    let y = layers.reduce(x) { x, layer in
      layer(
        x, memory, mask: mask, memoryMask: memoryMask, keyPaddingMask: keyPaddingMask,
        memoryKeyPaddingMask: memoryKeyPaddingMask, isCausal: isCausal)
    }
    return norm?(y) ?? y
  }
}
