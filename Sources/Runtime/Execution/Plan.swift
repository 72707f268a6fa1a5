// Unsafe: owns argument blocks in raw memory. An instance belongs to one running call at a time; what several
// calls share (patches, constants) is constant after init.

import DuetKernels
import Synchronization

/// A compiled graph: a flat list of kernel calls with their argument blocks and one arena for everything
/// between inputs and outputs.
///
/// `run` may be called from several threads at once; each call works on an instance of its own.
public final class Plan: @unchecked Sendable {
  // Sendable: constant after init but for `idle`, which its lock guards, and `spare`, which is atomic.

  /// The dtypes and shapes of the arguments and results of `run`.
  public let inputTypes: [TensorType]
  /// One per result of `run`, in order.
  public let outputTypes: [TensorType]
  /// The number of kernel calls.
  public let stepCount: Int
  /// The memory that holds all values between steps.
  public let arenaByteCount: Int
  /// The memory that they would take if each had its own.
  public let byteCountBeforeReuse: Int
  /// The most bytes that hold values between steps at one time: no arena can be smaller.
  public let mostLiveByteCount: Int
  /// The number of steps that run several operations tile by tile.
  public let fusedGroupCount: Int
  /// The outputs whose buffer may be the one of the input they were paired with at compile time. If a run fails
  /// none of them has been written yet.
  public let shareableOutputs: Set<Int>
  /// The outputs that are not written yet if a run fails.
  public let lateOutputs: Set<Int>

  private let labelMakers: [@Sendable () -> String]
  /// The steps' operations by name; `fused` for groups.
  let kinds: [String]
  private let operations: [Op]
  private let constants: [ConstantArray]
  private let template: [UInt8]
  private let kernels: [(kernel: duet_kernel, offset: Int)]
  /// The plans that steps run, with their places in the template.
  private let parts: [(step: Int, part: PlanPart)]
  private let fixed: [(offset: Int, place: PlanPlace)]
  private let loops: [(offset: Int, key: LoopKey)]
  private let inputPatches: UnsafeMutableBufferPointer<duet_patch>
  private let outputPatches: UnsafeMutableBufferPointer<duet_patch>
  private let profiler: PlanProfiler?
  /// The address of the first instance that no call uses; 0: none.
  private let idle = Lock<UInt>(0)
  /// The address of one more such instance; 0: none. Spares most calls the lock.
  private let spare = Atomic<UInt>(0)

  init(_ builder: PlanBuilder) {
    inputTypes = builder.inputTypes
    outputTypes = builder.outputTypes
    stepCount = builder.steps.count
    profiler = .ifWanted(stepCount: builder.steps.count)
    arenaByteCount = builder.arenaByteCount
    byteCountBeforeReuse = builder.byteCountBeforeReuse
    mostLiveByteCount = builder.mostLiveByteCount
    fusedGroupCount = builder.fusedGroupCount
    lateOutputs = builder.lateOutputs
    shareableOutputs = builder.shareableOutputs
    labelMakers = builder.steps.map(\.label)
    kinds = builder.steps.map { $0.isFused ? "fused" : $0.op.name }
    operations = builder.steps.map(\.op)
    constants = builder.constants

    var template: [UInt8] = []
    var kernels: [(kernel: duet_kernel, offset: Int)] = []
    var fixed: [(offset: Int, place: PlanPlace)] = []
    var loops: [(offset: Int, key: LoopKey)] = []
    var inputs: [duet_patch] = []
    var outputs: [duet_patch] = []
    var parts: [(step: Int, part: PlanPart)] = []
    for (s, step) in builder.steps.enumerated() {
      // Blocks start on cache lines.
      template += [UInt8](repeating: 0, count: (64 - template.count % 64) % 64)
      let start = template.count
      kernels.append((step.kernel, start))
      template += step.block
      for (offset, key) in step.loops { loops.append((start + offset, key)) }
      for var part in step.parts {
        part.offset += start
        parts.append((s, part))
      }
      for (offset, place) in step.pointers {
        let at = Int64(start + offset)
        switch place {
        case .input(let i, let byteOffset):
          inputs.append(
            duet_patch(block_offset: at, index: Int64(i), byte_offset: Int64(byteOffset)))
        case .output(let i, let byteOffset):
          outputs.append(
            duet_patch(block_offset: at, index: Int64(i), byte_offset: Int64(byteOffset)))
        case .arena, .constant: fixed.append((start + offset, place))
        }
      }
    }
    self.template = template
    self.kernels = kernels
    self.parts = parts
    self.fixed = fixed
    self.loops = loops
    inputPatches = .allocate(capacity: inputs.count)
    _ = inputPatches.initialize(from: inputs)
    outputPatches = .allocate(capacity: outputs.count)
    _ = outputPatches.initialize(from: outputs)
  }

  deinit {
    if let instance = takeSpare() { destroy(instance) }
    var next = idle.withLock { $0 }
    while let instance = UnsafeMutablePointer<duet_plan_instance>(bitPattern: next) {
      next = UInt(bitPattern: instance.pointee.next)
      destroy(instance)
    }
    inputPatches.deallocate()
    outputPatches.deallocate()
  }

  /// Computes the outputs.
  ///
  /// - Parameters:
  ///   - inputs: One address per input, contiguous elements of the types in `inputTypes`.
  ///   - outputs: One address per output, memory for contiguous elements of the types in `outputTypes`. They
  ///     overlap neither each other nor an input, but for the pairs that `shareableOutputs` allows.
  ///   - times: Room for the nanoseconds that each step takes, if they are wanted.
  /// - Throws: `OpError` for what only values tell: an index out of range. The outputs' contents are
  ///   arbitrary then.
  public func run(
    inputs: UnsafePointer<UnsafeMutableRawPointer>,
    outputs: UnsafePointer<UnsafeMutableRawPointer>,
    times: UnsafeMutablePointer<UInt64>? = nil
  ) throws(OpError) {
    let instance = takeInstance()
    var failed: Int64 = 0
    let inputs = UnsafeRawPointer(inputs).assumingMemoryBound(to: UnsafeMutableRawPointer?.self)
    let outputs = UnsafeRawPointer(outputs).assumingMemoryBound(to: UnsafeMutableRawPointer?.self)
    let status =
      if let profiler, times == nil {
        profiler.run(self) { duet_run_instance(instance, inputs, outputs, &failed, $0) }
      } else {
        duet_run_instance(instance, inputs, outputs, &failed, times)
      }
    if status != DUET_OK {
      let error = failure(of: instance, step: Int(failed))
      giveBack(instance)
      throw error
    }
    giveBack(instance)
  }

  /// The error behind a step that has failed: the innermost operation's.
  @inline(never)
  private func failure(
    of instance: UnsafeMutablePointer<duet_plan_instance>, step: Int
  ) -> OpError {
    for (s, part) in parts where s == step {
      let inner = self.instance(of: part, in: instance)
      if inner.pointee.failed >= 0 {
        defer { inner.pointee.failed = -1 }
        return part.plan.failure(of: inner, step: Int(inner.pointee.failed))
      }
    }
    return operations[step].lastFailure()
  }

  private func instance(
    of part: PlanPart, in instance: UnsafeMutablePointer<duet_plan_instance>
  ) -> UnsafeMutablePointer<duet_plan_instance> {
    UnsafeRawPointer(instance.pointee.blocks!).load(
      fromByteOffset: part.offset, as: UnsafeMutablePointer<duet_plan_instance>.self)
  }

  @inline(__always)
  private func takeSpare() -> UnsafeMutablePointer<duet_plan_instance>? {
    UnsafeMutablePointer(bitPattern: spare.exchange(0, ordering: .acquiring))
  }

  @inline(__always)
  private func giveBack(_ instance: UnsafeMutablePointer<duet_plan_instance>) {
    let address = UInt(bitPattern: instance)
    if spare.compareExchange(expected: 0, desired: address, ordering: .releasing).exchanged {
      return
    }
    idle.withLock { head in
      instance.pointee.next = UnsafeMutablePointer(bitPattern: head)
      head = address
    }
  }

  private func takeFirstOfList() -> UnsafeMutablePointer<duet_plan_instance>? {
    idle.withLock { head in
      let first = UnsafeMutablePointer<duet_plan_instance>(bitPattern: head)
      if let first { head = UInt(bitPattern: first.pointee.next) }
      return first
    }
  }

  @inline(__always)
  private func takeInstance() -> UnsafeMutablePointer<duet_plan_instance> {
    guard let instance = takeSpare() ?? takeFirstOfList() else { return makeInstance() }
    if instance.pointee.isa != duet_current_isa().rawValue { link(instance) }
    return instance
  }

  // MARK: Instances

  /// - Parameter room: The arena, where it is a part of another plan's.
  @inline(never)
  private func makeInstance(
    in room: UnsafeMutableRawPointer? = nil
  ) -> UnsafeMutablePointer<duet_plan_instance> {
    let blocks = UnsafeMutableRawPointer.allocate(byteCount: max(64, template.count), alignment: 64)
    template.withUnsafeBytes { bytes in
      if let base = bytes.baseAddress { blocks.copyMemory(from: base, byteCount: bytes.count) }
    }
    let steps = UnsafeMutablePointer<duet_step>.allocate(capacity: max(1, kernels.count))
    for (i, entry) in kernels.enumerated() {
      (steps + i).initialize(to: duet_step(kernel: entry.kernel, call: blocks + entry.offset))
    }
    // More than what fits into a storage object itself, so that the arena starts on a cache line.
    let own: Storage?
    if room == nil {
      Allocator.prepareForLongUse(of: arenaByteCount)
      own = Storage.allocate(byteCount: max(arenaByteCount, 1 << 10))
    } else {
      own = nil
    }
    let arena = room ?? own!.base
    for (offset, place) in fixed {
      let address: UnsafeMutableRawPointer
      switch place {
      case .arena(let byteOffset): address = arena + byteOffset
      case .constant(let i, let byteOffset): address = constants[i].view.pointer + byteOffset
      case .input, .output: continue
      }
      (blocks + offset).storeBytes(of: address, as: UnsafeMutableRawPointer.self)
    }
    for (_, part) in parts {
      let inner = part.plan.makeInstance(in: arena + part.arenaByteOffset)
      (blocks + part.offset).storeBytes(
        of: inner, as: UnsafeMutablePointer<duet_plan_instance>.self)
    }
    let instance = UnsafeMutablePointer<duet_plan_instance>.allocate(capacity: 1)
    instance.initialize(to: duet_plan_instance())
    instance.pointee.blocks = blocks.assumingMemoryBound(to: CChar.self)
    instance.pointee.steps = UnsafePointer(steps)
    instance.pointee.step_count = Int64(kernels.count)
    instance.pointee.inputs = UnsafePointer(inputPatches.baseAddress)
    instance.pointee.input_count = Int64(inputPatches.count)
    instance.pointee.outputs = UnsafePointer(outputPatches.baseAddress)
    instance.pointee.output_count = Int64(outputPatches.count)
    instance.pointee.arena = own.map { Unmanaged.passRetained($0).toOpaque() }
    instance.pointee.failed = -1
    link(instance)
    return instance
  }

  /// Looks the loops up for the instruction set in use.
  @inline(never)
  private func link(_ instance: UnsafeMutablePointer<duet_plan_instance>) {
    instance.pointee.isa = duet_current_isa().rawValue
    let blocks = UnsafeMutableRawPointer(instance.pointee.blocks!)
    for (offset, key) in loops {
      guard let loop = key.loop else { preconditionFailure("no loop for \(key)") }
      // The address of a C function, which blocks hold as a number.
      (blocks + offset).storeBytes(of: unsafeBitCast(loop, to: UInt.self), as: UInt.self)
    }
    for (_, part) in parts { part.plan.link(self.instance(of: part, in: instance)) }
  }

  private func destroy(_ instance: UnsafeMutablePointer<duet_plan_instance>) {
    for (_, part) in parts { part.plan.destroy(self.instance(of: part, in: instance)) }
    if let arena = instance.pointee.arena { Unmanaged<Storage>.fromOpaque(arena).release() }
    UnsafeMutablePointer(mutating: instance.pointee.steps)!.deallocate()
    UnsafeMutableRawPointer(instance.pointee.blocks!).deallocate()
    instance.deallocate()
  }
}

extension Plan: CustomStringConvertible {
  /// What is said of each step.
  var labels: [String] { labelMakers.map { $0() } }

  /// The steps, and what they need.
  public var description: String {
    var lines = [
      "plan: \(stepCount) steps, \(fusedGroupCount) fused groups, arena \(arenaByteCount) bytes "
        + "(\(mostLiveByteCount) live at most, \(byteCountBeforeReuse) before reuse), shareable outputs \(shareableOutputs.sorted())"
    ]
    for (i, label) in labels.enumerated() {
      let indented = label.split(separator: "\n", omittingEmptySubsequences: false)
        .joined(separator: "\n       ")
      let number = String(i)
      lines.append(
        String(repeating: " ", count: max(0, 4 - number.count)) + number + "  " + indented)
    }
    return lines.joined(separator: "\n")
  }
}
