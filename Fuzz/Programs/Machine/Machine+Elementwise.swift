import Duet

extension Machine {
  private typealias Function = (text: String, of: @Sendable (Tensor) -> Tensor)

  private static let unary: [Function] = [
    ("abs($)", { abs($0) }), ("-$", { -$0 }), ("sign($)", { sign($0) }),
    ("square($)", { square($0) }), ("sqrt(abs($))", { sqrt(abs($0)) }),
    ("rsqrt(abs($) + 0.5)", { rsqrt(abs($0) + 0.5) }), ("reciprocal($)", { reciprocal($0) }),
    ("exp(minimum($, 3))", { exp(minimum($0, 3)) }), ("expm1(-abs($))", { expm1(-abs($0)) }),
    ("log(abs($) + 0.1)", { log(abs($0) + 0.1) }), ("log1p(abs($))", { log1p(abs($0)) }),
    ("log2(abs($))", { log2(abs($0)) }), ("log10($)", { log10($0) }), ("sin($)", { sin($0) }),
    ("cos($)", { cos($0) }), ("tan($)", { tan($0) }), ("asin(tanh($))", { asin(tanh($0)) }),
    ("acos($)", { acos($0) }), ("atan($)", { atan($0) }),
    ("sinh(clip($, min: -2, max: 2))", { sinh(clip($0, min: -2, max: 2)) }),
    ("cosh(tanh($))", { cosh(tanh($0)) }), ("tanh($)", { tanh($0) }), ("erf($)", { erf($0) }),
    ("floor($)", { floor($0) }), ("ceil($)", { ceil($0) }), ("round($ * 2)", { round($0 * 2) }),
    ("trunc($)", { trunc($0) }), ("isNaN($)", { isNaN($0) }), ("isInf($)", { isInf($0) }),
    ("isFinite($)", { isFinite($0) }), ("$.contiguous()", { $0.contiguous() }),
  ]

  private static let activations: [Function] = [
    ("relu($)", { relu($0) }), ("gelu($)", { gelu($0) }),
    ("gelu($, approximate: .tanh)", { gelu($0, approximate: .tanh) }), ("silu($)", { silu($0) }),
    ("sigmoid($)", { sigmoid($0) }), ("softplus($)", { softplus($0) }),
    ("leakyRelu($)", { leakyRelu($0) }), ("elu($)", { elu($0) }), ("selu($)", { selu($0) }),
    ("hardtanh($)", { hardtanh($0) }), ("relu6($)", { relu6($0) }), ("mish($)", { mish($0) }),
    ("hardswish($)", { hardswish($0) }), ("softsign($)", { softsign($0) }),
    ("logSigmoid($)", { logSigmoid($0) }),
  ]

  private func applied(_ function: Function, _ x: Operand) -> Operand {
    say(function.of(x.tensor), function.text.replacing("$", with: x.text))
  }

  func elementwise(
    _ kind: Kind, _ a: Operand, _ b: Operand, _ c: Operand, _ random: inout SplitMix64
  ) -> Operand {
    switch kind {
    case .unary: return applied(random.pick(Self.unary), floating(a))
    case .activation: return applied(random.pick(Self.activations), floating(a))
    case .withNumber: return withNumber(numeric(a), &random)
    case .chain:
      let (a, b) = (floating(a), numeric(fitting(b, with: a)))
      return say(
        ((a.tensor * 0.5).tanh() + b.tensor.abs()) * 1.5 - a.tensor,
        "((\(a) * 0.5).tanh() + \(b).abs()) * 1.5 - \(a)")
    case .integers: return integers(integral(a), b, &random)
    case .comparison: return comparison(numeric(a), numeric(fitting(b, with: a)), &random)
    case .logic:
      let (p, q) = (numeric(a), numeric(fitting(b, with: a)))
      switch random.int(below: 4) {
      case 0:
        return say(logicalAnd(p.tensor .> 0, q.tensor .< 1), "logicalAnd(\(p) .> 0, \(q) .< 1)")
      case 1: return say(logicalOr(p.tensor, q.tensor), "logicalOr(\(p), \(q))")
      case 2: return say(logicalXor(p.tensor, q.tensor), "logicalXor(\(p), \(q))")
      default: return say(logicalNot(p.tensor), "logicalNot(\(p))")
      }
    case .choice:
      let x = fitting(b, with: a)
      let wide = say(a.tensor, "\(a)")
      let y = fitting(c, with: x.tensor.size > wide.tensor.size ? x : wide)
      let condition = numeric(fitting(c, with: say(x.tensor, "\(x)")))
      guard
        let both = Shape.broadcast(x.tensor.type.shape, y.tensor.type.shape),
        Shape.broadcast(condition.tensor.type.shape, both) != nil
      else {
        return say(
          which(numeric(a).tensor .> 0.25, numeric(a).tensor, 0),
          "which(\(numeric(a)) .> 0.25, \(numeric(a)), 0)")
      }
      return say(
        which(condition.tensor .> 0, x.tensor, y.tensor), "which(\(condition) .> 0, \(x), \(y))")
    case .clip:
      let x = numeric(a)
      return say(clip(x.tensor, min: 0, max: 2), "clip(\(x), min: 0, max: 2)")
    default:
      let dtype = random.pick(DType.allCases)
      return say(a.tensor.asType(dtype), "\(a).asType(.\(dtype))")
    }
  }

  /// The result of arithmetic on two tensors that broadcast.
  func arithmetic(_ a: Operand, _ b: Operand, _ random: inout SplitMix64) -> Operand {
    let (a, b) = (numeric(a), numeric(fitting(b, with: a)))
    let (x, y) = (a.tensor, b.tensor)
    switch random.int(below: 13) {
    case 0, 1: return say(x + y, "\(a) + \(b)")
    case 2, 3: return say(x - y, "\(a) - \(b)")
    case 4, 5: return say(x * y, "\(a) * \(b)")
    case 6: return say(x / y, "\(a) / \(b)")
    case 7: return say(maximum(x, y), "maximum(\(a), \(b))")
    case 8: return say(minimum(x, y), "minimum(\(a), \(b))")
    case 9: return say(x % y, "\(a) % \(b)")
    case 10: return say(floorDivide(x, y), "floorDivide(\(a), \(b))")
    case 11: return say(remainder(x, y), "remainder(\(a), \(b))")
    default:
      let (a, b) = (floating(a), floating(b))
      switch random.int(below: 3) {
      case 0: return say(pow(a.tensor.abs(), b.tensor), "pow(\(a).abs(), \(b))")
      case 1: return say(atan2(a.tensor, b.tensor), "atan2(\(a), \(b))")
      default: return say(hypot(a.tensor, b.tensor), "hypot(\(a), \(b))")
      }
    }
  }

  private func withNumber(_ a: Operand, _ random: inout SplitMix64) -> Operand {
    let x = a.tensor
    switch random.int(below: 9) {
    case 0: return say(x * 2 + 1, "\(a) * 2 + 1")
    case 1: return say(1 - x, "1 - \(a)")
    case 2: return say(x * 0.5, "\(a) * 0.5")
    case 3: return say(x / 3, "\(a) / 3")
    case 4: return say(2 / x, "2 / \(a)")
    case 5: return say(x ** 2, "\(a) ** 2")
    case 6: return say(x % 3, "\(a) % 3")
    case 7: return say(maximum(x, 0), "maximum(\(a), 0)")
    default: return say(x - 0.125, "\(a) - 0.125")
    }
  }

  private func integers(
    _ a: Operand, _ other: Operand, _ random: inout SplitMix64
  ) -> Operand {
    let b = integral(fitting(other, with: a))
    let (x, y) = (a.tensor, b.tensor)
    switch random.int(below: 7) {
    case 0: return say(x .& y, "\(a) .& \(b)")
    case 1: return say(x .| y, "\(a) .| \(b)")
    case 2: return say(x .^ y, "\(a) .^ \(b)")
    case 3: return say(leftShift(x, 2), "leftShift(\(a), 2)")
    case 4: return say(rightShift(x, 1), "rightShift(\(a), 1)")
    case 5: return say(x / 2, "\(a) / 2")
    default: return say(x * y + 1, "\(a) * \(b) + 1")
    }
  }

  private func comparison(
    _ a: Operand, _ b: Operand, _ random: inout SplitMix64
  ) -> Operand {
    let (x, y) = (a.tensor, b.tensor)
    switch random.int(below: 7) {
    case 0: return say(x .== y, "\(a) .== \(b)")
    case 1: return say(x .!= y, "\(a) .!= \(b)")
    case 2: return say(x .< y, "\(a) .< \(b)")
    case 3: return say(x .<= y, "\(a) .<= \(b)")
    case 4: return say(x .> y, "\(a) .> \(b)")
    case 5: return say(x .>= y, "\(a) .>= \(b)")
    default: return say(x .> 0.5, "\(a) .> 0.5")
    }
  }
}
