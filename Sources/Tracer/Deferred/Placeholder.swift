import DuetEager
import DuetRuntime

/// A value that a ``Session`` is given when it runs: `session.run(y, feeding: [x: tensor])`.
///
/// What deferred mode computes from it can be differentiated by it. Used in eager mode it is an error that names it,
/// for it has no elements there.
///
/// - Parameters:
///   - shape: Sizes of the axes, at most eight, from 0 up.
///   - name: What messages and printed graphs call it, behind the name scope.
public func placeholder(_ dtype: DType, shape: [Int], name: String = "placeholder") -> Tensor {
  if ThreadContext.recorder != nil {
    return fail(
      OpError(
        "placeholder", "a closure that is being recorded takes its values as arguments instead"))
  }
  guard shape.count <= Shape.maximumRank, shape.allSatisfy({ $0 >= 0 }),
    Shape(shape).isRepresentable
  else {
    return fail(
      OpError("placeholder", "\(shape) is not a shape: at most 8 axes, sizes from 0 up"))
  }
  Evaluation.install()
  let node = PendingNode(placeholder: name, TensorType(dtype, Shape(shape)))
  return Tensor(PendingBody(node, autograd: dtype.isFloatingPoint ? AutogradMeta() : nil))
}

/// The gradients of a value by others, as values of the same graph: to be run, and to be differentiated in turn. Those
/// of a pending value are pending, in eager mode, too.
///
/// - Parameters:
///   - y: Of any shape; its elements are summed.
///   - xs: Placeholders of floating point, values made from them, variables' values, or other tensors that require
///     gradients.
/// - Returns: One gradient for each of `xs`, of its type; zeros where `y` does not depend on it.
public func gradients(of y: Tensor, withRespectTo xs: [Tensor]) -> [Tensor] {
  gradients(of: [y], withRespectTo: xs)
}

/// As the first form, for the sum of all elements of several values.
public func gradients(of ys: [Tensor], withRespectTo xs: [Tensor]) -> [Tensor] {
  if (ys + xs).contains(where: \.isFailed) { return xs.map { _ in .failed } }
  if let odd = ys.first(where: { !$0.dtype.isFloatingPoint }) {
    let failed = fail(
      OpError("gradients", "only floating-point values have gradients, not \(odd.dtype)"))
    return xs.map { _ in failed }
  }
  if let odd = xs.first(where: { $0.body.autograd == nil }) {
    let failed = fail(
      OpError("gradients", "a constant of type \(odd.type) does not require gradients"))
    return xs.map { _ in failed }
  }
  // What belongs to a graph that has yet to be run stays one, whatever the mode of the program.
  let isDeferred = ThreadContext.isDeferred || ys.contains(where: \.isPending)
  return withExecution(isDeferred ? .deferred : .eager) {
    nameScope("gradients") {
      gradients(
        of: ys, by: xs, cotangents: ys.map { ones(like: $0) }, retainGraph: true, createGraph: true)
    }
  }
}
