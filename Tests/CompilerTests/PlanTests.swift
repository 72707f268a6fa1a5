// Unsafe: runs one plan on several threads, with the addresses of arrays that are held meanwhile.

import DuetCompiler
import DuetKernels
import DuetRuntime
import DuetTestSupport
import Foundation
import Synchronization
import Testing

@Suite(.serialized) struct PlanTests {
  private static func inputs(_ graph: Graph, seed: Int = 3) -> [ConstantArray] {
    var random = SplitMix64(seed)
    return graph.inputs.map { random.array(graph.type(of: $0)) }
  }

  /// Group shapes that reach every way in which a tile meets an operand.
  @Test(
    "broadcast operands of every form give the same bits",
    arguments: [
      ("[64, 10]", "[10]"), ("[64, 10]", "[64, 1]"), ("[64, 10]", "[1, 1]"),
      ("[300, 1500]", "[1500]"),
      ("[300, 1500]", "[300, 1]"), ("[7, 600]", "[600]"), ("[7, 600]", "[7, 1]"),
      ("[4, 20, 49]", "[20, 1]"), ("[4, 20, 49]", "[1, 20, 1]"), ("[4, 20, 49]", "[4, 1, 49]"),
      ("[4, 20, 49]", "[4, 1, 1]"), ("[2, 3, 64, 64]", "[3, 1, 1]"),
      ("[2, 3, 5, 7]", "[2, 1, 5, 1]"),
      ("[2, 30, 40, 3]", "[30, 1, 3]"), ("[100000]", "[1]"), ("[3, 70000]", "[70000]"),
      ("[70000, 3]", "[3]"), ("[70000, 3]", "[70000, 1]"), ("[1000, 129]", "[129]"),
      ("[2, 2, 2, 2, 2, 2, 2, 40]", "[2, 1, 2, 1, 2, 1, 40]"), ("[0, 4]", "[4]"), ("[]", "[]"),
    ], [DType.float32, .float64, .int8, .bfloat16])
  func broadcasts(shapes: (String, String), dtype: DType) throws {
    let graph = try Graph(
      parsing: """
        graph (x: \(dtype)\(shapes.0), b: \(dtype)\(shapes.1)) -> (%5, %4, %6) {
          %2 = multiply(%0, %1) : \(dtype)\(shapes.0)
          %3 = add(%2, %1) : \(dtype)\(shapes.0)
          %4 = less(%3, %0) : bool\(shapes.0)
          %5 = which(%4, %3, %1) : \(dtype)\(shapes.0)
          %6 = cast(%5, to: float64) : float64\(shapes.0)
        }
        """)
    try expectPlansAgree(graph, Self.inputs(graph))
  }

  /// Single elements are one step, whatever their shapes, which reads a part of what it writes as views.
  @Test func whatAStepReadsOfItsOwnIsNotOverwritten() throws {
    let graph = try Graph(
      parsing: """
        graph (x: float32[1], y: float32[1]) -> (%10) {
          %2 = add(%0, %1) : float32[1]
          %3 = reshape(%2, shape: [1, 1]) : float32[1, 1]
          %4 = transpose(%3, permutation: [1, 0]) : float32[1, 1]
          %5 = tanh(%4) : float32[1, 1]
          %6 = multiply(%5, %5) : float32[1, 1]
          %7 = transpose(%6, permutation: [1, 0]) : float32[1, 1]
          %8 = reshape(%7, shape: [1]) : float32[1]
          %9 = cos(%2) : float32[1]
          %10 = add(%9, %8) : float32[1]
        }
        """)
    for seed in 0..<4 { try expectPlansAgree(graph, Self.inputs(graph, seed: seed)) }
  }

  @Test("views of operands give the same bits")
  func views() throws {
    let graph = try Graph(
      parsing: """
        graph (x: float32[200, 300], y: float32[300, 200], z: float32[50, 8]) -> (%6, %12, %8) {
          %3 = transpose(%1, permutation: [1, 0]) : float32[200, 300]
          %4 = add(%0, %3) : float32[200, 300]
          %5 = exp(%4) : float32[200, 300]
          %6 = transpose(%5, permutation: [1, 0]) : float32[300, 200]
          %7 = reshape(%6, shape: [100, 600]) : float32[100, 600]
          %8 = tanh(%7) : float32[100, 600]
          %9 = slice(%2, starts: [49, 0], sizes: [25, 4], steps: [-2, 2]) : float32[25, 4]
          %10 = slice(%2, starts: [0, 7], sizes: [25, 4], steps: [1, -1]) : float32[25, 4]
          %11 = multiply(%9, %10) : float32[25, 4]
          %12 = sin(%11) : float32[25, 4]
        }
        """)
    try expectPlansAgree(graph, Self.inputs(graph))
  }

  @Test("threads and instruction sets give the same bits, also on one plan")
  func settings() throws {
    let graph = try Graph(
      parsing: """
        graph (x: float32[400, 500], b: float32[500]) -> (%6, %5) {
          %2 = add(%0, %1) : float32[400, 500]
          %3 = gelu(%2) : float32[400, 500]
          %4 = multiply(%3, %2) : float32[400, 500]
          %5 = sum(%4, axes: [0], keepDims: false) : float32[500]
          %6 = tanh(%4) : float32[400, 500]
        }
        """)
    let inputs = Self.inputs(graph)
    let plan = try compile(graph).plan
    let expected = try graph.interpreted(inputs)
    for name in ProcessSettings.instructionSets {
      for count in [1, 2, 4] {
        let results = try ProcessSettings.with(threads: count, instructionSet: name) {
          try plan.results(inputs)
        }
        expectSameBits(results, expected, "\(name), \(count) threads")
      }
    }
  }

  @Test("four threads run one plan at once")
  func concurrency() throws {
    let graph = try Graph(
      parsing: """
        graph (x: float32[40, 50], w: float32[50, 60], b: float32[60]) -> (%7) {
          %3 = matmul(%0, %1) : float32[40, 60]
          %4 = add(%3, %2) : float32[40, 60]
          %5 = tanh(%4) : float32[40, 60]
          %6 = softmax(%5, axis: 1) : float32[40, 60]
          %7 = multiply(%6, %5) : float32[40, 60]
        }
        """)
    let plan = try compile(graph).plan
    let cases = try (0..<4).map { seed in
      let inputs = Self.inputs(graph, seed: seed)
      return (inputs: inputs, expected: try graph.interpreted(inputs))
    }
    DispatchQueue.concurrentPerform(iterations: 4) { i in
      for _ in 0..<50 {
        let results = try? plan.results(cases[i].inputs)
        expectSameBits(results ?? [], cases[i].expected, "thread \(i)")
      }
    }
  }

  /// What is set for the whole process may change while a plan runs: it begins and ends with one set.
  @Test("a plan runs while the instruction set changes")
  func changingInstructionSet() throws {
    let graph = try Graph(
      parsing: """
        graph (x: float32[300, 500], b: float32[500]) -> (%5, %6) {
          %2 = add(%0, %1) : float32[300, 500]
          %3 = gelu(%2) : float32[300, 500]
          %4 = multiply(%3, %2) : float32[300, 500]
          %5 = sum(%4, axes: [1], keepDims: false) : float32[300]
          %6 = tanh(%4) : float32[300, 500]
        }
        """)
    let inputs = Self.inputs(graph)
    let plan = try compile(graph).plan
    let expected = try graph.interpreted(inputs)
    let isDone = Atomic(false)
    DispatchQueue.concurrentPerform(iterations: 2) { i in
      if i == 0 {
        for _ in 0..<100 {
          expectSameBits((try? plan.results(inputs)) ?? [], expected, "while sets change")
        }
        isDone.store(true, ordering: .relaxed)
      } else {
        while !isDone.load(ordering: .relaxed) {
          for name in ProcessSettings.instructionSets {
            _ = ProcessSettings.with(instructionSet: name) { usleep(50) }
          }
        }
      }
    }
  }

  private func training(_ updates: String, _ outputs: String) throws -> Graph {
    try Graph(
      parsing: """
        graph (x: float32[8, 16], w: float32[16, 4], m: float32[16, 4], s: float32[]) -> (\(outputs)) {
          %4 = matmul(%0, %1) : float32[8, 4]
          %5 = tanh(%4) : float32[8, 4]
          %6 = transpose(%0, permutation: [1, 0]) : float32[16, 8]
          %7 = matmul(%6, %5) : float32[16, 4]
        \(updates)
        }
        """)
  }

  @Test("updated parameters may be computed where the old ones are")
  func sharing() throws {
    let graph = try training(
      """
        %8 = multiply(%2, %3) : float32[16, 4]
        %9 = add(%8, %7) : float32[16, 4]
        %10 = multiply(%9, %3) : float32[16, 4]
        %11 = subtract(%1, %10) : float32[16, 4]
        %12 = matmul(%0, %1) : float32[8, 4]
        %13 = sum(%12, axes: [0, 1], keepDims: false) : float32[]
      """, "%11, %9, %13")
    let inputs = Self.inputs(graph)
    let expected = try graph.interpreted(inputs)
    for fuse in [true, false] {
      let compiled = try compile(
        graph, CompileOptions(fuse: fuse, mayShare: [(output: 0, input: 1), (output: 1, input: 2)]))
      #expect(compiled.plan.shareableOutputs == [0, 1])
      for _ in 0..<2 {
        expectSameBits(
          try compiled.plan.results(inputs, shared: [0: 1, 1: 2]), expected, "\(compiled.plan)")
        expectSameBits(try compiled.plan.results(inputs), expected, "\(compiled.plan)")
      }
    }
  }

  @Test("an exchange of two arguments cannot be done in place, an unchanged one can")
  func exchange() throws {
    let graph = try Graph(
      parsing: "graph (a: float32[4], b: float32[4], c: float32[4]) -> (%1, %0, %2) {}")
    let pairs = [(output: 0, input: 0), (output: 1, input: 1), (output: 2, input: 2)]
    let plan = try compile(graph, CompileOptions(mayShare: pairs)).plan
    let inputs = Self.inputs(graph)
    #expect(!plan.shareableOutputs.isSuperset(of: [0, 1]) && plan.shareableOutputs.contains(2))
    let shared = Dictionary(uniqueKeysWithValues: plan.shareableOutputs.map { ($0, $0) })
    expectSameBits(
      try plan.results(inputs, shared: shared), [inputs[1], inputs[0], inputs[2]], "\(plan)")
  }

  @Test("an update that reads its parameter transposed is not shareable")
  func transposedUpdate() throws {
    let graph = try Graph(
      parsing: """
        graph (w: float32[9, 9]) -> (%3) {
          %1 = transpose(%0, permutation: [1, 0]) : float32[9, 9]
          %2 = add(%0, %1) : float32[9, 9]
          %3 = exp(%2) : float32[9, 9]
        }
        """)
    let plan = try compile(graph, CompileOptions(mayShare: [(output: 0, input: 0)])).plan
    #expect(plan.shareableOutputs.isEmpty)
  }

  @Test("a part of an argument is replaced in place")
  func updateSliceInPlace() throws {
    let graph = try Graph(
      parsing: """
        graph (cache: float32[6, 4], row: float32[1, 4]) -> (%3) {
          %2 = exp(%1) : float32[1, 4]
          %3 = updateSlice(%0, %2, starts: [2, 0], sizes: [1, 4], steps: [1, 1]) : float32[6, 4]
        }
        """)
    let plan = try compile(graph, CompileOptions(mayShare: [(output: 0, input: 0)])).plan
    #expect(plan.shareableOutputs == [0])
    let inputs = Self.inputs(graph)
    let expected = try graph.interpreted(inputs)
    expectSameBits(try plan.results(inputs, shared: [0: 0]), expected, "\(plan)")
  }

  @Test("outputs that are arguments, constants, duplicates or views are copied out")
  func awkwardOutputs() throws {
    let graph = try Graph(
      parsing: """
        graph (x: int16[3, 4]) -> (%0, %1, %2, %2, %3, %4, %5) {
          %1 = constant int16[3] [1, 2, 3]
          %2 = negate(%0) : int16[3, 4]
          %3 = transpose(%2, permutation: [1, 0]) : int16[4, 3]
          %4 = fill(value: 7) : int16[2, 2]
          %5 = reshape(%2, shape: [12]) : int16[12]
        }
        """)
    try expectPlansAgree(graph, Self.inputs(graph))
  }

  @Test("a step that fails throws its operation's error, and the plan still works")
  func failure() throws {
    let graph = try Graph(
      parsing: """
        graph (x: float32[3], i: int64[2]) -> (%3) {
          %2 = take(%0, %1, axis: 0) : float32[2]
          %3 = exp(%2) : float32[2]
        }
        """)
    let plan = try compile(graph).plan
    var inputs = Self.inputs(graph)
    let type = TensorType("int64[2]")
    inputs[1] = ConstantArray([Element(integer: 1, .int64), Element(integer: 3, .int64)], type)
    #expect {
      try plan.results(inputs)
    } throws: { error in
      (error as? OpError)?.description == "take: index 3 is out of range for an axis of 3 elements"
    }
    inputs[1] = ConstantArray([Element(integer: 1, .int64), Element(integer: -3, .int64)], type)
    expectSameBits(try plan.results(inputs), try graph.interpreted(inputs), "\(plan)")
  }

  @Test("chains take no memory of their own")
  func chainsNeedNoArena() throws {
    let text = (1...40).map { "  %\($0) = tanh(%\($0 - 1)) : float32[5000]" }
    let graph = try Graph(
      parsing: "graph (x: float32[5000]) -> (%40) {\n\(text.joined(separator: "\n"))\n}")
    let fused = try compile(graph).plan
    #expect(fused.stepCount == 1 && fused.fusedGroupCount == 1 && fused.arenaByteCount == 0)
    let unfused = try compile(graph, CompileOptions(fuse: false)).plan
    // All of them in one place.
    #expect(unfused.stepCount == 40 && unfused.arenaByteCount == 20_032)
    #expect(unfused.byteCountBeforeReuse == 39 * 20_032)
  }

  @Test("parts of rows are computed in their places")
  func columnsInPlace() throws {
    let graph = try Graph(
      parsing: """
        graph (x: float32[5, 64], y: float32[5, 64]) -> (%6) {
          %2 = exp(%0) : float32[5, 64]
          %3 = add(%2, %1) : float32[5, 64]
          %4 = multiply(%3, %0) : float32[5, 64]
          %5 = tanh(%1) : float32[5, 64]
          %6 = concatenate(%4, %0, %5, axis: 1) : float32[5, 192]
        }
        """)
    var random = SplitMix64(3)
    let inputs = graph.inputs.map { random.array(graph.type(of: $0)) }
    let plan = try compile(graph).plan
    // Two groups, one of a single operation, and a copy of the argument.
    #expect(plan.stepCount == 3, "\(plan)")
    expectSameBits(try plan.results(inputs), try graph.interpreted(inputs), "columns")
  }

  @Test(
    "a reduction takes what a group computes, on any number of threads",
    arguments: ["[]", "[300]", "[3, 300]", "[3, 70000]", "[1, 4097]", "[70, 33, 65]"],
    [DType.float32, .float64, .float16, .bfloat16])
  func reductionsEndGroups(shape: String, dtype: DType) throws {
    let type = TensorType("\(dtype)\(shape)")
    for op in [ReductionOp.sum, .mean, .product, .max, .min] {
      for kept in 0..<max(1, type.shape.rank) {
        var builder = GraphBuilder()
        let x = builder.addInput(type, name: "x")
        // Repeated along rows, so that tiles are no ranges of chunks.
        let y = builder.addInput(TensorType(dtype, Shape(type.shape.suffix(1))), name: "y")
        let product = try builder.add(.binary(.multiply), [x, y])
        let square = try builder.add(.unary(.square), [product])
        let axes = AxisSet(kept..<max(kept, type.shape.rank))
        let sum = try builder.add(.reduce(op, axes: axes, keepDims: false), [square])
        let graph = builder.finish(outputs: [sum, product], outputNames: ["sum", "product"])
        var random = SplitMix64(kept)
        let inputs = graph.inputs.map { random.array(graph.type(of: $0)) }
        let expected = try graph.interpreted(inputs)
        let plan = try compile(graph).plan
        if type.shape.elementCount >= 300 { #expect(plan.stepCount == 1 || kept > 0) }
        for threads in [1, 2, 3, 7] {
          let results = try ProcessSettings.with(threads: threads) { try plan.results(inputs) }
          expectSameBits(results, expected, "\(op), \(threads) threads")
        }
      }
    }
  }

  @Test("a group with more values than fit into the cache still runs")
  func manyRegisters() throws {
    var lines: [String] = []
    for i in 0..<30 { lines.append("  %\(i + 1) = sin(%\(i == 0 ? 0 : i)) : float64[3000]") }
    for i in 0..<29 {
      lines.append("  %\(i + 31) = add(%\(i == 0 ? 30 : i + 30), %\(29 - i)) : float64[3000]")
    }
    let graph = try Graph(
      parsing: "graph (x: float64[3000]) -> (%59) {\n\(lines.joined(separator: "\n"))\n}")
    let plan = try compile(graph).plan
    #expect(plan.fusedGroupCount == 1 && plan.stepCount == 1)
    try expectPlansAgree(graph, Self.inputs(graph))
  }

  @Test("a group with many repeated operands fits into the scratch memory")
  func manyExpandedOperands() throws {
    let count = 50
    let arguments = (0..<count).map { "b\($0): float64[7, 1]" }.joined(separator: ", ")
    var lines = ["  %\(count + 1) = exp(%0) : float64[7, 300]"]
    for i in 1...count {
      lines.append("  %\(count + 1 + i) = multiply(%\(count + i), %\(i)) : float64[7, 300]")
    }
    let text = "graph (x: float64[7, 300], \(arguments)) -> (%\(2 * count + 1)) {\n"
    let graph = try Graph(parsing: text + lines.joined(separator: "\n") + "\n}")
    let inputs = Self.inputs(graph)
    #expect(try compile(graph).plan.fusedGroupCount == 1)
    try expectPlansAgree(graph, inputs)
  }

  @Test("a printed plan shows steps, groups and memory")
  func description() throws {
    let graph = try Graph(
      parsing: """
        graph (x: float32[8, 16], w: float32[16, 4], b: float32[4]) -> (y: %5) {
          %3 = matmul(%0, %1) : float32[8, 4]
          %4 = add(%3, %2) : float32[8, 4]
          %5 = relu(%4) : float32[8, 4]
        }
        """)
    let description = try compile(graph).plan.description
    #expect(
      description == """
        plan: 2 steps, 1 fused groups, arena 128 bytes (128 live at most, 128 before reuse), shareable outputs []
           0  %3 arena[0] = matmul(x, w) : float32[8, 4]
           1  %4 %5 fused over [8, 4], 1 tiles of 32, 384 bytes of scratch
                 r0 = add(arena[0], b)
                 y = relu(r0)
        """)
  }
}
