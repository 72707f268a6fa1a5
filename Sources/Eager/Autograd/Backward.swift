import DuetRuntime

extension Tensor {
  /// Adds this tensor's gradient by every leaf it was made from to the leaves' `grad`.
  ///
  /// - Parameters:
  ///   - gradient: The cotangent of this tensor, of its shape; may be left out for a single number.
  ///   - retainGraph: Keeps what was saved, so that `backward` may be called again.
  ///   - createGraph: Records the gradients' own operations, so that they can be differentiated in turn.
  public func backward(
    _ gradient: Tensor? = nil, retainGraph: Bool = false, createGraph: Bool = false
  ) {
    if isFailed { return }
    guard let root = body.autograd else {
      note(OpError("backward", "the tensor does not require gradients and has no gradFn"))
      return
    }
    guard let cotangent = Backward.cotangent(gradient, for: self) else { return }
    let keep = retainGraph || createGraph
    let run = {
      Backward.run(from: [(root, cotangent)], keepingGraph: keep) { leaf, gradient in
        guard let cell = leaf.gradientCell else { return }
        cell.write(cell.read().map { $0 + gradient } ?? gradient)
      }
    }
    createGraph ? enableGrad(run) : noGrad(run)
  }
}

/// The gradients of outputs by inputs, without touching anybody's `grad`.
///
/// - Parameters:
///   - inputs: Tensors that require gradients.
///   - cotangents: One per output; may be left out for single numbers.
/// - Returns: One gradient per input; zeros where an input was not used.
public func gradients(
  of outputs: [Tensor], by inputs: [Tensor], cotangents: [Tensor]? = nil, retainGraph: Bool = false,
  createGraph: Bool = false
) -> [Tensor] {
  var seeds: [(AutogradMeta, Tensor)] = []
  for (i, output) in outputs.enumerated() {
    guard let meta = output.body.autograd else { continue }
    guard let cotangent = Backward.cotangent(cotangents?[i], for: output) else { return inputs }
    seeds.append((meta, cotangent))
  }
  var wanted: [ObjectIdentifier: Tensor] = [:]
  for input in inputs {
    guard input.body.autograd != nil else {
      return inputs.map { _ in fail(OpError("gradients", "an input does not require gradients")) }
    }
  }
  let ids = Set(inputs.map { ObjectIdentifier($0.body.autograd!) })
  let run = {
    Backward.run(from: seeds, keepingGraph: retainGraph || createGraph) { meta, gradient in
      let id = ObjectIdentifier(meta)
      if ids.contains(id) { wanted[id] = wanted[id].map { $0 + gradient } ?? gradient }
    }
  }
  createGraph ? enableGrad(run) : noGrad(run)
  return inputs.map { wanted[ObjectIdentifier($0.body.autograd!)] ?? zeros(like: $0) }
}

enum Backward {
  /// The cotangent to start from, or nil after reporting why there is none.
  static func cotangent(_ given: Tensor?, for output: Tensor) -> Tensor? {
    if let given {
      if given.isFailed { return nil }
      guard given.type == output.type else {
        note(
          OpError(
            "backward", "the gradient \(given.type) does not match the tensor \(output.type)"))
        return nil
      }
      return given
    }
    guard output.size == 1 else {
      note(
        OpError(
          "backward",
          "a tensor of shape \(output.shape) needs a gradient to start from; "
            + "only a single number has the gradient 1"))
      return nil
    }
    return ones(like: output)
  }

  /// Visits operations in the reverse of recording, so that sums of gradients have one fixed order.
  static func run(
    from seeds: [(AutogradMeta, Tensor)], keepingGraph: Bool,
    visit: (AutogradMeta, Tensor) -> Void
  ) {
    var gradients: [ObjectIdentifier: Tensor] = [:]
    var leaves: [AutogradMeta] = []
    func accumulate(_ meta: AutogradMeta, _ gradient: Tensor) {
      let id = ObjectIdentifier(meta)
      if let sum = gradients[id] {
        gradients[id] = sum + gradient
      } else {
        gradients[id] = gradient
        if meta.function == nil { leaves.append(meta) }
      }
    }
    for (meta, gradient) in seeds { accumulate(meta, gradient) }

    for (meta, function) in sorted(from: seeds.map(\.0)) {
      guard let gradient = gradients.removeValue(forKey: ObjectIdentifier(meta)) else { continue }
      visit(meta, gradient)
      var saved = function.saved
      if saved.isReleased {
        note(
          OpError(
            "backward",
            "\(function.name) was run through before and let go of what it had saved; "
              + "pass retainGraph: true to the first backward"))
        return
      }
      // A rule that reads the result must be differentiable through it.
      if ThreadContext.isGradEnabled { saved.output = saved.output?.attached(to: meta) }
      let edges = function.edges
      let results = AnomalyDetector.gradients(of: function) {
        function.gradients(of: gradient, saved, wanted: edges.map { $0 != nil })
      }
      for (edge, result) in zip(edges, results) {
        if let edge, let result { accumulate(edge, result) }
      }
      if !keepingGraph { function.release() }
    }
    for leaf in leaves {
      if let gradient = gradients[ObjectIdentifier(leaf)] { visit(leaf, gradient) }
    }
  }

  /// All operations that lead to the seeds, latest first.
  private static func sorted(from seeds: [AutogradMeta]) -> [(AutogradMeta, GradientFunction)] {
    var found: [(AutogradMeta, GradientFunction)] = []
    var seen: Set<ObjectIdentifier> = []
    var pending = seeds
    while let meta = pending.popLast() {
      guard let function = meta.function, seen.insert(ObjectIdentifier(meta)).inserted else {
        continue
      }
      found.append((meta, function))
      for edge in function.edges {
        if let edge, edge.function != nil { pending.append(edge) }
      }
    }
    found.sort { $0.1.sequence > $1.1.sequence }
    return found
  }
}
