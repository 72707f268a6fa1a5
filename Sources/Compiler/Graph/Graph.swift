import DuetRuntime

/// A value of a graph: the node that computes it.
///
/// Every operation has one result, so nodes and values are the same.
public struct ValueID: Sendable, Hashable, Comparable {
  /// The node's place in `Graph.nodes`.
  public let index: Int

  /// The value of the node at that place in `Graph.nodes`.
  public init(_ index: Int) { self.index = index }

  public static func < (a: ValueID, b: ValueID) -> Bool { a.index < b.index }
}

/// A tensor program in static single assignment form: nodes in an order in which each comes after what it
/// uses. Immutable once built.
public struct Graph: Sendable {
  /// One value: where it comes from, and its type.
  public struct Node: Sendable {
    /// Where a value comes from.
    public enum Kind: Sendable {
      /// What the caller passes as argument `index`.
      case input(index: Int, name: String)
      /// Elements that are known when the graph is built, the same at every call.
      case constant(ConstantArray)
      /// What an operation gives for earlier values, which stand in the order of its inputs.
      case operation(Op, [ValueID])
    }

    /// An argument, a constant or an operation.
    public let kind: Kind
    /// The value's dtype and shape.
    public let type: TensorType

    package init(kind: Kind, type: TensorType) {
      self.kind = kind
      self.type = type
    }
  }

  /// Each behind those that it uses; a ``ValueID`` is a place among them.
  public let nodes: [Node]
  /// The nodes of the arguments, in order.
  public let inputs: [ValueID]
  /// The values that the graph gives, in order.
  public let outputs: [ValueID]
  /// One per output; empty where it has none.
  public let outputNames: [String]

  /// Takes the parts as they are; `verify` says whether they make a graph.
  package init(nodes: [Node], inputs: [ValueID], outputs: [ValueID], outputNames: [String]) {
    self.nodes = nodes
    self.inputs = inputs
    self.outputs = outputs
    self.outputNames = outputNames
  }

  /// A graph in which nothing happens.
  package static var empty: Graph { Graph(nodes: [], inputs: [], outputs: [], outputNames: []) }

  /// The node that computes a value of this graph.
  public subscript(id: ValueID) -> Node { nodes[id.index] }

  /// A value's dtype and shape.
  public func type(of id: ValueID) -> TensorType { nodes[id.index].type }

  /// The number of operations, without inputs and constants.
  public var operationCount: Int {
    // A look at the case alone: copying nodes would count references.
    var count = 0
    for i in nodes.indices { if case .operation = nodes[i].kind { count += 1 } }
    return count
  }

  /// For every node the nodes that use it, in order, once per use.
  package func consumers() -> [[Int]] {
    var result = [[Int]](repeating: [], count: nodes.count)
    for (i, node) in nodes.enumerated() {
      for operand in node.operands { result[operand.index].append(i) }
    }
    return result
  }
}

extension Graph.Node {
  /// The operation, if the node is one.
  public var operation: Op? {
    if case .operation(let op, _) = kind { op } else { nil }
  }

  /// The values that an operation takes.
  public var operands: [ValueID] {
    if case .operation(_, let operands) = kind { operands } else { [] }
  }

  /// The array, if the node is a constant.
  public var constant: ConstantArray? {
    if case .constant(let array) = kind { array } else { nil }
  }
}

/// What is wrong with a graph, or with the text of one.
public struct GraphError: Error, Sendable, CustomStringConvertible {
  public let description: String

  init(_ description: String) { self.description = description }
}
