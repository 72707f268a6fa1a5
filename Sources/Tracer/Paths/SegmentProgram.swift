import DuetCompiler
import DuetRuntime
import Synchronization

/// What a segment computes, compiled when it is first run.
final class SegmentProgram: Sendable {
  /// The program that is run, with the places of its arguments among the path's values.
  final class Compiled: Sendable {
    /// Nil if there is nothing to compute.
    let plan: Plan?
    let inputs: [Int]
    /// The types of the kept values.
    let types: [TensorType]
    let byteCounts: [Int]

    init(plan: Plan?, inputs: [Int], types: [TensorType]) {
      self.plan = plan
      self.inputs = inputs
      self.types = types
      byteCounts = types.map(\.byteCount)
    }
  }

  private let nodes: [Graph.Node]
  private let range: Range<Int>
  private let kept: [Int]
  /// What has to be done for the sake of its errors.
  private let checks: [Int]
  private let known = AtomicLazyReference<Compiled>()

  init(nodes: [Graph.Node], range: Range<Int>, kept: [Int], checks: [Int]) {
    self.nodes = nodes
    self.range = range
    self.kept = kept
    self.checks = checks
  }

  /// - Throws: `OpError` if a constant part of the graph has no value: an index out of range.
  func compiled() throws(OpError) -> Compiled {
    if let compiled = known.load() { return compiled }
    return known.storeIfNil(try compiledAnew())
  }

  private func compiledAnew() throws(OpError) -> Compiled {
    if kept.isEmpty && checks.isEmpty { return Compiled(plan: nil, inputs: [], types: []) }
    var needed = Set(kept + checks)
    for id in range.reversed() where needed.contains(id) {
      needed.formUnion(nodes[id].operands.map(\.index))
    }
    var builder = GraphBuilder()
    var inputs: [Int] = []
    var local: [Int: ValueID] = [:]
    func value(_ id: Int) -> ValueID {
      if let known = local[id] { return known }
      let new: ValueID
      if let constant = nodes[id].constant {
        new = builder.addConstant(constant)
      } else {
        inputs.append(id)
        new = builder.addInput(nodes[id].type, name: "value \(id)")
      }
      local[id] = new
      return new
    }
    for id in range where needed.contains(id) {
      guard case .operation(let op, let operands) = nodes[id].kind else { continue }
      let arguments = operands.map { value($0.index) }
      local[id] = try builder.add(op, arguments)
    }
    let graph = builder.finish(outputs: kept.map { local[$0]! })
    return Compiled(
      plan: try compile(graph).plan, inputs: inputs, types: kept.map { nodes[$0].type })
  }
}
