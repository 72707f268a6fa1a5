import DuetRuntime

extension Pass {
  /// Joins movements that follow each other, and removes those that change nothing and casts to the same
  /// dtype. Concatenations are transposed part by part: the copy that they are puts every part where it belongs.
  public static let movementFolding = Pass("movement folding") { (graph: Graph) throws(OpError) in
    var rewriter = GraphRewriter(graph)
    var useCounts = [Int](repeating: 0, count: graph.nodes.count)
    for node in graph.nodes {
      for operand in node.operands { useCounts[operand.index] += 1 }
    }
    for output in graph.outputs { useCounts[output.index] += 1 }
    for (i, node) in graph.nodes.enumerated() {
      let id = ValueID(i)
      guard case .operation(var op, let operands) = node.kind, operands.count == 1 else {
        rewriter.keep(id)
        continue
      }
      var source = rewriter.value(operands[0])
      // Where others read the concatenation, too, its parts may lie in their places already.
      if case .transpose(let permutation) = op, useCounts[operands[0].index] == 1,
        case .concatenate = graph[operands[0]].operation,
        case .operation(.concatenate(let axis), let parts) = rewriter.builder.kind(of: source)
      {
        rewriter.replace(
          id, by: rewriter.concatenation(of: parts, axis, transposed: permutation, node.type))
        continue
      }
      // The operand may itself have become a shorter chain, so one step back is all that is ever needed.
      if let (inner, innerOperands) = rewriter.operation(source),
        let joined = op.joined(after: inner)
      {
        op = joined
        source = innerOperands[0]
      }
      rewriter.replace(id, by: rewriter.moved(source, op, node.type))
    }
    return rewriter.finish()
  }
}

extension GraphRewriter {
  /// The value after a movement; itself where the movement changes nothing.
  fileprivate mutating func moved(_ source: ValueID, _ op: Op, _ type: TensorType) -> ValueID {
    op.isIdentity(on: self.type(source)) ? source : add(op, [source], type)
  }

  fileprivate mutating func concatenation(
    of parts: [ValueID], _ axis: Int, transposed permutation: Shape, _ type: TensorType
  ) -> ValueID {
    let moved = parts.map { part -> ValueID in
      var (op, source) = (Op.transpose(permutation), part)
      if let (inner, innerOperands) = operation(part), let joined = op.joined(after: inner) {
        (op, source) = (joined, innerOperands[0])
      }
      let partType = self.type(part)
      let shape = Shape(permutation.map { partType.shape[$0] })
      return self.moved(source, op, TensorType(partType.dtype, shape))
    }
    let place = permutation.firstIndex { $0 == axis }!
    return add(.concatenate(axis: place), moved, type)
  }

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
