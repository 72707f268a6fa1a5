import DuetEager
import DuetRuntime

/// A learned vector for each of `count` symbols: integers `[...]` give `[..., dimension]`.
///
/// The vectors begin normally distributed.
public struct Embedding: UnaryLayer, Sendable {
  /// `[count, dimension]`.
  public let weight: Parameter

  /// Draws `[count, dimension]` numbers of mean 0 and deviation 1 from the global generator, as PyTorch does.
  public init(_ count: Int, _ dimension: Int, dtype: DType = .float32) {
    noteNegative(["count": count, "dimension": dimension], in: "Embedding")
    weight = Parameter(Random.normal([count, dimension], dtype: dtype), name: "weight")
  }

  public func callAsFunction(_ x: Tensor) -> Tensor { take(weight.value, x, axis: 0) }
}
