import DuetCompiler
import DuetEager
import DuetRuntime

/// A function that was saved, with state of its own: runs the graphs as a closure would, so that it is traced, compiled
/// and replayed as one.
package final class LoadedFunction: Sendable {
  private let programs: [LoadedProgram]
  private let cells: [StateCell]
  private let form: SavedForm
  private let constants: [String: Tensor]
  /// Takes the tensors and the number of the program; -1: the first that fits.
  package let function: TracedFunction<[Tensor], Never, [Tensor], Static<Int>>

  /// - Parameter arrays: What the form names.
  /// - Throws: `SavedFormError` if that makes no function.
  package init(_ form: SavedForm, arrays: [String: Tensor]) throws(SavedFormError) {
    guard form.version == SavedForm.currentVersion else {
      throw SavedFormError(
        "the form has version \(form.version); this library reads version \(SavedForm.currentVersion)"
      )
    }
    var cells: [StateCell] = []
    for state in form.state {
      if state.isGlobalGenerator ?? false {
        cells.append(Generator.global.state)
        continue
      }
      let content = try state.content.map { name throws(SavedFormError) -> Tensor in
        guard let array = arrays[name] else {
          throw SavedFormError("the array \(name) is missing")
        }
        return array
      }
      cells.append(StateCell(content, label: state.name))
    }
    let constants = arrays.filter { $0.key.hasPrefix("@") }
    let named = constants.mapValues(\.constant)
    var programs: [LoadedProgram] = []
    for program in form.programs {
      programs.append(try LoadedProgram(program, form.state, named))
    }
    if programs.isEmpty { throw SavedFormError("it has no program") }
    self.programs = programs
    self.cells = cells
    self.form = form
    self.constants = constants
    function = traced { [programs, cells] (arguments: [Tensor], chosen: Static<Int>) in
      Self.run(programs, cells, arguments, chosen.value)
    }
  }

  /// Does what the saved closure did.
  /// - Parameter chosen: The number of the program; nil: the one for these arguments.
  package func callAsFunction(_ arguments: [Tensor], program chosen: Int?) -> [Tensor] {
    function(arguments, Static(chosen ?? -1))
  }

  /// The closure that is traced. Replays do not come here, so that it has time to look closely.
  private static func run(
    _ programs: [LoadedProgram], _ cells: [StateCell], _ arguments: [Tensor], _ chosen: Int
  ) -> [Tensor] {
    // Inside `checked` the program goes on, and asks for any of the results.
    let resultCount = programs.reduce(0) { max($0, $1.paths[0].results.count) }
    if arguments.contains(where: \.isFailed) {
      return Array(repeating: .failed, count: resultCount)
    }
    do throws(OpError) {
      if isGradEnabled, let place = arguments.firstIndex(where: \.requiresGrad) {
        throw OpError(
          SavedFormError.operation,
          "argument \(place) requires gradients, and a saved function gives none: detach it, or make the call inside "
            + "noGrad")
      }
      let fitting = try fitting(programs, arguments, chosen)
      let isSame = fitting.filter { programs[$0].isGradEnabled == isGradEnabled }
      for i in isSame.isEmpty ? fitting : isSame where programs[i].fits(cells) {
        return programs[i].run(arguments, sizes: programs[i].sizes(of: arguments)!, cells)
      }
      throw OpError(
        SavedFormError.operation,
        "its state has another form than it had in any call with such arguments that was recorded")
    } catch {
      return Array(repeating: fail(error), count: resultCount)
    }
  }

  /// The programs that take these arguments.
  private static func fitting(
    _ programs: [LoadedProgram], _ arguments: [Tensor], _ chosen: Int
  ) throws(OpError) -> [Int] {
    guard chosen < programs.count else {
      throw OpError(
        SavedFormError.operation, "there is no trace \(chosen) among \(programs.count)")
    }
    let fitting = (chosen < 0 ? 0...programs.count - 1 : chosen...chosen).filter {
      programs[$0].sizes(of: arguments) != nil
    }
    guard let first = fitting.first else {
      let given = arguments.map { "\($0.dtype)\($0.shape)" }.joined(separator: ", ")
      let taken = programs.map(\.text).joined(separator: ") or (")
      throw OpError(SavedFormError.operation, "takes (\(taken)), not (\(given))")
    }
    if let other = fitting.first(where: {
      programs[$0].structureNumber != programs[first].structureNumber
    }) {
      throw OpError(
        SavedFormError.operation,
        "several traces take such tensors: (\(programs[first].text)) and (\(programs[other].text)); say which by "
          + "trace: \(first) or \(other)")
    }
    return fitting
  }

  // MARK: Saving

  /// The function with what its state holds now.
  package var archive: FunctionArchive {
    var names = ArchiveNames(taken: constants.keys)
    var form = form
    var arrays = constants.sorted { $0.key < $1.key }.map { (name: $0.key, tensor: $0.value) }
    for (i, content) in StateCell.contents(of: cells).enumerated() {
      form.state[i].content = nil
      guard let content, !(form.state[i].isGlobalGenerator ?? false) else { continue }
      let name = names.name(form.state[i].name)
      form.state[i].content = name
      arrays.append((name, content.detached()))
    }
    return FunctionArchive(form: form, arrays: arrays)
  }

  // MARK: Looking inside

  /// What each program takes.
  package var signatures: [String] { programs.map(\.text) }

  /// What calls read or write, by name, with what is there now.
  package var state: [(name: String, value: Tensor?)] {
    let contents = StateCell.contents(of: cells)
    return zip(cells, contents).map { ($0.name, $1) }
  }
}
