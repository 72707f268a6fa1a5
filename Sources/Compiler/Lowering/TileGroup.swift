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

  /// The iteration space: the shape of every result.
  package let shape: Shape
  package let instructions: [Instruction]

  /// Makes the instructions of a group.
  /// - Parameters:
  ///   - outputs: The members that are needed outside, in the order of the step's outputs.
  ///   - input: Gives the index of the step's input for a value from outside.
  package init(
    _ graph: Graph, members: [ValueID], outputs: [ValueID], input: (ValueID) -> Int
  ) {
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
    return instructions.map { instruction in
      let arguments = Graph.argumentText(instruction.op, instruction.operands.map(name))
      return "\(name(instruction.result)) = \(instruction.op.name)(\(arguments))"
    }.joined(separator: "\n")
  }
}
