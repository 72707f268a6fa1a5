import DuetEager

/// The axes `start` to `end`, both included, as one; from axis 1 on a batch keeps its first axis.
public struct Flatten: UnaryLayer {
  public let start: Int
  public let end: Int

  public init(start: Int = 1, end: Int = -1) {
    self.start = start
    self.end = end
  }

  public func callAsFunction(_ x: Tensor) -> Tensor { x.flattened(start: start, end: end) }
}

/// What comes in.
public struct Identity: UnaryLayer {
  public init() {}
  public func callAsFunction(_ x: Tensor) -> Tensor { x }
}
