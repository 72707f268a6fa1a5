import DuetRuntime

// The methods of Math.swift as free functions: `exp(x)` beside `x.exp()`.

/// The absolute value of each element.
public func abs(_ x: consuming Tensor) -> Tensor { apply(.absolute, x) }

/// -1, 0 or 1 by the sign of each element; not-a-number stays.
public func sign(_ x: consuming Tensor) -> Tensor { apply(.sign, x) }

/// Each element times itself.
public func square(_ x: consuming Tensor) -> Tensor { apply(.square, x) }

/// The square root of each element; not-a-number below 0. Floating point.
public func sqrt(_ x: consuming Tensor) -> Tensor { apply(.sqrt, x) }

/// 1 / √x for each element x. Floating point.
public func rsqrt(_ x: consuming Tensor) -> Tensor { apply(.rsqrt, x) }

/// 1 / x for each element x. Floating point.
public func reciprocal(_ x: consuming Tensor) -> Tensor { apply(.reciprocal, x) }

/// eˣ for each element x. Floating point.
public func exp(_ x: consuming Tensor) -> Tensor { apply(.exp, x) }

/// eˣ - 1 for each element x, exact also near 0. Floating point.
public func expm1(_ x: consuming Tensor) -> Tensor { apply(.expm1, x) }

/// The natural logarithm of each element. Floating point.
public func log(_ x: consuming Tensor) -> Tensor { apply(.log, x) }

/// log(1 + x) for each element x, exact also near 0. Floating point.
public func log1p(_ x: consuming Tensor) -> Tensor { apply(.log1p, x) }

/// The logarithm to base 2 of each element. Floating point.
public func log2(_ x: consuming Tensor) -> Tensor { apply(.log2, x) }

/// The logarithm to base 10 of each element. Floating point.
public func log10(_ x: consuming Tensor) -> Tensor { apply(.log10, x) }

// MARK: Trigonometry

/// The sine of each element, in radians. Floating point.
public func sin(_ x: consuming Tensor) -> Tensor { apply(.sin, x) }

/// The cosine of each element, in radians. Floating point.
public func cos(_ x: consuming Tensor) -> Tensor { apply(.cos, x) }

/// The tangent of each element, in radians. Floating point.
public func tan(_ x: consuming Tensor) -> Tensor { apply(.tan, x) }

/// The angle in [-π/2, π/2] with that sine, for each element. Floating point.
public func asin(_ x: consuming Tensor) -> Tensor { apply(.asin, x) }

/// The angle in [0, π] with that cosine, for each element. Floating point.
public func acos(_ x: consuming Tensor) -> Tensor { apply(.acos, x) }

/// The angle in (-π/2, π/2) with that tangent, for each element. Floating point.
public func atan(_ x: consuming Tensor) -> Tensor { apply(.atan, x) }

/// The hyperbolic sine of each element. Floating point.
public func sinh(_ x: consuming Tensor) -> Tensor { apply(.sinh, x) }

/// The hyperbolic cosine of each element. Floating point.
public func cosh(_ x: consuming Tensor) -> Tensor { apply(.cosh, x) }

/// The hyperbolic tangent of each element. Floating point.
public func tanh(_ x: consuming Tensor) -> Tensor { apply(.tanh, x) }

/// The error function of each element. Floating point.
public func erf(_ x: consuming Tensor) -> Tensor { apply(.erf, x) }

// MARK: Rounding

/// The largest whole number that is not greater, for each element.
public func floor(_ x: consuming Tensor) -> Tensor { apply(.floor, x) }

/// The smallest whole number that is not less, for each element.
public func ceil(_ x: consuming Tensor) -> Tensor { apply(.ceil, x) }

/// The nearest whole number, ties to even, for each element.
public func round(_ x: consuming Tensor) -> Tensor { apply(.round, x) }

/// Each element without its fraction.
public func trunc(_ x: consuming Tensor) -> Tensor { apply(.truncate, x) }

// MARK: Classification

/// Whether each element is not-a-number, as `bool`.
public func isNaN(_ x: consuming Tensor) -> Tensor { apply(.isNaN, x) }

/// Whether each element is infinite, as `bool`.
public func isInf(_ x: consuming Tensor) -> Tensor { apply(.isInfinite, x) }

/// Whether each element is neither infinite nor not-a-number, as `bool`.
public func isFinite(_ x: consuming Tensor) -> Tensor { apply(.isFinite, x) }

/// The negative of each element.
public func negative(_ x: consuming Tensor) -> Tensor { apply(.negate, x) }

/// Whether each element is zero or false, as `bool`.
public func logicalNot(_ x: Tensor) -> Tensor { x.logicalNot() }
