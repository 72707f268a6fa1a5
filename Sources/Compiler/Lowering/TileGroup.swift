import DuetRuntime

/// A fused group as a list of instructions over arrays outside and values that live in tile registers only.
package struct TileGroup: Sendable {
  /// Where an operand of an instruction is.
  package enum Slot: Hashable, Sendable {
    /// The result of that instruction.
    case register(Int)
    case output(Int)
    case input(Int)
  }

  package struct Instruction: Sendable {
    package let op: Op
    package let loop: LoopKey
    package let dtype: DType
    /// `.register(own index)` or `.output`.
    package let result: Slot
    package let operands: [Slot]
  }

  /// The reduction of a value's rows, of `count` elements each.
  package struct Reduction: Sendable {
    package let op: ReductionOp
    package let dtype: DType
    package let operand: Slot
    package let rows: Int
    package let count: Int
  }

  /// The iteration space: the shape of every result but the reduction's.
  package let shape: Shape
  package let instructions: [Instruction]
  /// What the step's last output is, where there is one.
  package let reduction: Reduction?
  /// How many outputs the instructions have.
  package let outputCount: Int

  /// Makes the instructions of a group.
  /// - Parameters:
  ///   - outputs: The members that are needed outside, in the order of the step's outputs.
  ///   - reduction: What ends the group.
  ///   - input: Gives the index of the step's input for a value from outside.
  package init(
    _ graph: Graph, members: [ValueID], outputs: [ValueID], reduction: ValueID? = nil,
    input: (ValueID) -> Int
  ) {
    outputCount = outputs.count
    shape = graph.type(of: members[0]).shape
    var slots: [ValueID: Slot] = [:]
    var instructions: [Instruction] = []
    for (i, member) in members.enumerated() {
      let node = graph[member]
      let operands = node.operands.map { slots[$0] ?? .input(input($0)) }
      let op = node.operation!
      let result = outputs.firstIndex(of: member).map { Slot.output($0) } ?? .register(i)
      slots[member] = result
      instructions.append(
        Instruction(
          op: op, loop: LoopKey(op, node.operands.map { graph.type(of: $0).dtype })!,
          dtype: node.type.dtype, result: result, operands: operands))
    }
    self.instructions = instructions
    if let reduction, case .operation(.reduce(let op, _, _), let operands) = graph[reduction].kind {
      let rows = graph.type(of: reduction).shape.elementCount
      self.reduction = Reduction(
        op: op, dtype: graph.type(of: operands[0]).dtype, operand: slots[operands[0]]!, rows: rows,
        count: shape.elementCount / rows)
    } else {
      self.reduction = nil
    }
  }

  /// Whether an output may lie in the memory of an input: the input is laid out as the iteration space and
  /// no instruction reads it after the one that writes the output.
  package func mayOverwrite(_ buffer: Int, with output: Int, _ inputs: [StepOperand]) -> Bool {
    guard let write = instructions.firstIndex(where: { $0.result == .output(output) }) else {
      return false
    }
    for (i, input) in inputs.enumerated() where input.buffer == buffer {
      guard input.isWhole(shape), input.dtype.size == instructions[write].dtype.size else {
        return false
      }
      if instructions[(write + 1)...].contains(where: { $0.operands.contains(.input(i)) }) {
        return false
      }
    }
    return true
  }

  /// The instructions as text, one per line.
  package func text(inputs: [String], outputs: [String]) -> String {
    func name(_ slot: Slot) -> String {
      switch slot {
      case .register(let i): "r\(i)"
      case .output(let i): outputs[i]
      case .input(let i): inputs[i]
      }
    }
    var lines = instructions.map { instruction in
      let arguments = Graph.argumentText(instruction.op, instruction.operands.map(name))
      return "\(name(instruction.result)) = \(instruction.op.name)(\(arguments))"
    }
    if let reduction {
      lines.append(
        "\(outputs[outputCount]) = \(reduction.op)(\(name(reduction.operand))) "
          + "of \(reduction.rows) × \(reduction.count) elements")
    }
    return lines.joined(separator: "\n")
  }
}
