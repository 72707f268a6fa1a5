import DuetCompiler
import DuetRuntime
import Testing

@Suite struct PassTests {
  private func expect(
    _ pass: Pass, _ before: String, gives after: String,
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let result = try pass.run(Graph(parsing: before))
    try result.verify()
    #expect(result.description == after, sourceLocation: sourceLocation)
  }

  @Test func deadCodeKeepsArguments() throws {
    try expect(
      .deadCode,
      """
      graph (x: float32[2], y: float32[2]) -> (%4) {
        %2 = exp(%1) : float32[2]
        %3 = constant float32[] 1.0
        %4 = sin(%0) : float32[2]
        %5 = add(%2, %4) : float32[2]
      }
      """,
      gives: """
        graph (x: float32[2], y: float32[2]) -> (%2) {
          %2 = sin(%0) : float32[2]
        }
        """)
  }

  @Test func deadCodeKeepsChecks() throws {
    try expect(
      .deadCode,
      """
      graph (x: float32[2], y: int64[2]) -> (%4) {
        %2 = add(%1, %1) : int64[2]
        %3 = take(%0, %2, axis: 0) : float32[2]
        %4 = sin(%0) : float32[2]
        %5 = exp(%3) : float32[2]
      }
      """,
      gives: """
        graph (x: float32[2], y: int64[2]) -> (%4) {
          %2 = add(%1, %1) : int64[2]
          %3 = take(%0, %2, axis: 0) : float32[2]
          %4 = sin(%0) : float32[2]
        }
        """)
  }

  @Test func equalOperationsOnTwoSidesOfABarrierDoNotMerge() throws {
    let text = """
      graph (x: float32[2]) -> (%4, %5) {
        %1 = exp(%0) : float32[2]
        %2 = barrier(%0) : float32[2]
        %3 = exp(%2) : float32[2]
        %4 = multiply(%1, %3) : float32[2]
        %5 = barrier(%2) : float32[2]
      }
      """
    for pass in Pass.standard { try expect(pass, text, gives: text) }
    // It takes no step: both read the argument.
    let plan = try compile(Graph(parsing: text)).plan
    #expect(plan.fusedGroupCount == 1)
    #expect(plan.description.contains("barrier") == false)
  }

  @Test func equalOperationsMerge() throws {
    try expect(
      .commonSubexpressions,
      """
      graph (x: float32[2], s: int64[2]) -> (%10, %11) {
        %2 = constant float32[] 2.0
        %3 = constant float32[] 2.0
        %4 = multiply(%0, %2) : float32[2]
        %5 = multiply(%0, %3) : float32[2]
        %6 = randomUniform(%1) : float32[2]
        %7 = randomUniform(%1) : float32[2]
        %8 = iota(start: 0.0, step: 1.0) : float32[2]
        %9 = iota(start: -0.0, step: 1.0) : float32[2]
        %10 = add(%4, %7) : float32[2]
        %11 = subtract(%5, %9) : float32[2]
      }
      """,
      gives: """
        graph (x: float32[2], s: int64[2]) -> (%7, %8) {
          %2 = constant float32[] 2.0
          %3 = multiply(%0, %2) : float32[2]
          %4 = randomUniform(%1) : float32[2]
          %5 = iota(start: 0.0, step: 1.0) : float32[2]
          %6 = iota(start: -0.0, step: 1.0) : float32[2]
          %7 = add(%3, %4) : float32[2]
          %8 = subtract(%3, %6) : float32[2]
        }
        """)
  }

  @Test func theSameArraysBehindEachOtherAreJoinedOnce() throws {
    try expect(
      .commonSubexpressions,
      """
      graph (x: float32[2, 3], y: float32[2, 3]) -> (%4, %5, %6) {
        %2 = reshape(%0, shape: [1, 2, 3]) : float32[1, 2, 3]
        %3 = reshape(%1, shape: [1, 2, 3]) : float32[1, 2, 3]
        %4 = concatenate(%2, %3, axis: 0) : float32[2, 2, 3]
        %5 = concatenate(%0, %1, axis: 0) : float32[4, 3]
        %6 = concatenate(%0, %1, axis: 1) : float32[2, 6]
      }
      """,
      gives: """
        graph (x: float32[2, 3], y: float32[2, 3]) -> (%4, %5, %6) {
          %2 = reshape(%0, shape: [1, 2, 3]) : float32[1, 2, 3]
          %3 = reshape(%1, shape: [1, 2, 3]) : float32[1, 2, 3]
          %4 = concatenate(%2, %3, axis: 0) : float32[2, 2, 3]
          %5 = reshape(%4, shape: [4, 3]) : float32[4, 3]
          %6 = concatenate(%0, %1, axis: 1) : float32[2, 6]
        }
        """)
  }

  @Test func splitResultsAreComputedInParts() throws {
    try expect(
      .sliceSinking,
      """
      graph (x: float32[2, 128], b: float32[128]) -> (%6) {
        %2 = add(%0, %1) : float32[2, 128]
        %3 = slice(%2, starts: [0, 0], sizes: [2, 64], steps: [1, 1]) : float32[2, 64]
        %4 = slice(%2, starts: [0, 64], sizes: [2, 64], steps: [1, 1]) : float32[2, 64]
        %5 = tanh(%3) : float32[2, 64]
        %6 = multiply(%5, %4) : float32[2, 64]
      }
      """,
      gives: """
        graph (x: float32[2, 128], b: float32[128]) -> (%10) {
          %2 = add(%0, %1) : float32[2, 128]
          %3 = slice(%0, starts: [0, 0], sizes: [2, 64], steps: [1, 1]) : float32[2, 64]
          %4 = slice(%1, starts: [0], sizes: [64], steps: [1]) : float32[64]
          %5 = add(%3, %4) : float32[2, 64]
          %6 = slice(%0, starts: [0, 64], sizes: [2, 64], steps: [1, 1]) : float32[2, 64]
          %7 = slice(%1, starts: [64], sizes: [64], steps: [1]) : float32[64]
          %8 = add(%6, %7) : float32[2, 64]
          %9 = tanh(%5) : float32[2, 64]
          %10 = multiply(%9, %8) : float32[2, 64]
        }
        """)
  }

  @Test("results whose parts overlap, or that are used as a whole, stay", arguments: [true, false])
  func otherResultsStayWhole(overlap: Bool) throws {
    let text = """
      graph (x: float32[2, 128]) -> (%4\(overlap ? "" : ", %1")) {
        %1 = exp(%0) : float32[2, 128]
        %2 = slice(%1, starts: [0, \(overlap ? 32 : 64)], sizes: [2, 64], steps: [1, 1]) : float32[2, 64]
        %3 = slice(%1, starts: [0, 0], sizes: [2, 64], steps: [1, 1]) : float32[2, 64]
        %4 = add(%2, %3) : float32[2, 64]
      }
      """
    try expect(.sliceSinking, text, gives: text)
  }

  @Test func constantsFold() throws {
    let folded = try Pass.constantFolding.run(
      Graph(
        parsing: """
          graph (x: float32[2]) -> (%5, %8, %10, %11) {
            %1 = constant float32[2] [1.0, 4.0]
            %2 = constant float32[] 2.0
            %3 = multiply(%1, %2) : float32[2]
            %4 = sqrt(%1) : float32[2]
            %5 = add(%3, %4) : float32[2]
            %6 = fill(value: 3.0) : float32[1000, 1000]
            %7 = multiply(%6, %2) : float32[1000, 1000]
            %8 = transpose(%7, permutation: [1, 0]) : float32[1000, 1000]
            %9 = broadcast(%1, shape: [100000, 2]) : float32[100000, 2]
            %10 = exp(%9) : float32[100000, 2]
            %11 = add(%0, %3) : float32[2]
          }
          """))
    let text = folded.description
    #expect(text.contains("constant float32[2] [3.0, 10.0]"))
    #expect(text.contains("fill(value: 6.0) : float32[1000, 1000]"))
    #expect(text.contains("exp(") && text.contains("constant float32[2] [2.0, 8.0]"))
  }

  @Test func foldingReportsWhatHasNoValue() throws {
    let graph = try Graph(
      parsing: """
        graph () -> (%2) {
          %0 = constant float32[2] [1.0, 2.0]
          %1 = constant int64[1] [5]
          %2 = take(%0, %1, axis: 0) : float32[1]
        }
        """)
    #expect(throws: OpError.self) { try compile(graph) }
  }

  @Test func movementsJoin() throws {
    try expect(
      .movementFolding,
      """
      graph (x: float32[2, 3, 4]) -> (%3, %5, %7, %10) {
        %1 = reshape(%0, shape: [6, 4]) : float32[6, 4]
        %2 = reshape(%1, shape: [6, 4]) : float32[6, 4]
        %3 = reshape(%2, shape: [24]) : float32[24]
        %4 = transpose(%0, permutation: [1, 2, 0]) : float32[3, 4, 2]
        %5 = transpose(%4, permutation: [2, 0, 1]) : float32[2, 3, 4]
        %6 = slice(%3, starts: [20], sizes: [5], steps: [-4]) : float32[5]
        %7 = slice(%6, starts: [1], sizes: [2], steps: [2]) : float32[2]
        %8 = copy(%7) : float32[2]
        %9 = cast(%8, to: float32) : float32[2]
        %10 = negate(%9) : float32[2]
      }
      """,
      gives: """
        graph (x: float32[2, 3, 4]) -> (%3, %0, %6, %7) {
          %1 = reshape(%0, shape: [6, 4]) : float32[6, 4]
          %2 = reshape(%0, shape: [6, 4]) : float32[6, 4]
          %3 = reshape(%0, shape: [24]) : float32[24]
          %4 = transpose(%0, permutation: [1, 2, 0]) : float32[3, 4, 2]
          %5 = slice(%3, starts: [20], sizes: [5], steps: [-4]) : float32[5]
          %6 = slice(%3, starts: [16], sizes: [2], steps: [-8]) : float32[2]
          %7 = negate(%6) : float32[2]
        }
        """)
  }

  @Test func concatenationsAreTransposedPartByPart() throws {
    try expect(
      .movementFolding,
      """
      graph (x: float32[2, 3], y: float32[4, 2]) -> (%5, %7, %8) {
        %2 = transpose(%1, permutation: [1, 0]) : float32[2, 4]
        %3 = concatenate(%0, %2, axis: 1) : float32[2, 7]
        %4 = transpose(%3, permutation: [1, 0]) : float32[7, 2]
        %5 = reshape(%4, shape: [14]) : float32[14]
        %6 = concatenate(%0, %0, axis: 0) : float32[4, 3]
        %7 = transpose(%6, permutation: [1, 0]) : float32[3, 4]
        %8 = exp(%6) : float32[4, 3]
      }
      """,
      gives: """
        graph (x: float32[2, 3], y: float32[4, 2]) -> (%6, %8, %9) {
          %2 = transpose(%1, permutation: [1, 0]) : float32[2, 4]
          %3 = concatenate(%0, %2, axis: 1) : float32[2, 7]
          %4 = transpose(%0, permutation: [1, 0]) : float32[3, 2]
          %5 = concatenate(%4, %1, axis: 0) : float32[7, 2]
          %6 = reshape(%5, shape: [14]) : float32[14]
          %7 = concatenate(%0, %0, axis: 0) : float32[4, 3]
          %8 = transpose(%7, permutation: [1, 0]) : float32[3, 4]
          %9 = exp(%7) : float32[4, 3]
        }
        """)
  }

  @Test func arithmeticThatCouldChangeBitsStays() throws {
    let text = """
      graph (x: float32[2]) -> (%5) {
        %1 = constant float32[] 0.0
        %2 = constant float32[] 1.0
        %3 = add(%0, %1) : float32[2]
        %4 = multiply(%3, %2) : float32[2]
        %5 = subtract(%4, %4) : float32[2]
      }
      """
    #expect(try compile(Graph(parsing: text)).optimized.description == text)
  }

  private func groups(_ text: String) throws -> [[Int]] {
    FusionPlan(try Graph(parsing: text)).groups.map { $0.map(\.index) }
  }

  @Test func chainsFuse() throws {
    #expect(
      try groups(
        """
        graph (x: float32[8, 4], b: float32[4]) -> (%4) {
          %2 = add(%0, %1) : float32[8, 4]
          %3 = tanh(%2) : float32[8, 4]
          %4 = multiply(%3, %2) : float32[8, 4]
        }
        """) == [[2, 3, 4]])
  }

  @Test func groupsStayFreeOfCycles() throws {
    // 1 → sum → 3 → 4 and 1 → 4: joining 1 and 4 would need the sum before and after.
    #expect(
      try groups(
        """
        graph (x: float32[8]) -> (%4) {
          %1 = exp(%0) : float32[8]
          %2 = sum(%1, axes: [0], keepDims: true) : float32[1]
          %3 = log(%2) : float32[1]
          %4 = subtract(%1, %3) : float32[8]
        }
        """) == [])
  }

  @Test func shapesDoNotMix() throws {
    #expect(
      try groups(
        """
        graph (x: float32[8, 4], b: float32[4]) -> (%4) {
          %2 = exp(%1) : float32[4]
          %3 = negate(%2) : float32[4]
          %4 = add(%0, %3) : float32[8, 4]
          %5 = absolute(%4) : float32[8, 4]
        }
        """) == [[2, 3], [4, 5]])
  }
}
