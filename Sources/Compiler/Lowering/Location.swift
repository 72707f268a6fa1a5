import DuetRuntime

/// Where a value's elements lie: in the memory of another value, or in its own.
package struct Location: Hashable {
  /// The node whose memory it is: an argument, a constant, a fill (one element) or an operation that
  /// computes.
  package var root: ValueID
  /// Elements from the start of that memory.
  package var offset: Int
  package var layout: Layout
}

extension Graph {
  /// The location of every value. Views take no memory and no step.
  package func locations() -> [Location] {
    var result: [Location] = []
    result.reserveCapacity(nodes.count)
    // Reshapes that had to move the elements of a value, by the value: all further ones are views of the first.
    var moved: [ValueID: ValueID] = [:]
    for (i, node) in nodes.enumerated() {
      let root = ValueID(i)
      let shape = node.type.shape
      switch node.kind {
      case .input:
        result.append(Location(root: root, offset: 0, layout: Layout(contiguous: shape)))
      case .constant(let array):
        result.append(Location(root: root, offset: 0, layout: array.layout))
      case .operation(.fill, _):
        let element = Layout(contiguous: [])
        result.append(Location(root: root, offset: 0, layout: element.broadcast(to: shape)))
      case .operation(let op, let operands):
        if operands.count == 1, case let base = result[operands[0].index],
          let (layout, offset) = op.view(of: base.layout)
        {
          result.append(Location(root: base.root, offset: base.offset + offset, layout: layout))
        } else if case .reshape = op {
          let first = moved[operands[0]] ?? root
          moved[operands[0]] = first
          result.append(Location(root: first, offset: 0, layout: Layout(contiguous: shape)))
        } else {
          result.append(Location(root: root, offset: 0, layout: Layout(contiguous: shape)))
        }
      }
    }
    return result
  }
}
