import DuetRuntime

/// The gradient of a function that brings its own: one for all of its results.
///
/// Unlike that of a branch or a loop it can be differentiated in turn: the rule is called like those of operations, on
/// inputs and results with their places in the graph where gradients shall have gradients.
package final class CustomGradient: RegionGradient, @unchecked Sendable {
  // Sendable: as its superclass; places are locked. The rule is the program's, which decides which threads run `backward`
  // and so call it.

  /// Takes inputs, results, and the cotangents of all results; gives the cotangents of the inputs. Nil after reporting a
  /// mistake.
  package typealias Rule = (_ inputs: [Tensor], _ results: [Tensor], _ cotangents: [Tensor])
    -> [Tensor?]?

  let rule: Rule
  /// Without their places in the graph, which hold the function that holds this.
  private let results: [Tensor]
  private let places: [Place]

  private init(_ rule: @escaping Rule, _ results: [Tensor], _ places: [Place]) {
    self.rule = rule
    self.results = results
    self.places = places
    super.init { _, _ in preconditionFailure("has a rule instead") }
  }

  /// Gives the results of a function their place in the autograd graph.
  /// - Parameters:
  ///   - results: Without a place in the graph. Those that are not floating point get none.
  ///   - inputs: As the surroundings know them.
  ///   - name: For messages, and for the name of the gradient function.
  ///   - keepsResults: Whether the rule looks at the results' elements.
  package static func attach(
    _ results: [Tensor], to inputs: [Tensor], named name: String, keepsResults: Bool = true,
    _ rule: @escaping Rule
  ) -> [Tensor] {
    let places = results.map { _ in Place() }
    let function = GradientFunction(
      CustomRegion(name, outputTypes: results.map(\.type)),
      inputs.map { ($0.type, $0.dtype.isFloatingPoint ? $0.body.autograd : nil) },
      CustomGradient(
        rule, keepsResults ? results : results.map { Tensor(TensorBody(withoutElements: $0.type)) },
        places), saving: inputs)
    let all = AutogradMeta(function)
    let attached = results.enumerated().map { i, result in
      guard result.dtype.isFloatingPoint else { return result }
      return result.attached(to: places[i].meta(of: i, result.type, under: all))
    }
    ThreadContext.recorder?.didAttach(
      AttachedGradient(
        kind: .custom(rule, name: name, inputs: inputs, keepsResults: keepsResults),
        results: results, attached: attached))
    return attached
  }

  /// The cotangents of the inputs.
  /// - Parameters:
  ///   - cotangents: Those of the results that have any.
  ///   - all: The place in the graph of all results.
  func gradients(
    _ inputs: [Tensor], _ cotangents: [Tensor?], under all: AutogradMeta
  ) -> [Tensor?]? {
    let isDifferentiable = ThreadContext.isGradEnabled
    let cotangents = zip(cotangents, results).map { given, result in
      given ?? apply(.fill(result.type, Element(bits: 0)), [])
    }
    let results = results.enumerated().map { i, result in
      isDifferentiable && result.dtype.isFloatingPoint
        ? result.attached(to: places[i].meta(of: i, result.type, under: all)) : result
    }
    guard let found = rule(inputs, results, cotangents) else { return nil }
    return isDifferentiable ? found : found.map { $0?.detached() }
  }

  /// The same without rule and results, which a checkpoint makes again.
  var emptied: CustomGradient { CustomGradient({ _, _, _ in nil }, [], places) }

  /// The same with rule and results of another run.
  func filled(like other: RegionGradient?) -> CustomGradient? {
    (other as? CustomGradient).map { CustomGradient($0.rule, $0.results, places) }
  }

  /// A result's place in the graph, made once more when nobody knows it any longer.
  ///
  /// There is one at a time, so that the order in which gradients are added does not depend on who holds results.
  private final class Place: Sendable {
    private struct State {
      weak var meta: AutogradMeta?
      var sequence: Int?
    }
    private let state = Lock(State())

    func meta(of index: Int, _ type: TensorType, under all: AutogradMeta) -> AutogradMeta {
      state.withLock { state in
        if let known = state.meta { return known }
        let function = GradientFunction(result: index, type, of: all, sequence: state.sequence)
        let meta = AutogradMeta(function)
        state.meta = meta
        state.sequence = function.sequence
        return meta
      }
    }
  }
}

/// A function that brings its own gradient, in the autograd graph.
final class CustomRegion: Region, @unchecked Sendable {
  // Sendable: as its superclass; it adds nothing.
}
