import DuetEager
import DuetRuntime
import Foundation

/// Rotary position encoding (Su and others, 2021): pairs of features `[..., L, D]` turn by angles that grow with the
/// place along the last axis but one.
///
/// Pair i of place p turns by p · scale · base^(-2 i / dimensions). Angles are computed in `float32`, or `float64` for
/// that dtype; 16-bit features are rounded once.
public struct RoPE: UnaryLayer, Sendable {
  /// How many features turn; those behind stay.
  public let dimensions: Int
  /// Whether pairs are neighbours; if not, feature i of the first half belongs to feature i of the second.
  public let traditional: Bool
  /// The slower the pairs' turns become.
  public let base: Double
  /// A factor of all places.
  public let scale: Double

  /// - Parameter dimensions: An even number. Other defaults are mlx-swift's.
  public init(
    dimensions: Int, traditional: Bool = false, base: Double = 10_000, scale: Double = 1
  ) {
    if dimensions < 2 || dimensions % 2 != 0 || !(base > 0) {
      note(
        OpError(
          "RoPE", "needs an even number of features and a base above 0, not \(dimensions), \(base)")
      )
    }
    self.dimensions = dimensions
    self.traditional = traditional
    self.base = base
    self.scale = scale
  }

  public func callAsFunction(_ x: Tensor) -> Tensor { self(x, offset: 0) }

  /// - Parameters:
  ///   - x: Floating point, `[..., L, D]`, with D no less than `dimensions`.
  ///   - offset: The place that L begins with: how much of the sequence came before.
  public func callAsFunction(_ x: Tensor, offset: Int) -> Tensor {
    if let failed = mistake("RoPE", x, ranks: Array(2...8), "features [..., L, D]") {
      return failed
    }
    guard dimensions >= 2, dimensions % 2 == 0, x.dim(-1) >= dimensions else {
      return fail(OpError("RoPE", "cannot turn \(dimensions) features of \(x.shape)"))
    }
    guard offset.magnitude <= 1 << 53 else {
      return fail(OpError("RoPE", "the offset \(offset) is too large"))
    }
    let dtype: DType = x.dtype == .float64 ? .float64 : .float32
    let half = dimensions / 2
    let slowness = (0..<half).map { pow(base, -Double($0) / Double(half)) }
    let places = arange(offset, offset + x.dim(-2)).asType(dtype) * scale
    let angles = places.expandedDimensions(axis: 1) * Tensor(slowness, [half], dtype: dtype)
    let (cosines, sines) = (cos(angles), sin(angles))
    let wide = x.dtype.isHalf ? x.asType(.float32) : x
    let turned = x.dim(-1) == dimensions ? wide : wide[.ellipsis, 0..<dimensions]
    let (a, b): (Tensor, Tensor)
    if traditional {
      let pairs = turned.reshaped(Array(x.shape.dropLast()) + [half, 2])
      (a, b) = (pairs[.ellipsis, 0], pairs[.ellipsis, 1])
    } else {
      (a, b) = (turned[.ellipsis, 0..<half], turned[.ellipsis, half..<dimensions])
    }
    let (c, d) = (a * cosines - b * sines, a * sines + b * cosines)
    var y =
      traditional
      ? stacked([c, d], axis: -1).reshaped(Array(x.shape.dropLast()) + [dimensions])
      : concatenated([c, d], axis: -1)
    if x.dim(-1) > dimensions {
      y = concatenated([y, wide[.ellipsis, dimensions..<x.dim(-1)]], axis: -1)
    }
    return y.asType(x.dtype)
  }
}

/// Sines and cosines of positions (Vaswani and others, 2017): places `[...]` give `[..., dimensions]`.
///
/// The sines of all frequencies, from the highest to the lowest, are followed by the cosines.
public struct SinusoidalPositionalEncoding: UnaryLayer, Sendable {
  private let frequencies: [Double]
  private let scale: Double
  private let cosFirst: Bool

  /// Defaults are mlx-swift's.
  /// - Parameters:
  ///   - dimensions: An even number of features.
  ///   - minFrequency: The lowest frequency; frequencies are spaced evenly by their logarithms.
  ///   - maxFrequency: The highest frequency.
  ///   - scale: A factor of the result; √(2 / dimensions) if nil.
  ///   - cosFirst: Whether cosines come before sines.
  ///   - fullTurns: Whether frequencies count turns instead of radians.
  public init(
    dimensions: Int, minFrequency: Double = 0.0001, maxFrequency: Double = 1, scale: Double? = nil,
    cosFirst: Bool = false, fullTurns: Bool = false
  ) {
    if dimensions < 2 || dimensions % 2 != 0 || !(minFrequency > 0 && maxFrequency > 0) {
      note(
        OpError(
          "SinusoidalPositionalEncoding",
          "needs an even number of features and frequencies above 0, not \(dimensions) features "
            + "from \(minFrequency) to \(maxFrequency)"))
    }
    let half = max(dimensions / 2, 0)
    frequencies = (0..<half).map { i in
      let share = half > 1 ? 1 - Double(i) / Double(half - 1) : 1
      let frequency = exp(log(minFrequency) + share * (log(maxFrequency) - log(minFrequency)))
      return fullTurns ? frequency * 2 * Double.pi : frequency
    }
    self.scale = scale ?? (2 / Double(max(dimensions, 1))).squareRoot()
    self.cosFirst = cosFirst
  }

  /// The encodings of places, which may be whole numbers: those give `float32`.
  public func callAsFunction(_ x: Tensor) -> Tensor {
    if x.isFailed { return x }
    let dtype: DType = x.dtype == .float64 ? .float64 : .float32
    let angles =
      x.asType(dtype).expandedDimensions(axis: -1)
      * Tensor(frequencies, [frequencies.count], dtype: dtype)
    let parts = cosFirst ? [cos(angles), sin(angles)] : [sin(angles), cos(angles)]
    let y = concatenated(parts, axis: -1) * scale
    return x.dtype.isHalf ? y.asType(x.dtype) : y
  }
}
