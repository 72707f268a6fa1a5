import DuetCompiler
import DuetRuntime
import Testing

/// Branches and loops in graphs: their text, what is checked of them, what passes leave of them.
@Suite struct RegionTests {
  private static let text = """
    graph (x: float32[4, 3], p: bool[], n: int64[]) -> (sum: %5, rows: %6, %9, n: %2) {
      %3 = fill(value: 0.0) : float32[3]
      %4 = scan(%3, %3, %0, %2, carried: 2, sequences: 1, stacked: 2, length: 4, reversed: true) {
        do (s: float32[3], unused: float32[3], row: float32[3], n: int64[]) -> (%6, %1, %7, %0) {
          %4 = cast(%3, to: float32) : float32[]
          %5 = multiply(%2, %4) : float32[3]
          %6 = add(%0, %5) : float32[3]
          %7 = multiply(%6, %6) : float32[3]
        }
      }
      %5 = result(%4, index: 0) : float32[3]
      %6 = result(%4, index: 2) : float32[4, 3]
      %7 = result(%4, index: 3) : float32[4, 3]
      %8 = cond(%1, %5, %0, %2) {
        then (s: float32[3], x: float32[4, 3], n: int64[]) -> (%5, %0) {
          %3 = whileLoop(%2, %0, carried: 2, length: 9, givesCount: true) {
            do (n: int64[], s: float32[3]) -> (%3, %4) {
              %2 = constant int64[] 1
              %3 = subtract(%0, %2) : int64[]
              %4 = add(%1, %1) : float32[3]
            }
            while (n: int64[], s: float32[3]) -> (%3) {
              %2 = constant int64[] 0
              %3 = greater(%0, %2) : bool[]
            }
          }
          %4 = result(%3, index: 2) : int64[]
          %5 = result(%3, index: 1) : float32[3]
        }
        else (s: float32[3], x: float32[4, 3], n: int64[]) -> (%0, %0) {
        }
      }
      %9 = result(%8, index: 0) : float32[3]
    }
    """

  @Test func textIsReadBack() throws {
    let graph = try Graph(parsing: Self.text)
    #expect(graph.description == Self.text)
    #expect(graph.dot.contains("subgraph cluster_n4_0_") && graph.dot.contains("label=\"%4 do\""))
    #expect(graph.dot.contains("subgraph cluster_n8_0_n3_1_"))
    #expect(graph.html.contains("whileLoop(%2, %0, carried: 2"))
  }

  @Test func whatIsNotUsedIsLeftOut() throws {
    let graph = try Graph(parsing: Self.text)
    let compiled = try compile(graph)
    try compiled.optimized.verify()
    let text = compiled.optimized.description
    // A carried value that leads to itself alone, stacked results, a count, arguments.
    #expect(
      text.contains(
        "scan(%3, %0, %2, carried: 1, sequences: 1, stacked: 1, length: 4, reversed: true)"),
      "\(text)")
    #expect(text.contains("cond(%1, %5, %2)"), "\(text)")
    #expect(text.contains("whileLoop(%1, %0, carried: 2, length: 9) {"), "\(text)")
  }

  @Test(arguments: [true, false]) func plansDoWhatTheTextSays(isOptimized: Bool) throws {
    let graph = try Graph(parsing: Self.text)
    let plan = try compile(graph, CompileOptions(fuse: isOptimized, optimize: isOptimized)).plan
    var random = SplitMix64(3)
    for (p, n) in [(1, 0), (1, 3), (0, 3), (1, 40)] {
      let x = ConstantArray(
        (0..<12).map { _ in Element(Double(random.int(-9...9)), .float32) },
        TensorType(.float32, [4, 3]))
      let results = try plan.results([
        x, ConstantArray([Element(integer: p, .bool)], TensorType(.bool, [])),
        ConstantArray([Element(integer: n, .int64)], TensorType(.int64, [])),
      ])
      var sum = [Float](repeating: 0, count: 3)
      var rows = [Float](repeating: 0, count: 12)
      let values = x.elements.map { Float($0.value(.float32)) }
      for t in (0..<4).reversed() {
        for k in 0..<3 {
          sum[k] += values[t * 3 + k] * Float(n)
          rows[t * 3 + k] = sum[k] * sum[k]
        }
      }
      var chosen = sum
      if p == 1 { for _ in 0..<min(n, 9) { chosen = chosen.map { $0 + $0 } } }
      func found(_ i: Int) -> [Float] { results[i].elements.map { Float($0.value(.float32)) } }
      #expect(found(0) == sum && found(1) == rows && found(2) == chosen)
      #expect(results[3].elements == [Element(integer: n, .int64)])
    }
  }

  @Test func brokenRegionsAreRefused() {
    func error(_ old: String, _ new: String) -> String {
      do {
        _ = try Graph(parsing: Self.text.replacing(old, with: new))
        return "none"
      } catch { return "\(error)" }
    }
    #expect(
      error("index: 3) : float32[4, 3]", "index: 4) : float32[4, 3]").contains(
        "no region has a result 4"))
    #expect(
      error("-> (%6, %1, %7, %0) {", "-> (%6, %4, %7, %0) {").contains(
        "other values than it carries"))
    #expect(error(", stacked: 2, length: 4", ", stacked: 2").contains("instead of float32[0, 3]"))
    #expect(error("-> (%5, %0) {", "-> (%0, %5, %0) {").contains("the branches have other"))
    #expect(
      error("%3 = greater(%0, %2) : bool[]", "%3 = subtract(%0, %2) : int64[]").contains(
        "is no bool"))
    #expect(
      error("carried: 2, length: 9", "carried: 3, length: 9").contains("other arguments or outputs")
    )
    #expect(error("do (n: int64", "what (n: int64").contains("needs a graph do"))
    #expect(
      error("scan(%3, %3, %0, %2", "scan(%3, %3, %0, %1").contains(
        "input 3 is bool[] instead of int64[]"))
    #expect(
      error("%7 = multiply(%6, %6) : float32[3]", "%7 = multiply(%6, %8) : float32[3]").contains(
        "%8 is not defined"))
  }

  /// Every elementwise operation on single elements, two at a time in one step, gives what it gives alone.
  @Test func operationsOnOneElementHaveTheBitsOfTheLoops() throws {
    var random = SplitMix64(8)
    var ops: [(op: Op, inputs: Int)] = UnaryOp.allCases.map { (.unary($0), 1) }
    ops += BinaryOp.allCases.map { (.binary($0), 2) }
    ops += ComparisonOp.allCases.map { (.compare($0), 2) }
    ops += DType.allCases.map { (.cast($0), 1) }
    var count = 0
    for (op, arity) in ops {
      for dtype in DType.allCases {
        let type = TensorType(dtype, [])
        let types = [TensorType](repeating: type, count: arity)
        guard (try? op.resultType(for: types)) != nil else { continue }
        for _ in 0..<6 {
          let inputs = types.map { random.array($0) }
          var builder = GraphBuilder()
          let values = inputs.map { builder.addInput($0.type, name: "x") }
          let first = try builder.add(op, values)
          let second = try builder.add(op, values.reversed())
          let flag = try builder.add(.compare(.notEqual), [first, second])
          let third = try builder.add(.select, [flag, first, second])
          let graph = builder.finish(outputs: [first, third])
          try expectPlansAgree(graph, inputs)
          #expect(try compile(graph).plan.description.contains("on one element each"))
          count += 1
        }
      }
    }
    #expect(count > 1000)
  }
}
