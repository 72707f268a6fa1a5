import DuetRuntime

extension Graph {
  /// An argument of a graph that is made from another one's nodes.
  package struct Argument {
    package let type: TensorType
    package let name: String
    /// The value that it stands for; nil if nothing in the graph uses it.
    package let value: ValueID?

    package init(_ type: TensorType, name: String, value: ValueID?) {
      self.type = type
      self.name = name
      self.value = value
    }
  }

  /// The part of this graph that computes some values from others, with the arguments in that order.
  package func part(from arguments: [Argument], to outputs: [ValueID], names: [String] = [])
    -> Graph
  {
    var builder = GraphBuilder()
    var image = [ValueID?](repeating: nil, count: nodes.count)
    for argument in arguments {
      let id = builder.addInput(argument.type, name: argument.name)
      if let value = argument.value { image[value.index] = id }
    }
    let isNeeded = reach(of: outputs)
    for (i, node) in nodes.enumerated() where isNeeded[i] && image[i] == nil {
      switch node.kind {
      case .input(_, let name): preconditionFailure("\(name) is not among the arguments")
      case .constant: image[i] = builder.append(node.kind, node.type)
      case .operation(let op, let operands):
        image[i] = builder.append(.operation(op, operands.map { image[$0.index]! }), node.type)
      }
    }
    return builder.finish(outputs: outputs.map { image[$0.index]! }, outputNames: names)
  }

  /// For every node whether one of these values depends on it, or is it.
  package func reach(of values: [ValueID]) -> [Bool] {
    var isNeeded = [Bool](repeating: false, count: nodes.count)
    for value in values { isNeeded[value.index] = true }
    for i in nodes.indices.reversed() where isNeeded[i] {
      for operand in nodes[i].operands { isNeeded[operand.index] = true }
    }
    return isNeeded
  }

  /// Whether both do the same, node by node.
  func isSame(as other: Graph) -> Bool {
    nodes.count == other.nodes.count && inputs == other.inputs && outputs == other.outputs
      && nodes.indices.allSatisfy { nodes[$0].isSame(as: other.nodes[$0]) }
  }
}

extension Graph.Node {
  /// Whether both are the same argument, equal arrays, or the same operation on the same operands, to the bit.
  package func isSame(as other: Graph.Node) -> Bool {
    guard type == other.type else { return false }
    switch (kind, other.kind) {
    case (.input(let a, _), .input(let b, _)): return a == b
    case (.constant(let a), .constant(let b)):
      return a.isIdentical(to: b) || a.type == b.type && a.elements == b.elements
    case (.operation(let a, let x), .operation(let b, let y)):
      return x == y && a == b && a.exactNumbers == b.exactNumbers
    default: return false
    }
  }
}

extension Op {
  /// Numbers among the attributes by their bits: 0.0 and -0.0 are equal but not the same.
  var exactNumbers: [UInt64] {
    if case .iota(_, _, let start, let step) = self {
      [start.bitPattern, step.bitPattern]
    } else {
      []
    }
  }
}
