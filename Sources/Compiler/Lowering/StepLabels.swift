import DuetRuntime

/// What a printed plan says of its steps, made when it is asked for.
final class StepLabels: Sendable {
  private let graph: Graph
  private let buffers: [Buffer]
  private let constants: [ConstantArray]
  private let memory: MemoryPlan
  /// The number of every value in the graph's text.
  private let numbers: [Int]

  init(_ lowering: Lowering, _ memory: MemoryPlan) {
    graph = lowering.graph
    buffers = lowering.buffers
    constants = lowering.constants
    self.memory = memory
    var numbers = [Int](repeating: 0, count: graph.nodes.count)
    for (i, id) in graph.inputs.enumerated() { numbers[id.index] = i }
    var next = graph.inputs.count
    for (i, node) in graph.nodes.enumerated() {
      if case .input = node.kind { continue }
      numbers[i] = next
      next += 1
    }
    self.numbers = numbers
  }

  /// Where an operand is, as a printed plan says it.
  private func text(_ operand: StepOperand) -> String {
    let owner = memory.owner[operand.buffer]
    let suffix = operand.byteOffset == 0 ? "" : "+\(operand.byteOffset)"
    switch buffers[owner].kind {
    case .arena: return "arena[\(memory.offset(of: owner) + operand.byteOffset)]"
    case .input(let i):
      guard case .input(_, let name) = graph[graph.inputs[i]].kind else { return "input \(i)" }
      return name.isEmpty ? "input \(i)\(suffix)" : name + suffix
    case .output(let j):
      return (graph.outputNames[j].isEmpty ? "output \(j)" : graph.outputNames[j]) + suffix
    case .constant(let k):
      if let element = constants[k].uniformElement {
        return element.text(constants[k].type.dtype)
      }
      return "constant \(k)\(suffix)"
    }
  }

  func label(_ op: Op, _ step: LoweredStep) -> String {
    let output = step.outputs[0]
    let operands = Graph.argumentText(op, step.inputs.map(text))
    let name = step.nodes.first.map { "%\(numbers[$0.index]) " } ?? ""
    let type = TensorType(output.dtype, output.layout.shape)
    return "\(name)\(text(output)) = \(op.name)(\(operands)) : \(type)"
  }

  func label(scalars group: TileGroup, _ step: LoweredStep) -> String {
    let nodes = step.nodes.map { "%\(numbers[$0.index])" }.joined(separator: " ")
    let body = group.text(inputs: step.inputs.map(text), outputs: step.outputs.map(text))
    return "\(nodes) on one element each\n" + indented(body)
  }

  func label(_ region: LoweredRegion, _ step: LoweredStep) -> String {
    let results = step.outputs.dropLast().map(text).joined(separator: ", ")
    let operands = Graph.argumentText(.region(region.region), step.inputs.map(text))
    let name = "%\(numbers[step.nodes[0].index])"
    let parts = zip(region.region.labels, region.plans).map { "\($0) \($1)" }
    return "\(name) \(results) = \(region.region.name)(\(operands))\n"
      + indented(parts.joined(separator: "\n"))
  }

  private func indented(_ text: String) -> String {
    text.split(separator: "\n", omittingEmptySubsequences: false).map { "  " + $0 }
      .joined(separator: "\n")
  }

  func label(_ group: TileGroup, _ step: LoweredStep, _ layout: TileLayout) -> String {
    let nodes = step.nodes.map { "%\(numbers[$0.index])" }.joined(separator: " ")
    let header =
      "\(nodes) fused over \(group.shape), \(layout.tileCount) tiles of \(layout.tileElements), "
      + "\(layout.scratchByteCount) bytes of scratch"
    let body = group.text(inputs: step.inputs.map(text), outputs: step.outputs.map(text))
    return header + "\n" + indented(body)
  }
}
