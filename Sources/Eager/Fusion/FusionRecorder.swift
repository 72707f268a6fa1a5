import DuetRuntime

/// Finds out which elementwise operations a closure consists of, from types alone.
final class FusionRecorder: Recorder {
  private var operands: [ObjectIdentifier: ElementwiseProgram.Operand] = [:]
  /// Held, so that no other tensor gets its identity.
  private var known: [Tensor] = []
  private var instructions: [ElementwiseProgram.Instruction] = []
  /// Whether the closure does nothing else.
  private var isElementwise = true

  /// Stands for any number of elements. One that nothing is likely to be of by itself.
  private static let shape: Shape = [4099]

  /// The program that does what the closure does, and which of its results the closure gives; nil if there is none.
  /// - Parameter reduction: Of the only result.
  static func program(
    for inputs: [ElementwiseProgram.Input], reducing reduction: ReductionOp?,
    _ body: ([Tensor]) -> [Tensor?]
  ) -> FusedPrograms.Program? {
    let recorder = FusionRecorder(isSymbolic: true)
    let arguments = inputs.enumerated().map { i, input in
      let type = TensorType(input.dtype, input.isNumber ? [] : shape)
      let argument = Tensor(SymbolicBody(type, madeBy: "argument \(i)", in: recorder.origin))
      recorder.name(argument, .input(i))
      return argument
    }
    // A mistake is told when the closure is called with the tensors themselves.
    let results = try? checked { ThreadContext.withRecorder(recorder) { body(arguments) } }
    guard let results, recorder.isElementwise else { return nil }
    var outputs: [Int] = []
    for case .some(let result) in results {
      guard result.shape == Array(shape),
        case .result(let i) = recorder.operands[ObjectIdentifier(result.body)]
      else { return nil }
      outputs.append(i)
    }
    return ElementwiseProgram(
      inputs: inputs, instructions: recorder.instructions, outputs: outputs, reduction: reduction
    ).map { FusedPrograms.Program(program: $0, gives: results.map { $0 != nil }) }
  }

  private func name(_ tensor: Tensor, _ operand: ElementwiseProgram.Operand) {
    known.append(tensor)
    operands[ObjectIdentifier(tensor.body)] = operand
  }

  private func operand(_ tensor: Tensor) -> ElementwiseProgram.Operand? {
    if let operand = operands[ObjectIdentifier(tensor.body)] { return operand }
    guard tensor.hasElements, tensor.body.count == 1 else { return nil }
    return .constant(tensor.body.firstElement, tensor.dtype)
  }

  override func record(_ op: Op, _ inputs: [Tensor], _ result: Tensor) {
    if case .fill(let type, let element) = op {
      return name(result, .constant(element, type.dtype))
    }
    let operands = inputs.compactMap { operand($0) }
    let shape = result.body.layout.shape
    guard operands.count == inputs.count, LoopKey(op, inputs.map(\.dtype)) != nil,
      shape == Self.shape || shape.rank == 0
    else {
      isElementwise = false
      return
    }
    name(result, .result(instructions.count))
    instructions.append(ElementwiseProgram.Instruction(op, operands, result.dtype))
  }

  override func recordAlias(_ result: Tensor, of source: Tensor) {
    if let operand = operand(source) { name(result, operand) }
  }

  override func didFail(caughtBy catcher: Recorder?) { isElementwise = false }
}
