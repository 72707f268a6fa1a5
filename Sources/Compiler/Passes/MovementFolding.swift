import DuetRuntime

extension Pass {
  /// Joins movements that follow each other, and removes those that change nothing and casts to the same
  /// dtype.
  public static let movementFolding = Pass("movement folding") { (graph: Graph) throws(OpError) in
    var rewriter = GraphRewriter(graph)
    for (i, node) in graph.nodes.enumerated() {
      let id = ValueID(i)
      guard case .operation(var op, let operands) = node.kind, operands.count == 1 else {
        rewriter.keep(id)
        continue
      }
      var source = rewriter.value(operands[0])
      // The operand may itself have become a shorter chain, so one step back is all that is ever needed.
      if let (inner, innerOperands) = rewriter.operation(source),
        let joined = op.joined(after: inner)
      {
        op = joined
        source = innerOperands[0]
      }
      if op.isIdentity(on: rewriter.type(source)) {
        rewriter.replace(id, by: source)
      } else {
        rewriter.replace(id, by: rewriter.add(op, [source], node.type))
      }
    }
    return rewriter.finish()
  }
}

extension GraphRewriter {
  fileprivate func type(_ id: ValueID) -> TensorType { builder.type(of: id) }

  fileprivate func operation(_ id: ValueID) -> (Op, [ValueID])? {
    guard case .operation(let op, let operands) = builder.kind(of: id) else { return nil }
    return (op, operands)
  }
}

extension Op {
  /// One operation that does what `inner` and then this one do.
  fileprivate func joined(after inner: Op) -> Op? {
    switch (inner, self) {
    case (.reshape, .reshape), (.broadcast, .broadcast):
      return self
    case (.transpose(let first), .transpose(let second)):
      return .transpose(Shape(second.map { first[$0] }))
    case (.slice(let first), .slice(let second)):
      var joined = second
      for axis in 0..<second.sizes.rank {
        joined.starts[axis] = first.starts[axis] + second.starts[axis] * first.steps[axis]
        joined.steps[axis] = first.steps[axis] * second.steps[axis]
      }
      return .slice(joined)
    default:
      return nil
    }
  }

  /// Whether the result has the operand's elements and shape.
  fileprivate func isIdentity(on type: TensorType) -> Bool {
    switch self {
    case .reshape(let shape), .broadcast(let shape): return shape == type.shape
    case .transpose(let permutation): return permutation.enumerated().allSatisfy { $0 == $1 }
    case .slice(let slice): return slice == Slice(all: type.shape)
    case .copy: return true
    case .cast(let dtype): return dtype == type.dtype
    default: return false
    }
  }
}
