import DuetRuntime

/// A function made of elementwise operations, with a gradient of its own: eagerly both take one pass each, and nothing is
/// kept but the inputs. Inputs of different shapes or dtypes, and integers, have the operations' own gradients.
///
/// - Parameters:
///   - name: In messages; `gradFn` prints `HardswishBackward` for `hardswish`.
///   - code: Names the function, with all numbers that the closures depend on.
///   - isShort: Whether `forward` is two operations at most.
///   - reduction: What becomes of all elements of the result, if they are wanted together: their sum or mean.
///   - forward: The operations.
///   - gradient: Takes the inputs, which of them want a gradient, and the result's cotangent.
package func elementwiseFunction(
  _ name: String, _ code: FusedCode, _ inputs: [Tensor], isShort: Bool = false,
  reducedBy reduction: ReductionOp? = nil, _ forward: ([Tensor]) -> Tensor,
  gradient: @escaping (_ inputs: [Tensor], _ wanted: [Bool], _ dy: Tensor) -> [Tensor?]
) -> Tensor {
  let wanted = inputs.map { $0.body.autograd != nil }
  let type = inputs[0].body.type
  guard ThreadContext.isGradEnabled, wanted.contains(true), type.dtype.isFloatingPoint,
    inputs.allSatisfy({ !$0.isFailed && $0.body.type == type })
  else { return reduced(reduction, code, inputs, isShort: isShort, forward) }
  let result = noGrad {
    reduced(reduction, code, inputs.map { $0.detached() }, isShort: isShort, forward)
  }
  if result.isFailed { return result }
  let gradientCode = code.gradient(wanted: wanted)
  return CustomGradient.attach([result.detached()], to: inputs, named: name, keepsResults: false) {
    inputs, _, cotangents in
    var dy = cotangents[0]
    if reduction == .mean { dy = dy / Double(type.shape.elementCount) }
    if reduction != nil { dy = apply(.broadcast(type.shape), dy) }
    return fused(gradientCode, inputs + [dy]) { tensors in
      gradient(Array(tensors.dropLast()), wanted, tensors[tensors.count - 1])
    }
  }[0]
}

private func reduced(
  _ reduction: ReductionOp?, _ code: FusedCode, _ inputs: [Tensor], isShort: Bool,
  _ forward: ([Tensor]) -> Tensor
) -> Tensor {
  guard let reduction else { return fused(code, inputs, isShort: isShort) { [forward($0)] }[0]! }
  return fusedReduction(reduction, code, inputs, forward)
}

/// As the first form, for one input.
package func elementwiseFunction(
  _ name: String, _ code: FusedCode, _ x: Tensor, _ forward: (Tensor) -> Tensor,
  gradient: @escaping (_ x: Tensor, _ dy: Tensor) -> Tensor
) -> Tensor {
  if x.body.autograd == nil { return fused(code, x, forward) }
  return elementwiseFunction(name, code, [x]) { inputs in
    forward(inputs[0])
  } gradient: { inputs, _, dy in
    [gradient(inputs[0], dy)]
  }
}
