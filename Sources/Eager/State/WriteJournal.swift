// Unsafe: keeps a reference in a thread-specific value, unretained, while the object is held by the call that put it
// there.

import Foundation

/// What the cells held that a closure has written, for one that throws, inside a recording or in deferred mode.
package final class WriteJournal {
  private var contents: [ObjectIdentifier: (cell: StateCell, content: Tensor?)] = [:]
  private let outer: WriteJournal?
  /// Cells with greater numbers are new: they keep what they begin with.
  private let lastCellBefore = StateCell.lastSequence

  private init(inside outer: WriteJournal?) { self.outer = outer }

  private static let key: pthread_key_t = {
    var key = pthread_key_t()
    pthread_key_create(&key, nil)
    return key
  }()

  /// The innermost one of this thread.
  static var current: WriteJournal? {
    guard ThreadContext.has(ThreadContext.Flags.journal), let pointer = pthread_getspecific(key)
    else { return nil }
    return Unmanaged<WriteJournal>.fromOpaque(pointer).takeUnretainedValue()
  }

  /// Runs the body. If it throws, state is as it was, and its callbacks are not made.
  package static func undoingAfterErrors<R, E: Error>(
    _ body: () throws(E) -> R
  ) throws(E) -> R {
    let outer = current
    let journal = WriteJournal(inside: outer)
    let recorder = ThreadContext.recorder
    let effectCount = recorder?.effectCount ?? 0
    do throws(E) {
      return try ThreadContext.with(ThreadContext.Flags.journal, true) { () throws(E) in
        pthread_setspecific(key, Unmanaged.passUnretained(journal).toOpaque())
        defer { pthread_setspecific(key, outer.map { Unmanaged.passUnretained($0).toOpaque() }) }
        return try body()
      }
    } catch {
      journal.undo()
      recorder?.dropEffects(after: effectCount)
      throw error
    }
  }

  /// A cell is about to get another content.
  func willWrite(_ cell: StateCell) {
    if cell.sequence <= lastCellBefore, contents[ObjectIdentifier(cell)] == nil {
      contents[ObjectIdentifier(cell)] = (cell, cell.readAsItIs())
    }
    outer?.willWrite(cell)
  }

  private func undo() {
    for (cell, content) in contents.values.sorted(by: { $0.cell.sequence < $1.cell.sequence }) {
      cell.write(content)
    }
  }
}
