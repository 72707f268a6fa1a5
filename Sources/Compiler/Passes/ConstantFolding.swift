import DuetRuntime

extension Pass {
  /// Computes what depends on constants only, with the kernels that would compute it later.
  ///
  /// Elementwise operations and movements on fills give fills. Other results become constants unless they
  /// are both larger than 64 KiB and larger than their operands.
  public static let constantFolding = Pass("constant folding") { (graph: Graph) throws(OpError) in
    var rewriter = GraphRewriter(graph)
    for (i, node) in graph.nodes.enumerated() {
      let id = ValueID(i)
      guard case .operation(let op, let operands) = node.kind else {
        rewriter.keep(id)
        continue
      }
      let values = operands.map { rewriter.builder.kind(of: rewriter.value($0)) }
      switch try op.folded(values, node.type) {
      case .array(let array): rewriter.replace(id, by: rewriter.addConstant(array))
      case .fill(let element):
        rewriter.replace(id, by: rewriter.add(.fill(node.type, element), [], node.type))
      case nil: rewriter.keep(id)
      }
    }
    return rewriter.finish()
  }
}

private enum Folded {
  case array(ConstantArray)
  case fill(Element)
}

extension Op {
  fileprivate func folded(_ operands: [Graph.Node.Kind], _ type: TensorType) throws(OpError)
    -> Folded?
  {
    if case .fill = self { return nil }
    if opClass == .controlFlow { return nil }
    if let element = try uniformResult(operands, type) {
      if type.shape.elementCount == 1 { return .array(ConstantArray([element], type)) }
      return .fill(element)
    }
    var inputs: [ConstantArray] = []
    for operand in operands {
      switch operand {
      case .constant(let array): inputs.append(array)
      case .operation(.fill(let fill, let element), _):
        let one = ConstantArray([element], TensorType(fill.dtype, []))
        inputs.append(
          ConstantArray(
            storage: one.storage, byteOffset: 0, type: fill,
            layout: one.layout.broadcast(to: fill.shape)))
      case .input, .operation: return nil
      }
    }
    let inputBytes = inputs.reduce(0) { $0 + $1.type.byteCount }
    guard type.byteCount <= 64 << 10 || type.byteCount < inputBytes else { return nil }
    return .array(try evaluate(inputs))
  }

  /// The element that fills the result, if every operand has one element everywhere and the operation works
  /// element by element or only moves them.
  private func uniformResult(_ operands: [Graph.Node.Kind], _ type: TensorType) throws(OpError)
    -> Element?
  {
    guard !operands.isEmpty, type.shape.elementCount > 0 else { return nil }
    var elements: [ConstantArray] = []
    for operand in operands {
      switch operand {
      case .constant(let array):
        guard let element = array.uniformElement else { return nil }
        elements.append(ConstantArray([element], TensorType(array.type.dtype, [])))
      case .operation(.fill(let fill, let element), _):
        elements.append(ConstantArray([element], TensorType(fill.dtype, [])))
      case .input, .operation: return nil
      }
    }
    switch self {
    case .reshape, .transpose, .broadcast, .slice, .copy, .barrier: return elements[0].elements[0]
    default:
      guard opClass == .elementwise else { return nil }
      return try evaluate(elements).elements[0]
    }
  }
}
