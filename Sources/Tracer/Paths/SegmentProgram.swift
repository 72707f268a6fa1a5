// Unsafe: keeps plain data in raw memory, constant after init and freed with its owner.

import DuetCompiler
import DuetEager
import DuetRuntime

/// What a segment computes, compiled when it is first run.
final class SegmentProgram: Sendable {
  /// The program that is run, with the places of its arguments among the path's values. Replays read it without
  /// counting references.
  final class Compiled: @unchecked Sendable {
    // Sendable: constant after init, raw memory included; `owner` keeps what `plan` refers to.

    private let owner: Plan?
    /// Nil if there is nothing to compute.
    let plan: Unmanaged<Plan>?
    let inputs: UnsafeMutableBufferPointer<Int>
    /// By kept value.
    let outputs: UnsafeMutableBufferPointer<TensorForm>

    init(plan: Plan?, inputs: [Int], types: [TensorType]) {
      owner = plan
      self.plan = plan.map { .passUnretained($0) }
      self.inputs = .plain(inputs)
      outputs = .plain(types.map { TensorForm($0) })
    }

    deinit {
      inputs.deallocate()
      outputs.deallocate()
    }
  }

  private let nodes: [Graph.Node]
  private let range: Range<Int>
  private let kept: [Int]
  /// What has to be done for the sake of its errors.
  private let checks: [Int]
  private let known = LazyReference<Compiled>()

  init(nodes: [Graph.Node], range: Range<Int>, kept: [Int], checks: [Int]) {
    self.nodes = nodes
    self.range = range
    self.kept = kept
    self.checks = checks
  }

  /// What is run; it lives as long as this object.
  /// - Throws: `OpError` if a constant part of the graph has no value: an index out of range.
  @inline(__always)
  func compiled() throws(OpError) -> Unmanaged<Compiled> {
    if let known = known.unretained { return known }
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

extension UnsafeMutableBufferPointer {
  /// A copy of plain data, in memory of its own.
  static func plain(_ array: [Element]) -> Self {
    let buffer = Self.allocate(capacity: array.count)
    _ = buffer.initialize(from: array)
    return buffer
  }
}
