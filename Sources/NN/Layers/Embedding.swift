import DuetEager
import DuetRuntime

/// A learned vector for each of `count` symbols: integers `[...]` give `[..., dimension]`.
///
/// The vectors begin normally distributed.
public struct Embedding: UnaryLayer {
  /// `[count, dimension]`.
  public let weight: Parameter

  public init(_ count: Int, _ dimension: Int, dtype: DType = .float32) {
    weight = Parameter(Random.normal([count, dimension], dtype: dtype), name: "weight")
  }

  public func callAsFunction(_ x: Tensor) -> Tensor { take(weight.value, x, axis: 0) }
}
