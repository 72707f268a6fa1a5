import DuetRuntime

/// The integers 0 ..< stop as `int64`, or as another dtype.
public func arange(_ stop: Int, dtype: DType = .int64) -> Tensor {
  arange(0, stop, step: 1, dtype: dtype)
}

/// The integers from `start` up to but not including `stop`, `step` apart, as `int64` or as another
/// dtype.
public func arange(_ start: Int, _ stop: Int, step: Int = 1, dtype: DType = .int64) -> Tensor {
  guard step != 0 else { return fail(OpError("arange", "a step of 0")) }
  let (distance, overflow) = stop.subtractingReportingOverflow(start)
  guard !overflow else { return fail(OpError("arange", "\(start) to \(stop) is too far")) }
  let count =
    distance == 0 || (distance > 0) != (step > 0)
    ? 0 : 1 + (distance - step.signum()) / step
  guard Shape(checking: [count], for: "arange") != nil else { return fail([count], "arange") }
  if start.magnitude > 1 << 53 || stop.magnitude > 1 << 53 {
    // Beyond what a Double holds exactly.
    return Tensor(filling: TensorType(dtype, [count])) {
      Element(integer: start &+ $0 &* step, dtype)
    }
  }
  return apply(.iota(dtype, count: count, start: Double(start), step: Double(step)), [])
}

/// The numbers from `start` up to but not including `stop`, `step` apart.
@_disfavoredOverload
public func arange(
  _ start: Double, _ stop: Double, step: Double = 1, dtype: DType = .float32
) -> Tensor {
  guard step != 0, start.isFinite, stop.isFinite, step.isFinite else {
    return fail(OpError("arange", "cannot go from \(start) to \(stop) in steps of \(step)"))
  }
  let steps = ((stop - start) / step).rounded(.up)
  guard !(steps >= 0x1p40 || steps.isNaN) else {
    return fail(OpError("arange", "\(start) to \(stop) in steps of \(step) are too many"))
  }
  return apply(.iota(dtype, count: Int(Swift.max(0, steps)), start: start, step: step), [])
}

/// `count` numbers from `start` to `stop`, both included, at equal distances.
public func linspace(
  _ start: Double, _ stop: Double, count: Int = 50, dtype: DType = .float32
) -> Tensor {
  guard Shape(checking: [count], for: "linspace") != nil else { return fail([count], "linspace") }
  if count == 1 { return full([1], start, dtype: dtype) }
  let step = count > 1 ? (stop - start) / Double(count - 1) : 0
  let numbers = apply(.iota(.float64, count: count, start: start, step: step), [])
  // The end is exact, whatever the steps add up to.
  let isLast = apply(.iota(.int64, count: count, start: 0, step: 1), []) .== (count - 1)
  let end = apply(.fill(TensorType(.float64, []), Element(stop, .float64)), [])
  return apply(.select, [isLast, end, numbers]).asType(dtype)
}
