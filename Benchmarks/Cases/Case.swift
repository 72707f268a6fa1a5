import Duet

/// How a case runs.
enum Mode: String, CaseIterable {
  /// Operation by operation.
  case eager
  /// As one traced function: recorded on its first call, replayed on later ones.
  case traced

  /// The function itself, or its traced form.
  func function<Result: TensorTree, each Input: TensorTree>(
    _ body: @escaping (repeat each Input) -> Result
  ) -> (repeat each Input) -> Result {
    switch self {
    case .eager: return body
    case .traced:
      let function = Duet.traced(body)
      return { (input: repeat each Input) in function(repeat each input) }
    }
  }
}

/// What is timed again and again.
struct Step {
  /// Does that many iterations.
  let run: (Int) -> Void
  /// Does one iteration and gives its results.
  let results: () -> [Tensor]
  /// What the iterations changed besides, such as parameters; compared between modes, not part of
  /// the check.
  var state: () -> [Tensor] = { [] }

  init(_ iteration: @escaping () -> Tensor) {
    run = { count in for _ in 0..<count { _ = iteration() } }
    results = { [iteration()] }
  }

  init(_ iteration: @escaping () -> [Tensor]) {
    run = { count in for _ in 0..<count { _ = iteration() } }
    results = iteration
  }

  /// A step that changes these variables.
  func changing(_ variables: [Variable]) -> Step {
    var step = self
    step.state = { variables.map(\.value) }
    return step
  }
}

/// One line of the report.
struct Case {
  let name: String
  /// One iteration, in a few words.
  let work: String
  let kind: Kind
  /// What an iteration has to do at least.
  let cost: Cost
  /// Draws inputs, makes parameters and functions; gives the step to time.
  let prepare: (Mode) -> Step

  enum Kind {
    /// Iterations after the first few.
    case steady
    /// First calls of fresh traced functions: recording, compiling and running.
    case firstCall
    /// The peak growth of the resident memory over three iterations, in a process of its own.
    case memory
    /// Processes that import Duet and end.
    case processStart
  }

  init(
    _ name: String, _ work: String, kind: Kind = .steady, cost: Cost,
    prepare: @escaping (Mode) -> Step
  ) {
    self.name = name
    self.work = work
    self.kind = kind
    self.cost = cost
    self.prepare = prepare
  }

  /// The modes in which the case has a meaning.
  var modes: [Mode] {
    switch kind {
    case .steady, .memory: Mode.allCases
    case .firstCall: [.traced]
    case .processStart: [.eager]
    }
  }
}

/// Cases of one sort, shown together.
struct Family {
  let title: String
  let cases: [Case]
}
