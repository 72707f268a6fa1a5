// Unsafe: calls kernels' inner loops on arrays of this file.

import Duet
import DuetKernels
import DuetTestSupport
import Foundation
import Testing

/// Functions of one float32 against the C library's in float64, over all of float32's range.
@Suite(.serialized) struct VectorMathTests {
  struct Function: Sendable, CustomStringConvertible {
    let description: String
    let code: duet_unary
    /// The largest error in units of the last place of the result.
    let bound: Double
    let reference: @Sendable (Double) -> Double
    /// Arguments that the bound holds for.
    var isBounded: @Sendable (Double) -> Bool = { _ in true }
  }

  static func sigmoid(_ x: Double) -> Double { x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x)) }

  static let functions: [Function] = [
    Function(description: "exp", code: DUET_EXP, bound: 1, reference: { exp($0) }),
    Function(description: "expm1", code: DUET_EXPM1, bound: 2, reference: { expm1($0) }),
    Function(description: "log", code: DUET_LOG, bound: 1, reference: { log($0) }),
    Function(description: "log1p", code: DUET_LOG1P, bound: 2, reference: { log1p($0) }),
    Function(description: "log2", code: DUET_LOG2, bound: 1, reference: { log2($0) }),
    Function(description: "log10", code: DUET_LOG10, bound: 1, reference: { log10($0) }),
    Function(description: "sin", code: DUET_SIN, bound: 2, reference: { sin($0) }),
    Function(description: "cos", code: DUET_COS, bound: 2, reference: { cos($0) }),
    Function(description: "tan", code: DUET_TAN, bound: 4, reference: { tan($0) }),
    Function(description: "asin", code: DUET_ASIN, bound: 2, reference: { asin($0) }),
    Function(description: "acos", code: DUET_ACOS, bound: 2, reference: { acos($0) }),
    Function(description: "atan", code: DUET_ATAN, bound: 2, reference: { atan($0) }),
    Function(description: "sinh", code: DUET_SINH, bound: 2, reference: { sinh($0) }),
    Function(description: "cosh", code: DUET_COSH, bound: 2, reference: { cosh($0) }),
    Function(description: "tanh", code: DUET_TANH, bound: 2, reference: { tanh($0) }),
    Function(description: "erf", code: DUET_ERF, bound: 2, reference: { erf($0) }),
    Function(description: "sigmoid", code: DUET_SIGMOID, bound: 2, reference: { sigmoid($0) }),
    Function(
      description: "silu", code: DUET_SILU, bound: 2,
      reference: { $0 < -600 ? -0.0 : $0 * sigmoid($0) }),
    Function(
      description: "softplus", code: DUET_SOFTPLUS, bound: 2,
      reference: { max($0, 0) + log1p(exp(-abs($0))) }),
    Function(description: "sqrt", code: DUET_SQRT, bound: 0.5, reference: { $0.squareRoot() }),
    Function(description: "rsqrt", code: DUET_RSQRT, bound: 2, reference: { 1 / $0.squareRoot() }),
    Function(description: "reciprocal", code: DUET_RECIPROCAL, bound: 0.5, reference: { 1 / $0 }),
    // Towards minus infinity the two terms cancel, as in every library that adds 1 to erf or tanh.
    Function(
      description: "gelu", code: DUET_GELU, bound: 4,
      reference: { $0 < -1000 ? -0.0 : 0.5 * $0 * erfc(-$0 * 0.5.squareRoot()) },
      isBounded: { $0 > -0.5 }),
    Function(
      description: "gelu, tanh form", code: DUET_GELU_TANH, bound: 4,
      reference: {
        $0 < -18
          ? -0.0 : $0 * sigmoid(2 * (2 / Double.pi).squareRoot() * ($0 + 0.044715 * $0 * $0 * $0))
      },
      isBounded: { $0 > -0.5 }),
  ]

  private func apply(_ code: duet_unary, _ x: [Float]) -> [Float] {
    var x = x
    var y = [Float](repeating: 0, count: x.count)
    let loop = duet_unary_loop(code, DUET_FLOAT32)!
    x.withUnsafeMutableBytes { x in
      y.withUnsafeMutableBytes { y in
        let at: [UnsafeMutablePointer<CChar>?] = [y, x].map {
          $0.baseAddress!.assumingMemoryBound(to: CChar.self)
        }
        loop(at, [4, 4], Int64(x.count / 4))
      }
    }
    return y
  }

  /// The distance in units of the last place of `expected`. Infinity stands for the first power of two
  /// that float32 has not, on both sides: what `expected` is beyond it does not count.
  private func error(_ actual: Float, _ expected: Double) -> Double {
    if expected.isNaN || actual.isNaN { return expected.isNaN && actual.isNaN ? 0 : .infinity }
    let (value, target) = (bounded(Double(actual)), bounded(expected))
    let exponent = target == 0 ? -149 : max(-149, Int(target.exponent) - 23)
    return abs(value - target) / scalbn(1.0, min(exponent, 104))
  }

  private func bounded(_ x: Double) -> Double { min(max(x, -0x1p128), 0x1p128) }

  @Test("every function keeps its bound over all of float32", arguments: functions)
  func sweep(_ function: Function) {
    let step: UInt32 = 4001
    let count = Int(UInt32.max / step) + 1
    let x = (0..<count).map { Float(bitPattern: UInt32($0) * step) }
    let y = apply(function.code, x)
    var worst = (error: 0.0, at: Float(0), value: Float(0))
    for i in 0..<count where x[i].isNaN || function.isBounded(Double(x[i])) {
      let error = error(y[i], function.reference(Double(x[i])))
      if error > worst.error { worst = (error, x[i], y[i]) }
    }
    #expect(
      worst.error <= function.bound,
      "\(function) is \(worst.error) units off at \(worst.at): \(worst.value)")
  }

  @Test("the sweep has the same bits on every instruction set", arguments: functions)
  func instructionSets(_ function: Function) {
    let step: UInt32 = 40_009
    let x = (0...Int(UInt32.max / step)).map { Float(bitPattern: UInt32($0) * step) }
    let results = ProcessSettings.instructionSets.map { set in
      ProcessSettings.with(instructionSet: set) { apply(function.code, x) }
    }
    for (set, result) in zip(ProcessSettings.instructionSets, results) {
      for i in x.indices {
        let (a, b) = (result[i], results[0][i])
        if a.bitPattern == b.bitPattern || (a.isNaN && b.isNaN) { continue }
        Issue.record("\(function) of \(x[i]) is \(a) with \(set), \(b) with the portable set")
        return
      }
    }
  }

  /// Zeros keep their sign where the function has a zero there, infinities and NaN have their limits, and
  /// subnormals are numbers like others.
  @Test("special values have the C library's results", arguments: functions)
  func specialValues(_ function: Function) {
    let x: [Float] = [
      0, -0.0, .infinity, -.infinity, .nan, 1, -1, .leastNonzeroMagnitude, -.leastNonzeroMagnitude,
      0x1p-130, -0x1p-130, .leastNormalMagnitude, -.leastNormalMagnitude, .greatestFiniteMagnitude,
      -.greatestFiniteMagnitude, 88.8, -88.8, -103.9, 0.5, -0.5,
    ]
    let limits: [String: (Float, Float)] = [
      "silu": (.infinity, -0.0), "gelu": (.infinity, -0.0), "gelu, tanh form": (.infinity, -0.0),
    ]
    for (x, y) in zip(x, apply(function.code, x)) {
      var expected = function.reference(Double(x))
      if let limit = limits[function.description], x.isInfinite {
        expected = Double(x > 0 ? limit.0 : limit.1)
      }
      guard x.isNaN || x.isInfinite || function.isBounded(Double(x)) else { continue }
      #expect(
        error(y, expected) <= function.bound, "\(function) of \(x) is \(y) instead of \(expected)")
      if Float(expected) == 0 && y == 0 {
        #expect(
          Float(expected).sign == y.sign, "\(function) of \(x) is \(y) instead of \(expected)")
      }
    }
  }
}
