/// What tells the closures of `fused` apart: which it is, and every number that its operations depend on.
package struct FusedCode: Hashable, Sendable {
  private var code: UInt64
  /// By their bits: 0 and -0 are not the same.
  private let numbers: SIMD4<UInt64>

  /// What has elementwise code.
  package enum Function: UInt64, Sendable {
    case clip, hardtanh, leakyRelu, elu, mish, hardswish, hardsigmoid, softsign, logSigmoid
    case celu, hardshrink, softshrink, tanhshrink, threshold
    case squaredError, absoluteError, smoothL1, huber, logits, probabilities
    case sgd, adam, adamW, rmsProp, adagrad, adadelta, adamax, lion, nadam, radam
    case square, scale, clipGradient, power
  }

  package init(_ function: Function, _ numbers: SIMD4<Double> = .zero) {
    code = function.rawValue
    self.numbers = SIMD4(
      numbers.x.bitPattern, numbers.y.bitPattern, numbers.z.bitPattern, numbers.w.bitPattern)
  }

  /// The gradient of an operation: which kind, which of that kind, by which inputs.
  init(gradientOf kind: UInt64, _ op: Int32, wanted: [Bool]) {
    code = 1 << 63 | kind << 48 | UInt64(op) << 16 | Self.bits(wanted)
    numbers = .zero
  }

  /// The function's gradient by those inputs.
  func gradient(wanted: [Bool]) -> FusedCode {
    var other = self
    other.code |= 1 << 62 | Self.bits(wanted) << 16
    return other
  }

  private static func bits(_ wanted: [Bool]) -> UInt64 {
    wanted.reduce(1) { $0 << 1 | ($1 ? 1 : 0) }
  }
}
