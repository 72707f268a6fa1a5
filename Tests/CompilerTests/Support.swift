// Unsafe: passes the addresses of arrays' elements to plans, while the arrays are held.

import DuetCompiler
import DuetRuntime
import Testing

/// Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014.
struct SplitMix64: RandomNumberGenerator {
  private var state: UInt64

  init(_ seed: Int) { state = UInt64(truncatingIfNeeded: seed) &* 0x9E37_79B9_7F4A_7C15 }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  mutating func int(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &self) }
  mutating func chance(_ percent: Int) -> Bool { int(1...100) <= percent }
  mutating func pick<T>(_ choices: [T]) -> T { choices.randomElement(using: &self)! }

  /// An array of ordinary numbers, with now and then one of those that break formulas.
  mutating func array(_ type: TensorType) -> ConstantArray {
    let special: [Double] = [.nan, .infinity, -.infinity, -0.0, 0, 1e-40, 3e38]
    let elements = (0..<type.shape.elementCount).map { _ -> Element in
      if type.dtype.isFloatingPoint {
        let value = chance(3) ? pick(special) : Double(int(-3000...3000)) / 1000
        return Element(value, type.dtype)
      }
      return Element(integer: int(type.dtype == .bool ? 0...1 : -20...20), type.dtype)
    }
    return ConstantArray(elements, type)
  }
}

extension TensorType {
  /// Reads the printed form.
  init(_ text: String) {
    let graph = try! Graph(parsing: "graph (x: \(text)) -> () {}")
    self = graph.type(of: graph.inputs[0])
  }
}

extension Graph {
  /// What the graph's operations give one after the other, each through `Op.execute`.
  func interpreted(_ inputs: [ConstantArray]) throws -> [ConstantArray] {
    var values: [ConstantArray] = []
    for node in nodes {
      switch node.kind {
      case .input(let index, _): values.append(inputs[index])
      case .constant(let array): values.append(array)
      case .operation(let op, let operands):
        values.append(try op.evaluate(operands.map { values[$0.index] }))
      }
    }
    return outputs.map { values[$0.index] }
  }
}

extension Plan {
  /// Runs the plan on fresh memory.
  /// - Parameter shared: For some outputs the input whose memory, a copy of it, they are written into.
  func results(_ inputs: [ConstantArray], shared: [Int: Int] = [:]) throws -> [ConstantArray] {
    let copies = inputs.map { ConstantArray($0.elements, $0.type) }
    var outputs: [ConstantArray] = []
    for (j, type) in outputTypes.enumerated() {
      if let input = shared[j] {
        outputs.append(copies[input])
        continue
      }
      // Contents that no result has by chance.
      let poison = Element(bits: 0xABAB_ABAB_ABAB_ABAB)
      outputs.append(
        ConstantArray([Element](repeating: poison, count: type.shape.elementCount), type))
    }
    let inputPointers = copies.map(\.view.pointer) + [UnsafeMutableRawPointer(bitPattern: 64)!]
    let outputPointers = outputs.map(\.view.pointer) + [UnsafeMutableRawPointer(bitPattern: 64)!]
    try run(inputs: inputPointers, outputs: outputPointers)
    withExtendedLifetime(copies) {}
    return outputs
  }
}

/// Fails the test at the first element that differs in a bit. One NaN is as good as another.
func expectSameBits(
  _ actual: [ConstantArray], _ expected: [ConstantArray], _ context: @autoclosure () -> String,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  guard actual.count == expected.count else {
    Issue.record("\(actual.count) results, not \(expected.count)", sourceLocation: sourceLocation)
    return
  }
  for (j, (a, b)) in zip(actual, expected).enumerated() {
    guard a.type == b.type else {
      Issue.record("output \(j): \(a.type), not \(b.type)", sourceLocation: sourceLocation)
      return
    }
    let (x, y) = (a.elements, b.elements)
    let dtype = a.type.dtype
    func isNaN(_ element: Element) -> Bool { element.value(dtype).isNaN }
    if let i = x.indices.first(where: { x[$0] != y[$0] && !(isNaN(x[$0]) && isNaN(y[$0])) }) {
      Issue.record(
        """
        output \(j), element \(i): \(x[i].text(dtype)), not \(y[i].text(dtype))
        \(context())
        """, sourceLocation: sourceLocation)
      return
    }
  }
}

/// Compiles a graph in several ways, runs the plans twice and compares with the interpreted graph.
func expectPlansAgree(
  _ graph: Graph, _ inputs: [ConstantArray], sourceLocation: SourceLocation = #_sourceLocation
) throws {
  let expected = try graph.interpreted(inputs)
  for (fuse, optimize) in [(false, false), (true, false), (true, true)] {
    let compiled = try compile(graph, CompileOptions(fuse: fuse, optimize: optimize))
    try compiled.optimized.verify()
    for _ in 0..<2 {
      expectSameBits(
        try compiled.plan.results(inputs), expected,
        "fuse \(fuse), optimize \(optimize)\n\(compiled.optimized)\n\(compiled.plan)",
        sourceLocation: sourceLocation)
    }
  }
}
