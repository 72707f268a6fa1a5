import DuetRuntime

// Elementwise functions of one tensor as methods. The free functions of the same names are in
// Math+Functions.swift; ops that need floating point say so in their error for other dtypes.

extension Tensor {
  /// The absolute value of each element.
  public consuming func abs() -> Tensor { apply(.absolute, self) }
  /// -1, 0 or 1 by the sign of each element; not-a-number stays.
  public consuming func sign() -> Tensor { apply(.sign, self) }
  /// Each element times itself.
  public consuming func square() -> Tensor { apply(.square, self) }
  /// The square root of each element; not-a-number below 0. Floating point.
  public consuming func sqrt() -> Tensor { apply(.sqrt, self) }
  /// 1 / √x for each element x. Floating point.
  public consuming func rsqrt() -> Tensor { apply(.rsqrt, self) }
  /// 1 / x for each element x. Floating point.
  public consuming func reciprocal() -> Tensor { apply(.reciprocal, self) }
  /// eˣ for each element x. Floating point.
  public consuming func exp() -> Tensor { apply(.exp, self) }
  /// eˣ - 1 for each element x, exact also near 0. Floating point.
  public consuming func expm1() -> Tensor { apply(.expm1, self) }
  /// The natural logarithm of each element. Floating point.
  public consuming func log() -> Tensor { apply(.log, self) }
  /// log(1 + x) for each element x, exact also near 0. Floating point.
  public consuming func log1p() -> Tensor { apply(.log1p, self) }
  /// The logarithm to base 2 of each element. Floating point.
  public consuming func log2() -> Tensor { apply(.log2, self) }
  /// The logarithm to base 10 of each element. Floating point.
  public consuming func log10() -> Tensor { apply(.log10, self) }

  // MARK: Trigonometry

  /// The sine of each element, in radians. Floating point.
  public consuming func sin() -> Tensor { apply(.sin, self) }
  /// The cosine of each element, in radians. Floating point.
  public consuming func cos() -> Tensor { apply(.cos, self) }
  /// The tangent of each element, in radians. Floating point.
  public consuming func tan() -> Tensor { apply(.tan, self) }
  /// The angle in [-π/2, π/2] with that sine, for each element. Floating point.
  public consuming func asin() -> Tensor { apply(.asin, self) }
  /// The angle in [0, π] with that cosine, for each element. Floating point.
  public consuming func acos() -> Tensor { apply(.acos, self) }
  /// The angle in (-π/2, π/2) with that tangent, for each element. Floating point.
  public consuming func atan() -> Tensor { apply(.atan, self) }
  /// The hyperbolic sine of each element. Floating point.
  public consuming func sinh() -> Tensor { apply(.sinh, self) }
  /// The hyperbolic cosine of each element. Floating point.
  public consuming func cosh() -> Tensor { apply(.cosh, self) }
  /// The hyperbolic tangent of each element. Floating point.
  public consuming func tanh() -> Tensor { apply(.tanh, self) }
  /// The error function of each element. Floating point.
  public consuming func erf() -> Tensor { apply(.erf, self) }

  // MARK: Rounding

  /// The largest whole number that is not greater, for each element.
  public consuming func floor() -> Tensor { apply(.floor, self) }
  /// The smallest whole number that is not less, for each element.
  public consuming func ceil() -> Tensor { apply(.ceil, self) }
  /// The nearest whole number, ties to even, for each element.
  public consuming func round() -> Tensor { apply(.round, self) }
  /// Each element without its fraction.
  public consuming func trunc() -> Tensor { apply(.truncate, self) }

  // MARK: Classification

  /// Whether each element is not-a-number, as `bool`.
  public consuming func isNaN() -> Tensor { apply(.isNaN, self) }
  /// Whether each element is infinite, as `bool`.
  public consuming func isInf() -> Tensor { apply(.isInfinite, self) }
  /// Whether each element is neither infinite nor not-a-number, as `bool`.
  public consuming func isFinite() -> Tensor { apply(.isFinite, self) }

  /// The negative of each element.
  public consuming func negative() -> Tensor { apply(.negate, self) }
  /// Whether each element is zero or false, as `bool`.
  public func logicalNot() -> Tensor { apply(.logicalNot, asType(.bool)) }
}
