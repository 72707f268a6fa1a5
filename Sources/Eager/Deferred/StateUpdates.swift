import DuetRuntime

/// State changes that only happen when a session runs them: what a block has read and written.
package final class StateUpdates {
  package struct Use: Sendable {
    package let cell: StateCell
    /// Whether the block read before it wrote.
    package fileprivate(set) var wasRead = false
    /// The content that it found then.
    package fileprivate(set) var found: Tensor?
    package fileprivate(set) var wasWritten = false
    /// What the block sees in the cell.
    package fileprivate(set) var current: Tensor?
    /// Whether the block has made the cell: as what it was made, it begins every run.
    package let isOwn: Bool
  }

  package private(set) var uses: [Use] = []
  private var places: [ObjectIdentifier: Int] = [:]
  private let lastCellBefore = StateCell.lastSequence

  package init() {}

  private func place(_ cell: StateCell) -> Int {
    if let known = places[ObjectIdentifier(cell)] { return known }
    places[ObjectIdentifier(cell)] = uses.count
    uses.append(Use(cell: cell, isOwn: cell.sequence > lastCellBefore))
    return uses.count - 1
  }

  /// - Parameter content: What the cell holds.
  func read(_ cell: StateCell, _ content: Tensor?) -> Tensor? {
    let place = place(cell)
    if !uses[place].wasRead && !uses[place].wasWritten {
      uses[place].wasRead = true
      uses[place].found = content
      uses[place].current = content.map { Tensor(contentOf: cell, $0) }
    }
    return uses[place].current
  }

  func write(_ cell: StateCell, _ value: Tensor?) {
    let place = place(cell)
    uses[place].wasWritten = true
    uses[place].current = value
  }
}

extension Tensor {
  /// The value that a program of deferred mode gets to see for a cell's content: the content of this moment, and in a
  /// session's run that of the run.
  init(contentOf cell: StateCell, _ content: Tensor) {
    self.init(
      PendingBody(
        PendingNode(contentOf: cell, content.body), autograd: content.body.autograd))
  }
}
