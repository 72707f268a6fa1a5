import DuetRuntime

/// Makes a graph, one node after the other.
public struct GraphBuilder {
  private var nodes: [Graph.Node] = []
  private var inputs: [ValueID] = []

  /// Begins a graph without nodes.
  public init() {}

  /// Adds an argument behind those that there are.
  public mutating func addInput(_ type: TensorType, name: String) -> ValueID {
    let id = append(.input(index: inputs.count, name: name), type)
    inputs.append(id)
    return id
  }

  /// Adds an array as a value that is the same at every call. Its memory is shared, not copied.
  public mutating func addConstant(_ array: ConstantArray) -> ValueID {
    append(.constant(array), array.type)
  }

  /// Adds an operation on earlier values.
  /// - Throws: `OpError` if the operation does not take inputs of these types.
  public mutating func add(_ op: Op, _ operands: [ValueID]) throws(OpError) -> ValueID {
    let operands = recomputation == nil ? operands : operands.map { behindBarrier($0) }
    return append(.operation(op, operands), try op.resultType(for: operands.map(type(of:))))
  }

  /// A time in which earlier operations are added once more.
  private struct Recomputation {
    /// Values from here on are of this time.
    let start: Int
    /// How many barriers lie between them and earlier ones: one for each time that they were computed before.
    let depth: Int
    /// Earlier values behind the barriers.
    var barriers: [ValueID: ValueID] = [:]
  }
  private var recomputations: [Recomputation] = []
  private var recomputation: Recomputation? { recomputations.last }

  /// From here on operations are added that were added before, to have their values once more instead of keeping them:
  /// they see earlier values from behind a barrier, so that no pass takes them for the same.
  package mutating func beginRecomputation(depth: Int) {
    recomputations.append(Recomputation(start: nodes.count, depth: depth))
  }

  package mutating func endRecomputation() { recomputations.removeLast() }

  private mutating func behindBarrier(_ id: ValueID) -> ValueID {
    let last = recomputations.count - 1
    // What stands for all results of a region is no array.
    if id.index >= recomputations[last].start || type(of: id) == Region.type { return id }
    if isConstant(id) && type(of: id).shape.elementCount == 1 { return id }
    if let known = recomputations[last].barriers[id] { return known }
    var value = id
    for _ in 0..<recomputations[last].depth {
      value = append(.operation(.barrier, [value]), type(of: value))
    }
    recomputations[last].barriers[id] = value
    return value
  }

  /// How many nodes there are.
  public var count: Int { nodes.count }

  /// Whether a value is the same at every call.
  public func isConstant(_ id: ValueID) -> Bool {
    if case .constant = nodes[id.index].kind { true } else { false }
  }

  /// A value's dtype and shape.
  public func type(of id: ValueID) -> TensorType { nodes[id.index].type }

  /// A value's name in messages: the argument's, or the operation's with its number, as in `add:3`.
  public func label(of id: ValueID) -> String {
    switch nodes[id.index].kind {
    case .input(_, let name): name
    case .constant: "constant:\(id.index)"
    case .operation(let op, _): "\(op.name):\(id.index)"
    }
  }

  /// The graph of all nodes added so far.
  public func finish(outputs: [ValueID], outputNames: [String] = []) -> Graph {
    let names = outputs.indices.map { $0 < outputNames.count ? outputNames[$0] : "" }
    return Graph(nodes: nodes, inputs: inputs, outputs: outputs, outputNames: names)
  }

  func kind(of id: ValueID) -> Graph.Node.Kind { nodes[id.index].kind }

  mutating func append(_ kind: Graph.Node.Kind, _ type: TensorType) -> ValueID {
    nodes.append(Graph.Node(kind: kind, type: type))
    return ValueID(nodes.count - 1)
  }
}
