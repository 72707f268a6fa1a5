import DuetRuntime

/// Runs the body and throws at the first operation whose result holds a not-a-number that its inputs explain
/// nowhere else: the error names the operation and the source line. For one that `backward` does, it also names
/// the operation whose gradient that is, and the line that did it, if it was done inside the body, too. Slow; for
/// debugging.
/// - Throws: `TensorError`, or what the body throws.
@discardableResult
public func detectAnomaly<R>(_ body: () throws -> R) throws -> R {
  ThreadContext.recorder?.willDiffer(because: "detectAnomaly looks at all values inside it")
  return try checked {
    try ThreadContext.with(ThreadContext.Flags.anomaly, true, body)
  }
}

enum AnomalyDetector {
  /// The operation whose gradient is being computed on a thread.
  @TaskLocal private static var differentiated: GradientFunction?

  /// Computes a gradient; messages about its operations name the function.
  static func gradients(of function: GradientFunction, _ body: () -> [Tensor?]) -> [Tensor?] {
    guard ThreadContext.has(ThreadContext.Flags.anomaly) else { return body() }
    return $differentiated.withValue(function, operation: body)
  }

  private static func origin() -> String {
    guard let function = differentiated else { return "" }
    let place = function.callSite?.location.map { ", done at \($0)" } ?? ""
    return ", in the gradient of \(function.op.name)\(place)"
  }

  static func check(_ op: Op, _ result: Tensor) {
    guard result.dtype.isFloatingPoint, result.hasElements else { return }
    ThreadContext.with(ThreadContext.Flags.anomaly, false) {
      ThreadContext.withRecorder(nil) {
        noGrad {
          let isNaN = apply(.isNaN, result)
          let any = apply(.reduce(.any, axes: AxisSet(allOf: result.ndim), keepDims: false), isNaN)
          if withExtendedLifetime(any, { any.body.pointer.load(as: Bool.self) }) {
            note(
              OpError(op.name, "the result of shape \(result.shape) holds a NaN" + origin()))
          }
        }
      }
    }
  }
}
