import Duet

/// A nested function of two tensors: run as it is, or traced. It is told where it is called.
typealias Callee = (Tensor, Tensor, Machine.Place) -> Tensor

/// Runs the statements of a program, one call at a time.
final class Machine {
  let program: Program
  let state: State
  /// The functions that this part of the program may call.
  let callees: ArraySlice<Callee>
  let mode: Int
  let isNested: Bool
  let listing: Listing?
  let coverage: Coverage?

  /// Where statements stand, which decides about what some of them do.
  struct Place: Hashable, Sendable {
    /// Inside a branch or a loop of the graph.
    var isInRegion = false
    /// Inside a function that is differentiated, perhaps twice: no gradient goes through a region.
    var isDifferentiated = false
    /// Whether a region's gradient ends at parameters.
    var detachesParameters = false
    /// Whether gradients may go through the regions around, so that loops need a greatest length.
    var hasGradients = false
  }

  var place: Place
  private(set) var values: [(id: Int, operand: Operand)] = []
  var isFinished = false
  /// Whether the program has thrown.
  var hasThrown = false
  /// What statements inside a region may look at: a truth value and a small count from outside of it.
  var looks: (condition: Operand, count: Operand)?

  init(
    _ program: Program, _ state: State, callees: ArraySlice<Callee>, mode: Int = 0,
    isNested: Bool = false, place: Place = Place(), listing: Listing? = nil,
    coverage: Coverage? = nil
  ) {
    self.place = place
    self.program = program
    self.state = state
    self.callees = callees
    self.mode = mode
    self.isNested = isNested
    self.listing = listing
    self.coverage = coverage
  }

  func define(_ id: Int, _ tensor: Tensor, _ name: @autoclosure () -> String) {
    values.append((id, say(tensor, name())))
  }

  /// Replaces a value's tensor: what a loop carries.
  func update(_ id: Int, _ tensor: Tensor) {
    if let place = values.lastIndex(where: { $0.id == id }) {
      values[place].operand.tensor = tensor
    }
  }

  /// The value of that number, or another where it is gone.
  func value(_ id: Int) -> Operand {
    values.last { $0.id == id }?.operand ?? values[id % values.count].operand
  }

  /// Whether a number names a value that there is.
  func has(_ id: Int) -> Bool { values.contains { $0.id == id } }

  /// Runs a body that sees values in another form.
  func withValues<R>(_ form: (Operand) -> Operand, _ body: () -> R) -> R {
    let before = values
    for i in values.indices { values[i].operand = form(values[i].operand) }
    defer { values = before }
    return body()
  }

  /// Cuts all values off from graphs that a backward pass has used up.
  func detachAll() {
    for i in values.indices where values[i].operand.tensor.requiresGrad {
      if !values[i].operand.tensor.isLeaf {
        values[i].operand.tensor = values[i].operand.tensor.detached()
      }
    }
    listing?.add("// all values so far: detached()")
  }

  // MARK: Running

  /// Runs statements; their values stay.
  func run(_ block: Program.Block) -> Operand? {
    var last: Operand?
    for statement in block where !isFinished {
      coverage?.met(statement.kind)
      var random = SplitMix64(statement.choices)
      let result = limited(evaluate(statement, &random))
      if result.tensor.isFailed { isFinished = true }
      coverage?.met(result.dtype)
      let name = "v\(statement.id)"
      listing?.define(name, result)
      last = say(result.tensor, name)
      values.append((statement.id, last!))
    }
    return last
  }

  /// Runs the statements of a nested block.
  /// - Parameter given: Values that the block has beside those around it.
  /// - Returns: The last one's value, or that of an empty block.
  func run(
    nested block: Program.Block, given: [(id: Int, operand: Operand)] = [], otherwise: Operand
  ) -> Operand {
    let count = values.count
    values += given
    listing?.depth += 1
    let result = run(block) ?? otherwise
    listing?.depth -= 1
    values.removeSubrange(count...)
    return result
  }

  private func limited(_ x: Operand) -> Operand {
    if x.tensor.size <= program.sizeLimit && x.tensor.ndim <= 5 { return x }
    let count = min(x.tensor.size, program.sizeLimit / 4)
    return say(x.tensor.flattened()[0..<count], "(\(x)).flattened()[0..<\(count)]")
  }

  private func evaluate(
    _ statement: Program.Statement, _ random: inout SplitMix64
  ) -> Operand {
    let (a, b) = (value(statement.operands[0]), value(statement.operands[1]))
    // After a mistake.
    if let failed = [a, b, value(statement.operands[2])].first(where: \.tensor.isFailed) {
      return failed
    }
    // A nested function may be called from a region, too.
    if place.isInRegion && !statement.kind.fitsRegions { return a }
    switch statement.kind {
    case .unary, .activation, .binary, .withNumber, .chain, .integers, .comparison, .logic,
      .choice, .clip, .cast:
      return elementwise(statement.kind, a, b, value(statement.operands[2]), &random)
    case .reduction, .statistic, .extreme, .softmax, .running, .sorting, .normalization, .losses:
      return alongAxes(statement.kind, a, b, &random)
    case .reshaping, .transposing, .slicing, .broadcasting, .joining, .repeating, .triangle:
      return movement(statement.kind, a, b, &random)
    case .matmul, .linear, .einsum, .convolution, .pooling:
      return product(statement.kind, a, b, &random)
    case .take, .scatter, .gather, .assignment, .mask, .oneHot, .outOfRange:
      return indexing(statement.kind, a, b, &random)
    case .filled, .literal, .captured, .random, .dropout, .reseed:
      return creation(statement.kind, a, &random)
    case .readVariable, .writeVariable, .count, .localVariable, .movingStatistics, .callback,
      .accumulate:
      return variables(statement.kind, a, &random)
    case .leaf, .detach, .backward, .trainingLoss, .gradients, .secondGradient, .transform,
      .derivative, .retained, .readGradient, .forgetGradient, .descend, .optimizerStep,
      .clippedStep, .learningRate:
      return differentiation(statement, a, b, &random)
    case .cond, .whileLoop, .scan: return region(statement, a, b, &random)
    case .branch, .loop, .selection, .repetition, .earlyReturn, .withoutGradients, .number,
      .elements, .staticValue, .optional, .call, .refusal,
      .itemOfMany, .mismatch:
      return control(statement, a, b, &random)
    }
  }
}
