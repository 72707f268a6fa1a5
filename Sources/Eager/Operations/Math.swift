import DuetRuntime

// Elementwise functions of one tensor as methods. The free functions of the same names are in
// Math+Functions.swift; ops that need floating point say so in their error for other dtypes.

extension Tensor {
  /// The absolute value of each element.
  public func abs() -> Tensor { apply(.unary(.absolute), self) }
  /// -1, 0 or 1 by the sign of each element; not-a-number stays.
  public func sign() -> Tensor { apply(.unary(.sign), self) }
  /// Each element times itself.
  public func square() -> Tensor { apply(.unary(.square), self) }
  /// The square root of each element; not-a-number below 0. Floating point.
  public func sqrt() -> Tensor { apply(.unary(.sqrt), self) }
  /// 1 / √x for each element x. Floating point.
  public func rsqrt() -> Tensor { apply(.unary(.rsqrt), self) }
  /// 1 / x for each element x. Floating point.
  public func reciprocal() -> Tensor { apply(.unary(.reciprocal), self) }
  /// eˣ for each element x. Floating point.
  public func exp() -> Tensor { apply(.unary(.exp), self) }
  /// eˣ - 1 for each element x, exact also near 0. Floating point.
  public func expm1() -> Tensor { apply(.unary(.expm1), self) }
  /// The natural logarithm of each element. Floating point.
  public func log() -> Tensor { apply(.unary(.log), self) }
  /// log(1 + x) for each element x, exact also near 0. Floating point.
  public func log1p() -> Tensor { apply(.unary(.log1p), self) }
  /// The logarithm to base 2 of each element. Floating point.
  public func log2() -> Tensor { apply(.unary(.log2), self) }
  /// The logarithm to base 10 of each element. Floating point.
  public func log10() -> Tensor { apply(.unary(.log10), self) }

  // MARK: Trigonometry

  /// The sine of each element, in radians. Floating point.
  public func sin() -> Tensor { apply(.unary(.sin), self) }
  /// The cosine of each element, in radians. Floating point.
  public func cos() -> Tensor { apply(.unary(.cos), self) }
  /// The tangent of each element, in radians. Floating point.
  public func tan() -> Tensor { apply(.unary(.tan), self) }
  /// The angle in [-π/2, π/2] with that sine, for each element. Floating point.
  public func asin() -> Tensor { apply(.unary(.asin), self) }
  /// The angle in [0, π] with that cosine, for each element. Floating point.
  public func acos() -> Tensor { apply(.unary(.acos), self) }
  /// The angle in (-π/2, π/2) with that tangent, for each element. Floating point.
  public func atan() -> Tensor { apply(.unary(.atan), self) }
  /// The hyperbolic sine of each element. Floating point.
  public func sinh() -> Tensor { apply(.unary(.sinh), self) }
  /// The hyperbolic cosine of each element. Floating point.
  public func cosh() -> Tensor { apply(.unary(.cosh), self) }
  /// The hyperbolic tangent of each element. Floating point.
  public func tanh() -> Tensor { apply(.unary(.tanh), self) }
  /// The error function of each element. Floating point.
  public func erf() -> Tensor { apply(.unary(.erf), self) }

  // MARK: Rounding

  /// The largest whole number that is not greater, for each element.
  public func floor() -> Tensor { apply(.unary(.floor), self) }
  /// The smallest whole number that is not less, for each element.
  public func ceil() -> Tensor { apply(.unary(.ceil), self) }
  /// The nearest whole number, ties to even, for each element.
  public func round() -> Tensor { apply(.unary(.round), self) }
  /// Each element without its fraction.
  public func trunc() -> Tensor { apply(.unary(.truncate), self) }

  // MARK: Classification

  /// Whether each element is not-a-number, as `bool`.
  public func isNaN() -> Tensor { apply(.unary(.isNaN), self) }
  /// Whether each element is infinite, as `bool`.
  public func isInf() -> Tensor { apply(.unary(.isInfinite), self) }
  /// Whether each element is neither infinite nor not-a-number, as `bool`.
  public func isFinite() -> Tensor { apply(.unary(.isFinite), self) }

  /// The negative of each element.
  public func negative() -> Tensor { apply(.unary(.negate), self) }
  /// Whether each element is zero or false, as `bool`.
  public func logicalNot() -> Tensor { apply(.unary(.logicalNot), asType(.bool)) }
}
