import DuetRuntime

extension Graph {
  /// Checks what every graph keeps: values are defined before they are used, every type is the one that the
  /// operation gives for its operands, arguments are numbered in order and outputs exist.
  /// - Throws: `GraphError`, which names the node.
  public func verify() throws(GraphError) {
    var seenInputs = 0
    for (i, node) in nodes.enumerated() {
      switch node.kind {
      case .input(let index, let name):
        guard index == seenInputs, index < inputs.count, inputs[index] == ValueID(i) else {
          throw GraphError("node \(i): argument \(index) (\(name)) is not where the graph says")
        }
        seenInputs += 1
      case .constant(let array):
        guard array.type == node.type else {
          throw GraphError("node \(i): a constant of type \(array.type) is said to be \(node.type)")
        }
      case .operation(let op, let operands):
        for operand in operands where operand.index < 0 || operand.index >= i {
          throw GraphError("node \(i): \(op.name) uses value \(operand.index), which comes later")
        }
        try verify(op, operands, i)
        let inferred: TensorType
        do throws(OpError) {
          inferred = try op.resultType(for: operands.map(type(of:)))
        } catch {
          throw GraphError("node \(i): \(error)")
        }
        guard inferred == node.type else {
          throw GraphError("node \(i): \(op.name) gives \(inferred) but is said to be \(node.type)")
        }
      }
    }
    guard seenInputs == inputs.count else {
      throw GraphError("\(inputs.count) arguments, but nodes for \(seenInputs)")
    }
    guard outputNames.count == outputs.count else {
      throw GraphError("\(outputs.count) outputs have \(outputNames.count) names")
    }
    for output in outputs where !nodes.indices.contains(output.index) {
      throw GraphError("output \(output.index) does not exist")
    }
  }

  /// Checks a region's graphs, and that results belong to one.
  private func verify(_ op: Op, _ operands: [ValueID], _ i: Int) throws(GraphError) {
    switch op {
    case .region(let region):
      guard let region = region as? GraphRegion else {
        throw GraphError("node \(i): \(region.name) has no graphs")
      }
      do throws(GraphError) { try region.verify() } catch {
        throw GraphError("node \(i): \(error)")
      }
    case .regionResult(let index, let type):
      guard operands.count == 1, case .region(let region) = self[operands[0]].operation,
        region.outputTypes.indices.contains(index), region.outputTypes[index] == type
      else { throw GraphError("node \(i): no region has a result \(index) of type \(type)") }
    default: break
    }
  }
}
