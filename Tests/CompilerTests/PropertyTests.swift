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

  @Test("values that live at the same time never overlap in the arena", arguments: 0..<100)
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
  // Ranges of the arena and the buffer that wrote them last.
  var contents: [(range: Range<Int>, buffer: Int)] = []
  func range(_ buffer: Int) -> Range<Int> {
    let start = memory.offset(of: memory.owner[buffer])
    return start..<(start + buffers[buffer].byteCount)
  }
  for (s, step) in steps.enumerated() {
    for input in step.inputs where buffers[input.buffer].kind == .arena {
      guard buffers[input.buffer].byteCount > 0 else { continue }
      let expected = range(input.buffer)
      #expect(
        contents.contains { $0.buffer == input.buffer && $0.range == expected },
        "step \(s) reads what is not there any more")
    }
    let writes = step.outputs.filter { buffers[$0.buffer].kind == .arena }.map(\.buffer)
    for (o, output) in step.outputs.enumerated() where buffers[output.buffer].kind == .arena {
      let written = range(output.buffer)
      #expect(written.upperBound <= memory.arenaByteCount)
      #expect(written.lowerBound % 64 == 0)
      // Within a step only what the step allows may be overwritten while it is read.
      for input in step.inputs where buffers[input.buffer].kind == .arena {
        if range(input.buffer).overlaps(written) {
          #expect(range(input.buffer) == written && step.mayOverwrite(input.buffer, with: o))
        }
      }
      for other in writes where other != output.buffer {
        #expect(!range(other).overlaps(written), "step \(s) writes two results to one place")
      }
      contents.removeAll { $0.range.overlaps(written) }
      contents.append((written, output.buffer))
    }
  }
}

/// The random programs are only worth something if they reach every way in which the compiler works.
@Suite struct GeneratorTests {
  @Test("random programs reach every kind of operand and reuse memory in place")
  func coverage() throws {
    var accesses: [TileLayout.Access: Int] = [:]
    var (groups, largest, results, overtaken, copies) = (0, 0, 0, 0, 0)
    for seed in 0..<150 {
      var generator = GraphGenerator(seed: seed)
      let graph = generator.graph(operations: 4 + seed % 37)
      let program = LoweredProgram(graph, CompileOptions())
      overtaken += program.memory.owner.indices.count { program.memory.owner[$0] != $0 }
      for step in program.lowering.steps {
        if step.nodes.isEmpty { copies += 1 }
        guard case .tiles(let group) = step.work else { continue }
        groups += 1
        largest = max(largest, group.instructions.count)
        results = max(results, step.outputs.count)
        let layout = TileLayout(group, outputs: step.outputs, inputs: step.inputs)
        for external in layout.externals { accesses[external.access, default: 0] += 1 }
      }
    }
    #expect(groups > 100 && largest >= 8 && results >= 3 && overtaken > 50 && copies > 50)
    for access in [TileLayout.Access.contiguous, .scalar, .direct, .expanded] {
      #expect(accesses[access, default: 0] >= 3, "\(access)")
    }
    print("coverage", groups, largest, results, overtaken, copies, accesses)
  }
}
