import DuetRuntime

/// A branch or a loop with the graphs that it runs. Each graph takes what it needs as arguments: nothing in it
/// refers to the graph around it.
///
/// A **branch** takes a predicate (one `bool`) and the arguments of its two graphs, which are of the same types.
///
/// A **loop** takes the number of iterations if it is counted, the values that it carries, sequences, and captured
/// values. Each iteration gives the body the carried values, a slice of every sequence and the captured values; the
/// body gives the next carried values and slices of stacked results. The loop gives the last carried values, the
/// stacked results, and the number of iterations if that is asked for. A condition takes the carried and the captured
/// values, and is asked before every iteration.
public final class GraphRegion: Region, @unchecked Sendable {
  // Sendable: constant after init but for `compiled`, which is set once, by an atomic operation.

  /// Which of the two a region is.
  public enum Form: Sendable, Hashable {
    /// One of two graphs runs: a predicate decides.
    case branch
    /// One graph runs again and again: so many times, or as long as a second one says.
    case loop(Loop)
  }

  /// What there is to know of a loop beside its graphs.
  public struct Loop: Sendable, Hashable {
    /// How many values go from one iteration to the next.
    public var carried: Int
    /// How many arrays each iteration takes a slice of, along the first axis.
    public var sequences = 0
    /// How many arrays each iteration writes a slice of.
    public var stacked = 0
    /// The most iterations, and the first axis of sequences and stacked results; nil: any number, and there are
    /// neither.
    public var length: Int?
    /// Whether slices are taken and written from the last to the first.
    public var isReversed = false
    /// Whether the number of iterations is given.
    public var isCounted = false
    /// Whether the number of iterations is a result.
    public var givesCount = false

    /// A loop of `length` iterations at most, or of any number if nil. All else is 0 or off until it is set.
    public init(carried: Int, length: Int?) {
      self.carried = carried
      self.length = length
    }
  }

  /// A branch, or a loop and what there is to know of it.
  public let form: Form
  /// A branch: what is run where the predicate is true, and where it is not. A loop: the body, and the condition if
  /// there is one.
  public let graphs: [Graph]
  private let compiled = LazyReference<Plan>()

  /// A branch between two graphs of the same arguments and outputs.
  public init(then: Graph, else otherwise: Graph) {
    form = .branch
    graphs = [then, otherwise]
    super.init(
      "cond", inputTypes: [TensorType(.bool, [])] + then.inputs.map(then.type(of:)),
      outputTypes: then.outputs.map(then.type(of:)))
  }

  /// A loop, under the name that printed graphs show. Its types are those of the body; sequences and stacked results
  /// have the loop's length as an axis in front.
  public init(_ name: String, _ loop: Loop, condition: Graph?, body: Graph) {
    form = .loop(loop)
    graphs = [body] + (condition.map { [$0] } ?? [])
    let inputs = body.inputs.map(body.type(of:))
    let outputs = body.outputs.map(body.type(of:))
    let slices = loop.carried..<loop.carried + loop.sequences
    func whole(_ slice: TensorType) -> TensorType {
      TensorType(slice.dtype, Shape([loop.length ?? 0] + Array(slice.shape)))
    }
    let count = TensorType(.int64, [])
    super.init(
      name,
      inputTypes: (loop.isCounted ? [count] : [])
        + inputs.enumerated().map { slices.contains($0) ? whole($1) : $1 },
      outputTypes: outputs.enumerated().map { $0 < loop.carried ? $1 : whole($1) }
        + (loop.givesCount ? [count] : []))
  }

  /// What the graphs are called in printed form.
  var labels: [String] {
    switch form {
    case .branch: ["then", "else"]
    case .loop: ["do", "while"]
    }
  }

  /// Whether an operation of one of the graphs can fail.
  public override var canFail: Bool {
    graphs.contains { $0.nodes.contains { $0.operation?.canFail ?? false } }
  }

  /// Whether names, forms and graphs are the same, graphs node by node and constants by their bits.
  public override func isSame(as other: Region) -> Bool {
    guard let other = other as? GraphRegion, name == other.name, form == other.form,
      graphs.count == other.graphs.count
    else { return false }
    return zip(graphs, other.graphs).allSatisfy { $0.isSame(as: $1) }
  }

  /// The region with other graphs of the same arguments and outputs.
  func with(_ graphs: [Graph]) -> GraphRegion {
    switch form {
    case .branch: GraphRegion(then: graphs[0], else: graphs[1])
    case .loop(let loop):
      GraphRegion(name, loop, condition: graphs.count > 1 ? graphs[1] : nil, body: graphs[0])
    }
  }

  /// A plan that takes the region's inputs and gives all of its results.
  /// - Throws: `OpError` if a constant part of a graph has no value: an index out of range.
  package func plan() throws(OpError) -> Plan {
    if let plan = compiled.unretained { return plan.takeUnretainedValue() }
    var builder = GraphBuilder()
    let inputs = inputTypes.map { builder.addInput($0, name: "") }
    let region = try builder.add(.region(self), inputs)
    var outputs: [ValueID] = []
    for (i, type) in outputTypes.enumerated() {
      outputs.append(try builder.add(.regionResult(index: i, type), [region]))
    }
    return compiled.storeIfNil(try compile(builder.finish(outputs: outputs)).plan)
      .takeUnretainedValue()
  }

  /// The elements of constants in the graphs: how many arrays, and their bytes.
  package var constants: (count: Int, bytes: Int) {
    var (count, bytes) = (0, 0)
    for node in graphs.joined(by: \.nodes) {
      if let array = node.constant {
        count += 1
        bytes += array.type.byteCount
      } else if case .region(let inner as GraphRegion) = node.operation {
        count += inner.constants.count
        bytes += inner.constants.bytes
      }
    }
    return (count, bytes)
  }
}

extension [Graph] {
  fileprivate func joined(by nodes: (Graph) -> [Graph.Node]) -> [Graph.Node] { flatMap(nodes) }
}
