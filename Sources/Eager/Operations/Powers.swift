import DuetRuntime

/// The elements to the power of a number. Some powers are what else they are called: squares and cubes products, the
/// powers of 1/2 and -1/2 roots, the power of -1 the reciprocal. That takes a tenth of the time, and rounds less.
func power(_ x: consuming Tensor, _ exponent: some TensorScalar) -> Tensor {
  let number = exponent.tensorValue
  guard x.dtype.isFloatingPoint, isSimple(number) else {
    let isWhole = !type(of: exponent).dtype.isFloatingPoint
    if number == 2, isWhole, x.dtype != .bool { return apply(.square, x) }
    return promoting(.power, x, exponent)
  }
  if x.body.autograd == nil {
    // What nobody else has becomes the result.
    switch number {
    case 2: return x.square()
    case 0.5: return x.sqrt()
    case -0.5: return x.rsqrt()
    case -1: return x.reciprocal()
    default: break
    }
  }
  return elementwiseFunction("pow", FusedCode(.power, [number, 0, 0, 0]), x) { x in
    switch number {
    case 2: x.square()
    case 3: x.square() * x
    case 0.5: x.sqrt()
    case -0.5: x.rsqrt()
    default: x.reciprocal()
    }
  } gradient: { x, dy in
    switch number {
    case 2: dy * (x * 2)
    case 3: dy * (x.square() * 3)
    case 0.5: dy * (x.rsqrt() * 0.5)
    case -0.5: dy * (x.rsqrt() / x * -0.5)
    default: dy * -x.reciprocal().square()
    }
  }
}

private func isSimple(_ exponent: Double) -> Bool {
  switch exponent {
  case 2, 3, 0.5, -0.5, -1: true
  default: false
  }
}
