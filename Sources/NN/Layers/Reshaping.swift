import DuetEager

/// The axes `start` to `end`, both included, as one; from axis 1 on a batch keeps its first axis.
public struct Flatten: UnaryLayer, Sendable {
  /// The first of the axes that become one; negative: from the end.
  public let start: Int
  /// The last of the axes that become one; negative: from the end.
  public let end: Int

  /// By default all axes but the first become one: `[N, C, H, W]` gives `[N, C · H · W]`.
  public init(start: Int = 1, end: Int = -1) {
    self.start = start
    self.end = end
  }

  public func callAsFunction(_ x: Tensor) -> Tensor { x.flattened(start: start, end: end) }
}

/// What comes in.
public struct Identity: UnaryLayer, Sendable {
  /// Takes the place of a layer that a model does without.
  public init() {}
  public func callAsFunction(_ x: Tensor) -> Tensor { x }
}
