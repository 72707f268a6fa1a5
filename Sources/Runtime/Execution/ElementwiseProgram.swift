// Unsafe: builds the argument block of a kernel in memory of its own, and copies it for every run, with the addresses
// that the caller holds.

import DuetKernels

/// Elementwise operations on arrays of one length, done in one pass: what lies between them does not leave the
/// processor. A fused group of a plan, but for the length, which is known when it runs.
package final class ElementwiseProgram: @unchecked Sendable {
  // Sendable: nothing changes after `init`.

  /// What the program is run on: arrays, or one number for all elements.
  package struct Input: Hashable, Sendable {
    package let dtype: DType
    package let isNumber: Bool

    package init(_ dtype: DType, isNumber: Bool) {
      self.dtype = dtype
      self.isNumber = isNumber
    }
  }

  package enum Operand: Hashable, Sendable {
    case input(Int)
    case constant(Element, DType)
    /// What an earlier instruction gives.
    case result(Int)
  }

  package struct Instruction: Sendable {
    package let op: Op
    package let operands: [Operand]
    package let dtype: DType

    package init(_ op: Op, _ operands: [Operand], _ dtype: DType) {
      self.op = op
      self.operands = operands
      self.dtype = dtype
    }
  }

  /// The dtypes of the results; that of what is reduced is the last.
  package let outputTypes: [DType]
  private let inputCount: Int
  private let isReduced: Bool
  /// Of each input the last instruction that reads it, and of each result the one that gives it.
  private let lastReads: [Int]
  private let writers: [Int]
  private let block: UnsafeMutableRawBufferPointer
  private let operandsAt: Int
  private let loops: [(offset: Int, key: LoopKey)]
  private let tileStep: Int

  /// Elements and bytes of all values in between that stay in a first-level cache, where a group has no chain.
  private static let tileSizes = [1024, 512, 256, 128, 64, 32]
  private static let nearBytes = 28 << 10

  /// Nil if there is no loop for an operation, a value is asked for twice or is no operation's result, or they are too
  /// many.
  /// - Parameters:
  ///   - outputs: The instructions whose results are given.
  ///   - reduction: What is given of the last of these instead: the elements of each row reduced to one, with the bits of
  ///     the reduction by itself.
  package init?(
    inputs: [Input], instructions: [Instruction], outputs: [Int], reduction: ReductionOp? = nil
  ) {
    let given = outputs
    let outputs = reduction == nil ? outputs : outputs.dropLast()
    var constants: [Operand: Int] = [:]
    var constantBits: [(element: Element, dtype: DType)] = []
    for case .constant(let element, let dtype) in instructions.flatMap(\.operands) {
      if constants[.constant(element, dtype)] != nil { continue }
      constants[.constant(element, dtype)] = constantBits.count
      constantBits.append((element, dtype))
    }
    let externals =
      outputs.map { (size: instructions[$0].dtype.size, isNumber: false) }
      + inputs.map { (size: $0.dtype.size, isNumber: $0.isNumber) }
      + constantBits.map { (size: $0.dtype.size, isNumber: true) }
    guard Set(given).count == given.count, let last = given.last,
      reduction == nil || instructions[last].dtype.isFloatingPoint,
      externals.count <= Int(DUET_TILE_EXTERNALS)
    else { return nil }

    let widths = instructions.indices.map { outputs.contains($0) ? 0 : instructions[$0].dtype.size }
    func scratchBytes(_ step: Int) -> Int {
      widths.reduce(0) { $0 + ($1 == 0 ? 0 : $1 * step + 64) }
    }
    guard
      let step = Self.tileSizes.first(where: { scratchBytes($0) <= Self.nearBytes })
        ?? (scratchBytes(Self.tileSizes.last!) <= Int(DUET_TILE_SCRATCH)
          ? Self.tileSizes.last : nil)
    else { return nil }
    var registers: [Int] = []
    var used = 0
    for width in widths {
      registers.append(used)
      // A line more than needed keeps tiles apart in the low bits of their addresses.
      if width != 0 { used += width * step + 64 }
    }

    func dtype(_ operand: Operand) -> DType {
      switch operand {
      case .input(let i): inputs[i].dtype
      case .constant(_, let dtype): dtype
      case .result(let i): instructions[i].dtype
      }
    }
    func slot(_ operand: Operand) -> (slot: Int32, stride: Int32) {
      func external(_ i: Int) -> (Int32, Int32) {
        (Int32(~i), Int32(externals[i].isNumber ? 0 : externals[i].size))
      }
      switch operand {
      case .input(let i): return external(outputs.count + i)
      case .constant: return external(outputs.count + inputs.count + constants[operand]!)
      case .result(let i):
        if let output = outputs.firstIndex(of: i) { return external(output) }
        return (Int32(registers[i]), Int32(instructions[i].dtype.size))
      }
    }

    let operandsAt = MemoryLayout<duet_tile_call>.stride
    // The address of the reduction's results comes behind the others.
    let externalsAt = operandsAt + (externals.count + 1) * MemoryLayout<UInt>.stride
    let instructionsAt = externalsAt + externals.count * MemoryLayout<duet_tile_external>.stride
    let constantsAt =
      instructionsAt + instructions.count * MemoryLayout<duet_tile_instruction>.stride
    let block = UnsafeMutableRawBufferPointer.allocate(
      byteCount: constantsAt + constantBits.count * 8, alignment: 16)
    block.initializeMemory(as: UInt8.self, repeating: 0)
    func store<T>(_ value: T, at offset: Int) {
      (block.baseAddress! + offset).storeBytes(of: value, as: T.self)
    }

    var call = duet_tile_call()
    call.operands = Int32(operandsAt)
    call.externals = Int32(externalsAt)
    call.instructions = Int32(instructionsAt)
    call.external_count = Int32(externals.count)
    call.instruction_count = Int32(instructions.count)
    call.output_count = Int32(outputs.count)
    call.rank = 1
    call.tile_step = Int64(step)
    call.inner_count = 1
    if let reduction {
      call.is_reduced = 1
      call.reduced_slot = slot(.result(last)).slot
      call.reduction = duet_reduction(rawValue: reduction.rawValue)
      call.reduced_dtype = duet_dtype(rawValue: Int32(instructions[last].dtype.rawValue))
    }
    store(call, at: 0)
    for (i, external) in externals.enumerated() {
      var entry = duet_tile_external()
      entry.access = external.isNumber ? DUET_TILE_SCALAR : DUET_TILE_CONTIGUOUS
      entry.element_size = Int32(external.size)
      entry.stride.0 = external.isNumber ? 0 : Int64(external.size)
      store(entry, at: externalsAt + i * MemoryLayout<duet_tile_external>.stride)
    }
    for (i, constant) in constantBits.enumerated() {
      let place = constantsAt + i * 8
      store(constant.element.bits.littleEndian, at: place)
      let external = outputs.count + inputs.count + i
      store(UInt(bitPattern: block.baseAddress! + place), at: operandsAt + external * 8)
    }
    var loops: [(offset: Int, key: LoopKey)] = []
    for (i, instruction) in instructions.enumerated() {
      guard let key = LoopKey(instruction.op, instruction.operands.map(dtype)), key.loop != nil
      else {
        block.deallocate()
        return nil
      }
      let places = ([.result(i)] + instruction.operands).map(slot)
      var entry = duet_tile_instruction()
      entry.operand_count = Int32(places.count)
      withUnsafeMutableBytes(of: &entry.slot) { bytes in
        for (k, place) in places.enumerated() {
          bytes.storeBytes(of: place.slot, toByteOffset: k * 4, as: Int32.self)
        }
      }
      withUnsafeMutableBytes(of: &entry.stride) { bytes in
        for (k, place) in places.enumerated() {
          bytes.storeBytes(of: place.stride, toByteOffset: k * 4, as: Int32.self)
        }
      }
      let at = instructionsAt + i * MemoryLayout<duet_tile_instruction>.stride
      store(entry, at: at)
      loops.append((at + MemoryLayout<duet_tile_instruction>.offset(of: \.loop)!, key))
    }
    self.block = block
    self.operandsAt = operandsAt
    self.loops = loops
    tileStep = step
    inputCount = inputs.count
    outputTypes = given.map { instructions[$0].dtype }
    isReduced = reduction != nil
    lastReads = inputs.indices.map { i in
      instructions.lastIndex { $0.operands.contains(.input(i)) } ?? -1
    }
    writers = Array(outputs)
  }

  deinit { block.deallocate() }

  /// Whether a result may lie in the memory of an input of as many elements: all of it is read before, or at the time
  /// when, it is overwritten.
  package func mayOverwrite(input: Int, with output: Int) -> Bool {
    output < writers.count && lastReads[input] <= writers[output]
  }

  /// Runs the program.
  /// - Parameters:
  ///   - count: Elements of every array.
  ///   - rows: Into how many rows they are reduced.
  ///   - operands: Where results go, then inputs. Contiguous; results share no memory with inputs but those that they may
  ///     overwrite, whole.
  package func run(
    count: Int, rows: Int = 1, _ operands: UnsafeBufferPointer<UnsafeMutableRawPointer>
  ) {
    precondition(operands.count == outputTypes.count + inputCount)
    withUnsafeTemporaryAllocation(byteCount: block.count, alignment: 16) { copy in
      copy.copyMemory(from: UnsafeRawBufferPointer(block))
      let base = copy.baseAddress!
      func store(_ operand: UnsafeMutableRawPointer, as i: Int) {
        base.storeBytes(
          of: operand, toByteOffset: operandsAt + i * 8, as: UnsafeMutableRawPointer.self)
      }
      let reduced = isReduced ? outputTypes.count - 1 : nil
      for (i, operand) in operands.enumerated() where i != reduced {
        store(operand, as: reduced.map { i > $0 ? i - 1 : i } ?? i)
      }
      for (offset, key) in loops {
        // The address of a C function, which blocks hold as a number.
        base.storeBytes(
          of: unsafeBitCast(key.loop!, to: UInt.self), toByteOffset: offset, as: UInt.self)
      }
      base.withMemoryRebound(to: duet_tile_call.self, capacity: 1) { call in
        let tiles = Int64((count + tileStep - 1) / tileStep)
        call.pointee.shape.0 = Int64(count)
        call.pointee.tiles_per_run = tiles
        call.pointee.tile_count = tiles
        call.pointee.element_count = Int64(count)
        call.pointee.reduced_rows = Int64(rows)
        call.pointee.reduced_count = Int64(count / rows)
        if let reduced { store(operands[reduced], as: Int(call.pointee.external_count)) }
      }
      _ = duet_tile_program(base)
    }
  }
}
