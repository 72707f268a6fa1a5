import Duet

extension Machine {
  func control(
    _ statement: Program.Statement, _ a: Operand, _ b: Operand, _ random: inout SplitMix64
  ) -> Operand {
    switch statement.kind {
    case .branch:
      let condition = place.isInRegion ? looks?.condition : condition(a, &random)
      return condition.map { branch(statement, $0, b) } ?? b
    case .loop: return loop(statement, a, b, &random)
    case .selection:
      let selector = place.isInRegion ? looks?.count : smallCount(a)
      return selector.map { selection(statement, $0, b) } ?? b
    case .repetition:
      let count = random.int(2...3)
      begin(statement, b)
      listing?.add("for _ in 0..<\(count) {")
      for _ in 0..<(listing == nil ? count : 1) { step(statement) }
      listing?.add("}")
      return say(value(statement.id).tensor, "v\(statement.id)")
    case .earlyReturn:
      let condition = condition(a, &random)
      listing?.add("if \(condition).item() { return }")
      coverage?.looks += 1
      if condition.tensor.item() && listing == nil { isFinished = true }
      return condition
    case .refusal:
      let condition = condition(a, &random)
      listing?.add("if \(condition).item() { throw Refusal() }")
      coverage?.looks += 1
      if condition.tensor.item() && listing == nil { (isFinished, hasThrown) = (true, true) }
      return condition
    case .withoutGradients:
      listing?.add("// noGrad")
      listing?.add("do {")
      let result = noGrad { run(nested: statement.blocks[0], otherwise: a) }
      listing?.add("}")
      return result
    case .number:
      let x = floating(nonempty(a))
      let mean = x.tensor.mean()
      coverage?.looks += 1
      let number = mean.item(Float.self)
      let y = numeric(b)
      return say(y.tensor * number, "\(y) * \(x).mean().item(Float.self)")
    case .elements:
      let x = shaped(numeric(a), [min(3, a.tensor.size)])
      coverage?.looks += 1
      let isPositive = x.tensor.asArray(Double.self).contains { $0 > 2 }
      return say(
        isPositive ? x.tensor * 2 : x.tensor - 1,
        "\(x).asArray(Double.self).contains { $0 > 2 } ? \(x) * 2 : \(x) - 1")
    case .staticValue:
      let x = numeric(a)
      switch mode {
      case 0: return say(x.tensor + 1, "\(x) + 1 /* static value 0 */")
      case 1: return say(x.tensor * x.tensor, "\(x) * \(x) /* static value 1 */")
      default: return say(x.tensor.sum(), "\(x).sum() /* static value 2 */")
      }
    case .optional:
      let isThere = has(program.optionalID)
      listing?.add("// optional argument is \(isThere ? "there" : "nil")")
      return run(nested: statement.blocks[isThere ? 0 : 1], otherwise: a)
    case .call: return call(a, b, &random)
    case .itemOfMany:
      let x = shaped(floating(a), [2])
      return say(Tensor(x.tensor.item(Float.self)), "Tensor(\(x).item(Float.self))")
    default:
      let (x, y) = (shaped(floating(a), [2, 3]), shaped(floating(b), [4, 2]))
      return say(Duet.matmul(x.tensor, y.tensor), "matmul(\(x), \(y))")
    }
  }

  private func branch(
    _ statement: Program.Statement, _ condition: Operand, _ otherwise: Operand
  ) -> Operand {
    coverage?.looks += 1
    let isTrue: Bool = condition.tensor.item()
    let name = "r\(statement.id)"
    guard listing != nil else {
      return run(nested: statement.blocks[isTrue ? 0 : 1], otherwise: otherwise)
    }
    listing?.add("var \(name) = \(otherwise)")
    listing?.add("if \(condition).item() {")
    let first = assigned(name, statement.blocks[0], otherwise)
    listing?.add("} else {")
    let second = assigned(name, statement.blocks[1], otherwise)
    listing?.add("}")
    return say(isTrue ? first : second, name)
  }

  /// A block whose last value a name gets.
  private func assigned(_ name: String, _ block: Program.Block, _ otherwise: Operand) -> Tensor {
    let result = run(nested: block, otherwise: otherwise)
    if result.text != otherwise.text { listing?.add("  \(name) = \(result)") }
    return result.tensor
  }

  private func selection(
    _ statement: Program.Statement, _ selector: Operand, _ otherwise: Operand
  ) -> Operand {
    coverage?.looks += 1
    let place = min(2, max(0, selector.tensor.item(Int.self)))
    let name = "r\(statement.id)"
    guard listing != nil else {
      return run(nested: statement.blocks[place], otherwise: otherwise)
    }
    listing?.add("var \(name) = \(otherwise)")
    listing?.add("switch min(2, \(selector).item(Int.self)) {")
    var results: [Tensor] = []
    for (i, block) in statement.blocks.enumerated() {
      listing?.add(i == 2 ? "default:" : "case \(i):")
      results.append(assigned(name, block, otherwise))
    }
    listing?.add("}")
    return say(results[place], name)
  }

  // MARK: Loops

  /// Defines the value that a loop carries.
  private func begin(_ statement: Program.Statement, _ start: Operand) {
    listing?.add("var v\(statement.id) = \(start)")
    define(statement.id, start.tensor, "v\(statement.id)")
  }

  /// Runs a loop's block once.
  private func step(_ statement: Program.Statement) {
    let before = value(statement.id)
    let result = run(nested: statement.blocks[0], otherwise: before)
    if result.text != before.text { listing?.add("  v\(statement.id) = \(result)") }
    update(statement.id, result.tensor)
  }

  private func loop(
    _ statement: Program.Statement, _ a: Operand, _ b: Operand, _ random: inout SplitMix64
  ) -> Operand {
    let counts = random.chance(0.6)
    let name = "v\(statement.id)"
    begin(statement, counts ? b : floating(b))
    if counts {
      var n = smallCount(a).tensor
      listing?.add("var n = \(smallCount(a))")
      listing?.add("while (n .> 0).item() {")
      var rounds = 0
      while looks(n .> 0), !isFinished, rounds < (listing == nil ? 4 : 1) {
        step(statement)
        n = n - 1
        rounds += 1
      }
      listing?.add("  n = n - 1")
    } else {
      listing?.add("var rounds = 0")
      listing?.add("while (\(name).asType(.float32).abs().sum() .> 4).item(), rounds < 3 {")
      var rounds = 0
      func isLong() -> Tensor { value(statement.id).tensor.asType(.float32).abs().sum() .> 4 }
      while looks(isLong()), !isFinished, rounds < (listing == nil ? 3 : 1) {
        step(statement)
        let shorter = value(statement.id).tensor.asType(.float32) * 0.5
        update(statement.id, shorter)
        rounds += 1
      }
      listing?.add("  \(name) = \(name).asType(.float32) * 0.5; rounds += 1")
    }
    listing?.add("}")
    return say(value(statement.id).tensor, name)
  }

  private func looks(_ condition: Tensor) -> Bool {
    coverage?.looks += 1
    return condition.item()
  }

  // MARK: Functions

  private func call(_ a: Operand, _ b: Operand, _ random: inout SplitMix64) -> Operand {
    guard !callees.isEmpty else { return a }
    let place = callees.startIndex + random.int(below: callees.count)
    coverage?.nestedCalls += 1
    return say(
      callees[place](a.tensor, b.tensor, self.place), "f\(place)(\(a), \(b))")
  }
}
