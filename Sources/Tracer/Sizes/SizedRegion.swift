import DuetCompiler
import DuetRuntime

/// A branch or a loop for any sizes: its graphs, in which the numbers that depend on them are formulas.
struct SizedRegion: Sendable {
  private struct SizedGraph: Sendable {
    let nodes: [SizedNode]
    let outputs: [ValueID]
    let outputNames: [String]
  }

  private let name: String
  private let form: GraphRegion.Form
  /// The most iterations of a loop that has such a number.
  private let length: SizeFormula?
  private let graphs: [SizedGraph]

  /// What regions that were recorded with several sizes have in common.
  init(_ regions: [GraphRegion], _ follower: SizeFollower) throws(SizeFollower.Objection) {
    let first = regions[0]
    name = first.name
    form = first.form
    let lengths = regions.compactMap(\.length)
    length = lengths.isEmpty ? nil : try follower.formula(lengths, "the length of \(name)")
    var graphs: [SizedGraph] = []
    for g in first.graphs.indices {
      let all = regions.map { $0.graphs[g].nodes }
      var nodes: [SizedNode] = []
      for i in all[0].indices {
        do throws(SizeFollower.Objection) {
          nodes.append(try follower.node(i, in: all))
        } catch {
          throw SizeFollower.Objection("inside \(name) \(error.what)")
        }
      }
      let outputs = first.graphs[g].outputs
      graphs.append(
        SizedGraph(nodes: nodes, outputs: outputs, outputNames: first.graphs[g].outputNames))
    }
    self.graphs = graphs
  }

  /// The region for these sizes.
  /// - Throws: `OpError` if operations do not take them.
  func region(at sizes: [Int]) throws(OpError) -> GraphRegion {
    var parts: [Graph] = []
    for graph in graphs {
      var builder = GraphBuilder()
      var values: [ValueID] = []
      for node in graph.nodes {
        switch node {
        case .input(_, let name, let type):
          values.append(builder.addInput(type(sizes), name: name))
        case .constant(let array): values.append(builder.addConstant(array))
        case .number(let formula, let type):
          values.append(builder.addConstant(ConstantArray([formula(sizes)], type)))
        case .operation(let operation, let operands):
          let op = try operation(sizes, in: graph.nodes)
          values.append(try builder.add(op, operands.map { values[$0] }))
        }
      }
      parts.append(
        builder.finish(
          outputs: graph.outputs.map { values[$0.index] }, outputNames: graph.outputNames))
    }
    switch form {
    case .branch: return GraphRegion(then: parts[0], else: parts[1])
    case .loop(var loop):
      if let length { loop.length = length(sizes) }
      return GraphRegion(
        name, loop, condition: parts.count > 1 ? parts[1] : nil, body: parts[0])
    }
  }
}

extension GraphRegion {
  var length: Int? {
    if case .loop(let loop) = form { loop.length } else { nil }
  }

  /// Whether both do the same but for numbers that may depend on sizes.
  func isAlike(_ other: GraphRegion) -> Bool {
    func withoutLength(_ form: Form) -> Form {
      guard case .loop(var loop) = form else { return form }
      loop.length = loop.length.map { _ in 0 }
      return .loop(loop)
    }
    return name == other.name && withoutLength(form) == withoutLength(other.form)
      && graphs.elementsEqual(other.graphs) { a, b in
        a.outputs == b.outputs
          && a.nodes.elementsEqual(b.nodes) { x, y in
            switch (x.kind, y.kind) {
            case (.input(let i, _), .input(let j, _)): i == j && x.isAlikeInType(y)
            default: x.isAlike(y)
            }
          }
      }
  }
}

extension Graph.Node {
  /// Whether both are constants, or the same operation on the same operands, but for numbers that may depend on sizes.
  func isAlike(_ other: Graph.Node) -> Bool {
    guard isAlikeInType(other) else { return false }
    switch (kind, other.kind) {
    case (.constant, .constant): return true
    case (.operation(.region(let a as GraphRegion), let u), .operation(let q, let v)):
      guard case .region(let b as GraphRegion) = q else { return false }
      return u == v && a.isAlike(b)
    case (.operation(let p, let u), .operation(let q, let v)):
      return u == v && p.withoutSizes == q.withoutSizes && p.sizes.count == q.sizes.count
    default: return false
    }
  }

  func isAlikeInType(_ other: Graph.Node) -> Bool {
    type.dtype == other.type.dtype && type.shape.rank == other.type.shape.rank
  }
}
