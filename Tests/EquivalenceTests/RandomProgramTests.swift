import Duet
import DuetTestSupport
import Testing

/// Programs of many statements, with state, gradients, random numbers and control flow on values. `duet-fuzz` runs
/// as many of them as one likes.
@Suite struct RandomProgramTests {
  // Tests run side by side, so that the instruction set stays what it is for all of them.
  private static func checker(_ coverage: Coverage? = nil) -> Checker {
    var checker = Checker(coverage: coverage)
    checker.variesReference = false
    return checker
  }

  @Test(
    "a random program gives the same bits in every mode, in results, state and gradients",
    arguments: 0..<40)
  func equalBits(_ part: Int) {
    for number in 0..<5 {
      let program = Program.drawn(seed: 40, number: part * 5 + number)
      if let difference = Self.checker().difference(in: program) {
        Issue.record("\(difference)\n\(program.text)")
      }
    }
  }

  @Test func randomProgramsMeetWhatTheyAreFor() {
    let coverage = Coverage()
    let checker = Self.checker(coverage)
    for number in 0..<150 {
      #expect(checker.difference(in: .drawn(seed: 41, number: number)) == nil, "program \(number)")
    }
    for name in [
      "replays", "values looked at", "programs with guards that went several ways",
      "programs traced for several signatures", "gradients taken",
      "programs that gave up because a value keeps changing",
      "programs run eagerly because of gradients outside",
      "programs with nested traced functions called", "programs that make a mistake",
      "programs with branches and loops of the graph", "gradients of branches and loops",
      "programs that throw", "runs of sessions", "programs lowered for unknown sizes",
    ] {
      #expect(coverage.count(of: name) > 0, "\(name)\n\(coverage.report)")
    }
  }

  @Test func aSeedAndANumberNameAProgram() {
    for number in 0..<20 {
      #expect(
        Program.drawn(seed: 3, number: number).text == Program.drawn(seed: 3, number: number).text)
    }
    #expect(Program.drawn(seed: 3, number: 0).text != Program.drawn(seed: 4, number: 0).text)
  }

  @Test func aProgramShrinksToWhatMakesItFail() throws {
    let program = try #require(
      (0..<100).lazy.map { Program.drawn(seed: 5, number: $0) }
        .first { $0.statementCount > 12 && $0.text.contains("matmul(") && $0.callCount > 3 })
    let (smallest, without) = program.shrunk { $0.text.contains("matmul(") }
    #expect(smallest.text.contains("matmul("))
    #expect(smallest.callCount == 1)
    #expect(smallest.statementCount == 1)
    #expect(program.calling(first: 1).without(without).text == smallest.text)
  }
}
