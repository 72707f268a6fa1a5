import DuetEager
import DuetRuntime

/// Gradients that are no sum of operations' own: those of branches and loops, and those that functions bring along.
///
/// Inside they belong to the tensors of one example. The batches get a function in the graph around whose gradient is
/// the same, mapped: what comes for an argument that all examples share is added up.
extension BatchingRecorder {
  /// Gives the batches their place in the graph around.
  func attachOutside(_ gradient: AttachedGradient) {
    switch gradient.kind {
    case .region(let region, let name, let inputs, let isDifferentiable):
      attach(region, name, where: isDifferentiable, gradient, to: inputs)
    case .custom(let rule, let name, let inputs, let keepsResults):
      attach(rule, name, keepsResults: keepsResults, gradient, to: inputs)
    }
  }

  private func attach(
    _ gradient: RegionGradient, _ name: String, where isDifferentiable: [Bool],
    _ tensors: AttachedGradient, to inputs: [RegionGradient.Input]
  ) {
    let known = inputs.map { input in input.edge.flatMap { self.table.value(at: $0) } }
    let places = zip(inputs, known).map { input, known -> RegionGradient.Input in
      known.map { ($0.tensor.type, $0.tensor.autograd) } ?? input
    }
    guard places.contains(where: { $0.edge != nil }) else { return }
    let values = tensors.results.map(value(of:))
    let isMapped = (values + known.compactMap { $0 }).contains(where: \.isMapped)
    let (batching, table) = (batching, table)
    let mapped = RegionGradient { cotangents, keepingGraph in
      let recorder = BatchingRecorder(batching, resuming: table)
      defer { recorder.close() }
      let found = recorder.run {
        gradient.cotangents(
          cotangents.map { cotangent in
            cotangent.map {
              recorder.symbol(for: Batched($0, isMapped: isMapped), "cotangent")
            }
          }, keepingGraph)
      }
      return zip(found, known).map { found, known in
        found.map { recorder.gradient($0, isMapped: isMapped, for: known) }
      }
    }
    let outer = outside {
      let whole = values.map { isMapped ? batching.expanded($0) : $0.tensor }
      return mapped.attach(
        whole.map { $0.detached() }, where: isDifferentiable,
        of: Region(name, outputTypes: whole.map(\.type)), to: places)
    }
    for i in isDifferentiable.indices where isDifferentiable[i] {
      table.assign(Batched(outer[i], isMapped: isMapped), to: tensors.attached[i])
    }
  }

  private func attach(
    _ rule: @escaping CustomGradient.Rule, _ name: String, keepsResults: Bool,
    _ tensors: AttachedGradient, to inputs: [Tensor]
  ) {
    let arguments = inputs.map(value(of:))
    guard arguments.contains(where: { $0.tensor.dtype.isFloatingPoint && $0.tensor.requiresGrad })
    else { return }
    let values = tensors.results.map(value(of:))
    let isMapped = (values + arguments).contains(where: \.isMapped)
    let (batching, table) = (batching, table)
    let mapped: CustomGradient.Rule = { inputs, results, cotangents in
      let recorder = BatchingRecorder(batching, resuming: table)
      defer { recorder.close() }
      func symbols(_ tensors: [Tensor], _ name: String) -> [Tensor] {
        tensors.map { recorder.symbol(for: Batched($0, isMapped: isMapped), name) }
      }
      let found = recorder.run {
        rule(
          zip(inputs, arguments).map {
            recorder.symbol(for: Batched($0, isMapped: $1.isMapped), "argument")
          }, symbols(results, "result"), symbols(cotangents, "cotangent"))
      }
      return found.map { found in
        zip(found, arguments).map { found, argument in
          found.map { recorder.gradient($0, isMapped: isMapped, for: argument) }
        }
      }
    }
    let outer = outside {
      let whole = values.map { isMapped ? batching.expanded($0) : $0.tensor }
      return CustomGradient.attach(
        whole.map { $0.detached() }, to: arguments.map(\.tensor), named: name,
        keepsResults: keepsResults, mapped)
    }
    for (attached, outer) in zip(tensors.attached, outer)
    where attached.dtype.isFloatingPoint {
      table.assign(Batched(outer, isMapped: isMapped), to: attached)
    }
  }

  /// A gradient for what it belongs to outside.
  /// - Parameters:
  ///   - isMapped: Whether there is one for each example, if they are all alike.
  ///   - target: Nil for a tensor of the surroundings.
  private func gradient(_ gradient: Tensor, isMapped: Bool, for target: Batched?) -> Tensor {
    let found = value(of: gradient)
    if found.tensor.isFailed { return .failed }
    guard isMapped else {
      if !found.isMapped { return found.tensor }
      // The cotangent that comes is the sum of all examples' already.
      return fail(
        OpError(
          "vmap",
          "the gradient of a custom function of arguments that all examples share differs from example to example: make "
            + "the mapped tensor that its vjp captures an argument"))
    }
    return outside {
      let whole = batching.expanded(found)
      if target?.isMapped ?? false { return whole }
      return apply(.reduce(.sum, axes: AxisSet(0), keepDims: false), whole)
    }
  }
}
