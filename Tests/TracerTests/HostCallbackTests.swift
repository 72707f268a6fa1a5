import Duet
import DuetTestSupport
import Foundation
import Testing

/// Callbacks and printing: on every call, in the order of the program.
@Suite struct HostCallbackTests {
  /// What a program has told, in order.
  private final class Log {
    var lines: [String] = []
    func note(_ name: String, _ x: Tensor) { lines.append("\(name) \(x)") }
  }

  @Test func callbacksAreMadeOnEveryCallInProgramOrder() {
    let log = Log()
    let total = Variable(Tensor(0), name: "total")
    let f = traced { (x: Tensor) -> Tensor in
      hostCallback(x) { log.note("x", $0) }
      total.value = total.value + x
      hostCallback(total.value, x * 10) { total, ten in
        log.note("total", total)
        log.note("ten", ten)
      }
      // Nothing else uses this value.
      hostCallback([x * 0, x]) { log.lines.append("\($0.count) values") }
      return x
    }
    for i in 1...4 { _ = f(Tensor(i)) }
    func lines(_ x: Int, _ total: Int) -> [String] {
      ["x \(x)", "total \(total)", "ten \(10 * x)", "2 values"]
    }
    #expect(log.lines == lines(1, 1) + lines(2, 3) + lines(3, 6) + lines(4, 10))
    #expect(f.traceCount == 1)
    log.lines = []
    withTracingDisabled { _ = f(Tensor(5)) }
    #expect(log.lines == lines(5, 15))
  }

  @Test func equalCallbacksAreNotJoined() {
    let log = Log()
    let f = traced { (x: Tensor) in
      for _ in 0..<3 { hostCallback(x * 2) { log.note("twice", $0) } }
    }
    for _ in 0..<2 { f(Tensor(1)) }
    #expect(log.lines == Array(repeating: "twice 2", count: 6))
  }

  @Test func pathsMakeTheirOwnCallbacksOncePerCall() {
    let log = Log()
    let f = traced { (x: Tensor) -> Tensor in
      hostCallback(x) { log.note("begin", $0) }
      if (x .> 0).item() {
        hostCallback(x) { log.note("up", $0) }
        return x * 2
      }
      hostCallback(x) { log.note("down", $0) }
      return -x
    }
    let inputs = [1, -1, 2, -2, -3, 3]
    for i in inputs { _ = f(Tensor(i)) }
    #expect(log.lines == inputs.flatMap { ["begin \($0)", $0 > 0 ? "up \($0)" : "down \($0)"] })
    #expect(f.traceCount == 2)
  }

  @Test func aCallThatFailsOrThrowsMakesNone() throws {
    struct Refusal: Error {}
    let log = Log()
    let f = traced { (x: Tensor, i: Tensor) -> Tensor in
      hostCallback(x) { log.note("x", $0) }
      let y = take(x, i, axis: 0)
      if (y.sum() .< 0).item() { throw Refusal() }
      return y
    }
    let x = Tensor([1, 2, -5])
    #expect(throws: Refusal.self) { try f(x, Tensor([2])) }
    #expect(log.lines == [])
    for _ in 0..<2 { _ = try f(x, Tensor([0])) }
    #expect(log.lines.count == 2)
    #expect(throws: Refusal.self) { try f(x, Tensor([2])) }
    #expect(throws: TensorError.self) { try checked { try f(x, Tensor([7])) } }
    #expect(log.lines.count == 2)
    _ = try f(x, Tensor([1]))
    #expect(log.lines.count == 3)
  }

  @Test func callbacksSeeTheStateOfTheCallAndMayUseFunctions() {
    let v = Variable(Tensor(Float(0)), name: "v")
    let double = traced { (x: Tensor) in x * 2 }
    var seen: [Float] = []
    let f = traced { (x: Tensor) -> Tensor in
      hostCallback(x) { x in
        #expect(executingEagerly)
        #expect(!x.requiresGrad)
        seen.append(double(v.value + x).item())
      }
      v.value = v.value + x
      return v.value
    }
    for _ in 0..<3 { _ = f(Tensor(Float(1))) }
    #expect(seen == [4, 6, 8])
  }

  @Test func functionsCalledInsidePassTheirCallbacksOn() {
    let log = Log()
    let inner = traced { (x: Tensor) -> Tensor in
      hostCallback(x) { log.note("inner", $0) }
      return x + 1
    }
    let outer = traced { (x: Tensor) -> Tensor in
      hostCallback(x) { log.note("outer", $0) }
      return inner(inner(x))
    }
    for _ in 0..<2 { _ = outer(Tensor(0)) }
    #expect(log.lines == ["outer 0", "inner 0", "inner 1", "outer 0", "inner 0", "inner 1"])
  }

  @Test func loweringMakesNoCallbacksButKeepsThem() throws {
    let log = Log()
    let f = traced { (x: Tensor) -> Tensor in
      hostCallback(x + 1) { log.note("x", $0) }
      return x
    }
    try f.lower(TensorSpec([], .int64))
    #expect(log.lines == [])
    _ = f(Tensor(1))
    _ = f(Tensor(2))
    #expect(log.lines == ["x 2", "x 3"])
    #expect(f.traceCount == 1)
  }

  @Test func tracePrintPrintsTheValuesOfEveryCall() throws {
    let f = traced { (x: Tensor) -> Tensor in
      let y = x * 2
      tracePrint("twice", x, "is", y, label: "tracePrint-test")
      tracePrint([x, y], separator: ",", terminator: " tracePrint-test\n")
      return y
    }
    let text = try printed {
      for i in 1...3 { _ = f(Tensor(i)) }
      withTracingDisabled { _ = f(Tensor(4)) }
    }
    let lines = text.split(separator: "\n").filter { $0.contains("tracePrint-test") }
    let expected = (1...4).flatMap {
      [
        "tracePrint-test: twice \($0) is \(2 * $0)",
        "\([Tensor($0), Tensor(2 * $0)]) tracePrint-test",
      ]
    }
    #expect(lines.map(String.init) == expected)
  }

  /// What goes to the standard output meanwhile.
  private func printed(_ body: () -> Void) throws -> String {
    let url = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
    defer { try? FileManager.default.removeItem(at: url) }
    fflush(nil)
    let before = dup(1)
    let file = open(url.path, O_WRONLY | O_CREAT | O_APPEND, 0o600)
    dup2(file, 1)
    body()
    fflush(nil)
    dup2(before, 1)
    close(before)
    close(file)
    return try String(contentsOf: url, encoding: .utf8)
  }
}
