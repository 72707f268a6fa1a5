import Duet
import Foundation
import Testing

/// What docs/how-it-works.md shows is what its programs print.
@Suite struct DocumentationTests {
  /// The page's fenced blocks that are no Swift.
  static let blocks: [String] = {
    let page = URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "../../docs/how-it-works.md").standardized
    guard let text = try? String(contentsOf: page, encoding: .utf8) else { return [] }
    return text.components(separatedBy: "```").enumerated()
      .filter { $0.offset % 2 == 1 && $0.element.hasPrefix("\n") }
      .map { $0.element.trimmingCharacters(in: .newlines) }
  }()

  private func expectShown(
    _ printed: Any, sourceLocation: Testing.SourceLocation = #_sourceLocation
  ) {
    let text = "\(printed)".trimmingCharacters(in: .newlines)
    #expect(
      Self.blocks.contains(text), "docs/how-it-works.md does not show:\n\(text)",
      sourceLocation: sourceLocation)
  }

  @Test func aTrainingStepIsRecordedCompiledAndPlanned() {
    let weight = Parameter(Tensor([0.5, -0.25]), name: "weight")
    let step = traced { (x: Tensor, y: Tensor) in
      let error = matmul(x, weight.value) - y
      let loss = (error * error).mean()
      weight.grad = nil
      loss.backward()
      noGrad { weight.value = weight.value - 0.01 * weight.grad! }
      return loss
    }
    let x = Tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    let y = Tensor([1.0, 2.0, 3.0])
    step(x, y)
    expectShown(step.graph(for: x, y).unoptimised)
    expectShown(step.graph(for: x, y))
    expectShown(step.plan(for: x, y))
  }

  @Test func retracesAreExplained() {
    let f = traced { (x: Tensor) in (x * 2 + 1).sum() }
    f(ones([3]))
    f(ones([4]))
    expectShown(f.explain())
  }

  @Test func aDeferredProgramHasAGraph() throws {
    let (u, v, c) = withExecution(.deferred) {
      let u = placeholder(.float32, shape: [], name: "a")
      let v = placeholder(.float32, shape: [], name: "b")
      return (u, v, nameScope("area") { u * v } + 1)
    }
    let session = Session()
    let result = try session.run(c, feeding: [u: Tensor(15.0), v: Tensor(20.0)])
    #expect(result.item(Float.self) == 301)
    let slopes = try session.run(
      gradients(of: c, withRespectTo: [u, v]), feeding: [u: Tensor(15.0), v: Tensor(20.0)])
    #expect(slopes.map { $0.item(Float.self) } == [20, 15])
    expectShown(try session.graph(of: c))
  }

  @Test func aLoopIsAnOperation() {
    let collatz = traced { (n: Tensor) in
      whileLoop(
        (n, Tensor(0)), while: { n, _ in n .> 1 },
        do: { n, steps in (cond(n % 2 .== 0, then: { n / 2 }, else: { 3 * n + 1 }), steps + 1) }
      ).1
    }
    #expect(collatz(Tensor(27)).item(Int.self) == 111)
    expectShown(collatz.graph(for: Tensor(27)))
  }
}
