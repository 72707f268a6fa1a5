import DuetRuntime

extension Pass {
  /// Turns the parts of an elementwise result into results of parts, where nothing else is used: gates that are
  /// split from one matrix join the groups that read them, and the matrix is never written.
  ///
  /// Nothing is computed twice: the parts do not overlap.
  public static let sliceSinking = Pass("slice sinking") { (graph: Graph) throws(OpError) in
    let isSplit = graph.splitResults()
    if !isSplit.contains(true) { return graph }
    var rewriter = GraphRewriter(graph)
    for (i, node) in graph.nodes.enumerated() {
      guard case .operation(.slice(let slice), let sources) = node.kind, isSplit[sources[0].index]
      else {
        rewriter.keep(ValueID(i))
        continue
      }
      rewriter.replace(ValueID(i), by: rewriter.part(slice, of: sources[0], isSplit))
    }
    return rewriter.finish()
  }
}

/// Shorter runs of elements make no good tiles.
private let shortestRun = 32

extension Graph {
  /// For every node whether it is elementwise and used only in parts, which do not overlap.
  fileprivate func splitResults() -> [Bool] {
    var slices = [[Slice]](repeating: [], count: nodes.count)
    var hasOtherUse = [Bool](repeating: false, count: nodes.count)
    let users = consumers()
    for output in outputs { hasOtherUse[output.index] = true }
    for (i, node) in nodes.enumerated() {
      guard case .operation(let op, let operands) = node.kind else { continue }
      // Only a group that reads the part spares it memory of its own.
      let canJoin = users[i].allSatisfy {
        nodes[$0].operation?.opClass == .elementwise && nodes[$0].type.shape == node.type.shape
      }
      if case .slice(let slice) = op, canJoin,
        slice.isWorthATile(of: nodes[operands[0].index].type.shape)
      {
        slices[operands[0].index].append(slice)
      } else {
        for operand in nodes[i].operands { hasOtherUse[operand.index] = true }
      }
    }
    return nodes.indices.map { i in
      guard nodes[i].operation?.opClass == .elementwise, !hasOtherUse[i], slices[i].count > 1,
        slices[i].count <= 64
      else { return false }
      return slices[i].indices.allSatisfy { a in
        slices[i][(a + 1)...].allSatisfy { slices[i][a].isApart(from: $0) }
      }
    }
  }
}

extension GraphRewriter {
  /// The part of a result that is computed in parts.
  fileprivate mutating func part(_ slice: Slice, of id: ValueID, _ isSplit: [Bool]) -> ValueID {
    guard case .operation(let op, let operands) = source[id].kind else { return value(id) }
    let shape = source.type(of: id).shape
    let parts = operands.map { operand -> ValueID in
      let type = source.type(of: operand)
      // Broadcast operands have fewer axes, or one element where the result has more.
      let lead = shape.rank - type.shape.rank
      var own = Slice(all: type.shape)
      for axis in 0..<type.shape.rank where type.shape[axis] != 1 || shape[lead + axis] == 1 {
        own.starts[axis] = slice.starts[lead + axis]
        own.sizes[axis] = slice.sizes[lead + axis]
      }
      if own == Slice(all: type.shape) { return value(operand) }
      return add(.slice(own), [value(operand)], TensorType(type.dtype, own.sizes))
    }
    return add(op, parts, TensorType(source.type(of: id).dtype, slice.sizes))
  }
}

extension Slice {
  fileprivate func isWorthATile(of shape: Shape) -> Bool {
    guard steps.allSatisfy({ $0 == 1 }), !sizes.contains(0) else { return false }
    var run = 1
    for axis in (0..<shape.rank).reversed() {
      run *= sizes[axis]
      if sizes[axis] != shape[axis] { break }
    }
    return run >= shortestRun
  }

  fileprivate func isApart(from other: Slice) -> Bool {
    (0..<sizes.rank).contains { axis in
      starts[axis] + sizes[axis] <= other.starts[axis]
        || other.starts[axis] + other.sizes[axis] <= starts[axis]
    }
  }
}
