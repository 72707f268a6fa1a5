import DuetRuntime

/// How `gelu` computes the normal distribution.
public enum GELUApproximation: Sendable, Hashable {
  /// By the error function.
  case none
  /// By the hyperbolic tangent (Hendrycks and Gimpel, 2016, section 2).
  case tanh
}

extension Tensor {
  /// 1 / (1 + e⁻ˣ). Floating point.
  public consuming func sigmoid() -> Tensor { apply(.sigmoid, self) }
  /// max(x, 0).
  public consuming func relu() -> Tensor { apply(.relu, self) }
  /// x Φ(x), with the normal distribution Φ. Floating point.
  public consuming func gelu(approximate: GELUApproximation = .none) -> Tensor {
    apply(approximate == .none ? UnaryOp.gelu : .geluTanh, self)
  }
  /// x sigmoid(x), also known as swish. Floating point.
  public consuming func silu() -> Tensor { apply(.silu, self) }
  /// log(1 + eˣ). Floating point.
  public consuming func softplus() -> Tensor { apply(.softplus, self) }

  /// eˣ over the sum of eˣ along an axis. Floating point.
  public func softmax(axis: Int = -1) -> Tensor {
    guard let axis = checkedAxis(axis, "softmax") else { return .failed }
    return apply(.softmax(axis: axis), self)
  }

  /// The logarithm of the softmax, without its overflow. Floating point.
  public func logSoftmax(axis: Int = -1) -> Tensor {
    guard let axis = checkedAxis(axis, "logSoftmax") else { return .failed }
    return apply(.logSoftmax(axis: axis), self)
  }
}

/// 1 / (1 + e⁻ˣ). Floating point.
public func sigmoid(_ x: consuming Tensor) -> Tensor { x.sigmoid() }

/// max(x, 0).
public func relu(_ x: consuming Tensor) -> Tensor { x.relu() }

/// x Φ(x), with the normal distribution Φ. Floating point.
public func gelu(_ x: consuming Tensor, approximate: GELUApproximation = .none) -> Tensor {
  x.gelu(approximate: approximate)
}

/// x sigmoid(x), also known as swish. Floating point.
public func silu(_ x: consuming Tensor) -> Tensor { x.silu() }

/// log(1 + eˣ). Floating point.
public func softplus(_ x: consuming Tensor) -> Tensor { x.softplus() }

/// eˣ over the sum of eˣ along an axis. Floating point.
public func softmax(_ x: Tensor, axis: Int = -1) -> Tensor { x.softmax(axis: axis) }

/// The logarithm of the softmax, without its overflow. Floating point.
public func logSoftmax(_ x: Tensor, axis: Int = -1) -> Tensor { x.logSoftmax(axis: axis) }

/// x above 0, `negativeSlope` x below.
public func leakyRelu(_ x: Tensor, negativeSlope: Double = 0.01) -> Tensor {
  elementwiseFunction("leakyRelu", FusedCode(.leakyRelu, [negativeSlope, 0, 0, 0]), x) { x in
    // The greater of two numbers needs no mask. A slope of 0, if only as a float, times infinity would be NaN.
    Float(negativeSlope) > 0 && negativeSlope <= 1
      ? promoting(.maximum, x, x * negativeSlope)
      : which(x .> 0, x, x * negativeSlope)
  } gradient: { x, dy in
    which(x .> 0, dy, dy * negativeSlope)
  }
}

/// x above 0, `alpha` (eˣ - 1) below. Floating point.
public func elu(_ x: Tensor, alpha: Double = 1) -> Tensor {
  elementwiseFunction("elu", FusedCode(.elu, [alpha, 1, 0, 0]), x) { x in
    unscaledElu(x, alpha)
  } gradient: { x, dy in
    let isPositive = x .> 0
    return which(isPositive, dy, dy * (which(isPositive, 0, x).exp() * alpha))
  }
}

private func unscaledElu(_ x: Tensor, _ alpha: Double) -> Tensor {
  // The branch that is not taken must not overflow: a gradient through it would be 0 · ∞.
  let isPositive = x .> 0
  return which(isPositive, x, which(isPositive, 0, x).expm1() * alpha)
}

/// The self-normalising `elu` (Klambauer and others, 2017). Floating point.
public func selu(_ x: Tensor) -> Tensor {
  let (alpha, scale) = (1.6732632423543772, 1.0507009873554805)
  return elementwiseFunction("selu", FusedCode(.elu, [alpha, scale, 0, 0]), x) { x in
    unscaledElu(x, alpha) * scale
  } gradient: { x, dy in
    let isPositive = x .> 0
    return which(
      isPositive, dy * scale, dy * (which(isPositive, 0, x).exp() * (alpha * scale)))
  }
}

/// x kept between two bounds. An element on a bound has the gradient 0, as in PyTorch.
public func hardtanh(_ x: consuming Tensor, min: Double = -1, max: Double = 1) -> Tensor {
  // Of few elements a result that nobody else has may be written where x is.
  guard x.dtype.isFloatingPoint,
    x.body.autograd != nil || x.body.count >= FusedPass.fewestForTwo
  else { return clip(x, min: min, max: max) }
  let (min, max) = (x.dtype.rounded(min), x.dtype.rounded(max))
  return elementwiseFunction("hardtanh", FusedCode(.hardtanh, [min, max, 0, 0]), x) { x in
    promoting(.atMost, promoting(.atLeast, x, min), max)
  } gradient: { x, dy in
    which(x .> min, which(x .< max, dy, 0), 0)
  }
}

/// x kept between 0 and 6. On these the gradient is 0, as in PyTorch.
public func relu6(_ x: consuming Tensor) -> Tensor {
  x.dtype.isFloatingPoint ? hardtanh(x, min: 0, max: 6) : clip(x, min: 0, max: 6)
}

/// x tanh(softplus(x)). Floating point.
public func mish(_ x: Tensor) -> Tensor {
  guard x.requireFloatingPoint("mish") else { return .failed }
  return elementwiseFunction("mish", FusedCode(.mish), x) { x in
    let (_, _, n) = mishParts(x)
    return x * (n / (n + 2))
  } gradient: { x, dy in
    // t + x σ(x) (1 - t²) with t = n / (n + 2)
    let (x, e, n) = mishParts(x)
    let inverse = (n + 2).reciprocal()
    let slope = x * (e / (e + 1)) * (((n + 1) * inverse) * (inverse * 4))
    return dy * (n * inverse + slope)
  }
}

/// With e = eˣ the hyperbolic tangent of softplus(x) is n / (n + 2) for n = e (e + 2). Where that is 1 to the last digit,
/// x is cut off: n does not overflow, nor does x σ(x) (1 - t²) become more than nothing.
private func mishParts(_ x: Tensor) -> (x: Tensor, e: Tensor, n: Tensor) {
  let x = promoting(.atMost, x, 20.0)
  let e = apply(.exp, x)
  return (x, e, e * (e + 2))
}

/// x relu6(x + 3) / 6. Floating point.
public func hardswish(_ x: Tensor) -> Tensor {
  guard x.requireFloatingPoint("hardswish") else { return .failed }
  return elementwiseFunction("hardswish", FusedCode(.hardswish), x) { x in
    x * (relu6(x + 3) * (1.0 / 6))
  } gradient: { x, dy in
    // On the bounds that of beyond, as in PyTorch.
    which(x .<= -3, 0, which(x .>= 3, dy, dy * (x * (1.0 / 3) + 0.5)))
  }
}

/// relu6(x + 3) / 6. Floating point.
public func hardsigmoid(_ x: Tensor) -> Tensor {
  guard x.requireFloatingPoint("hardsigmoid") else { return .failed }
  return elementwiseFunction("hardsigmoid", FusedCode(.hardsigmoid), x) { x in
    relu6(x + 3) * (1.0 / 6)
  } gradient: { x, dy in
    // None on the bounds, as in PyTorch.
    which(x .> -3, which(x .< 3, dy * (1.0 / 6), 0), 0)
  }
}

/// x / (1 + |x|). Floating point.
public func softsign(_ x: Tensor) -> Tensor {
  guard x.requireFloatingPoint("softsign") else { return .failed }
  return elementwiseFunction("softsign", FusedCode(.softsign), x) { x in
    x / (abs(x) + 1)
  } gradient: { x, dy in
    let divisor = abs(x) + 1
    return dy / (divisor * divisor)
  }
}

/// log(1 / (1 + e⁻ˣ)). Floating point.
public func logSigmoid(_ x: Tensor) -> Tensor {
  elementwiseFunction("logSigmoid", FusedCode(.logSigmoid), x) { x in
    -(-x).softplus()
  } gradient: { x, dy in
    dy * (-x).sigmoid()
  }
}
