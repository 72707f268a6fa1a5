import DuetCompiler
import DuetRuntime
import Foundation
import Testing

@Suite struct PropertyTests {
  @Test(
    "a plan gives the bits of its operations done one by one",
    arguments: Array(0..<(Int(ProcessInfo.processInfo.environment["DUET_SEEDS"] ?? "") ?? 150)))
  func plansAgree(seed: Int) throws {
    var generator = GraphGenerator(seed: seed)
    let graph = generator.graph(operations: 4 + seed % 37)
    try graph.verify()
    try expectPlansAgree(graph, generator.inputs)
  }

  @Test("values that live at the same time never overlap in the arena", arguments: 0..<300)
  func memoryIsSound(seed: Int) throws {
    var generator = GraphGenerator(seed: 1000 + seed)
    let graph = generator.graph(operations: 10 + seed % 50)
    for fuse in [false, true] {
      try expectSoundMemory(LoweredProgram(graph, CompileOptions(fuse: fuse)))
    }
  }

  @Test("text reads back as the same graph", arguments: 0..<100)
  func textRoundTrips(seed: Int) throws {
    var generator = GraphGenerator(seed: 2000 + seed)
    let graph = generator.graph(operations: 30)
    let text = graph.description
    let parsed = try Graph(parsing: text, constants: graph.namedConstants)
    #expect(parsed.description == text)
    expectSameBits(
      try parsed.interpreted(generator.inputs), try graph.interpreted(generator.inputs), text)
  }
}

/// Replays the steps and checks that every operand still holds what its step expects: the value last written
/// to the buffer, not overwritten through another buffer that shares its bytes.
func expectSoundMemory(_ program: LoweredProgram) throws {
  let (steps, buffers, memory) = (program.lowering.steps, program.lowering.buffers, program.memory)
  // For every byte of the arena the buffer that wrote it last.
  var contents = [Int](repeating: -1, count: memory.arenaByteCount)
  func start(_ operand: StepOperand) -> Int {
    memory.offset(of: memory.owner[operand.buffer]) + operand.byteOffset
  }
  func range(_ operand: StepOperand) -> Range<Int> {
    if operand.layout.shape.elementCount == 0 { return 0..<0 }
    var (low, high) = (0, 1)
    for axis in 0..<operand.layout.shape.rank {
      let reach = operand.layout.strides[axis] * (operand.layout.shape[axis] - 1)
      if reach < 0 { low += reach } else { high += reach }
    }
    let (start, size) = (start(operand), operand.dtype.size)
    return (start + low * size)..<(start + high * size)
  }
  // All bytes of an operand, which may have gaps.
  func bytes(_ operand: StepOperand) -> Set<Int> {
    let (layout, size) = (operand.layout, operand.dtype.size)
    if layout.isContiguous || layout.shape.elementCount == 0 { return Set(range(operand)) }
    var places = [start(operand)]
    for axis in 0..<layout.shape.rank {
      places = places.flatMap { place in
        (0..<layout.shape[axis]).map { place + $0 * layout.strides[axis] * size }
      }
    }
    return Set(places.flatMap { $0..<$0 + size })
  }
  var isWritten = [Bool](repeating: false, count: buffers.count)
  for (s, step) in steps.enumerated() {
    // A group may read, as a view, what it has written itself.
    func isOwn(_ input: StepOperand) -> Bool {
      !isWritten[input.buffer] && step.outputs.contains { $0.buffer == input.buffer }
    }
    for input in step.inputs where buffers[input.buffer].kind == .arena && !isOwn(input) {
      // A view never looks beyond what was written.
      #expect(
        bytes(input).allSatisfy { contents[$0] == input.buffer },
        "step \(s) reads what is not there any more")
    }
    let writes = step.outputs.filter { buffers[$0.buffer].kind == .arena }
    for (o, output) in step.outputs.enumerated() where buffers[output.buffer].kind == .arena {
      let written = bytes(output)
      #expect(range(output).upperBound <= memory.arenaByteCount)
      #expect(start(output) % 64 == 0)
      // Within a step only what the step allows may be overwritten while it is read.
      for input in step.inputs where buffers[input.buffer].kind == .arena {
        guard !written.isDisjoint(with: bytes(input)) else { continue }
        if case .operation(.concatenate) = step.work {
          // A part that was computed where it will lie.
          #expect(input.buffer == output.buffer && bytes(input).isSubset(of: written))
        } else if isOwn(input) {
          #expect(input.buffer == output.buffer, "step \(s) overwrites what it has yet to read")
        } else {
          #expect(bytes(input) == written && step.mayOverwrite(input.buffer, with: o))
        }
      }
      for other in writes where other != output {
        #expect(written.isDisjoint(with: bytes(other)), "step \(s) writes two results to one place")
      }
      for byte in written { contents[byte] = output.buffer }
    }
    for output in step.outputs { isWritten[output.buffer] = true }
  }
}

/// The random programs are only worth something if they reach every way in which the compiler works.
@Suite struct GeneratorTests {
  @Test("random programs reach every kind of operand and reuse memory in place")
  func coverage() throws {
    var accesses: [TileLayout.Access: Int] = [:]
    var (groups, largest, results, overtaken, copies, parts) = (0, 0, 0, 0, 0, 0)
    var (columns, sunk, reductions) = (0, 0, 0)
    for seed in 0..<150 {
      var generator = GraphGenerator(seed: seed)
      let graph = generator.graph(operations: 4 + seed % 37)
      let program = LoweredProgram(graph, CompileOptions())
      if try Pass.sliceSinking.run(graph).operationCount > graph.operationCount { sunk += 1 }
      overtaken += program.memory.owner.indices.count { program.memory.owner[$0] != $0 }
      for step in program.lowering.steps {
        if step.nodes.isEmpty { copies += 1 }
        parts += step.outputs.count { $0.byteOffset > 0 }
        columns += step.outputs.count { !$0.layout.isContiguous }
        guard case .tiles(let group) = step.work else { continue }
        groups += 1
        if group.reduction != nil { reductions += 1 }
        largest = max(largest, group.instructions.count)
        results = max(results, step.outputs.count)
        let layout = TileLayout(group, outputs: step.outputs, inputs: step.inputs)
        for external in layout.externals { accesses[external.access, default: 0] += 1 }
      }
    }
    #expect(
      groups > 100 && largest >= 8 && results >= 3 && overtaken > 50 && copies > 50 && parts > 15,
      "\(groups), \(largest), \(results), \(overtaken), \(copies), \(parts)")
    #expect(
      columns > 5 && sunk > 5 && reductions > 10, "\(columns), \(sunk), \(reductions)")
    for access in [TileLayout.Access.contiguous, .scalar, .direct, .expanded, .rows] {
      #expect(accesses[access, default: 0] >= 3, "\(access)")
    }
  }
}

/// What is special to large graphs: groups that are cut, long lives, thousands of values.
@Suite struct LargeGraphTests {
  /// A recurrence with gates, sums over time and a gradient's mirror: values made early are read late.
  private func recurrence(steps: Int, width: Int) throws -> Graph {
    var builder = GraphBuilder()
    let x = builder.addInput(TensorType(.float32, [steps, 2, width]), name: "x")
    let w = builder.addInput(TensorType(.float32, [width, width]), name: "w")
    var h = try builder.add(
      .fill(TensorType(.float32, [2, width]), Element(0.5, .float32)), [])
    var states: [ValueID] = []
    for t in 0..<steps {
      var slice = Slice(all: [steps, 2, width])
      (slice.starts[0], slice.sizes[0]) = (t, 1)
      let part = try builder.add(.slice(slice), [x])
      let row = try builder.add(.reshape([2, width]), [part])
      let product = try builder.add(.matmul, [h, w])
      let sum = try builder.add(.binary(.add), [row, product])
      let gate = try builder.add(.unary(.sigmoid), [sum])
      let fresh = try builder.add(.unary(.tanh), [sum])
      h = try builder.add(.binary(.multiply), [gate, fresh])
      states.append(h)
    }
    var back = h
    var parts: [ValueID] = []
    for h in states.reversed() {
      let square = try builder.add(.binary(.multiply), [h, h])
      let scaled = try builder.add(.binary(.multiply), [back, square])
      back = try builder.add(.matmul, [scaled, w])
      parts.append(try builder.add(.reshape([1, 2, width]), [back]))
    }
    let all = try builder.add(.concatenate(axis: 0), parts)
    return builder.finish(outputs: [all], outputNames: ["all"])
  }

  @Test("a program of 10,000 operations", .timeLimit(.minutes(5)))
  func manyOperations() throws {
    let graph = try recurrence(steps: 950, width: 16)
    #expect(graph.operationCount > 10_000)
    var random = SplitMix64(11)
    let inputs = graph.inputs.map { random.array(graph.type(of: $0)) }
    let compiled = try compile(graph)
    expectSameBits(try compiled.plan.results(inputs), try graph.interpreted(inputs), "recurrence")
    // The parts of the concatenation are computed in their places.
    #expect(!compiled.plan.description.contains("concatenate"))
  }

  @Test("a chain of more operations than a group holds")
  func longChains() throws {
    for count in [63, 64, 65, 200, 1000] {
      var builder = GraphBuilder()
      let x = builder.addInput(TensorType(.float32, [3000]), name: "x")
      var value = x
      var early = x
      for i in 0..<count {
        value = try builder.add(
          i % 3 == 0 ? .binary(.add) : .binary(.multiply), [value, i % 2 == 0 ? x : early])
        if i % 40 == 20 { early = value }
      }
      let graph = builder.finish(outputs: [value], outputNames: ["y"])
      let plan = try compile(graph).plan
      #expect(plan.stepCount == (count + 63) / 64)
      var random = SplitMix64(count)
      let inputs = [random.array(TensorType(.float32, [3000]))]
      expectSameBits(try plan.results(inputs), try graph.interpreted(inputs), "\(count)")
    }
  }

  @Test("the arena comes close to the values that live at once")
  func arenaSize() throws {
    for steps in [5, 40] {
      let plan = try compile(recurrence(steps: steps, width: 64)).plan
      #expect(plan.arenaByteCount >= plan.mostLiveByteCount)
      #expect(plan.arenaByteCount <= plan.mostLiveByteCount * 11 / 10)
      #expect(plan.mostLiveByteCount <= plan.byteCountBeforeReuse)
    }
  }
}
