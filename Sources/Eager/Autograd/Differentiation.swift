import DuetRuntime

/// A function's tape of its own: what it is given, so that its results can be differentiated by that and by nothing
/// else, whatever gradients the surroundings record.
package struct Differentiation {
  /// What the function is to be called with instead of the tensors that it is differentiated by.
  package let inputs: [Tensor]
  /// Whether the surroundings record operations, so that derivatives have to be differentiable in turn.
  private let isNested: Bool

  /// - Parameter tensors: Floating-point tensors. Those that require gradients stay connected: the results depend
  ///   on them.
  package init(by tensors: [Tensor]) {
    isNested = isGradEnabled
    inputs = tensors.map { tensor in
      // A view is another place in the graph that leads to the same tensor.
      isGradEnabled && tensor.requiresGrad
        ? apply(.reshape(tensor.body.layout.shape), tensor)
        : tensor.detached().requiringGrad()
    }
  }

  /// The gradients of outputs by the inputs; zeros where an input was not used.
  ///
  /// - Parameters:
  ///   - others: Leaves of the caller's making, which nobody outside can ask gradients of.
  ///   - createGraph: Whether the gradients are differentiable in any case.
  ///   - keepsGraph: Whether the outputs' graph will be run through again.
  package func gradients(
    of outputs: [Tensor], cotangents: [Tensor], others: [Tensor] = [], createGraph: Bool = false,
    keepsGraph: Bool = false
  ) -> [Tensor] {
    let own = Set((inputs + others).compactMap { $0.body.autograd.map(ObjectIdentifier.init) })
    let asked = Set(inputs.compactMap { $0.body.autograd.map(ObjectIdentifier.init) })
    let leadsOutside = outputs.contains { Backward.leadsOutside(from: $0, own) }
    let creates =
      createGraph || (isNested && (leadsOutside || cotangents.contains(where: \.requiresGrad)))
    var found = Backward.Found()
    let seeds = zip(outputs, cotangents).compactMap { output, cotangent in
      output.body.autograd.map { ($0, cotangent) }
    }
    let run = {
      Backward.run(
        from: seeds, keepingGraph: creates || leadsOutside || keepsGraph, stoppingAt: own,
        isWanted: { asked.contains(ObjectIdentifier($0)) },
        visit: { found.add($1, to: $0, mayBeMissing: $2) })
    }
    // Fetched in the same mode: what a gradient gets last keeps its place in the graph.
    func gradients() -> [Tensor] {
      run()
      return inputs.map { input in
        let gradient = input.body.autograd.flatMap { found[$0] }
        return gradient ?? zeros(like: input.detached())
      }
    }
    return creates ? enableGrad(gradients) : noGrad(gradients)
  }

  /// Ends the function's run: what still leads to the own inputs leads to nothing that counts.
  package func end() {
    for input in inputs {
      if let meta = input.body.autograd, meta.function == nil { meta.endLeaf() }
    }
  }

  /// A result as the surroundings may see it: without a place in a graph that only leads to the own inputs.
  package func released(_ output: Tensor, others: [Tensor] = []) -> Tensor {
    let own = Set((inputs + others).compactMap { $0.body.autograd.map(ObjectIdentifier.init) })
    return isNested && Backward.leadsOutside(from: output, own) ? output : output.detached()
  }
}

extension Backward {
  /// Whether a tensor was made from anything that requires gradients beside a function's own inputs, or through
  /// such an input from something outside.
  fileprivate static func leadsOutside(from tensor: Tensor, _ own: Set<ObjectIdentifier>) -> Bool {
    var seen: Set<ObjectIdentifier> = []
    var pending = [tensor.body.autograd].compactMap { $0 }
    while let meta = pending.popLast() {
      let id = ObjectIdentifier(meta)
      guard seen.insert(id).inserted else { continue }
      guard let function = meta.function else {
        // What another transform has left behind is nothing that anybody could ask gradients of.
        if !own.contains(id) && !meta.isEnded { return true }
        continue
      }
      // An own input with an operation behind it is a view of a tensor outside.
      if own.contains(id) { return true }
      pending += function.edges.compactMap { $0 }
    }
    return false
  }
}
