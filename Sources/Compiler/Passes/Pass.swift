import DuetRuntime

/// A rewrite of a graph that keeps the bits of every output.
public struct Pass: Sendable {
  /// What `CompiledGraph.report` calls it: `dead code`, `constant folding`.
  public let name: String
  /// - Throws: `OpError` if a constant part of the graph has no value.
  public let run: @Sendable (Graph) throws(OpError) -> Graph

  init(_ name: String, _ run: @escaping @Sendable (Graph) throws(OpError) -> Graph) {
    self.name = name
    self.run = run
  }

  /// The passes that `compile` runs, in order.
  public static let standard: [Pass] = [
    .commonSubexpressions, .movementFolding, .constantFolding, .movementFolding, .sliceSinking,
    .commonSubexpressions, .deadCode, .regions,
  ]
}

/// Builds a graph from another one, node by node.
struct GraphRewriter {
  let source: Graph
  private(set) var builder = GraphBuilder()
  /// What each node of the source has become.
  private var image: [ValueID?]

  /// Starts with the arguments, which every rewrite keeps.
  init(_ source: Graph) {
    self.source = source
    image = Array(repeating: nil, count: source.nodes.count)
    for id in source.inputs {
      if case .input(_, let name) = source[id].kind {
        image[id.index] = builder.addInput(source.type(of: id), name: name)
      }
    }
  }

  /// The new value that stands for one of the source.
  func value(_ id: ValueID) -> ValueID { image[id.index]! }

  mutating func replace(_ id: ValueID, by new: ValueID) { image[id.index] = new }

  mutating func addConstant(_ array: ConstantArray) -> ValueID {
    builder.append(.constant(array), array.type)
  }

  /// Adds an operation whose result has that type.
  mutating func add(_ op: Op, _ operands: [ValueID], _ type: TensorType) -> ValueID {
    builder.append(.operation(op, operands), type)
  }

  /// Takes a node over as it is.
  mutating func keep(_ id: ValueID) {
    let node = source[id]
    switch node.kind {
    case .input: return
    case .constant: image[id.index] = builder.append(node.kind, node.type)
    case .operation(let op, let operands):
      image[id.index] = add(op, operands.map(value), node.type)
    }
  }

  consuming func finish() -> Graph {
    builder.finish(outputs: source.outputs.map(value), outputNames: source.outputNames)
  }
}
