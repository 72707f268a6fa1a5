import DuetCompiler
import DuetEager
import DuetRuntime

/// What has to be computed for some pending values: the operations in an order in which each comes after what it
/// needs, and where they begin.
///
/// The structure alone decides which program computes them. Tensors and cells' contents are the program's
/// arguments, never its constants, so that the next round of a loop is the same program.
struct PendingGraph {
  /// Where an argument of the program comes from.
  enum Source {
    case tensor(TensorBody)
    /// The content of a cell when the program is run.
    case cell(StateCell)
    /// What is fed, by its number.
    case feed(Int)
  }

  /// A value: an argument, or an operation on earlier values.
  enum Entry: Hashable {
    case argument(TensorType)
    case operation(Op, [Int], AttributeBits)
  }

  /// Numbers among an operation's attributes by their bits: 0.0 and -0.0 are equal but not the same.
  struct AttributeBits: Hashable {
    let start: UInt64
    let step: UInt64

    init(_ op: Op) {
      if case .iota(_, _, let start, let step) = op {
        (self.start, self.step) = (start.bitPattern, step.bitPattern)
      } else {
        (start, step) = (0, 0)
      }
    }
  }

  /// What a session's run gives.
  struct Feeds {
    /// The number of what is fed for each node.
    var byNode: [ObjectIdentifier: Int] = [:]
    /// The same for values that are cells' contents.
    var byCell: [ObjectIdentifier: Int] = [:]
    /// Whether placeholders may go without: nothing will be run.
    var mayBeMissing = false
  }

  private(set) var entries: [Entry] = []
  /// The nodes behind the entries; nil for tensors.
  private(set) var nodes: [PendingNode?] = []
  private(set) var arguments: [(entry: Int, source: Source)] = []
  private(set) var outputs: [Int] = []
  /// The entries of what is fed and needed.
  private(set) var feedPlaces: [Int: Int] = [:]
  /// Whether a value was met that has been evaluated before.
  private(set) var metEvaluated = false

  private var places: [ObjectIdentifier: Int] = [:]
  private var argumentPlaces: [ObjectIdentifier: Int] = [:]
  /// What a session feeds; nil outside of sessions.
  private let feeds: Feeds?

  /// - Parameter feeds: What a session's run is given, which takes cells' contents as they are then; nil: contents are
  ///   what they were when the program read them.
  init(feeds: Feeds? = nil) { self.feeds = feeds }

  /// Adds a value that the program shall give.
  /// - Returns: Its number among the outputs.
  mutating func addOutput(_ tensor: TensorBody) throws(OpError) -> Int {
    let entry: Int
    if let pending = tensor as? PendingBody {
      entry = try add(pending.node)
    } else {
      entry = argument(.tensor(tensor), tensor.type, ObjectIdentifier(tensor), nil)
    }
    return addOutput(entry: entry)
  }

  mutating func addOutput(entry: Int) -> Int {
    outputs.append(entry)
    return outputs.count - 1
  }

  private enum Step {
    case known(Int)
    case descend([PendingNode.Operand])
  }

  /// The entry of a node, after adding all that it needs.
  mutating func add(_ root: PendingNode) throws(OpError) -> Int {
    var stack: [(node: PendingNode, operands: [PendingNode.Operand], done: [Int])] = []
    var last = -1
    switch try step(root) {
    case .known(let entry): return entry
    case .descend(let operands): stack.append((root, operands, []))
    }
    while let top = stack.indices.last {
      let next = stack[top].done.count
      guard next < stack[top].operands.count else {
        let (node, _, done) = stack.removeLast()
        if case .operation(let op) = node.kind {
          last = append(.operation(op, done, AttributeBits(op)), node)
        } else {
          last = done[0]
        }
        places[ObjectIdentifier(node)] = last
        if let below = stack.indices.last { stack[below].done.append(last) }
        continue
      }
      switch stack[top].operands[next] {
      case .tensor(let body):
        stack[top].done.append(argument(.tensor(body), body.type, ObjectIdentifier(body), nil))
      case .node(let node):
        switch try step(node) {
        case .known(let entry): stack[top].done.append(entry)
        case .descend(let operands): stack.append((node, operands, []))
        }
      }
    }
    return last
  }

  private mutating func step(_ node: PendingNode) throws(OpError) -> Step {
    let id = ObjectIdentifier(node)
    if let known = places[id] { return .known(known) }
    if let feeds {
      if let feed = feeds.byNode[id] { return .known(use(feed, node)) }
      if case .content = node.kind, let cell = node.cell {
        if let feed = feeds.byCell[ObjectIdentifier(cell)] { return .known(use(feed, node)) }
        let entry = argument(.cell(cell), node.type, ObjectIdentifier(cell), node)
        places[id] = entry
        return .known(entry)
      }
    }
    if case .placeholder(let name) = node.kind {
      if feeds?.mayBeMissing == true { return .known(use(-1 - entries.count, node, id)) }
      throw OpError(
        "Session.run",
        "the placeholder \"\(name)\" (\(node.type)) is needed and was not fed; "
          + "pass feeding: [placeholder: tensor]")
    }
    switch node.known {
    case .value(let body):
      metEvaluated = true
      let entry = argument(.tensor(body), body.type, ObjectIdentifier(body), nil)
      places[id] = entry
      return .known(entry)
    case .operands(let operands): return .descend(operands)
    }
  }

  private mutating func use(
    _ feed: Int, _ node: PendingNode, _ place: ObjectIdentifier? = nil
  ) -> Int {
    if let known = feedPlaces[feed] { return known }
    arguments.append((entries.count, .feed(feed)))
    let entry = append(.argument(node.type), node)
    feedPlaces[feed] = entry
    if let place { places[place] = entry }
    return entry
  }

  private mutating func argument(
    _ source: Source, _ type: TensorType, _ identity: ObjectIdentifier, _ node: PendingNode?
  ) -> Int {
    if let known = argumentPlaces[identity] { return known }
    arguments.append((entries.count, source))
    argumentPlaces[identity] = entries.count
    return append(.argument(type), node)
  }

  private mutating func append(_ entry: Entry, _ node: PendingNode?) -> Int {
    entries.append(entry)
    nodes.append(node)
    return entries.count - 1
  }

  // MARK: As a graph of the compiler

  /// The graph.
  /// - Parameters:
  ///   - names: Of the outputs.
  ///   - showsElements: Whether tensors become constants, to be looked at.
  func graph(names: [String] = [], showsElements: Bool = false) throws(OpError) -> Graph {
    var builder = GraphBuilder()
    var ids: [ValueID] = []
    var nextArgument = 0
    for (i, entry) in entries.enumerated() {
      switch entry {
      case .argument(let type):
        let source = arguments[nextArgument].source
        nextArgument += 1
        if showsElements, case .tensor(let body) = source {
          ids.append(builder.addConstant(Tensor(body).constant))
        } else {
          ids.append(builder.addInput(type, name: nodes[i]?.label ?? "value \(i)"))
        }
      case .operation(let op, let operands, _):
        let operands = operands.map { ids[$0] }
        ids.append(try builder.add(op, operands))
      }
    }
    return builder.finish(outputs: outputs.map { ids[$0] }, outputNames: names)
  }

  func type(of entry: Int) -> TensorType {
    switch entries[entry] {
    case .argument(let type): type
    case .operation: nodes[entry]!.type
    }
  }

  // MARK: What went wrong

  /// Finds the operation that cannot be done, by doing one after the other.
  /// - Parameter inputs: The arguments, in order.
  /// - Returns: The error with the operation's scope and place, or the one given if all of them can be done.
  func explained(_ error: OpError, _ inputs: [TensorBody]) -> TensorError {
    var values: [Tensor] = []
    var regionResults: [Int: [Tensor]] = [:]
    var nextArgument = 0
    for (i, entry) in entries.enumerated() {
      switch entry {
      case .argument:
        values.append(Tensor(inputs[nextArgument]))
        nextArgument += 1
      case .operation(let op, let operands, _):
        let result = Result {
          try checked {
            try ThreadContext.withRecorder(nil) {
              try noGrad {
                switch op {
                case .region(let region as GraphRegion):
                  do throws(OpError) {
                    regionResults[i] = try computed(region, operands.map { values[$0] })
                  } catch {
                    throw TensorError(error, at: nil)
                  }
                  return Tensor(TensorBody(withoutElements: Region.type))
                case .regionResult(let index, _): return regionResults[operands[0]]![index]
                default: return apply(op, operands.map { values[$0] })
                }
              }
            }
          }
        }
        switch result {
        case .success(let value): values.append(value)
        case .failure(let cause):
          let cause = cause as? TensorError
          let node = nodes[i]
          return TensorError(
            OpError(cause?.operation ?? op.name, cause?.reason ?? error.reason),
            at: node?.callSite ?? CallSite(), scope: node?.scope ?? "")
        }
      }
    }
    return TensorError(error, at: CallSite())
  }
}
