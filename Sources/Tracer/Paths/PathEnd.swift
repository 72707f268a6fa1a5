import DuetCompiler
import DuetEager
import DuetRuntime

/// What a path gives once nothing more can stop it: results, and new contents of cells.
final class PathEnd: @unchecked Sendable {
  // Sendable: constant after init; the form is a value that nobody changes.

  /// Where a result, or a cell's new content, comes from.
  enum Source: Sendable {
    case value(Int)
    case constant(Tensor)
    case nothing
  }

  struct Write: Sendable {
    let cell: StateCell
    let source: Source
    let autograd: AutogradMeta?
    /// Whether the path has read the cell, and as which of its values.
    let read: (wasRead: Bool, value: Int?)
  }

  let results: [Source]
  /// Callbacks, and what their tensors are.
  let effects: [(effect: HostEffect, sources: [Source])]
  /// What the closure did, if it is to be compared with what it does later.
  let transcript: Transcript?
  /// In the order of the cells' locks.
  let writes: [Write]
  /// The results' form, which replays fill; a `FormBox` of the function's result type.
  let form: AnyObject?

  init(_ recorder: GraphRecorder, _ inputValues: [Int], results: [Tensor], form: AnyObject?) {
    func source(_ tensor: Tensor) -> Source {
      guard let id = recorder.knownValue(of: tensor), !recorder.builder.isConstant(id) else {
        return .constant(tensor.detached())
      }
      return .value(id.index)
    }
    self.results = results.map(source)
    effects = recorder.effects.map { ($0.effect, $0.tensors.map(source)) }
    transcript = recorder.keepsTranscript ? Transcript(recorder, results: results) : nil
    self.form = form
    writes =
      recorder.cells.filter(\.isChanged).sorted { $0.cell.sequence < $1.cell.sequence }.map { use in
        Write(
          cell: use.cell, source: use.current.map(source) ?? .nothing,
          autograd: use.current?.body.autograd.flatMap { $0.function == nil ? $0 : nil },
          read: (use.wasRead, use.inputIndex.map { inputValues[$0] }))
      }
  }

  /// The values that are needed here.
  var values: [Int] {
    (results + writes.map(\.source) + effects.flatMap(\.sources)).compactMap {
      if case .value(let id) = $0 { id } else { nil }
    }
  }
}
