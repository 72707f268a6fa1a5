import DuetRuntime

extension GraphRegion {
  /// The attributes of a loop; of those that are seldom other than usual only these.
  var attributes: [(label: String, value: OpAttribute)] {
    guard case .loop(let loop) = form else { return [] }
    var result: [(label: String, value: OpAttribute)] = [("carried", .integer(loop.carried))]
    if loop.sequences > 0 { result.append(("sequences", .integer(loop.sequences))) }
    if loop.stacked > 0 { result.append(("stacked", .integer(loop.stacked))) }
    if let length = loop.length { result.append(("length", .integer(length))) }
    if loop.isReversed { result.append(("reversed", .flag(true))) }
    if loop.isCounted { result.append(("counted", .flag(true))) }
    if loop.givesCount { result.append(("givesCount", .flag(true))) }
    return result
  }

  /// The graphs in braces, one behind the other.
  var text: String {
    let parts = zip(labels, graphs).map { label, graph in
      "\(label) \(graph.body)".split(separator: "\n", omittingEmptySubsequences: false)
        .map { "  " + $0 }.joined(separator: "\n")
    }
    return "{\n" + parts.joined(separator: "\n") + "\n}"
  }

  /// Whether an operation of that name is a region.
  static func isName(_ name: String) -> Bool {
    name == "cond" || name == "whileLoop" || name == "scan"
  }

  /// The region that such text stands for.
  convenience init(
    name: String, _ attributes: AttributeReader, graphs: [String: Graph]
  ) throws(GraphError) {
    func graph(_ label: String) throws(GraphError) -> Graph {
      guard let graph = graphs[label] else { throw GraphError("\(name) needs a graph \(label)") }
      return graph
    }
    if name == "cond" {
      self.init(then: try graph("then"), else: try graph("else"))
      return
    }
    func has(_ label: String) -> Bool { attributes.values[label] != nil }
    var loop = Loop(
      carried: try attributes.integer("carried"),
      length: has("length") ? try attributes.integer("length") : nil)
    if has("sequences") { loop.sequences = try attributes.integer("sequences") }
    if has("stacked") { loop.stacked = try attributes.integer("stacked") }
    if has("reversed") { loop.isReversed = try attributes.flag("reversed") }
    if has("counted") { loop.isCounted = try attributes.flag("counted") }
    if has("givesCount") { loop.givesCount = try attributes.flag("givesCount") }
    let body = try graph("do")
    try Self.check(name, loop, body)
    self.init(name, loop, condition: graphs["while"], body: body)
  }

  private static func check(_ name: String, _ loop: Loop, _ body: Graph) throws(GraphError) {
    let (inputCount, outputCount) = (body.inputs.count, body.outputs.count)
    guard 0...inputCount ~= loop.carried, loop.carried <= outputCount, (loop.length ?? 0) >= 0,
      0...(inputCount - loop.carried) ~= loop.sequences,
      loop.stacked == outputCount - loop.carried
    else { throw GraphError("\(name): the body has other arguments or outputs than said") }
    let slices =
      body.inputs[loop.carried..<loop.carried + loop.sequences]
      + body.outputs[loop.carried...]
    guard slices.allSatisfy({ body.type(of: $0).shape.rank < Shape.maximumRank }) else {
      throw GraphError("\(name): a slice has \(Shape.maximumRank) axes already")
    }
  }

  /// Checks that the graphs are sound and fit each other.
  /// - Throws: `GraphError`, which names the graph.
  func verify() throws(GraphError) {
    for (label, graph) in zip(labels, graphs) {
      do throws(GraphError) { try graph.verify() } catch {
        throw GraphError("\(name), \(label): \(error)")
      }
    }
    func inputs(_ graph: Graph) -> [TensorType] { graph.inputs.map(graph.type(of:)) }
    func outputs(_ graph: Graph) -> [TensorType] { graph.outputs.map(graph.type(of:)) }
    switch form {
    case .branch:
      guard graphs.count == 2, inputs(graphs[0]) == inputs(graphs[1]),
        outputs(graphs[0]) == outputs(graphs[1])
      else { throw GraphError("cond: the branches have other arguments or outputs") }
    case .loop(let loop):
      let body = graphs[0]
      try Self.check(name, loop, body)
      let carried = Array(inputs(body)[..<loop.carried])
      guard carried == Array(outputs(body)[..<loop.carried]) else {
        throw GraphError("\(name): the body gives other values than it carries")
      }
      guard loop.length != nil || loop.sequences + loop.stacked == 0 else {
        throw GraphError("\(name): slices need a length")
      }
      if graphs.count == 2 {
        let captured = inputs(body)[(loop.carried + loop.sequences)...]
        guard inputs(graphs[1]) == carried + captured,
          outputs(graphs[1]) == [TensorType(.bool, [])]
        else { throw GraphError("\(name): the condition has other arguments, or is no bool") }
      } else if loop.length == nil && !loop.isCounted {
        throw GraphError("\(name): nothing ends the loop")
      }
    }
  }
}
