import DuetEager
import DuetRuntime

/// The function that gives the derivatives of all elements of `f`'s result by its first argument.
///
/// For a result `[R...]` and an argument `[A...]` they have the shape `[R..., A...]`; for a tree of arguments they
/// are a tree of the same form. One run of `f`, and one backward pass for each element of the result. The Jacobian
/// can be differentiated in turn, as the gradient of ``grad(_:)``.
///
///     jacobian { (x: Tensor) in x * x }(Tensor([1.0, 2.0]))     // [[2, 0], [0, 4]]
public func jacobian<A: TensorTree>(_ f: @escaping (A) -> Tensor) -> (A) -> A {
  { a in derivatives(a, f) }
}

/// As the first form, for a function of two arguments.
public func jacobian<A: TensorTree, B>(_ f: @escaping (A, B) -> Tensor) -> (A, B) -> A {
  { a, b in derivatives(a) { f($0, b) } }
}

/// As the first form, for a function of three arguments.
public func jacobian<A: TensorTree, B, C>(_ f: @escaping (A, B, C) -> Tensor) -> (A, B, C) -> A {
  { a, b, c in derivatives(a) { f($0, b, c) } }
}

/// The function that gives the second derivatives of `f` by its first argument `[A...]`, of shape `[A..., A...]`.
///
/// The ``jacobian(_:)`` of the ``grad(_:)`` of `f`: a backward pass for each element of the argument.
///
/// - Parameter f: Gives a single number; a tensor of more elements is an error.
public func hessian(_ f: @escaping (Tensor) -> Tensor) -> (Tensor) -> Tensor {
  { a in derivatives(a, grad(f)) }
}

/// As the first form, for a function of two arguments.
public func hessian<B>(_ f: @escaping (Tensor, B) -> Tensor) -> (Tensor, B) -> Tensor {
  { a, b in derivatives(a, grad { f($0, b) }) }
}

/// As the first form, for a function of three arguments.
public func hessian<B, C>(_ f: @escaping (Tensor, B, C) -> Tensor) -> (Tensor, B, C) -> Tensor {
  { a, b, c in derivatives(a, grad { f($0, b, c) }) }
}

private func derivatives<Argument: TensorTree>(
  _ argument: Argument, _ f: (Argument) -> Tensor
) -> Argument {
  guard let input = DifferentiableTree(argument, "jacobian") else { return failed(like: argument) }
  defer { input.tape.end() }
  let result = enableGrad { f(input.argument) }
  if result.isFailed { return failed(like: argument) }
  guard result.dtype.isFloatingPoint else {
    note(
      OpError("jacobian", "the function gives \(result.type); only floating point has derivatives"))
    return failed(like: argument)
  }
  let units = eye(result.size, dtype: result.dtype)
  let rows = (0..<result.size).map { i in
    input.tape.gradients(
      of: [result], cotangents: [units[i].reshaped(result.shape)], keepsGraph: true)
  }
  let derivatives = collectTensors(argument).enumerated().map { place, tensor in
    let shape = result.shape + tensor.shape
    return rows.isEmpty
      ? zeros(shape, dtype: tensor.dtype) : stacked(rows.map { $0[place] }).reshaped(shape)
  }
  return input.tree(of: derivatives)
}
