import DuetRuntime

extension Tensor {
  /// Adds this tensor's gradient by every leaf it was made from to the leaves' `grad`.
  ///
  /// - Parameters:
  ///   - gradient: The cotangent of this tensor, of its shape; may be left out for a single number.
  ///   - retainGraph: Keeps what was saved, so that `backward` may be called again.
  ///   - createGraph: Records the gradients' own operations, so that they can be differentiated in turn.
  public func backward(
    _ gradient: Tensor? = nil, retainGraph: Bool = false, createGraph: Bool = false
  ) {
    if isFailed { return }
    guard let root = body.autograd else {
      note(OpError("backward", "the tensor does not require gradients and has no gradFn"))
      return
    }
    guard let cotangent = Backward.cotangent(gradient, for: self) else { return }
    let keep = retainGraph || createGraph
    let run = {
      Backward.run(
        from: [(root, cotangent)], keepingGraph: keep, isWanted: { $0.gradientCell != nil },
        visit: { leaf, gradient, mayBeMissing in
          guard let cell = leaf.gradientCell else { return }
          cell.write(cell.read().map { $0 + gradient } ?? gradient.completed(mayBeMissing))
        })
    }
    createGraph ? enableGrad(run) : noGrad(run)
  }
}

/// The gradients of outputs by inputs, without touching anybody's `grad`.
///
/// - Parameters:
///   - inputs: Tensors that require gradients.
///   - cotangents: One per output; may be left out for single numbers.
/// - Returns: One gradient per input; zeros where an input was not used.
public func gradients(
  of outputs: [Tensor], by inputs: [Tensor], cotangents: [Tensor]? = nil, retainGraph: Bool = false,
  createGraph: Bool = false
) -> [Tensor] {
  if let cotangents, cotangents.count != outputs.count {
    let error = OpError(
      "gradients", "there are \(cotangents.count) cotangents for \(outputs.count) outputs")
    note(error)
    return inputs.map { _ in .failed }
  }
  if (outputs + inputs).contains(where: \.isFailed) { return inputs.map { _ in .failed } }
  var seeds: [(AutogradMeta, Tensor)] = []
  for (i, output) in outputs.enumerated() {
    let meta = output.body.autograd
    // What does not depend on anything needs no cotangent, but one that is given has to be right.
    if meta == nil && cotangents == nil { continue }
    guard let cotangent = Backward.cotangent(cotangents?[i], for: output) else {
      return inputs.map { _ in .failed }
    }
    if let meta { seeds.append((meta, cotangent)) }
  }
  var found = Backward.Found()
  for input in inputs {
    guard input.body.autograd != nil else {
      return inputs.map { _ in fail(OpError("gradients", "an input does not require gradients")) }
    }
  }
  let ids = Set(inputs.map { ObjectIdentifier($0.body.autograd!) })
  let run = {
    Backward.run(
      from: seeds, keepingGraph: retainGraph || createGraph,
      isWanted: { ids.contains(ObjectIdentifier($0)) },
      visit: { found.add($1, to: $0, mayBeMissing: $2) })
  }
  // Fetched in the same mode: what a gradient gets last keeps its place in the graph.
  func gradients() -> [Tensor] {
    run()
    return inputs.map { found[$0.body.autograd!] ?? zeros(like: $0) }
  }
  return createGraph ? enableGrad(gradients) : noGrad(gradients)
}

enum Backward {
  /// The cotangent to start from, or nil after reporting why there is none.
  static func cotangent(_ given: Tensor?, for output: Tensor) -> Tensor? {
    if let given {
      if given.isFailed { return nil }
      guard given.type == output.type else {
        note(
          OpError(
            "backward", "the gradient \(given.type) does not match the tensor \(output.type)"))
        return nil
      }
      return given
    }
    guard output.size == 1 else {
      note(
        OpError(
          "backward",
          "a tensor of shape \(output.shape) needs a gradient to start from; "
            + "only a single number has the gradient 1"))
      return nil
    }
    return ones(like: output)
  }

  /// Visits operations in the reverse of recording, so that sums of gradients have one fixed order.
  /// - Parameters:
  ///   - stops: Results that count as leaves: nothing is sent on from them.
  ///   - floor: Results of operations up to this number count as leaves, too.
  ///   - isWanted: Whether the gradient of this place in the graph is asked for.
  ///   - visit: Takes those that are, and whether they only came out of branches and loops: see `Sums.mayBeMissing`.
  static func run(
    from seeds: [(AutogradMeta, Tensor)], keepingGraph: Bool,
    stoppingAt stops: Set<ObjectIdentifier> = [], above floor: Int = 0,
    isWanted: (AutogradMeta) -> Bool, visit: (AutogradMeta, Tensor, Bool) -> Void
  ) {
    var sums = Sums(stops: stops, floor: floor)
    for (meta, gradient) in seeds { sums.update(meta, gradient.type) { $0.add(gradient) } }
    let order = sorted(from: seeds.map(\.0), stops, floor)
    sums.count(usesIn: order)
    let recorder = ThreadContext.recorder
    func finish(_ function: GradientFunction) {
      if keepingGraph { return }
      // What is only known by type has run through nothing.
      if let recorder, recorder.isSymbolic, recorder.isFromOutside(function) { return }
      function.release()
    }

    for (meta, function) in order {
      guard var sum = sums.remove(meta) else { continue }
      if let recorder, recorder.isFromOutside(function) { recorder.didGoOutside() }
      let edges = function.edges
      let mayBeMissing = sums.mayBeMissing(meta)
      sums.sendsWhatMayBeMissing = mayBeMissing
      if case .region(let region) = function.op {
        if region is CustomRegion, let gradient = function.region as? CustomGradient {
          guard function.send(sum, through: gradient, to: &sums, edges, meta) else { return }
          sums.settleIfLast(edges)
          finish(function)
          continue
        }
        sums.sendsWhatMayBeMissing = true
        guard function.sendThroughRegion(sum, to: &sums, edges, keepingGraph) else { return }
        sums.settleIfLast(edges)
        finish(function)
        continue
      }
      if !isWanted(meta), case .transpose([1, 0]) = function.op, let edge = edges[0] {
        let products = sum.takeProducts()
        if !products.isEmpty {
          sums.update(edge, function.inputTypes[0]) { sum in
            for product in products { sum.add(product.transposed) }
          }
          sums.settleIfLast(edges)
          finish(function)
          continue
        }
      }
      let gradient = sum.take()
      if isWanted(meta) { visit(meta, gradient, mayBeMissing) }
      guard function.send(gradient, to: &sums, edges, meta) else { return }
      sums.settleIfLast(edges)
      finish(function)
    }
    for leaf in sums.leaves where isWanted(leaf) {
      if var sum = sums.remove(leaf) { visit(leaf, sum.take(), sums.mayBeMissing(leaf)) }
    }
  }

  /// The gradients that were asked for.
  struct Found {
    private var gradients: [ObjectIdentifier: (sum: Tensor, mayBeMissing: Bool)] = [:]

    mutating func add(_ gradient: Tensor, to meta: AutogradMeta, mayBeMissing: Bool) {
      let id = ObjectIdentifier(meta)
      let known = gradients[id]
      gradients[id] = (
        known.map { $0.sum + gradient } ?? gradient, mayBeMissing && known?.mayBeMissing ?? true
      )
    }

    /// Nil where nothing has arrived.
    subscript(_ meta: AutogradMeta) -> Tensor? {
      gradients[ObjectIdentifier(meta)].map { $0.sum.completed($0.mayBeMissing) }
    }
  }

  /// The cotangents that are on their way.
  struct Sums {
    /// Results that count as leaves.
    let stops: Set<ObjectIdentifier>
    private var sums: [ObjectIdentifier: GradientSum] = [:]
    /// How many more operations may send something to each leaf.
    private var uses: [ObjectIdentifier: Int] = [:]
    private(set) var leaves: [AutogradMeta] = []
    private let floor: Int
    /// Tensors in the order in which something first reached them.
    private var arrivals: [ObjectIdentifier] = []
    private var mayBeMissing: Set<ObjectIdentifier> = []
    /// Whether what is being sent has only come out of branches and loops.
    var sendsWhatMayBeMissing = false

    init(stops: Set<ObjectIdentifier>, floor: Int) {
      self.stops = stops
      self.floor = floor
    }

    /// Ends everybody's waiting.
    mutating func closeAll() {
      arrivals.removeAll { sums[$0] == nil }
      for id in arrivals { sums.values[sums.index(forKey: id)!].close() }
    }

    /// Whether all that has reached a tensor has come out of branches and loops: from one that is not taken nothing
    /// comes eagerly, and in a graph what changes no sum.
    func mayBeMissing(_ meta: AutogradMeta) -> Bool {
      !mayBeMissing.isEmpty && mayBeMissing.contains(ObjectIdentifier(meta))
    }

    mutating func update(
      _ meta: AutogradMeta, _ type: @autoclosure () -> TensorType,
      _ add: (inout GradientSum) -> Void
    ) {
      let id = ObjectIdentifier(meta)
      if let index = sums.index(forKey: id) {
        add(&sums.values[index])
        if !sendsWhatMayBeMissing, !mayBeMissing.isEmpty { mayBeMissing.remove(id) }
        return
      }
      if sendsWhatMayBeMissing { mayBeMissing.insert(id) }
      var sum = GradientSum(type())
      add(&sum)
      sums[id] = sum
      arrivals.append(id)
      if meta.function.map({ $0.sequence <= floor }) ?? true || stops.contains(id) {
        leaves.append(meta)
      }
    }

    mutating func remove(_ meta: AutogradMeta) -> GradientSum? {
      sums.removeValue(forKey: ObjectIdentifier(meta))
    }

    mutating func count(usesIn order: [(AutogradMeta, GradientFunction)]) {
      for (_, function) in order {
        for case .some(let edge) in function.edges where edge.function == nil {
          uses[ObjectIdentifier(edge), default: 0] += 1
        }
      }
    }

    /// What waits at a leaf holds factors alive: it is done when nothing more can come.
    mutating func settleIfLast(_ edges: [AutogradMeta?]) {
      for case .some(let edge) in edges where edge.function == nil {
        let id = ObjectIdentifier(edge)
        uses[id]! -= 1
        if uses[id] == 0, let index = sums.index(forKey: id) { sums.values[index].settle() }
      }
    }
  }

  /// All operations that lead to the seeds, latest first.
  private static func sorted(
    from seeds: [AutogradMeta], _ stops: Set<ObjectIdentifier>, _ floor: Int
  ) -> [(AutogradMeta, GradientFunction)] {
    var found: [(AutogradMeta, GradientFunction)] = []
    var seen: Set<ObjectIdentifier> = []
    var pending = seeds
    while let meta = pending.popLast() {
      let id = ObjectIdentifier(meta)
      guard let function = meta.function, function.sequence > floor, !stops.contains(id),
        seen.insert(id).inserted
      else { continue }
      found.append((meta, function))
      for edge in function.edges {
        if let edge, edge.function != nil { pending.append(edge) }
      }
    }
    found.sort { $0.1.sequence > $1.1.sequence }
    return found
  }
}

extension GradientFunction {
  private func noteReleased() {
    note(
      OpError(
        "backward",
        "\(name) was run through before and let go of what it had saved; "
          + "pass retainGraph: true to the first backward"))
  }

  /// Sends the cotangents of a region's inputs on their way.
  /// - Returns: False, after reporting it, if what the gradient reads was let go of.
  fileprivate func sendThroughRegion(
    _ sum: GradientSum, to sums: inout Backward.Sums, _ edges: [AutogradMeta?], _ keepingGraph: Bool
  ) -> Bool {
    guard case .region(let region) = op else { return false }
    guard let gradient = self.region else {
      noteReleased()
      return false
    }
    sums.closeAll()
    let given = sum.results(count: region.outputTypes.count)
    var results = noGrad { gradient.cotangents(given, keepingGraph) }
    if ThreadContext.isGradEnabled {
      results = RegionGradient.refusingMore(
        results, given, Array(zip(inputTypes, edges)), region.name)
    }
    for (edge, result) in zip(edges, results) {
      guard let edge, let result else { continue }
      sums.update(edge, result.type) {
        $0.add(result)
        $0.close()
      }
    }
    return true
  }

  /// Sends the cotangents of a function's inputs on their way that has a gradient of its own.
  /// - Returns: False, after reporting it, if there are none.
  fileprivate func send(
    _ sum: GradientSum, through custom: CustomGradient, to sums: inout Backward.Sums,
    _ edges: [AutogradMeta?], _ meta: AutogradMeta
  ) -> Bool {
    let inputs = saved.inputs.map { $0! }
    var isDone = true
    let results = AnomalyDetector.gradients(of: self) {
      let found = custom.gradients(inputs, sum.results(count: outputCount), under: meta)
      isDone = found != nil
      return found ?? []
    }
    guard isDone, !results.contains(where: { $0?.isFailed ?? false }) else { return false }
    for (edge, result) in zip(edges, results) {
      if let edge, let result { sums.update(edge, result.type) { $0.add(result) } }
    }
    return true
  }

  /// Whether this is a function of the program's own.
  private var isCustom: Bool {
    if case .region(let region) = op { region is CustomRegion } else { false }
  }

  /// How many results a region has.
  private var outputCount: Int {
    if case .region(let region) = op { region.outputTypes.count } else { 1 }
  }

  /// Sends the cotangents of the inputs on their way.
  /// - Returns: False, after reporting it, if what the gradient reads was let go of.
  fileprivate func send(
    _ gradient: Tensor, to sums: inout Backward.Sums, _ edges: [AutogradMeta?],
    _ meta: AutogradMeta
  ) -> Bool {
    if case .slice(let slice) = op {
      if let edge = edges[0] { sums.update(edge, inputTypes[0]) { $0.add(gradient, slice) } }
      return true
    }
    if case .regionResult(let index, _) = op {
      guard let edge = edges[0] else { return true }
      // A rule of the program's own cannot tell what changes no sum from zeros.
      let isMissing = sums.sendsWhatMayBeMissing && edge.function?.isCustom ?? false
      let cotangent = gradient.completed(isMissing)
      sums.update(edge, Region.type) { $0.add(cotangent, result: index) }
      return true
    }
    var saved = saved
    if saved.isReleased {
      noteReleased()
      return false
    }
    // A rule that reads the result must be differentiable through it.
    if ThreadContext.isGradEnabled { saved.output = saved.output?.attached(to: meta) }
    var wanted = edges.map { $0 != nil }
    var product: GradientSum.Product?
    if wanted.count > 1 && wanted[1] {
      product = rule(saved, wanted: wanted).productForMatrix(of: op, gradient)
      product?.function = self
      if product != nil { wanted[1] = false }
    }
    let results = AnomalyDetector.gradients(of: self) {
      rule(saved, wanted: wanted).gradients(of: op, gradient)
    }
    for (edge, result) in zip(edges, results) {
      if let edge, let result { sums.update(edge, result.type) { $0.add(result) } }
    }
    if let product, let edge = edges[1] { sums.update(edge, inputTypes[1]) { $0.add(product) } }
    return true
  }
}
