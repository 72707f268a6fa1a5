// Unsafe: passes addresses of tensors' elements to a plan. Every tensor is held until the plan has run.

import DuetCompiler
import DuetEager
import DuetRuntime

/// Computes pending values outside of sessions.
enum Evaluation {
  /// Makes values that are put off from here on ones that can be evaluated.
  static func install() { _ = installed }

  private static let installed: Void = PendingNode.evaluator.withLock {
    $0 = PendingNode.Evaluator { node throws(TensorError) in try evaluate(node) }
  }

  /// Evaluates a value, and what this thread has written into cells meanwhile: so every round of a training loop is
  /// one program, and nothing is left to grow from round to round.
  ///
  /// No lock is held while anything is computed. Two threads that want one value may both compute it; they get the
  /// same bits, and the first is kept.
  private static func evaluate(_ wanted: PendingNode?) throws(TensorError) {
    let writes = DeferredThread.current.takeWrites()
    let contents = writes.compactMap { write in
      write.cell.flatMap { cell in
        cell.pendingContent.flatMap { $0.node.placeholder == nil ? (cell, $0) : nil }
      }
    }
    do throws(TensorError) {
      try compute((wanted.map { [$0] } ?? []) + contents.map(\.1.node))
    } catch {
      // All state is what it was before.
      for write in writes {
        guard let cell = write.cell, let pending = cell.pendingContent else { continue }
        cell.replace(pending, by: write.before)
      }
      throw error
    }
    for (cell, pending) in contents {
      if let evaluated = pending.evaluated { cell.replace(pending, by: Tensor(evaluated)) }
    }
  }

  /// Computes the values, and what the program holds of those in between: it would be computed again otherwise.
  private static func compute(_ roots: [PendingNode]) throws(TensorError) {
    var graph = PendingGraph()
    let targets: [PendingNode]
    let program: CompiledGraph?
    do throws(OpError) {
      targets = try addOutputs(roots, to: &graph)
      program = targets.isEmpty ? nil : try PendingPrograms.shared.program(for: graph)
    } catch {
      throw TensorError(error, at: CallSite())
    }
    guard let program else { return }
    let inputs = graph.arguments.map { argument -> TensorBody in
      guard case .tensor(let body) = argument.source else {
        preconditionFailure("cells and feeds belong to sessions")
      }
      return body.isContiguous ? body : Tensor(body).contiguousCopy.body
    }
    let values = targets.map { TensorBody(allocating: $0.type) }
    // One more: the address of nothing is no address.
    let nowhere = [UnsafeMutableRawPointer(bitPattern: 64)!]
    do throws(OpError) {
      try program.plan.run(
        inputs: inputs.map(\.pointer) + nowhere, outputs: values.map(\.pointer) + nowhere)
    } catch {
      throw graph.explained(error, inputs)
    }
    withExtendedLifetime(inputs) {}
    for (node, value) in zip(targets, values) { node.fulfil(value) }
  }

  /// Adds what the roots need.
  /// - Returns: The nodes whose values the graph's outputs are.
  private static func addOutputs(
    _ roots: [PendingNode], to graph: inout PendingGraph
  ) throws(OpError) -> [PendingNode] {
    var isOutput: Set<Int> = []
    var targets: [PendingNode] = []
    for root in roots {
      let entry = try graph.add(root)
      // What a variable's content was is the value of another node.
      if let node = graph.nodes[entry], isOutput.insert(entry).inserted {
        _ = graph.addOutput(entry: entry)
        targets.append(node)
      }
    }
    for (entry, node) in graph.nodes.enumerated() {
      if let node, node.isHeld, node.isWorthKeeping, isOutput.insert(entry).inserted {
        _ = graph.addOutput(entry: entry)
        targets.append(node)
      }
    }
    return targets
  }
}

extension PendingNode {
  /// Whether computing the value again would cost more than keeping it.
  fileprivate var isWorthKeeping: Bool {
    switch kind {
    case .operation(.reshape), .operation(.transpose), .operation(.broadcast), .operation(.slice),
      .operation(.fill), .operation(.region), .placeholder, .content:
      false
    case .operation: true
    }
  }
}

extension Tensor {
  /// The elements one behind the other, whoever is watching.
  var contiguousCopy: Tensor {
    ThreadContext.withRecorder(nil) { noGrad { apply(.copy, self) } }
  }
}
