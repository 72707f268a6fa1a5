// Unsafe: carries argument blocks as bytes. Pointers inside them are not addresses yet; a relocation says what
// each will be.

import DuetKernels

/// Where a pointer in an argument block leads.
package enum PlanPlace: Sendable, Hashable {
  case arena(byteOffset: Int)
  case input(Int, byteOffset: Int)
  case output(Int, byteOffset: Int)
  case constant(Int, byteOffset: Int)
}

/// An elementwise inner loop, by what it computes: the function depends on the instruction set.
package enum LoopKey: Sendable, Hashable {
  case unary(UnaryOp, DType)
  case binary(BinaryOp, DType)
  case comparison(ComparisonOp, DType)
  case select(DType)
  case cast(from: DType, to: DType)

  /// The loop of an elementwise operation on such inputs; nil for other operations.
  package init?(_ op: Op, _ inputs: [DType]) {
    switch op {
    case .unary(let op): self = .unary(op, inputs[0])
    case .binary(let op): self = .binary(op, inputs[0])
    case .compare(let op): self = .comparison(op, inputs[0])
    case .select: self = .select(inputs[1])
    case .cast(let dtype): self = .cast(from: inputs[0], to: dtype)
    default: return nil
    }
  }

  /// The loop for the instruction set in use.
  package var loop: duet_loop? {
    switch self {
    case .unary(let op, let dtype): duet_unary_loop(duet_unary(rawValue: op.rawValue), dtype.code)
    case .binary(let op, let dtype):
      duet_binary_loop(duet_binary(rawValue: op.kernel), dtype.code)
    case .comparison(let op, let dtype):
      duet_comparison_loop(duet_comparison(rawValue: op.rawValue), dtype.code)
    case .select(let dtype): duet_select_loop(dtype.code)
    case .cast(let from, let to): duet_cast_loop(from.code, to.code)
    }
  }
}

/// A plan that a step runs by itself: the body of a loop, a branch.
package struct PlanPart {
  /// Where the step's block names its instance.
  package var offset: Int
  package var plan: Plan
  /// Where the part's arena begins in that of the plan around it.
  package var arenaByteOffset: Int

  package init(offset: Int, plan: Plan, arenaByteOffset: Int) {
    self.offset = offset
    self.plan = plan
    self.arenaByteOffset = arenaByteOffset
  }
}

/// One step of a plan before addresses are known.
package struct PlanStep {
  package var kernel: duet_kernel
  /// The argument block; pointers and loops in it are overwritten.
  package var block: [UInt8]
  package var pointers: [(offset: Int, place: PlanPlace)]
  package var loops: [(offset: Int, key: LoopKey)]
  /// The operation that a failure is reported for.
  package var op: Op
  /// Whether the step runs a group of operations, of which `op` is the first.
  package var isFused: Bool
  /// The plans that the step runs.
  package var parts: [PlanPart] = []
  /// What a printed plan says of the step.
  package var label: @Sendable () -> String

  package init(
    kernel: duet_kernel, block: [UInt8], pointers: [(offset: Int, place: PlanPlace)],
    loops: [(offset: Int, key: LoopKey)], op: Op, isFused: Bool = false,
    label: @escaping @Sendable () -> String
  ) {
    self.isFused = isFused
    self.kernel = kernel
    self.block = block
    self.pointers = pointers
    self.loops = loops
    self.op = op
    self.label = label
  }
}

/// Collects what a plan is made of.
package struct PlanBuilder {
  package var steps: [PlanStep] = []
  package var constants: [ConstantArray] = []
  package var inputTypes: [TensorType] = []
  package var outputTypes: [TensorType] = []
  package var arenaByteCount = 0
  /// The bytes that values between steps would take if each had memory of its own.
  package var byteCountBeforeReuse = 0
  /// The most bytes that hold values between steps at one time.
  package var mostLiveByteCount = 0
  package var fusedGroupCount = 0
  package var shareableOutputs: Set<Int> = []
  package var lateOutputs: Set<Int> = []

  package init() {}

  package consuming func finish() -> Plan { Plan(self) }
}
