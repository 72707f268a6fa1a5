import DuetEager
import DuetRuntime

/// The function that gives the gradient of `f` by its first argument.
///
///     let g = grad { (x: Tensor) in (x * x).sum() }
///     g(Tensor([1.0, 2.0]))                                     // [2, 4]
///     grad(grad { (x: Tensor) in x * x * x })(Tensor(2.0))      // 12
///
/// Any tree of floating-point tensors can be the first argument; the gradient is a tree of the same form. Other
/// arguments are passed on as they are. Nobody's `grad` changes. The gradient can be differentiated in turn, by
/// another `grad` around, by tensors that require gradients, and by variables that `f` reads.
///
/// - Parameter f: Gives a single number; a tensor of more elements is an error.
///
/// As many arguments as there are forms of this function: calls of a function that takes a pack do not type-check
/// when they are made at once, `grad(f)(x, y)`.
public func grad<A: TensorTree>(_ f: @escaping (A) -> Tensor) -> (A) -> A {
  { a in differentiated("grad", a, f).gradient }
}

/// As the first form, for a function of two arguments.
public func grad<A: TensorTree, B>(_ f: @escaping (A, B) -> Tensor) -> (A, B) -> A {
  { a, b in differentiated("grad", a) { f($0, b) }.gradient }
}

/// As the first form, for a function of three arguments.
public func grad<A: TensorTree, B, C>(_ f: @escaping (A, B, C) -> Tensor) -> (A, B, C) -> A {
  { a, b, c in differentiated("grad", a) { f($0, b, c) }.gradient }
}

/// The function that gives the value of `f` and its gradient by the first argument, with one run of `f`.
///
/// As ``grad(_:)`` else.
public func valueAndGrad<A: TensorTree>(
  _ f: @escaping (A) -> Tensor
) -> (A) -> (value: Tensor, gradient: A) {
  { a in differentiated("valueAndGrad", a, f) }
}

/// As the first form, for a function of two arguments.
public func valueAndGrad<A: TensorTree, B>(
  _ f: @escaping (A, B) -> Tensor
) -> (A, B) -> (value: Tensor, gradient: A) {
  { a, b in differentiated("valueAndGrad", a) { f($0, b) } }
}

/// As the first form, for a function of three arguments.
public func valueAndGrad<A: TensorTree, B, C>(
  _ f: @escaping (A, B, C) -> Tensor
) -> (A, B, C) -> (value: Tensor, gradient: A) {
  { a, b, c in differentiated("valueAndGrad", a) { f($0, b, c) } }
}

private func differentiated<Argument: TensorTree>(
  _ operation: String, _ argument: Argument, _ f: (Argument) -> Tensor
) -> (value: Tensor, gradient: Argument) {
  guard let input = DifferentiableTree(argument, operation) else {
    return (.failed, failed(like: argument))
  }
  defer { input.tape.end() }
  let value = enableGrad { f(input.argument) }
  guard isNumber(value, operation) else { return (.failed, failed(like: argument)) }
  let gradients = input.tape.gradients(
    of: [value], cotangents: [ones(like: value.detached())])
  return (input.tape.released(value), input.tree(of: gradients))
}

private func isNumber(_ value: Tensor, _ operation: String) -> Bool {
  if value.isFailed { return false }
  if value.size == 1 && value.dtype.isFloatingPoint { return true }
  note(
    OpError(
      operation,
      "the function gives \(value.type); only a single floating-point number has a gradient "
        + "(vjp takes a cotangent, jacobian gives the derivatives of all elements)"))
  return false
}
