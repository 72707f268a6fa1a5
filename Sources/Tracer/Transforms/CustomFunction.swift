import DuetEager
import DuetRuntime

/// A function that brings its own gradient, instead of the one that the operations inside would have.
///
///     let clipped = customFunction(
///       name: "clip",
///       forward: { (x: Tensor) in x.clip(min: -1, max: 1) },
///       vjp: { x, y, dy in dy })                            // as if nothing had been clipped
///     let scaled = customFunction(
///       forward: { (x: Tensor, w: Tensor) in x * w },
///       vjp: { x, w, y, dy in (dy * w, dy * x) })
///
/// It is called like the closure `forward`, and differentiated like any operation: by `backward`, by ``grad(_:)`` and the
/// other transforms, inside traced functions, in deferred mode, in branches and loops. Gradients of gradients are those
/// of the operations in `vjp`.
///
/// `forward` runs without being recorded for differentiation. Only its arguments get gradients: variables and tensors
/// that it captures count as constants, so what shall have a gradient has to be an argument. Arguments and results are
/// kept for `vjp`; something else that it needs can be another result.
///
/// - Parameters:
///   - name: For messages; `gradFn` prints `ClipBackward` for `clip`.
///   - forward: Takes any number of trees of tensors, and gives a tree or a tuple of up to four.
///   - vjp: The vector-Jacobian product. Takes the arguments, the result and the result's cotangent, which has the form of
///     the result: zeros for what nothing depends on. Gives the arguments' cotangents, each of its argument's form, shape
///     and dtype; anything else is an error. What stands in the places of integers and of `Static` values is not looked
///     at: give back the arguments themselves. The arguments stand where they stood in the graph, so that gradients of
///     gradients work: to call `backward` inside, detach them first. A closure of several operators type-checks fast if
///     it has more than one statement, or names its types.
public func customFunction<Result: TensorTree, each Argument: TensorTree>(
  name: String = "custom",
  forward: @escaping (repeat each Argument) -> Result,
  vjp: @escaping (repeat each Argument, Result, Result) -> (repeat each Argument)
) -> (repeat each Argument) -> Result {
  differentiated(name, .tree, forward, vjp)
}

/// As the first form, for a function that gives two trees.
public func customFunction<A: TensorTree, B: TensorTree, each Argument: TensorTree>(
  name: String = "custom",
  forward: @escaping (repeat each Argument) -> (A, B),
  vjp: @escaping (repeat each Argument, (A, B), (A, B)) -> (repeat each Argument)
) -> (repeat each Argument) -> (A, B) {
  differentiated(name, pairForm(), forward, vjp)
}

/// As the first form, for a function that gives three trees.
public func customFunction<A: TensorTree, B: TensorTree, C: TensorTree, each Argument: TensorTree>(
  name: String = "custom",
  forward: @escaping (repeat each Argument) -> (A, B, C),
  vjp: @escaping (repeat each Argument, (A, B, C), (A, B, C)) -> (repeat each Argument)
) -> (repeat each Argument) -> (A, B, C) {
  differentiated(name, tripleForm(), forward, vjp)
}

/// As the first form, for a function that gives four trees.
public func customFunction<
  A: TensorTree, B: TensorTree, C: TensorTree, D: TensorTree, each Argument: TensorTree
>(
  name: String = "custom",
  forward: @escaping (repeat each Argument) -> (A, B, C, D),
  vjp: @escaping (repeat each Argument, (A, B, C, D), (A, B, C, D)) -> (repeat each Argument)
) -> (repeat each Argument) -> (A, B, C, D) {
  differentiated(name, quadrupleForm(), forward, vjp)
}

private func differentiated<Result, each Argument: TensorTree>(
  _ name: String, _ form: TreeForm<Result>, _ forward: @escaping (repeat each Argument) -> Result,
  _ vjp: @escaping (repeat each Argument, Result, Result) -> (repeat each Argument)
) -> (repeat each Argument) -> Result {
  let argumentForm: TreeForm<(repeat each Argument)> = packForm()
  let origin = CallSite()

  return { (argument: repeat each Argument) -> Result in
    let arguments = argumentForm.collected((repeat each argument))
    let tensors = arguments.tensors
    let inside = argumentForm.rebuilt((repeat each argument), with: tensors.map { $0.detached() })
    let result = noGrad { forward(repeat each inside) }
    let results = form.tensors(result)
    if (tensors + results).contains(where: \.isFailed) { return result }
    let plain = results.map { $0.detached() }
    guard isGradEnabled, tensors.contains(where: \.requiresGrad),
      plain.contains(where: \.dtype.isFloatingPoint)
    else { return form.rebuilt(result, with: plain) }

    let (emptyArguments, emptyResult) = (
      argumentForm.emptied((repeat each argument)), form.emptied(result)
    )
    let attached = CustomGradient.attach(plain, to: tensors, named: name) {
      tensors, results, cotangents in
      let primals = argumentForm.rebuilt(emptyArguments, with: tensors)
      let found = call(
        vjp, repeat each primals, form.rebuilt(emptyResult, with: results),
        form.rebuilt(emptyResult, with: cotangents))
      return cotangentsOfArguments(
        argumentForm.described(found, as: ""), fitting: arguments.shapes, tensors, name, origin)
    }
    return form.rebuilt(result, with: attached)
  }
}

/// Calls a function whose parameters are a pack and more: a call by its name would give all arguments to the pack.
private func call<Result, each Argument>(
  _ f: (repeat each Argument) -> Result, _ argument: repeat each Argument
) -> Result {
  f(repeat each argument)
}

/// The form of a function's arguments, or results.
func packForm<each Part: TensorTree>() -> TreeForm<(repeat each Part)> {
  TreeForm { parts, visitor in
    var index = 0
    func visited<One: TensorTree>(_ part: One) -> One {
      visitor.begin(argument: index)
      index += 1
      var copy = part
      copy.visit(&visitor)
      return copy
    }
    parts = (repeat visited(each parts))
  }
}

extension TreeForm {
  /// A value of that form that keeps none of its tensors alive.
  func emptied(_ value: Value) -> Value {
    let placeholder = Tensor(TensorBody(withoutElements: TensorType(.float32, [])))
    return rebuilt(value, with: tensors(value).map { _ in placeholder })
  }
}

extension TensorVisitor {
  /// The structure without values, which are no part of a cotangent.
  fileprivate var shapes: [StructureToken] {
    structure.filter { if case .value = $0 { false } else { true } }
  }
}

/// What a program's own rule gives, if it fits the arguments; nil after reporting that it does not.
private func cotangentsOfArguments(
  _ found: TensorVisitor, fitting shapes: [StructureToken], _ arguments: [Tensor], _ name: String,
  _ origin: CallSite
) -> [Tensor?]? {
  if found.tensors.contains(where: \.isFailed) { return nil }
  func refuse(_ reason: String) -> [Tensor?]? {
    let place = origin.location.map { ", of the function made at \($0)," } ?? ""
    note(OpError(name, "its vjp\(place) gives \(reason)"))
    return nil
  }
  guard found.tensors.count == arguments.count, found.shapes == shapes else {
    let difference =
      found.tensors.count == arguments.count
      ? "cotangents of another structure than the arguments'"
      : "\(found.tensors.count) cotangents for \(arguments.count) tensors"
    return refuse(difference)
  }
  for (i, (cotangent, argument)) in zip(found.tensors, arguments).enumerated()
  where argument.dtype.isFloatingPoint && cotangent.type != argument.type {
    return refuse(
      "\(cotangent.type) as the cotangent of \(found.paths[i]), which is \(argument.type)")
  }
  return zip(found.tensors, arguments).map { $1.dtype.isFloatingPoint ? $0 : nil }
}
