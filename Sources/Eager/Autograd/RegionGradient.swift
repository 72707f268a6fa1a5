import DuetRuntime

/// The gradient of a branch or a loop: one function for all of its results.
package class RegionGradient: @unchecked Sendable {
  // Sendable: constant after init. The closure is called by whoever runs `backward`, perhaps several threads at once:
  // those that are given here only read what they capture, tapes and recordings that have ended.

  /// Takes the cotangents of the results, nil where none has arrived, and whether the graph is to be kept; gives the
  /// cotangents of the inputs.
  package let cotangents: (_ results: [Tensor?], _ keepingGraph: Bool) -> [Tensor?]

  package init(_ cotangents: @escaping ([Tensor?], Bool) -> [Tensor?]) {
    self.cotangents = cotangents
  }

  /// An input's type, and its place in the autograd graph if it needs a gradient.
  package typealias Input = (type: TensorType, edge: AutogradMeta?)

  /// Gives the results of a region their place in the autograd graph.
  /// - Parameters:
  ///   - results: What the region gave, without a place in the graph.
  ///   - isDifferentiable: Which of them depend on the inputs in a way that has gradients.
  package func attach(
    _ results: [Tensor], where isDifferentiable: [Bool], of region: Region, to inputs: [Input]
  ) -> [Tensor] {
    let function = GradientFunction(region, inputs, self)
    let all = AutogradMeta(function)
    let attached = results.enumerated().map { i, result in
      guard isDifferentiable[i] else { return result }
      return result.attached(
        to: AutogradMeta(GradientFunction(result: i, result.type, of: all)))
    }
    ThreadContext.recorder?.didAttach(
      AttachedGradient(
        kind: .region(
          self, name: region.name, inputs: inputs, isDifferentiable: isDifferentiable),
        results: results, attached: attached))
    return attached
  }

  /// Gradients that are to be differentiable in turn: they are not, and say so if it comes to that.
  static func refusingMore(
    _ gradients: [Tensor?], _ cotangents: [Tensor?], _ inputs: [(TensorType, AutogradMeta?)],
    _ name: String
  ) -> [Tensor?] {
    let known = gradients.compactMap { $0 }
    let sources =
      inputs.map { (type: $0.0, edge: $0.1) }
      + cotangents.compactMap { $0 }.map { ($0.type, $0.body.autograd) }
    let refusal = RegionGradient { _, _ in
      note(
        OpError(
          name,
          "its gradient cannot be differentiated in turn; use Swift's own if and while, or which(condition, a, b)"
        ))
      return sources.map { _ in nil }
    }
    var rest = refusal.attach(
      known, where: known.map { _ in true },
      of: Region(name, outputTypes: known.map(\.type)), to: sources)[...]
    return gradients.map { $0 == nil ? nil : rest.removeFirst() }
  }

  /// What changes no sum: -0 + x is x for all x, zeros included.
  package static func neutral(_ type: TensorType) -> Tensor {
    apply(.fill(type, Element(-0.0, type.dtype)), [])
  }
}

extension Tensor {
  /// A gradient as it is given away. One that may be missing is +0 where nothing was sent, as for a tensor that was not
  /// used, and not what changes no sum.
  func completed(_ mayBeMissing: Bool) -> Tensor { mayBeMissing ? self + 0 : self }

  /// The same elements as a leaf that collects no gradient of its own: where the body of a region begins.
  package func asRegionLeaf() -> Tensor { Tensor(body.attached(to: AutogradMeta())) }

  package var autograd: AutogradMeta? { body.autograd }
}

/// One run of a region's body as a piece of the autograd graph that is differentiated by itself.
///
/// Eager and recorded regions both go through their iterations so, and therefore add up gradients in one order: first
/// what one iteration sends to a tensor, then iteration by iteration.
package struct BodyTape {
  /// Where the body's inputs begin; nil for those that need no gradient.
  package let leaves: [AutogradMeta?]
  package let results: [Tensor]
  /// Operations up to this number were done before the body: what they gave counts as a leaf.
  private let floor: Int

  /// The number of the last operation so far.
  package static var now: Int { GradientFunction.lastSequence }

  package init(since floor: Int, leaves: [AutogradMeta?], results: [Tensor]) {
    self.floor = floor
    self.leaves = leaves
    self.results = results
  }

  /// What some of the results depend on: leaves by index, and tensors from outside.
  package func sources(of indices: some Sequence<Int>) -> (
    leaves: Set<Int>, outside: [(type: TensorType, edge: AutogradMeta)]
  ) {
    var own: [ObjectIdentifier: Int] = [:]
    for case (let i, let leaf?) in leaves.enumerated() { own[ObjectIdentifier(leaf)] = i }
    var found: Set<Int> = []
    var outside: [(type: TensorType, edge: AutogradMeta)] = []
    var seen: Set<ObjectIdentifier> = []
    var pending: [(type: TensorType, edge: AutogradMeta)] = []
    for i in indices {
      if let edge = results[i].body.autograd { pending.append((results[i].type, edge)) }
    }
    while let next = pending.popLast() {
      let id = ObjectIdentifier(next.edge)
      guard seen.insert(id).inserted else { continue }
      if let leaf = own[id] {
        found.insert(leaf)
      } else if let function = next.edge.function, function.sequence > floor {
        for (type, edge) in zip(function.inputTypes, function.edges) {
          if let edge { pending.append((type, edge)) }
        }
      } else {
        outside.append(next)
      }
    }
    return (found, outside)
  }

  /// The cotangents of the leaves, and of tensors from outside, for those of the results.
  package func gradients(_ cotangents: [Tensor?], keepingGraph: Bool) -> (
    leaves: [Tensor?], outside: [(edge: AutogradMeta, gradient: Tensor)]
  ) {
    var seeds: [(AutogradMeta, Tensor)] = []
    for (result, cotangent) in zip(results, cotangents) {
      if let edge = result.body.autograd, let cotangent { seeds.append((edge, cotangent)) }
    }
    var own: [ObjectIdentifier: Int] = [:]
    for case (let i, let leaf?) in leaves.enumerated() { own[ObjectIdentifier(leaf)] = i }
    var found = [Tensor?](repeating: nil, count: leaves.count)
    var outside: [(edge: AutogradMeta, gradient: Tensor)] = []
    Backward.run(
      from: seeds, keepingGraph: keepingGraph, above: floor,
      isWanted: { $0.function.map { $0.sequence <= floor } ?? true },
      visit: { meta, gradient, _ in
        if let i = own[ObjectIdentifier(meta)] {
          found[i] = gradient
        } else {
          outside.append((meta, gradient))
        }
      })
    return (found, outside)
  }
}
