import DuetRuntime

/// Runs the body and throws at the first operation whose result holds a not-a-number that its inputs explain
/// nowhere else: the error names the operation and the source line. Slow; for debugging.
/// - Throws: `TensorError`, or what the body throws.
@discardableResult
public func detectAnomaly<R>(_ body: () throws -> R) throws -> R {
  try checked {
    try ThreadContext.with(ThreadContext.Flags.anomaly, true, body)
  }
}

enum AnomalyDetector {
  static func check(_ op: Op, _ result: Tensor) {
    guard result.dtype.isFloatingPoint, result.hasElements else { return }
    ThreadContext.with(ThreadContext.Flags.anomaly, false) {
      ThreadContext.withRecorder(nil) {
        noGrad {
          let isNaN = apply(.unary(.isNaN), result)
          let any = apply(.reduce(.any, axes: AxisSet(allOf: result.ndim), keepDims: false), isNaN)
          if any.body.pointer.load(as: Bool.self) {
            note(OpError(op.name, "the result of shape \(result.shape) holds a NaN"))
          }
        }
      }
    }
  }
}
