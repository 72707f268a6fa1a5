import DuetRuntime

// Elementwise functions that are made of others.

/// The way from `a` to `b` at `weight`: a + weight (b - a), exact at both finite ends. Floating point; shapes broadcast.
public func lerp(_ a: Tensor, _ b: Tensor, _ weight: Double) -> Tensor {
  let (a, b) = promotedPair(a, b)
  guard a.requireFloatingPoint("lerp"), b.requireFloatingPoint("lerp") else { return .failed }
  return inSinglePrecision(a, b) { a, b in
    weight < 0.5 ? a + (b - a) * weight : b - (b - a) * (1 - weight)
  }
}

/// The way from `a` to `b` at `weight`, a number for each element: a + weight (b - a), exact at both finite ends.
/// Floating point; shapes broadcast.
public func lerp(_ a: Tensor, _ b: Tensor, _ weight: Tensor) -> Tensor {
  let (a, b) = promotedPair(a, b)
  guard a.requireFloatingPoint("lerp"), b.requireFloatingPoint("lerp"), !weight.isFailed else {
    return .failed
  }
  let weight = weight.asType(a.dtype)
  return inSinglePrecision(a, b) { a, b in
    let weight = weight.asType(a.dtype)
    let way = b - a
    return which(weight .< 0.5, a + way * weight, b - way * (1 - weight))
  }
}

/// The function of both tensors, of which those of 16 bits are widened before, and the result is rounded once.
private func inSinglePrecision(
  _ a: Tensor, _ b: Tensor, _ body: (Tensor, Tensor) -> Tensor
) -> Tensor {
  body(a.widened(), b.widened()).asType(a.dtype)
}

/// log(eᵃ + eᵇ), safe from overflow. Floating point; shapes broadcast.
public func logAddExp(_ a: Tensor, _ b: Tensor) -> Tensor {
  let (a, b) = promotedPair(a, b)
  guard a.requireFloatingPoint("logAddExp"), b.requireFloatingPoint("logAddExp") else {
    return .failed
  }
  return inSinglePrecision(a, b) { a, b in
    // Equal infinities have no difference.
    let distance = which(a .== b, 0, a - b)
    return maximum(a, b) + (-abs(distance)).exp().log1p()
  }
}

/// x log y, and 0 where x is 0 and y is a number. Floating point; shapes broadcast.
public func xlogy(_ x: some TensorOperand, _ y: some TensorOperand) -> Tensor {
  let (a, b) = pair(x, y)
  let (x, y) = promotedPair(a, b)
  guard x.requireFloatingPoint("xlogy"), y.requireFloatingPoint("xlogy") else { return .failed }
  return inSinglePrecision(x, y) { x, y in
    // Where the logarithm is finite the product is right by itself, and has a gradient by x.
    let hasNoLogarithm = (y .<= 0) .| (y .== Double.infinity)
    let isZero = (x .== 0) .& hasNoLogarithm
    return which(isZero, 0, x * which(isZero, 1, y).log())
  }
}

/// 0 where x is negative, 1 where it is positive, and `values` where it is 0; not-a-number stays. Shapes broadcast.
public func heaviside(_ x: Tensor, _ values: some TensorOperand) -> Tensor {
  if x.isFailed { return x }
  let values = values.operand(with: x.dtype)
  if values.isFailed { return values }
  let x = x.withoutGradient.asType(DType.promoted(x.dtype, values.dtype))
  if x.dtype == .bool { return x .| values }
  let step = which(isNaN(x), x, (x .> 0).asType(x.dtype))
  return which(x .== 0, values, step)
}

/// sin(πx) / (πx), and 1 at 0. Floating point.
public func sinc(_ x: Tensor) -> Tensor {
  guard x.requireFloatingPoint("sinc") else { return .failed }
  return inSinglePrecision(x, x) { x, _ in
    let angle = x * Double.pi
    // Near 0 derivatives of the quotient would cancel to nothing: there it is Σ (-1)ᵏ angle²ᵏ / (2k + 1)!.
    let isSmall = abs(angle) .< 1
    let square = which(isSmall, angle, 0).square()
    var series = square * -sincTerms[0] + sincTerms[1]
    for (k, term) in sincTerms.dropFirst(2).enumerated() {
      series = series * square + (k % 2 == 0 ? -term : term)
    }
    let divisor = which(isSmall, 1, angle)
    return which(isSmall, series, divisor.sin() / divisor)
  }
}

/// 1 / (2k + 1)! for k from 9 down to 0.
private let sincTerms: [Double] = (0...9).reversed().map { k in
  1 / (1...(2 * k + 1)).reduce(1) { $0 * Double($1) }
}

/// Whether elements are equal but for rounding: |a - b| ≤ atol + rtol |b|. `bool`; shapes broadcast.
public func isClose(
  _ a: Tensor, _ b: Tensor, rtol: Double = 1e-5, atol: Double = 1e-8, equalNaN: Bool = false
) -> Tensor {
  isClose("isClose", a, b, rtol, atol, equalNaN)
}

func isClose(
  _ operation: String, _ a: Tensor, _ b: Tensor, _ rtol: Double, _ atol: Double, _ equalNaN: Bool
) -> Tensor {
  if a.isFailed || b.isFailed { return .failed }
  guard Shape.broadcast(a.body.layout.shape, b.body.layout.shape) != nil else {
    return fail(OpError(operation, "the shapes \(a.shape) and \(b.shape) do not broadcast"))
  }
  let isExact = a .== b
  // Differences of integers may not fit their dtype.
  let isReal = DType.promoted(a.dtype, b.dtype).isFloatingPoint
  let (x, y) = isReal ? (a, b) : (a.asType(.float64), b.asType(.float64))
  let isNear = abs(x - y) .<= (abs(y) * rtol + atol)
  // An infinite b is near to everything by the formula.
  let isEqual = isExact .| (isNear .& isFinite(y))
  return equalNaN ? isEqual .| (isNaN(a) .& isNaN(b)) : isEqual
}
