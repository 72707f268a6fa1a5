import DuetEager
import DuetRuntime

/// How `interpolate` finds the elements of its result.
public enum InterpolationMode: Sendable, Hashable {
  /// The nearest element at or before the place, as PyTorch's mode of that name.
  case nearest
  /// Between the two nearest elements along each axis: linear for sequences, bilinear for images.
  ///
  /// With `alignCorners` the centres of the outermost elements stay where they are; without, the outer edges of all
  /// elements do.
  case linear(alignCorners: Bool = false)
}

/// Sequences `[N, C, L]` or images `[N, C, H, W]` in another size, as PyTorch's `interpolate`.
///
/// - Parameters:
///   - x: Floating point.
///   - size: The new length, or height and width; one number for both.
/// - Returns: `[N, C, size]` or `[N, C, height, width]`.
public func interpolate(
  _ x: Tensor, size: any IntOrPair, mode: InterpolationMode = .nearest
) -> Tensor {
  interpolate("interpolate", x, size: size, mode: mode)
}

func interpolate(
  _ operation: String, _ x: Tensor, size: any IntOrPair, mode: InterpolationMode
) -> Tensor {
  if let failed = mistake(operation, x, ranks: [3, 4], resizable) { return failed }
  guard let extent = checkedExtent(size, operation, "size") else { return .failed }
  let sizes = [extent.height, extent.width].suffix(x.ndim - 2)
  return resized(
    operation, x, zip(x.shape.dropFirst(2), sizes).map { ($1, Double($0) / Double($1)) }, mode)
}

/// Sequences `[N, C, L]` or images `[N, C, H, W]` enlarged, or reduced, by a factor, as PyTorch's `interpolate`.
///
/// - Parameters:
///   - x: Floating point.
///   - scaleFactor: The factor along each axis. Sizes are rounded down.
public func interpolate(
  _ x: Tensor, scaleFactor: Double, mode: InterpolationMode = .nearest
) -> Tensor {
  interpolate("interpolate", x, scaleFactors: [scaleFactor], mode: mode)
}

/// As the first form, with a factor for each axis: `[length]`, or `[height, width]`.
public func interpolate(
  _ x: Tensor, scaleFactor: [Double], mode: InterpolationMode = .nearest
) -> Tensor {
  interpolate("interpolate", x, scaleFactors: scaleFactor, mode: mode)
}

func interpolate(
  _ operation: String, _ x: Tensor, scaleFactors: [Double], mode: InterpolationMode
) -> Tensor {
  if let failed = mistake(operation, x, ranks: [3, 4], resizable) { return failed }
  let axes = x.ndim - 2
  guard scaleFactors.count == 1 || scaleFactors.count == axes,
    scaleFactors.allSatisfy({ $0 > 0 && $0 < 0x1p40 })
  else {
    return fail(
      OpError(
        operation, "needs one factor above 0, or \(axes) for shape \(x.shape), not \(scaleFactors)")
    )
  }
  let factors =
    scaleFactors.count == 1 ? Array(repeating: scaleFactors[0], count: axes) : scaleFactors
  let targets = zip(x.shape.dropFirst(2), factors).map { size, factor in
    // What no tensor has stays too large, and an integer.
    (size: Int(min((Double(size) * factor).rounded(.down), 0x1p62)), step: 1 / factor)
  }
  return resized(operation, x, targets, mode)
}

private let resizable = "sequences [N, C, L] or images [N, C, H, W]"

/// - Parameter targets: For each axis from the third on the new size, and the distance of the new elements in old ones.
private func resized(
  _ operation: String, _ x: Tensor, _ targets: [(size: Int, step: Double)],
  _ mode: InterpolationMode
) -> Tensor {
  guard x.shape.dropFirst(2).allSatisfy({ $0 > 0 }), targets.allSatisfy({ $0.size > 0 }) else {
    return fail(
      OpError(operation, "cannot give \(x.shape) the sizes \(targets.map(\.size))"))
  }
  // Before one axis is enlarged for nothing. Elements between old ones are taken by lists of their places.
  guard let count = checkedProduct(x.shape.prefix(2).map { max($0, 1) } + targets.map(\.size)),
    count <= 1 << 46,
    zip(x.shape.dropFirst(2), targets).allSatisfy({ size, target in
      target.size <= Int(Int32.max) || mode == .nearest && isRepetition(size, target)
    })
  else {
    return fail(
      OpError(operation, "the sizes \(targets.map(\.size)) for \(x.shape) are too large"))
  }
  // 16 bits are rounded once. The last axis goes first: there are fewer rows to take elements from.
  var y = mode != .nearest && x.dtype.isHalf ? x.asType(.float32) : x
  for (axis, target) in targets.enumerated().reversed() where !isSame(x, axis + 2, target) {
    switch mode {
    case .nearest: y = nearest(y, axis: axis + 2, target)
    case .linear(let alignCorners):
      y = linear(y, axis: axis + 2, target, alignCorners: alignCorners)
    }
    // Out of memory, perhaps: there is no next axis then.
    if y.isFailed { return y }
  }
  return y.asType(x.dtype)
}

private func isSame(_ x: Tensor, _ axis: Int, _ target: (size: Int, step: Double)) -> Bool {
  x.dim(axis) == target.size && target.step == 1
}

/// Whether the nearest elements are all old ones, each equally often.
private func isRepetition(_ size: Int, _ target: (size: Int, step: Double)) -> Bool {
  target.size % size == 0 && target.step == Double(size) / Double(target.size)
}

private func nearest(_ x: Tensor, axis: Int, _ target: (size: Int, step: Double)) -> Tensor {
  let size = x.dim(axis)
  if isRepetition(size, target) {
    return x.repeated(count: target.size / size, axis: axis)
  }
  // Where a place falls on the border of two elements its rounding decides: as in PyTorch that of the elements' dtype.
  let places = (0..<target.size).map { i in
    let place =
      x.dtype == .float64
      ? Int((Double(i) * target.step).rounded(.down))
      : Int((Float(i) * Float(target.step)).rounded(.down))
    return min(place, size - 1)
  }
  return x.take(Tensor(places), axis: axis)
}

private func linear(
  _ x: Tensor, axis: Int, _ target: (size: Int, step: Double), alignCorners: Bool
) -> Tensor {
  let size = x.dim(axis)
  let step =
    alignCorners ? (target.size > 1 ? Double(size - 1) / Double(target.size - 1) : 0) : target.step
  let places = (0..<target.size).map { i in
    alignCorners ? Double(i) * step : max((Double(i) + 0.5) * step - 0.5, 0)
  }
  let before = places.map { min(Int($0), size - 1) }
  let after = before.map { min($0 + 1, size - 1) }
  let shares = zip(places, before).map { min($0 - Double($1), 1) }
  var shape = Array(repeating: 1, count: x.ndim)
  shape[axis] = target.size
  let share = Tensor(shares, shape, dtype: x.dtype)
  return x.take(Tensor(before), axis: axis) * (1 - share)
    + x.take(Tensor(after), axis: axis) * share
}
