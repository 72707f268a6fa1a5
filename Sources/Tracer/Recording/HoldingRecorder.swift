import DuetEager

/// Runs a closure as it is, but holds back what it does to state and to the world until it has ended.
final class HoldingRecorder: Recorder {
  private var contents: [ObjectIdentifier: (cell: StateCell, value: Tensor?)] = [:]
  private let lastCellBefore = StateCell.lastSequence
  private var effects: [(effect: HostEffect, tensors: [Tensor])] = []

  override func read(_ cell: StateCell, _ value: Tensor?) -> Tensor? {
    if let known = contents[ObjectIdentifier(cell)] { return known.value }
    return value
  }

  override func write(_ cell: StateCell, _ value: Tensor?) -> Bool {
    if cell.sequence > lastCellBefore { return true }
    contents[ObjectIdentifier(cell)] = (cell, value)
    return false
  }

  override func perform(_ effect: HostEffect, on tensors: [Tensor]) -> Bool {
    effects.append((effect, tensors))
    return true
  }

  override var effectCount: Int { effects.count }

  override func dropEffects(after count: Int) { effects.removeSubrange(count...) }

  /// Gives the cells the contents that the closure has written, and makes its callbacks in order.
  func commit() {
    for (cell, value) in contents.values.sorted(by: { $0.cell.sequence < $1.cell.sequence }) {
      cell.write(value)
    }
    for (effect, tensors) in effects { effect.run(tensors) }
  }
}
