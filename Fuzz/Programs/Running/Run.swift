import Duet

/// A program that is called again and again in one way.
struct Run {
  private let program: Program
  private let inputs: Inputs
  private let form: Subject.Form
  private let coverage: Coverage?
  private(set) var state: State
  private(set) var subject: Subject
  private var leaves: Leaves
  /// The calls that have happened.
  private var done: [Int] = []

  init(
    _ program: Program, _ inputs: Inputs, _ form: Subject.Form, _ coverage: Coverage? = nil
  ) {
    self.program = program
    self.inputs = inputs
    self.form = form
    self.coverage = coverage
    state = State(program)
    subject = Subject(program, state, form, coverage: coverage)
    leaves = Leaves(program, inputs)
  }

  /// Calls the program, and looks at everything.
  ///
  /// A call of a traced function that throws has not happened. A closure that is run as it is leaves behind what it
  /// did before, so all that came before is done again, without it.
  mutating func outcome(_ call: Int) -> Outcome {
    var outcome = Outcome(subject, program, call, leaves.arguments(call), state)
    if outcome.hasThrown && !form.takesBack {
      state = State(program)
      subject = Subject(program, state, form)
      leaves = Leaves(program, inputs)
      for earlier in done {
        _ = Outcome(subject, program, earlier, leaves.arguments(earlier), state)
      }
      outcome.look(at: state, leaves.arguments(call))
    }
    if !outcome.hasThrown { done.append(call) }
    return outcome
  }
}
