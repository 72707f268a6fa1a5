import DuetRuntime

/// What a quantile is that lies between two elements.
public enum QuantileMethod: Sendable, Hashable {
  /// On the line between both.
  case linear
  /// The lower one, the higher one, the nearer one (of two at one distance that at an even place), or their mean.
  case lower, higher, nearest, midpoint
}

// Quantiles by sorting: a gradient goes to the one or two elements that a quantile is made of. Not-a-number makes all
// quantiles of its row not-a-number, as in NumPy.
extension Tensor {
  /// The value below which the part `q` of the elements lies: at place q (n - 1) of their ascending order. Without an axis
  /// of all elements. Floating point.
  ///
  /// - Parameter q: From 0 to 1.
  public func quantile(
    _ q: Double, axis: Int? = nil, keepDims: Bool = false, method: QuantileMethod = .linear
  ) -> Tensor {
    quantiles([q], axis, keepDims, method, "quantile")?[0] ?? .failed
  }

  /// Several quantiles of the same elements, along a new first axis. Floating point.
  ///
  /// - Parameter q: Each from 0 to 1.
  public func quantile(
    _ q: [Double], axis: Int? = nil, keepDims: Bool = false, method: QuantileMethod = .linear
  ) -> Tensor {
    guard let results = quantiles(q, axis, keepDims, method, "quantile") else { return .failed }
    return stacked(results)
  }

  /// The element in the middle of the ascending order, or the mean of the two in the middle, as in NumPy. (PyTorch gives
  /// the lower one: `quantile(0.5, method: .lower)`.) Floating point.
  public func median(axis: Int? = nil, keepDims: Bool = false) -> Tensor {
    quantiles([0.5], axis, keepDims, .midpoint, "median")?[0] ?? .failed
  }

  private func quantiles(
    _ q: [Double], _ axis: Int?, _ keepDims: Bool, _ method: QuantileMethod, _ operation: String
  ) -> [Tensor]? {
    guard requireFloatingPoint(operation) else { return nil }
    guard let axis else {
      return flattened().quantiles(q, 0, false, method, operation)?.map {
        keepDims ? $0.reshaped(Array(repeating: 1, count: ndim)) : $0
      }
    }
    guard let axis = checkedAxis(axis, operation) else { return nil }
    if let odd = q.first(where: { !($0 >= 0 && $0 <= 1) }) {
      note(OpError(operation, "\(odd) is not from 0 to 1"))
      return nil
    }
    guard !q.isEmpty, dim(axis) > 0 else {
      note(OpError(operation, q.isEmpty ? "no quantiles" : "of no elements: shape \(shape)"))
      return nil
    }
    let count = dim(axis)
    let sorted = sort(axis: axis)
    let last = sorted.part(along: axis, count - 1, 1)
    let isUndefined = last.withoutGradient.isNaN()
    return q.map { q in
      let place = q * Double(count - 1)
      let value = sorted.element(at: place, axis, method)
      // Not-a-number comes last.
      let result = which(isUndefined, last, value)
      return keepDims ? result : result.squeezed(axis: axis)
    }
  }

  /// What stands at a place that may lie between two, of which there are enough. The axis stays.
  private func element(at place: Double, _ axis: Int, _ method: QuantileMethod) -> Tensor {
    let fraction = place - place.rounded(.down)
    let low = part(along: axis, Int(place), 1)
    if fraction == 0 { return low }
    let high = part(along: axis, Int(place) + 1, 1)
    switch method {
    case .lower: return low
    case .higher: return high
    case .nearest: return Int(place.rounded(.toNearestOrEven)) == Int(place) ? low : high
    case .linear:
      // Between two equal infinities there is nothing else.
      let isInfinite = (low .== high) .& low.isInf()
      return which(isInfinite, low, DuetEager.lerp(low, high, fraction))
    case .midpoint: return low * 0.5 + high * 0.5
    }
  }
}

/// The value below which the part `q` of the elements lies, without an axis of all elements. Floating point.
public func quantile(
  _ x: Tensor, _ q: Double, axis: Int? = nil, keepDims: Bool = false,
  method: QuantileMethod = .linear
) -> Tensor {
  x.quantile(q, axis: axis, keepDims: keepDims, method: method)
}

/// Several quantiles of the same elements, along a new first axis. Floating point.
public func quantile(
  _ x: Tensor, _ q: [Double], axis: Int? = nil, keepDims: Bool = false,
  method: QuantileMethod = .linear
) -> Tensor {
  x.quantile(q, axis: axis, keepDims: keepDims, method: method)
}

/// The element in the middle of the ascending order, or the mean of the two in the middle, as in NumPy. Floating point.
public func median(_ x: Tensor, axis: Int? = nil, keepDims: Bool = false) -> Tensor {
  x.median(axis: axis, keepDims: keepDims)
}
