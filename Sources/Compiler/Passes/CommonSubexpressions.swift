import DuetRuntime

extension Pass {
  /// Computes equal operations on equal operands once. Drawing from one generator state twice gives the same
  /// numbers, so draws merge too. Arrays that lie one behind the other are the same in whatever shape.
  public static let commonSubexpressions = Pass("common subexpressions") {
    (graph: Graph) throws(OpError) in
    var rewriter = GraphRewriter(graph)
    var operations: [OperationKey: ValueID] = [:]
    var constants: [ConstantKey: ValueID] = [:]
    for (i, node) in graph.nodes.enumerated() {
      let id = ValueID(i)
      switch node.kind {
      case .input: continue
      case .constant(let array):
        let key = ConstantKey(array)
        if let known = constants[key] {
          rewriter.replace(id, by: known)
        } else {
          rewriter.keep(id)
          constants[key] = rewriter.value(id)
        }
      case .operation(let op, let operands):
        let key = rewriter.key(op, operands.map(rewriter.value), node.type)
        if let known = operations[key] {
          let isSame = rewriter.builder.type(of: known) == node.type
          rewriter.replace(
            id, by: isSame ? known : rewriter.add(.reshape(node.type.shape), [known], node.type))
        } else {
          rewriter.keep(id)
          operations[key] = rewriter.value(id)
        }
      }
    }
    return rewriter.finish()
  }
}

extension GraphRewriter {
  fileprivate func key(_ op: Op, _ operands: [ValueID], _ type: TensorType) -> OperationKey {
    guard case .concatenate(let axis) = op, type.shape[..<axis].allSatisfy({ $0 == 1 }) else {
      return OperationKey(op, operands)
    }
    return OperationKey(
      .concatenate(axis: 0),
      operands.map { part in
        var part = part
        while case .operation(.reshape, let source) = builder.kind(of: part) { part = source[0] }
        return part
      })
  }
}

private struct OperationKey: Hashable {
  let op: Op
  let operands: [ValueID]
  /// Numbers among the attributes by their bits: 0.0 and -0.0 are equal but not the same.
  let bits: [UInt64]

  init(_ op: Op, _ operands: [ValueID]) {
    self.op = op
    self.operands = operands
    bits = op.exactNumbers
  }
}

/// Small constants are equal if their elements are, large ones if they are the same memory.
private struct ConstantKey: Hashable {
  let type: TensorType
  let elements: [Element]
  let storage: ObjectIdentifier?
  let byteOffset: Int
  let layout: Layout?

  init(_ array: ConstantArray) {
    type = array.type
    if array.type.byteCount <= 4096 {
      (elements, storage, byteOffset, layout) = (array.elements, nil, 0, nil)
    } else {
      elements = []
      (storage, byteOffset) = (ObjectIdentifier(array.storage), array.byteOffset)
      layout = array.layout
    }
  }
}
