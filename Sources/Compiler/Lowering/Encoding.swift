// Unsafe: addresses here stand for places. The upper bits name a buffer, the lower ones a byte in it; they go
// through the kernels' encoder, which only copies them, and are then turned into relocations.

import DuetKernels
import DuetRuntime

/// Writes lowered steps as argument blocks into a plan.
struct PlanEncoder {
  private let graph: Graph
  private let buffers: [Buffer]
  private let memory: MemoryPlan
  private let labels: StepLabels
  private(set) var builder = PlanBuilder()

  private static let offsetBits = 44

  init(_ lowering: Lowering, _ memory: MemoryPlan) {
    graph = lowering.graph
    buffers = lowering.buffers
    self.memory = memory
    labels = StepLabels(lowering, memory)
    builder.constants = lowering.constants
    builder.inputTypes = graph.inputs.map(graph.type(of:))
    builder.outputTypes = graph.outputs.map(graph.type(of:))
    builder.arenaByteCount = memory.arenaByteCount
    builder.byteCountBeforeReuse = memory.byteCountBeforeReuse
    builder.mostLiveByteCount = memory.mostLiveByteCount
    for step in lowering.steps {
      switch step.work {
      case .operation(let op): encode(op, step)
      case .tiles(let group): encode(group, step)
      case .scalars(let group): encode(scalars: group, step)
      case .region(let region): encode(region, step)
      }
    }
  }

  // MARK: Addresses

  private func address(_ operand: StepOperand) -> UnsafeMutableRawPointer {
    let owner = memory.owner[operand.buffer]
    return UnsafeMutableRawPointer(
      bitPattern: (owner + 1) << Self.offsetBits + operand.byteOffset)!
  }

  private func place(_ address: UInt) -> PlanPlace {
    let buffer = Int(address >> UInt(Self.offsetBits)) - 1
    let byteOffset = Int(address & (1 << UInt(Self.offsetBits) - 1))
    switch buffers[buffer].kind {
    case .arena: return .arena(byteOffset: memory.offset(of: buffer) + byteOffset)
    case .input(let i): return .input(i, byteOffset: byteOffset)
    case .output(let j): return .output(j, byteOffset: byteOffset)
    case .constant(let k): return .constant(k, byteOffset: byteOffset)
    }
  }

  // MARK: Operations

  private final class Collector {
    var calls: [(kernel: duet_kernel, block: [UInt8])] = []
  }

  private mutating func encode(_ op: Op, _ step: LoweredStep) {
    let output = step.outputs[0]
    let views = step.inputs.map { TensorView(address($0), $0.dtype, $0.layout) }
    let collector = Collector()
    views.withUnsafeBufferPointer { views in
      op.kernels(output: TensorView(address(output), output.dtype, output.layout), inputs: views) {
        kernel, call, byteCount in
        collector.calls.append(
          (kernel, Array(UnsafeRawBufferPointer(start: call, count: byteCount))))
      }
    }
    let labels = labels
    let key = LoopKey(op, step.inputs.map(\.dtype))
    for (kernel, block) in collector.calls {
      var pointers: [(offset: Int, place: PlanPlace)] = []
      for i in 0..<Int(DUET_MAX_OPERANDS) {
        let bits = block.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: i * 8, as: UInt.self) }
        if bits != 0 { pointers.append((i * 8, place(bits))) }
      }
      var loops: [(offset: Int, key: LoopKey)] = []
      if let key {
        loops.append((MemoryLayout<duet_elementwise_call>.offset(of: \.loop)!, key))
      }
      builder.steps.append(
        PlanStep(
          kernel: Self.isCopy(op) ? duet_copy_unless_same : kernel, block: block,
          pointers: pointers, loops: loops, op: op, label: { labels.label(op, step) }))
    }
  }

  /// Whether an output may share the memory that it is copied from, so that the copy has nothing to do.
  private static func isCopy(_ op: Op) -> Bool {
    switch op {
    case .copy, .barrier, .reshape, .updateSlice: true
    default: false
    }
  }

  // MARK: Regions and scalars

  private mutating func encode(_ region: LoweredRegion, _ step: LoweredStep) {
    let encoded = region.encoded()
    let scratch = step.outputs.last!
    func place(_ operand: StepOperand, _ byteOffset: Int = 0) -> PlanPlace {
      self.place(UInt(bitPattern: address(operand)) + UInt(byteOffset))
    }
    var pointers: [(offset: Int, place: PlanPlace)] = []
    for (i, input) in step.inputs.enumerated() {
      pointers.append((encoded.operandsAt + i * 8, place(input)))
    }
    for (i, output) in step.outputs.dropLast().enumerated() {
      pointers.append((encoded.resultsAt + i * 8, place(output)))
    }
    for (offset, byteOffset) in encoded.places {
      pointers.append((offset, place(scratch, byteOffset)))
    }
    let labels = labels
    var new = PlanStep(
      kernel: encoded.kernel, block: encoded.block, pointers: pointers, loops: [],
      op: .region(region.region), label: { labels.label(region, step) })
    guard case .arena(let start) = place(scratch) else { preconditionFailure() }
    new.parts = encoded.parts.map {
      PlanPart(offset: $0.offset, plan: $0.plan, arenaByteOffset: start + $0.scratch)
    }
    builder.steps.append(new)
  }

  private mutating func encode(scalars group: TileGroup, _ step: LoweredStep) {
    typealias Entry = duet_scalar_instruction
    let header = MemoryLayout<duet_scalar_call>.stride
    let stride = MemoryLayout<Entry>.stride
    var block = [UInt8](repeating: 0, count: header + group.instructions.count * stride)
    block.store(Int64(group.instructions.count), at: 0)
    let scratch = UInt(bitPattern: address(step.outputs.last!))
    var pointers: [(offset: Int, place: PlanPlace)] = []
    var loops: [(offset: Int, key: LoopKey)] = []
    for (i, instruction) in group.instructions.enumerated() {
      let at = header + i * stride
      for (k, slot) in ([instruction.result] + instruction.operands).enumerated() {
        let (bits, size) =
          switch slot {
          case .register(let value):
            (scratch + UInt(value) * 8, group.instructions[value].dtype.size)
          case .output(let j):
            (UInt(bitPattern: address(step.outputs[j])), step.outputs[j].dtype.size)
          case .input(let j): (UInt(bitPattern: address(step.inputs[j])), step.inputs[j].dtype.size)
          }
        pointers.append((at + k * 8, place(bits)))
        block.store(Int64(size), at: at + MemoryLayout<Entry>.offset(of: \.stride)! + k * 8)
      }
      block.store(
        duet_scalar_code(instruction.loop.loop), at: at + MemoryLayout<Entry>.offset(of: \.code)!)
      loops.append((at + MemoryLayout<Entry>.offset(of: \.loop)!, instruction.loop))
    }
    builder.fusedGroupCount += 1
    let labels = labels
    builder.steps.append(
      PlanStep(
        kernel: duet_scalar_program, block: block, pointers: pointers, loops: loops,
        op: group.instructions[0].op, isFused: true,
        label: { labels.label(scalars: group, step) }))
  }

  // MARK: Groups

  private mutating func encode(_ group: TileGroup, _ step: LoweredStep) {
    let layout = TileLayout(group, outputs: step.outputs, inputs: step.inputs)
    let operands = Array(step.outputs.prefix(group.outputCount) + step.inputs)
    precondition(
      layout.scratchByteCount <= Int(DUET_TILE_SCRATCH)
        && operands.count <= Int(DUET_TILE_EXTERNALS))
    let operandsAt = MemoryLayout<duet_tile_call>.stride
    // The address of the reduction's results comes behind the others.
    let externalsAt = operandsAt + (operands.count + 1) * MemoryLayout<UInt>.stride
    let instructionsAt = externalsAt + operands.count * MemoryLayout<duet_tile_external>.stride
    var block = [UInt8](
      repeating: 0,
      count: instructionsAt
        + group.instructions.count * MemoryLayout<duet_tile_instruction>.stride)

    var call = duet_tile_call()
    call.operands = Int32(operandsAt)
    call.externals = Int32(externalsAt)
    call.instructions = Int32(instructionsAt)
    call.external_count = Int32(operands.count)
    call.instruction_count = Int32(group.instructions.count)
    call.output_count = Int32(group.outputCount)
    call.rank = Int32(layout.shape.count)
    call.tile_axis = Int32(layout.tileAxis)
    call.tile_step = Int64(layout.tileStep)
    call.tiles_per_run = Int64(layout.tilesPerRun)
    call.tile_count = Int64(layout.tileCount)
    call.inner_count = Int64(layout.innerCount)
    call.element_count = Int64(layout.elementCount)
    withUnsafeMutableBytes(of: &call.shape) {
      $0.copyBytes(from: layout.shape.map(Int64.init).bytes)
    }
    var pointers: [(offset: Int, place: PlanPlace)] = []
    if let reduction = group.reduction {
      call.is_reduced = 1
      call.reduced_slot = slot(reduction.operand, group, layout).offset
      call.reduction = duet_reduction(rawValue: reduction.op.rawValue)
      call.reduced_dtype = duet_dtype(rawValue: Int32(reduction.dtype.rawValue))
      call.reduced_rows = Int64(reduction.rows)
      call.reduced_count = Int64(reduction.count)
      let result = step.outputs[group.outputCount]
      pointers.append((operandsAt + operands.count * 8, place(UInt(bitPattern: address(result)))))
    }
    block.store(call, at: 0)
    for (i, external) in layout.externals.enumerated() {
      var entry = duet_tile_external()
      entry.access = duet_tile_access(rawValue: external.access.rawValue)
      entry.element_size = Int32(external.elementSize)
      entry.scratch = Int64(external.scratch)
      withUnsafeMutableBytes(of: &entry.stride) {
        $0.copyBytes(from: external.strides.map(Int64.init).bytes)
      }
      block.store(entry, at: externalsAt + i * MemoryLayout<duet_tile_external>.stride)
      pointers.append((operandsAt + i * 8, place(UInt(bitPattern: address(operands[i])))))
    }

    var loops: [(offset: Int, key: LoopKey)] = []
    for (i, instruction) in group.instructions.enumerated() {
      let at = instructionsAt + i * MemoryLayout<duet_tile_instruction>.stride
      var slots: [Int32] = []
      var strides: [Int32] = []
      for operand in [instruction.result] + instruction.operands {
        let (offset, stride) = slot(operand, group, layout)
        slots.append(offset)
        strides.append(stride)
      }
      var entry = duet_tile_instruction()
      entry.operand_count = Int32(slots.count)
      entry.by_rows =
        slots.contains { $0 < 0 && layout.externals[Int(~$0)].access == .rows } ? 1 : 0
      withUnsafeMutableBytes(of: &entry.slot) { $0.copyBytes(from: slots.bytes) }
      withUnsafeMutableBytes(of: &entry.stride) { $0.copyBytes(from: strides.bytes) }
      block.store(entry, at: at)
      loops.append((at + MemoryLayout<duet_tile_instruction>.offset(of: \.loop)!, instruction.loop))
    }
    builder.fusedGroupCount += 1
    let labels = labels
    builder.steps.append(
      PlanStep(
        kernel: duet_tile_program, block: block, pointers: pointers, loops: loops,
        op: group.instructions[0].op, isFused: true,
        label: { labels.label(group, step, layout) }))
  }

  /// Where a kernel finds an operand of an instruction, and the bytes from one element to the next.
  private func slot(
    _ slot: TileGroup.Slot, _ group: TileGroup, _ layout: TileLayout
  ) -> (offset: Int32, stride: Int32) {
    func external(_ i: Int) -> (Int32, Int32) {
      (Int32(~i), Int32(layout.externals[i].innerStride))
    }
    switch slot {
    case .register(let value):
      return (Int32(layout.registers[value]!), Int32(group.instructions[value].dtype.size))
    case .output(let j): return external(j)
    case .input(let j): return external(group.outputCount + j)
    }
  }

  /// The finished plan.
  consuming func finish(shareable: Set<Int>, late: Set<Int>) -> Plan {
    builder.shareableOutputs = shareable
    builder.lateOutputs = late
    return builder.finish()
  }
}

extension Array {
  fileprivate var bytes: [UInt8] { withUnsafeBytes { [UInt8]($0) } }
}

extension [UInt8] {
  mutating func store<T>(_ value: T, at offset: Int) {
    withUnsafeMutableBytes { bytes in
      Swift.withUnsafeBytes(of: value) { source in
        (bytes.baseAddress! + offset).copyMemory(
          from: source.baseAddress!, byteCount: MemoryLayout<T>.size)
      }
    }
  }
}
