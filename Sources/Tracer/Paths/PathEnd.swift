import DuetCompiler
import DuetEager
import DuetRuntime

/// What a path gives once nothing more can stop it: results, and new contents of cells.
final class PathEnd: @unchecked Sendable {
  // Sendable: constant after init. The form's tensors are placeholders, and replays fill copies of it.

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
  }

  /// What of a write is plain data, so that replays count no references. The writes hold what it refers to.
  struct PlainWrite: @unchecked Sendable {
    // Sendable: constant, and what it refers to is Sendable.
    let cell: Unmanaged<StateCell>
    /// The value that the cell gets; -1: something else.
    let value: Int
    let autograd: Unmanaged<AutogradMeta>?
    /// Whether the path has read the cell, and as which of its values; -1: it was empty.
    let wasRead: Bool
    let readValue: Int
  }

  let results: [Source]
  /// The only result, if it is a value of the path; -1 otherwise.
  let onlyResult: Int
  /// Callbacks, and what their tensors are.
  let effects: [(effect: HostEffect, sources: [Source])]
  /// What the closure did, if it is to be compared with what it does later.
  let transcript: Transcript?
  /// In the order of the cells' locks.
  let writes: [Write]
  /// By write.
  let plainWrites: [PlainWrite]
  /// The results' form, which replays fill; a `FormBox` of the function's result type.
  let form: AnyObject?
  let plainForm: Unmanaged<AnyObject>?

  init(_ recorder: GraphRecorder, _ inputValues: [Int], results: [Tensor], form: AnyObject?) {
    func source(_ tensor: Tensor) -> Source {
      guard let id = recorder.knownValue(of: tensor), !recorder.builder.isConstant(id) else {
        return .constant(tensor.detached())
      }
      return .value(id.index)
    }
    self.results = results.map(source)
    if self.results.count == 1, case .value(let value) = self.results[0] {
      onlyResult = value
    } else {
      onlyResult = -1
    }
    effects = recorder.effects.map { ($0.effect, $0.tensors.map(source)) }
    transcript = recorder.keepsTranscript ? Transcript(recorder, results: results) : nil
    self.form = form
    plainForm = form.map { .passUnretained($0) }
    let uses = recorder.state.filter(\.isChanged).sorted { $0.cell.sequence < $1.cell.sequence }
    writes = uses.map { use in
      Write(
        cell: use.cell, source: use.current.map(source) ?? .nothing,
        autograd: use.current?.body.autograd.flatMap { $0.function == nil ? $0 : nil })
    }
    plainWrites = zip(uses, writes).map { use, write in
      var value = -1
      if case .value(let id) = write.source { value = id }
      return PlainWrite(
        cell: .passUnretained(write.cell), value: value,
        autograd: write.autograd.map { .passUnretained($0) }, wasRead: use.wasRead,
        readValue: use.inputIndex.map { inputValues[$0] } ?? -1)
    }
  }

  /// The values that are needed here.
  var values: [Int] {
    (results + writes.map(\.source) + effects.flatMap(\.sources)).compactMap {
      if case .value(let id) = $0 { id } else { nil }
    }
  }
}
