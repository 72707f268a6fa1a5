import DuetRuntime

// Elementwise functions of two operands, each a tensor or a number; shapes broadcast as in NumPy.

/// The larger of both operands' elements; not-a-number wins.
public func maximum(_ a: consuming some TensorOperand, _ b: consuming some TensorOperand) -> Tensor
{
  binary(.maximum, a, b)
}

/// The smaller of both operands' elements; not-a-number wins.
public func minimum(_ a: consuming some TensorOperand, _ b: consuming some TensorOperand) -> Tensor
{
  binary(.minimum, a, b)
}

/// Each element of `a` to the power of the element of `b`: what `**` does.
public func pow(_ a: consuming some TensorOperand, _ b: consuming some TensorOperand) -> Tensor {
  if let x = (copy a) as? Tensor, let exponent = (copy b) as? any TensorScalar {
    return power(x, exponent)
  }
  return binary(.power, a, b)
}

/// The angle of the point (x, y) in [-π, π]. Floating point.
public func atan2(_ y: consuming some TensorOperand, _ x: consuming some TensorOperand) -> Tensor {
  binary(.atan2, y, x)
}

/// √(a² + b²) without overflow on the way. Floating point.
public func hypot(_ a: consuming some TensorOperand, _ b: consuming some TensorOperand) -> Tensor {
  binary(.hypot, a, b)
}

/// What the division rounded down leaves: the sign is the divisor's, as in NumPy. See `%` for
/// Swift's.
public func remainder(_ a: consuming some TensorOperand, _ b: consuming some TensorOperand)
  -> Tensor
{
  binary(.floorRemainder, a, b)
}

/// The quotient rounded down.
public func floorDivide(_ a: consuming some TensorOperand, _ b: consuming some TensorOperand)
  -> Tensor
{
  binary(.floorDivide, a, b)
}

/// Whether both elements are true or not zero, as `bool`.
public func logicalAnd(_ a: consuming some TensorOperand, _ b: consuming some TensorOperand)
  -> Tensor
{
  logical(.bitwiseAnd, a, b)
}

/// Whether one element at least is true or not zero, as `bool`.
public func logicalOr(_ a: consuming some TensorOperand, _ b: consuming some TensorOperand)
  -> Tensor
{
  logical(.bitwiseOr, a, b)
}

/// Whether exactly one element is true or not zero, as `bool`.
public func logicalXor(_ a: consuming some TensorOperand, _ b: consuming some TensorOperand)
  -> Tensor
{
  logical(.bitwiseXor, a, b)
}

/// Every integer shifted left by so many bits.
public func leftShift(_ a: consuming some TensorOperand, _ b: consuming some TensorOperand)
  -> Tensor
{
  binary(.shiftLeft, a, b)
}

/// Every integer shifted right by so many bits; signed ones keep their sign.
public func rightShift(_ a: consuming some TensorOperand, _ b: consuming some TensorOperand)
  -> Tensor
{
  binary(.shiftRight, a, b)
}

/// The elements of `a` where the condition is true, those of `b` elsewhere; shapes broadcast.
///
/// - Parameter condition: A `bool` tensor; of other dtypes everything but zero is true.
public func which(
  _ condition: Tensor, _ a: consuming some TensorOperand, _ b: consuming some TensorOperand
) -> Tensor {
  let (a, b) = pair(a, b)
  let dtype = DType.promoted(a.dtype, b.dtype)
  return select(condition.asType(.bool), (consume a).asType(dtype), (consume b).asType(dtype))
}

/// The elements kept between two bounds, each a number or a tensor, or nil for none; not-a-number wins. An element on
/// a bound has its whole gradient.
public func clip(
  _ x: consuming Tensor, min: (any TensorOperand)? = nil, max: (any TensorOperand)? = nil
) -> Tensor {
  switch (min, max) {
  case (nil, nil): return x
  case (let min?, nil): return binary(.atLeast, x, min)
  case (nil, let max?): return binary(.atMost, x, max)
  case (let min?, let max?):
    guard x.dtype.isFloatingPoint, let exactLow = min.exactNumber,
      let exactHigh = max.exactNumber
    else {
      return binary(.atMost, binary(.atLeast, x, min), max)
    }
    // As the elements have them: what is on a bound is not beyond it.
    let low = x.dtype.rounded(exactLow)
    let high = x.dtype.rounded(exactHigh)
    // Of few elements a result that nobody else has may be written where x is.
    if x.body.autograd == nil, x.body.count < FusedPass.fewestForTwo {
      return promoting(.atMost, promoting(.atLeast, x, low), high)
    }
    return elementwiseFunction("clip", FusedCode(.clip, [low, high, 0, 0]), x) { x in
      promoting(.atMost, promoting(.atLeast, x, low), high)
    } gradient: { x, dy in
      which(x .>= low, which(x .<= high, dy, 0), 0)
    }
  }
}

extension DType {
  /// The number as an element of this dtype.
  func rounded(_ value: Double) -> Double { Element(value, self).value(self) }
}

extension TensorOperand {
  /// The number that it is, if it is one that `Double` holds.
  fileprivate var exactNumber: Double? {
    guard let number = self as? any TensorScalar else { return nil }
    return type(of: number).dtype.isFloatingPoint
      ? number.tensorValue : Double(exactly: number.tensorInteger)
  }
}

extension Tensor {
  /// The elements kept between two bounds, each a number or a tensor, or nil for none; not-a-number wins. An element on
  /// a bound has its whole gradient.
  public consuming func clip(min: (any TensorOperand)? = nil, max: (any TensorOperand)? = nil)
    -> Tensor
  {
    DuetEager.clip(self, min: min, max: max)
  }

  /// Each element to a power: what `**` does.
  public consuming func pow(_ exponent: consuming some TensorOperand) -> Tensor {
    DuetEager.pow(self, exponent)
  }
}

/// Whether two tensors are equal but for rounding: |a - b| ≤ atol + rtol |b| everywhere.
///
/// - Returns: A `bool` scalar.
public func allClose(
  _ a: Tensor, _ b: Tensor, rtol: Double = 1e-5, atol: Double = 1e-8, equalNaN: Bool = false
) -> Tensor {
  isClose("allClose", a, b, rtol, atol, equalNaN).all()
}

private func binary(
  _ op: BinaryOp, _ a: consuming some TensorOperand, _ b: consuming some TensorOperand
) -> Tensor {
  let (a, b) = pair(a, b)
  return promoting(op, consume a, consume b)
}

private func logical(
  _ op: BinaryOp, _ a: consuming some TensorOperand, _ b: consuming some TensorOperand
) -> Tensor {
  let (a, b) = pair(a, b)
  return apply(op, (consume a).asType(.bool), (consume b).asType(.bool))
}
