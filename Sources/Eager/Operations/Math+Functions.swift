import DuetRuntime

// The methods of Math.swift as free functions: `exp(x)` beside `x.exp()`.

/// The absolute value of each element.
public func abs(_ x: Tensor) -> Tensor { apply(.unary(.absolute), x) }

/// -1, 0 or 1 by the sign of each element; not-a-number stays.
public func sign(_ x: Tensor) -> Tensor { apply(.unary(.sign), x) }

/// Each element times itself.
public func square(_ x: Tensor) -> Tensor { apply(.unary(.square), x) }

/// The square root of each element; not-a-number below 0. Floating point.
public func sqrt(_ x: Tensor) -> Tensor { apply(.unary(.sqrt), x) }

/// 1 / √x for each element x. Floating point.
public func rsqrt(_ x: Tensor) -> Tensor { apply(.unary(.rsqrt), x) }

/// 1 / x for each element x. Floating point.
public func reciprocal(_ x: Tensor) -> Tensor { apply(.unary(.reciprocal), x) }

/// eˣ for each element x. Floating point.
public func exp(_ x: Tensor) -> Tensor { apply(.unary(.exp), x) }

/// eˣ - 1 for each element x, exact also near 0. Floating point.
public func expm1(_ x: Tensor) -> Tensor { apply(.unary(.expm1), x) }

/// The natural logarithm of each element. Floating point.
public func log(_ x: Tensor) -> Tensor { apply(.unary(.log), x) }

/// log(1 + x) for each element x, exact also near 0. Floating point.
public func log1p(_ x: Tensor) -> Tensor { apply(.unary(.log1p), x) }

/// The logarithm to base 2 of each element. Floating point.
public func log2(_ x: Tensor) -> Tensor { apply(.unary(.log2), x) }

/// The logarithm to base 10 of each element. Floating point.
public func log10(_ x: Tensor) -> Tensor { apply(.unary(.log10), x) }

// MARK: Trigonometry

/// The sine of each element, in radians. Floating point.
public func sin(_ x: Tensor) -> Tensor { apply(.unary(.sin), x) }

/// The cosine of each element, in radians. Floating point.
public func cos(_ x: Tensor) -> Tensor { apply(.unary(.cos), x) }

/// The tangent of each element, in radians. Floating point.
public func tan(_ x: Tensor) -> Tensor { apply(.unary(.tan), x) }

/// The angle in [-π/2, π/2] with that sine, for each element. Floating point.
public func asin(_ x: Tensor) -> Tensor { apply(.unary(.asin), x) }

/// The angle in [0, π] with that cosine, for each element. Floating point.
public func acos(_ x: Tensor) -> Tensor { apply(.unary(.acos), x) }

/// The angle in (-π/2, π/2) with that tangent, for each element. Floating point.
public func atan(_ x: Tensor) -> Tensor { apply(.unary(.atan), x) }

/// The hyperbolic sine of each element. Floating point.
public func sinh(_ x: Tensor) -> Tensor { apply(.unary(.sinh), x) }

/// The hyperbolic cosine of each element. Floating point.
public func cosh(_ x: Tensor) -> Tensor { apply(.unary(.cosh), x) }

/// The hyperbolic tangent of each element. Floating point.
public func tanh(_ x: Tensor) -> Tensor { apply(.unary(.tanh), x) }

/// The error function of each element. Floating point.
public func erf(_ x: Tensor) -> Tensor { apply(.unary(.erf), x) }

// MARK: Rounding

/// The largest whole number that is not greater, for each element.
public func floor(_ x: Tensor) -> Tensor { apply(.unary(.floor), x) }

/// The smallest whole number that is not less, for each element.
public func ceil(_ x: Tensor) -> Tensor { apply(.unary(.ceil), x) }

/// The nearest whole number, ties to even, for each element.
public func round(_ x: Tensor) -> Tensor { apply(.unary(.round), x) }

/// Each element without its fraction.
public func trunc(_ x: Tensor) -> Tensor { apply(.unary(.truncate), x) }

// MARK: Classification

/// Whether each element is not-a-number, as `bool`.
public func isNaN(_ x: Tensor) -> Tensor { apply(.unary(.isNaN), x) }

/// Whether each element is infinite, as `bool`.
public func isInf(_ x: Tensor) -> Tensor { apply(.unary(.isInfinite), x) }

/// Whether each element is neither infinite nor not-a-number, as `bool`.
public func isFinite(_ x: Tensor) -> Tensor { apply(.unary(.isFinite), x) }

/// The negative of each element.
public func negative(_ x: Tensor) -> Tensor { apply(.unary(.negate), x) }

/// Whether each element is zero or false, as `bool`.
public func logicalNot(_ x: Tensor) -> Tensor { x.logicalNot() }
