import DuetEager
import DuetRuntime

/// The results of `f`, and its vector-Jacobian product: the cotangents of the results, taken back to the argument.
///
/// One run of `f` and one backward pass. The product can be differentiated in turn, as that of ``grad(_:)``.
///
/// - Parameters:
///   - primals: What `f` is called with: a tree of floating-point tensors.
///   - cotangents: A tree of the form and types of the results.
public func vjp<Input: TensorTree, Output: TensorTree>(
  _ f: (Input) -> Output, primals: Input, cotangents: Output
) -> (outputs: Output, vjps: Input) {
  func nothing() -> (outputs: Output, vjps: Input) {
    (failed(like: cotangents), failed(like: primals))
  }
  guard let input = DifferentiableTree(primals, "vjp") else { return nothing() }
  defer { input.tape.end() }
  let result = enableGrad { f(input.argument) }
  let outputs = collectTensors(result)
  guard let seeds = matching(cotangents, outputs, "vjp", "cotangents", "results") else {
    return nothing()
  }
  let gradients = input.tape.gradients(of: outputs, cotangents: seeds)
  return (
    rebuild(result, with: outputs.map { input.tape.released($0) }[...]),
    input.tree(of: gradients)
  )
}

/// The results of `f`, and its Jacobian-vector product: how they change along the tangents.
///
/// The vector-Jacobian product is linear in its cotangents, and the gradient of it by them is this product
/// (Townsend, "A new trick for calculating Jacobian vector products", 2017): two backward passes, and no rules
/// beside those of `backward`. The product can be differentiated in turn, as that of ``grad(_:)``. For the same reason
/// it does not go through `cond`, `whileLoop` and `scan`, whose gradients cannot be: that is an error.
///
/// - Parameters:
///   - primals: What `f` is called with: a tree of floating-point tensors.
///   - tangents: A tree of the form and types of `primals`.
/// - Returns: Two trees of the form of the results. Results that are not floating point do not change: their
///   products are zeros.
public func jvp<Input: TensorTree, Output: TensorTree>(
  _ f: (Input) -> Output, primals: Input, tangents: Input
) -> (outputs: Output, jvps: Output) {
  let given = collectTensors(primals)
  let input = DifferentiableTree(primals, "jvp")
  let directions =
    input == nil ? nil : matching(tangents, given, "jvp", "tangents", "primals")
  guard let input, let directions else {
    // The form of the results is only known to f.
    let result = f(primals)
    return (failed(like: result), failed(like: result))
  }
  defer { input.tape.end() }
  let result = enableGrad { f(input.argument) }
  let outputs = collectTensors(result)
  if outputs.contains(where: \.isFailed) { return (failed(like: result), failed(like: result)) }

  // The places of results that depend on anything.
  let places = outputs.indices.filter { outputs[$0].requiresGrad }
  let cotangents = Differentiation(by: places.map { zeros(like: outputs[$0].detached()) })
  defer { cotangents.end() }
  let back = input.tape.gradients(
    of: places.map { outputs[$0] }, cotangents: cotangents.inputs, createGraph: true)
  let forward = cotangents.gradients(of: back, cotangents: directions, others: input.tape.inputs)
  var products = outputs.map { zeros(like: $0.detached()) }
  for (place, product) in zip(places, forward) { products[place] = product }
  return (
    rebuild(result, with: outputs.map { input.tape.released($0) }[...]),
    rebuild(result, with: products[...])
  )
}
