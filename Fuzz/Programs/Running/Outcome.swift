import Duet

/// What a call of a program leaves behind: its mistake, or results, state and gradients.
struct Outcome: Sendable {
  var error: String?
  /// Whether it has thrown what programs throw. Nothing has changed then.
  var hasThrown = false
  var results: [Bits] = []
  var state: [(name: String, bits: Bits?)] = []
  /// Of arguments that require them.
  var gradients: [(name: String, bits: Bits?)] = []

  /// One of which nothing is known yet.
  init() {}

  /// Calls a subject once and looks at everything.
  init(
    _ subject: Subject, _ program: Program, _ call: Int, _ arguments: [Tensor], _ state: State
  ) {
    let options = program.calls[call]
    do {
      try checked {
        let found =
          options.isInsideNoGrad
          ? try noGrad { try subject.call(arguments, options) }
          : try subject.call(arguments, options)
        // What can still be differentiated outside is.
        if !program.detachesResults, let last = found.last(where: { $0.gradFn != nil }) {
          last.square().sum().backward(retainGraph: true)
        }
        results = found.map(Bits.init)
      }
    } catch let error as TensorError {
      self.error = "\(error.operation): \(error.reason)"
      // Which results a call gives that has failed is not promised.
      results = []
      return
    } catch is Refusal {
      hasThrown = true
    } catch {
      self.error = "\(error)"
      return
    }
    look(at: state, arguments)
  }

  /// Notes what the program has changed.
  mutating func look(at state: State, _ arguments: [Tensor]) {
    self.state = state.contents.map { ($0.name, $0.content.map(Bits.init)) }
    gradients = []
    for (i, bits) in state.log.enumerated() { self.state.append(("callback \(i)", bits)) }
    for (i, argument) in arguments.enumerated() where argument.requiresGrad {
      gradients.append(("argument \(i).grad", argument.grad.map(Bits.init)))
    }
  }

  /// The first difference in words, or nil.
  func difference(from expected: Outcome, comparingState: Bool = true) -> String? {
    if error != expected.error {
      return "the error is \(error ?? "none") instead of \(expected.error ?? "none")"
    }
    if hasThrown != expected.hasThrown {
      return hasThrown ? "it throws" : "it does not throw"
    }
    if results.count != expected.results.count {
      return "\(results.count) results instead of \(expected.results.count)"
    }
    for i in results.indices {
      if let difference = results[i].difference(from: expected.results[i]) {
        return "result \(i): \(difference)"
      }
    }
    if !comparingState { return nil }
    if state.count != expected.state.count {
      return "\(state.count - expected.state.count) more callbacks than expected"
    }
    for (own, other) in zip(state + gradients, expected.state + expected.gradients) {
      if let difference = Outcome.difference(own.bits, other.bits) {
        return "\(own.name): \(difference)"
      }
    }
    return nil
  }

  private static func difference(_ own: Bits?, _ other: Bits?) -> String? {
    switch (own, other) {
    case (nil, nil): nil
    case (let own?, let other?): own.difference(from: other)
    case (nil, _): "nothing instead of \(other!)"
    case (_, nil): "\(own!) instead of nothing"
    }
  }
}
