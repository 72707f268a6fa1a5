import Duet
import Foundation
import Testing

/// The public operations against PyTorch.
@Suite struct ReferenceTests {
  /// How far a result may be from PyTorch's, in units of the dtype's rounding error: relative to the result, or
  /// to the largest element where sums cancel.
  private func tolerance(_ operation: String, _ dtype: DType, isGradient: Bool) -> Double {
    let unit: Double =
      switch dtype {
      case .float16: 0x1p-11
      case .bfloat16: 0x1p-8
      case .float32: 0x1p-24
      case .float64: 0x1p-53
      case .bool, .uint8, .int8, .int16, .int32, .int64: 0
      }
    let units: Double =
      switch operation {
      // Moved, chosen or exactly rounded elements.
      case "abs", "sign", "square", "negative", "relu", "floor", "ceil", "round", "trunc", "add",
        "subtract", "multiply", "divide", "maximum", "minimum", "which", "clip", "cast",
        "remainder",
        "take", "takeAlong", "reshaped", "transposed", "concatenated", "stacked", "maxPool2d",
        "flipped":
        isGradient ? 4 : 1
      // Elementary functions: two units here, one there.
      case "sqrt", "exp", "expm1", "log", "log1p", "log2", "log10", "sin", "cos", "atan", "sigmoid",
        "tanh", "erf",
        "rsqrt", "reciprocal":
        isGradient ? 12 : 4
      case "pow", "tan", "sinh", "cosh": isGradient ? 40 : 12
      // Compositions and sums.
      default: isGradient ? 64 : 24
      }
    return units * unit
  }

  private func compare(_ actual: Tensor, _ expected: Tensor, _ tolerance: Double, _ what: String) {
    guard actual.dtype == expected.dtype, actual.shape == expected.shape else {
      Issue.record("\(what): \(actual.type) instead of \(expected.type)")
      return
    }
    let (a, b) = (actual.asArray(Double.self), expected.asArray(Double.self))
    let finite = b.filter(\.isFinite).map(\.magnitude)
    // Elements much smaller than the others come of sums that cancel.
    let scale = b.count < 40 && finite.max() ?? 0 > 1e30 ? 0 : (finite.max() ?? 0) * 0.25
    for i in a.indices {
      let bothNaN = a[i].isNaN && b[i].isNaN
      let isNear = abs(a[i] - b[i]) <= tolerance * max(abs(b[i]), scale)
      if a[i] == b[i] || bothNaN || isNear { continue }
      Issue.record("\(what): element \(i) is \(a[i]) instead of \(b[i]) (scale \(scale))")
      return
    }
  }

  @Test("results and gradients agree with PyTorch", arguments: Reference.operations)
  func agreesWithPyTorch(_ operation: String) {
    for item in Reference.shared.cases where item.operation == operation {
      let inputs = item.inputs.map { stored in
        let tensor = stored.tensor
        return item.gradients != nil && tensor.dtype.isFloatingPoint
          ? tensor.requiringGrad() : tensor
      }
      guard let result = item.result(inputs) else {
        Issue.record("no operation \(operation)")
        return
      }
      let expected = item.output.tensor
      compare(
        result.detached(), expected, tolerance(operation, expected.dtype, isGradient: false),
        item.description)
      guard let cotangent = item.cotangent, let expectedGradients = item.gradients else { continue }
      guard result.type == cotangent.tensor.type else { continue }
      result.backward(cotangent.tensor)
      let leaves = inputs.filter(\.requiresGrad)
      #expect(leaves.count == expectedGradients.count)
      for (i, (leaf, stored)) in zip(leaves, expectedGradients).enumerated() {
        let expected = stored.tensor
        compare(
          leaf.grad ?? zeros(like: leaf), expected,
          tolerance(operation, expected.dtype, isGradient: true),
          "gradient \(i) of \(item.description)")
      }
    }
  }

  @Test func theFixtureCoversTheSurface() {
    #expect(Reference.operations.count > 100)
    #expect(Reference.shared.cases.count > 500)
  }
}
