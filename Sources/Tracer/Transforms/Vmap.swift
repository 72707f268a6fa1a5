import DuetEager
import DuetRuntime

/// The function that does `f` with every example of a batch at once.
///
///     let norms = vmap { (x: Tensor) in x.square().sum().sqrt() }
///     norms(ones([32, 10]))                                            // [32]
///     let perExample = vmap(inAxes: (nil, 0, 0), grad(loss))           // one gradient for each x and y
///     let ensemble = vmap(inAxes: (0, nil)) { (w: Tensor, x: Tensor) in tanh(x.matmul(w)) }
///
/// `f` is written for one example: its mapped arguments' tensors lack the axis that is mapped. It is called once,
/// with tensors that have types and no values, and each of its operations is done on all examples: what it gives
/// equals a loop over the examples up to rounding. So `vmap` can be traced, put off, differentiated, nested and used inside
/// branches and loops like any function of tensors, and `f` may be made of `grad`, `jacobian`, `cond`, `scan` and other
/// functions. Tensors and variables that `f` captures are the same for all examples.
///
/// - Looking at values of mapped tensors (`item()`, `if` on an element) is an error.
/// - A branch or a loop that a mapped value decides about computes both branches, and all iterations until the last
///   example is done, for all examples, and chooses: an index out of range in what an example does not want is an
///   error, too.
///   Gradients of branches and loops cannot be differentiated in turn, as in a traced function.
/// - Each example draws random numbers of its own, but other ones than in a loop, from generators that `f` makes or
///   seeds, too. Drawing inside a branch or a loop that a mapped value decides about is an error: where the generator is
///   would differ from example to example.
/// - Variables that `f` writes get the value if all examples share it. One that differs from example to example is an
///   error.
/// - Callbacks (`tracePrint`, `hostCallback`) are made for each example.
/// - `checkpointed` inside keeps the values that gradients from outside need; around `vmap` it does not.
///
/// Tensors of one example have up to seven axes.
///
/// - Parameters:
///   - inAxes: For each argument the axis along which the examples lie in all of its tensors, negative ones counting
///     from the end, or nil for an argument that all examples share. The mapped axes have one size, which may be 0;
///     nothing mapped is an error.
///   - outAxes: The axis of every result along which the examples will lie. What does not depend on the example is
///     repeated.
///   - f: Takes up to four trees of tensors, gives a tree or a tuple of up to four.
public func vmap<A: TensorTree, Result: TensorTree>(
  inAxes: Int? = 0, outAxes: Int = 0, _ f: @escaping (A) -> Result
) -> (A) -> Result {
  mapped(.tree, [inAxes], outAxes, f)
}

/// As the first form, for a function of two arguments.
public func vmap<A: TensorTree, B: TensorTree, Result: TensorTree>(
  inAxes: (Int?, Int?) = (0, 0), outAxes: Int = 0, _ f: @escaping (A, B) -> Result
) -> (A, B) -> Result {
  mapped(.tree, [inAxes.0, inAxes.1], outAxes, f)
}

/// As the first form, for a function of three arguments.
public func vmap<A: TensorTree, B: TensorTree, C: TensorTree, Result: TensorTree>(
  inAxes: (Int?, Int?, Int?) = (0, 0, 0), outAxes: Int = 0, _ f: @escaping (A, B, C) -> Result
) -> (A, B, C) -> Result {
  mapped(.tree, [inAxes.0, inAxes.1, inAxes.2], outAxes, f)
}

/// As the first form, for a function of four arguments.
public func vmap<A: TensorTree, B: TensorTree, C: TensorTree, D: TensorTree, Result: TensorTree>(
  inAxes: (Int?, Int?, Int?, Int?) = (0, 0, 0, 0), outAxes: Int = 0,
  _ f: @escaping (A, B, C, D) -> Result
) -> (A, B, C, D) -> Result {
  mapped(.tree, [inAxes.0, inAxes.1, inAxes.2, inAxes.3], outAxes, f)
}

/// As the first form, for a function of one argument that gives two trees.
public func vmap<A: TensorTree, R: TensorTree, S: TensorTree>(
  inAxes: Int? = 0, outAxes: Int = 0, _ f: @escaping (A) -> (R, S)
) -> (A) -> (R, S) {
  mapped(pairForm(), [inAxes], outAxes, f)
}

/// As the first form, for a function of two arguments that gives two trees.
public func vmap<A: TensorTree, B: TensorTree, R: TensorTree, S: TensorTree>(
  inAxes: (Int?, Int?) = (0, 0), outAxes: Int = 0, _ f: @escaping (A, B) -> (R, S)
) -> (A, B) -> (R, S) {
  mapped(pairForm(), [inAxes.0, inAxes.1], outAxes, f)
}

/// As the first form, for a function of three arguments that gives two trees.
public func vmap<A: TensorTree, B: TensorTree, C: TensorTree, R: TensorTree, S: TensorTree>(
  inAxes: (Int?, Int?, Int?) = (0, 0, 0), outAxes: Int = 0, _ f: @escaping (A, B, C) -> (R, S)
) -> (A, B, C) -> (R, S) {
  mapped(pairForm(), [inAxes.0, inAxes.1, inAxes.2], outAxes, f)
}

/// As the first form, for a function of four arguments that gives two trees.
public func vmap<
  A: TensorTree, B: TensorTree, C: TensorTree, D: TensorTree, R: TensorTree, S: TensorTree
>(
  inAxes: (Int?, Int?, Int?, Int?) = (0, 0, 0, 0), outAxes: Int = 0,
  _ f: @escaping (A, B, C, D) -> (R, S)
) -> (A, B, C, D) -> (R, S) {
  mapped(pairForm(), [inAxes.0, inAxes.1, inAxes.2, inAxes.3], outAxes, f)
}

/// As the first form, for a function of one argument that gives three trees.
public func vmap<A: TensorTree, R: TensorTree, S: TensorTree, T: TensorTree>(
  inAxes: Int? = 0, outAxes: Int = 0, _ f: @escaping (A) -> (R, S, T)
) -> (A) -> (R, S, T) {
  mapped(tripleForm(), [inAxes], outAxes, f)
}

/// As the first form, for a function of two arguments that gives three trees.
public func vmap<A: TensorTree, B: TensorTree, R: TensorTree, S: TensorTree, T: TensorTree>(
  inAxes: (Int?, Int?) = (0, 0), outAxes: Int = 0, _ f: @escaping (A, B) -> (R, S, T)
) -> (A, B) -> (R, S, T) {
  mapped(tripleForm(), [inAxes.0, inAxes.1], outAxes, f)
}

/// As the first form, for a function of three arguments that gives three trees.
public func vmap<
  A: TensorTree, B: TensorTree, C: TensorTree, R: TensorTree, S: TensorTree, T: TensorTree
>(
  inAxes: (Int?, Int?, Int?) = (0, 0, 0), outAxes: Int = 0, _ f: @escaping (A, B, C) -> (R, S, T)
) -> (A, B, C) -> (R, S, T) {
  mapped(tripleForm(), [inAxes.0, inAxes.1, inAxes.2], outAxes, f)
}

/// As the first form, for a function of four arguments that gives three trees.
public func vmap<
  A: TensorTree, B: TensorTree, C: TensorTree, D: TensorTree, R: TensorTree, S: TensorTree,
  T: TensorTree
>(
  inAxes: (Int?, Int?, Int?, Int?) = (0, 0, 0, 0), outAxes: Int = 0,
  _ f: @escaping (A, B, C, D) -> (R, S, T)
) -> (A, B, C, D) -> (R, S, T) {
  mapped(tripleForm(), [inAxes.0, inAxes.1, inAxes.2, inAxes.3], outAxes, f)
}

/// As the first form, for a function of one argument that gives four trees.
public func vmap<A: TensorTree, R: TensorTree, S: TensorTree, T: TensorTree, U: TensorTree>(
  inAxes: Int? = 0, outAxes: Int = 0, _ f: @escaping (A) -> (R, S, T, U)
) -> (A) -> (R, S, T, U) {
  mapped(quadrupleForm(), [inAxes], outAxes, f)
}

/// As the first form, for a function of two arguments that gives four trees.
public func vmap<
  A: TensorTree, B: TensorTree, R: TensorTree, S: TensorTree, T: TensorTree, U: TensorTree
>(
  inAxes: (Int?, Int?) = (0, 0), outAxes: Int = 0, _ f: @escaping (A, B) -> (R, S, T, U)
) -> (A, B) -> (R, S, T, U) {
  mapped(quadrupleForm(), [inAxes.0, inAxes.1], outAxes, f)
}

/// As the first form, for a function of three arguments that gives four trees.
public func vmap<
  A: TensorTree, B: TensorTree, C: TensorTree, R: TensorTree, S: TensorTree, T: TensorTree,
  U: TensorTree
>(
  inAxes: (Int?, Int?, Int?) = (0, 0, 0), outAxes: Int = 0, _ f: @escaping (A, B, C) -> (R, S, T, U)
) -> (A, B, C) -> (R, S, T, U) {
  mapped(quadrupleForm(), [inAxes.0, inAxes.1, inAxes.2], outAxes, f)
}

/// As the first form, for a function of four arguments that gives four trees.
public func vmap<
  A: TensorTree, B: TensorTree, C: TensorTree, D: TensorTree, R: TensorTree, S: TensorTree,
  T: TensorTree, U: TensorTree
>(
  inAxes: (Int?, Int?, Int?, Int?) = (0, 0, 0, 0), outAxes: Int = 0,
  _ f: @escaping (A, B, C, D) -> (R, S, T, U)
) -> (A, B, C, D) -> (R, S, T, U) {
  mapped(quadrupleForm(), [inAxes.0, inAxes.1, inAxes.2, inAxes.3], outAxes, f)
}

private func mapped<Result, each Argument: TensorTree>(
  _ form: TreeForm<Result>, _ inAxes: [Int?], _ outAxes: Int,
  _ f: @escaping (repeat each Argument) -> Result
) -> (repeat each Argument) -> Result {
  let argumentForm: TreeForm<(repeat each Argument)> = packForm()
  return { (argument: repeat each Argument) -> Result in
    var axes: [Int?] = []
    var place = 0
    for one in repeat each argument {
      axes += collectTensors(one).map { _ in inAxes[place] }
      place += 1
    }
    let given = argumentForm.described((repeat each argument), as: "")
    func called(_ tensors: [Tensor]) -> Result {
      let inside = argumentForm.rebuilt((repeat each argument), with: tensors)
      return f(repeat each inside)
    }
    guard let arguments = MappedArguments(given.tensors, given.paths, axes) else {
      // After a mistake inside `checked`: the function tells what form the results would have, and does nothing else.
      let recorder = GraphRecorder(isSymbolic: true)
      let standIns = zip(given.tensors, axes).map { tensor, axis in
        recorder.example(of: tensor, without: axis)
      }
      let result = ThreadContext.withRecorder(recorder) { called(standIns) }
      return form.rebuilt(result, with: form.tensors(result).map { _ in .failed })
    }
    let recorder = BatchingRecorder(Batching(size: arguments.size))
    defer { recorder.close() }
    let symbols = zip(arguments.values, given.paths).map { recorder.symbol(for: $0, $1) }
    let result = recorder.run { called(symbols) }
    let batches = form.tensors(result).map { recorder.result($0, along: outAxes) }
    return form.rebuilt(result, with: batches)
  }
}
