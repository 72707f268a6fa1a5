import DuetEager
import DuetRuntime

/// x above 0, `alpha` (e^(x / alpha) - 1) below (Barron, 2017). Floating point.
public func celu(_ x: Tensor, alpha: Double = 1) -> Tensor {
  if let failed = mistake("celu", x, "elements") { return failed }
  guard alpha != 0 else { return fail(OpError("celu", "alpha must not be 0")) }
  return elementwiseFunction("celu", FusedCode(.celu, [alpha, 0, 0, 0]), x) { x in
    // The branch that is not taken must not overflow: a gradient through it would be 0 · ∞.
    let isPositive = x .> 0
    return which(isPositive, x, (which(isPositive, 0, x) * (1 / alpha)).expm1() * alpha)
  } gradient: { x, dy in
    let isPositive = x .> 0
    return which(isPositive, dy, dy * (which(isPositive, 0, x) * (1 / alpha)).exp())
  }
}

/// x where its absolute value is above `lambda`, and 0 elsewhere. Floating point.
public func hardshrink(_ x: Tensor, lambda: Double = 0.5) -> Tensor {
  if let failed = mistake("hardshrink", x, "elements") { return failed }
  return elementwiseFunction("hardshrink", FusedCode(.hardshrink, [lambda, 0, 0, 0]), x) { x in
    // What is not a number stays, as in PyTorch.
    which(abs(x) .<= lambda, 0, x)
  } gradient: { x, dy in
    which(abs(x) .<= lambda, 0, dy)
  }
}

/// x moved toward 0 by `lambda`, as far as 0. Floating point.
public func softshrink(_ x: Tensor, lambda: Double = 0.5) -> Tensor {
  if let failed = mistake("softshrink", x, "elements") { return failed }
  guard lambda >= 0 else {
    return fail(OpError("softshrink", "lambda must not be below 0, but is \(lambda)"))
  }
  return elementwiseFunction("softshrink", FusedCode(.softshrink, [lambda, 0, 0, 0]), x) { x in
    x - clip(x, min: -lambda, max: lambda)
  } gradient: { x, dy in
    which(abs(x) .<= lambda, 0, dy)
  }
}

/// x - tanh(x). Floating point.
public func tanhshrink(_ x: Tensor) -> Tensor {
  if let failed = mistake("tanhshrink", x, "elements") { return failed }
  return elementwiseFunction("tanhshrink", FusedCode(.tanhshrink), x) { x in
    x - tanh(x)
  } gradient: { x, dy in
    dy * tanh(x).square()
  }
}

/// x above `threshold`, `value` elsewhere. Floating point.
public func threshold(_ x: Tensor, _ threshold: Double, value: Double) -> Tensor {
  if let failed = mistake("threshold", x, "elements") { return failed }
  return elementwiseFunction("threshold", FusedCode(.threshold, [threshold, value, 0, 0]), x) { x in
    which(x .<= threshold, value, x)
  } gradient: { x, dy in
    which(x .<= threshold, 0, dy)
  }
}

/// The softmax of -x along an axis. Floating point.
public func softmin(_ x: Tensor, axis: Int = -1) -> Tensor { softmax(-x, axis: axis) }

/// The first half of an axis times the sigmoid of the second (Dauphin and others, 2017). Floating point.
///
/// - Parameter axis: Of even size; the result has half of it.
public func glu(_ x: Tensor, axis: Int = -1) -> Tensor {
  if let failed = mistake("glu", x, "elements") { return failed }
  guard let axis = resolved(axis, of: x, in: "glu") else { return .failed }
  guard x.dim(axis) % 2 == 0 else {
    return fail(OpError("glu", "axis \(axis) of shape \(x.shape) has no halves"))
  }
  let halves = x.split(parts: 2, axis: axis)
  return halves[0] * sigmoid(halves[1])
}

/// x above 0, x times a learned slope below (He and others, 2015). Floating point.
///
/// - Parameter weight: One slope, `[1]`, or one for each channel of `[N, C, ...]`, `[C]`.
public func prelu(_ x: Tensor, _ weight: Tensor) -> Tensor {
  if let failed = firstFailed(x, weight) ?? mistake("prelu", x, "elements") { return failed }
  guard weight.ndim <= 1, weight.size == 1 || (x.ndim >= 2 && weight.size == x.dim(1)) else {
    return fail(
      OpError(
        "prelu", "slopes \(weight.shape) are neither one nor one for each channel of \(x.shape)")
    )
  }
  let slope =
    weight.size == 1
    ? weight.reshaped([]) : weight.reshaped([-1] + Array(repeating: 1, count: x.ndim - 2))
  return which(x .> 0, x, x * slope)
}
