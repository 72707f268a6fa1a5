import DuetEager
import DuetRuntime

/// Sequences `[N, C, L]` or images `[N, C, H, W]` in another size.
public struct Upsample: UnaryLayer, Sendable {
  /// How elements are found.
  public let mode: InterpolationMode
  private let target: Target

  private enum Target: Sendable {
    case size(any IntOrPair)
    case factors([Double])
  }

  /// A layer that calls `interpolate` with a factor for every axis.
  public init(scaleFactor: Double, mode: InterpolationMode = .nearest) {
    self.init(scaleFactor: [scaleFactor], mode: mode)
  }

  /// A layer that calls `interpolate` with a factor for each axis: `[length]`, or `[height, width]`.
  public init(scaleFactor: [Double], mode: InterpolationMode = .nearest) {
    if !scaleFactor.allSatisfy({ $0 > 0 }) {
      note(OpError("Upsample", "factors must be above 0, not \(scaleFactor)"))
    }
    target = .factors(scaleFactor)
    self.mode = mode
  }

  /// A layer that calls `interpolate` with a length, or height and width.
  public init(size: any IntOrPair, mode: InterpolationMode = .nearest) {
    target = .size(size)
    self.mode = mode
  }

  public func callAsFunction(_ x: Tensor) -> Tensor {
    switch target {
    case .size(let size): interpolate("Upsample", x, size: size, mode: mode)
    case .factors(let factors): interpolate("Upsample", x, scaleFactors: factors, mode: mode)
    }
  }
}
