import DuetRuntime

/// The programs of `fused`, by what they do and to which dtypes: all threads share them.
enum FusedPrograms {
  struct Program: Sendable {
    let program: ElementwiseProgram
    /// Which results there are.
    let gives: [Bool]
  }

  private struct Key: Hashable {
    let code: FusedCode
    /// Of each input eight bits: its dtype, and whether it is one number.
    let inputs: UInt64
    let count: Int
    let reduction: ReductionOp?
  }

  /// A program, or that there is none.
  private static let programs = Lock<[Key: Program?]>([:])
  /// The most programs that are kept. They are made anew in less time than a large array takes.
  private static let limit = 1024

  static func program(
    _ code: FusedCode, _ inputs: [ElementwiseProgram.Input], reducing reduction: ReductionOp?,
    _ body: ([Tensor]) -> [Tensor?]
  ) -> Program? {
    var bits: UInt64 = 0
    for input in inputs {
      bits = bits << 8 | UInt64(input.dtype.rawValue) << 1 | (input.isNumber ? 1 : 0)
    }
    let key = Key(code: code, inputs: bits, count: inputs.count, reduction: reduction)
    if let known = programs.withLock({ $0[key] }) { return known }
    let program = FusionRecorder.program(for: inputs, reducing: reduction, body)
    programs.withLock { programs in
      if programs.count >= limit { programs.removeAll() }
      programs[key] = .some(program)
    }
    return program
  }
}
