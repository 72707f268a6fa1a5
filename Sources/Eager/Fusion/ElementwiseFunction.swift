import DuetRuntime

/// A function made of elementwise operations, with a gradient of its own: eagerly both take one pass each, and nothing is
/// kept but the inputs. Inputs of different shapes or dtypes, and integers, have the operations' own gradients. What has
/// 16 bits is computed in float32 and rounded once.
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
  let isWidened = type.dtype.isHalf && inputs.allSatisfy { $0.body.dtype == type.dtype }
  func widened(_ tensors: [Tensor]) -> [Tensor] {
    isWidened ? tensors.map { $0.asType(.float32) } : tensors
  }
  func narrowed(_ tensor: Tensor) -> Tensor { isWidened ? tensor.asType(type.dtype) : tensor }
  func result(_ inputs: [Tensor]) -> Tensor {
    if let reduction {
      return narrowed(fusedReduction(reduction, code, inputs) { forward(widened($0)) })
    }
    let isShort = isShort && !isWidened
    return fused(code, inputs, isShort: isShort) { [narrowed(forward(widened($0)))] }[0]!
  }
  guard ThreadContext.isGradEnabled, wanted.contains(true), type.dtype.isFloatingPoint,
    inputs.allSatisfy({ !$0.isFailed && $0.body.type == type })
  else { return result(inputs) }
  let value = noGrad { result(inputs.map { $0.detached() }) }
  if value.isFailed { return value }
  let gradientCode = code.gradient(wanted: wanted)
  return CustomGradient.attach([value.detached()], to: inputs, named: name, keepsResults: false) {
    inputs, _, cotangents in
    var dy = cotangents[0]
    if reduction != nil { dy = widened([dy])[0] }
    if reduction == .mean { dy = dy / Double(type.shape.elementCount) }
    if reduction != nil { dy = apply(.broadcast(type.shape), dy) }
    return fused(gradientCode, inputs + [dy]) { tensors in
      let tensors = widened(tensors)
      return gradient(Array(tensors.dropLast()), wanted, tensors[tensors.count - 1]).map {
        $0.map(narrowed)
      }
    }
  }[0]
}

/// As the first form, for one input.
package func elementwiseFunction(
  _ name: String, _ code: FusedCode, _ x: Tensor, _ forward: (Tensor) -> Tensor,
  gradient: @escaping (_ x: Tensor, _ dy: Tensor) -> Tensor
) -> Tensor {
  if x.body.autograd == nil && !x.dtype.isHalf { return fused(code, x, forward) }
  return elementwiseFunction(name, code, [x]) { inputs in
    forward(inputs[0])
  } gradient: { inputs, _, dy in
    [gradient(inputs[0], dy)]
  }
}
