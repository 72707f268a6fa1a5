import Duet

/// Control flow inside the graph. Every closure is run in one iteration or many, and in the branch that is taken or
/// not, as the mode has it.
extension Machine {
  /// Runs a branch or a loop, with gradients that end before it, go through it, or are those of a function of its own.
  func region(
    _ statement: Program.Statement, _ a: Operand, _ b: Operand, _ random: inout SplitMix64
  ) -> Operand {
    coverage?.regions += 1
    if place.isInRegion { return random.pick(results(statement, a, b, random)) }
    let other = value(statement.operands[2])
    looks = (condition(other, &random), smallCount(other))
    defer { looks = nil }
    let flow = random.int(below: 4)
    if place.isDifferentiated || flow == 0 || flow == 1 && !program.hasOpenRegions {
      let result = inside(statement.kind) { random.pick(results(statement, a, b, random)) }
      return say(result.tensor.detached(), "\(result).detached()")
    }
    if flow == 1 { return open(statement, a, b, random) }
    return differentiated(statement, a, b, &random)
  }

  /// Runs a body as the closures of a region are run.
  private func inside<R>(
    _ kind: Kind, gradients: Bool = false, detachingParameters: Bool = false, _ body: () -> R
  ) -> R {
    let before = place
    place.isInRegion = true
    place.hasGradients = gradients
    place.detachesParameters = detachingParameters
    defer { place = before }
    return body()
  }

  // MARK: Gradients

  /// A region through which gradients of later statements go to its operands.
  ///
  /// Whether a result requires gradients may depend on the branch that is taken, and whether a gradient arrives, too.
  /// So what the region was made of is added in any case, times zero.
  private func open(
    _ statement: Program.Statement, _ a: Operand, _ b: Operand, _ random: SplitMix64
  ) -> Operand {
    var random = random
    listing?.add("// all values but \(a) and \(b) in the following: detached()")
    func cutOff(_ x: Operand) -> Operand {
      let isSource = [a, b].contains { $0.tensor.body === x.tensor.body }
      return isSource || !x.tensor.requiresGrad ? x : say(x.tensor.detached(), x.text)
    }
    let result = withValues(cutOff) {
      inside(statement.kind, gradients: true, detachingParameters: true) {
        random.pick(results(statement, a, b, random))
      }
    }
    guard result.dtype.isFloatingPoint else { return result }
    let zero = zero(of: [a, b].filter(\.dtype.isFloatingPoint))
    return say(
      result.tensor + zero.tensor.asType(result.dtype),
      "\(result) + \(zero).asType(.\(result.dtype))")
  }

  /// Zero, with a gradient of zero for each of the operands.
  private func zero(of operands: [Operand]) -> Operand {
    let parts = operands.map { x -> Operand in
      let sum = x.tensor.asType(.float32).sum()
      return say(which(isFinite(sum), sum, 0) * 0, "zero(\(x))")
    }
    guard let first = parts.first else { return say(Tensor(Float(0)), "Tensor(Float(0))") }
    return parts.dropFirst().reduce(first) { say($0.tensor + $1.tensor, "\($0) + \($1)") }
  }

  /// The gradient of a function that a region is the most part of.
  private func differentiated(
    _ statement: Program.Statement, _ a: Operand, _ b: Operand, _ random: inout SplitMix64
  ) -> Operand {
    let detachesParameters = random.chance(0.4)
    let (x, y) = (floating(a), floating(b))
    let way = isGradEnabled ? random.int(below: 4) : random.int(2...3)
    let (result, mean) = (random.chance(0.5), random.chance(0.5))
    let draws = random
    let parameters =
      detachesParameters
      ? [] : state.parameters.map { say($0.value, "\($0.name).value") }
    /// A number that depends on the two.
    func loss(_ x: Operand, _ y: Operand) -> Operand {
      var draws = draws
      func cutOff(_ x: Operand) -> Operand { say(x.tensor.detached(), x.text) }
      let all = withValues(cutOff) {
        inside(statement.kind, gradients: true, detachingParameters: detachesParameters) {
          results(statement, x, y, draws)
        }
      }
      let some = result ? [draws.pick(all)] : all
      let numbers = some.map { part in
        mean
          ? say(part.tensor.asType(.float32).tanh().sum(), "\(part).asType(.float32).tanh().sum()")
          : say(part.tensor.asType(.float32).mean(), "\(part).asType(.float32).mean()")
      }
      return (numbers + [zero(of: [x, y] + parameters)]).dropFirst().reduce(numbers[0]) {
        say($0.tensor + $1.tensor, "\($0) + \($1)")
      }
    }
    coverage?.gradients += 1
    coverage?.add("gradients of branches and loops")
    let names = ("p\(statement.id)", "q\(statement.id)", "loss\(statement.id)")
    let place = random.int(0...2)
    if way < 2 {
      let (p, q) = (x.tensor.detached().requiringGrad(), y.tensor.detached().requiringGrad())
      listing?.add("let \(names.0) = \(x).detached().requiringGrad()")
      listing?.add("let \(names.1) = \(y).detached().requiringGrad()")
      let loss = loss(say(p, names.0), say(q, names.1))
      listing?.add("let \(names.2) = \(loss)")
      let found: [Tensor]
      if listing != nil {
        found = [p.detached(), q.detached()]
      } else if way == 0 {
        found = Duet.gradients(of: [loss.tensor], by: [p, q])
      } else {
        loss.tensor.backward()
        // After a mistake inside `checked` there are none.
        found = [p.grad ?? p.detached(), q.grad ?? q.detached()]
      }
      if way == 1 { listing?.add("\(names.2).backward()") }
      switch place {
      case 0: return say(loss.tensor.detached(), "\(names.2).detached()")
      case 1 where way == 1: return say(found[0], "\(names.0).grad!")
      case _ where way == 1: return say(found[1], "\(names.1).grad!")
      default:
        return say(
          found[place - 1],
          "gradients(of: [\(names.2)], by: [\(names.0), \(names.1)])[\(place - 1)]")
      }
    }
    let primals = [x.tensor.detached(), y.tensor.detached()]
    if listing != nil {
      listing?.add(
        way == 2
          ? "let (\(names.2), found\(statement.id)) = valueAndGrad { (p: [Tensor]) in"
          : "let (\(names.2), found\(statement.id)) = vjp({ (p: [Tensor]) in")
      listing?.depth += 1
      let loss = loss(say(primals[0], "p[0]"), say(primals[1], "p[1]"))
      listing?.add("return \(loss)")
      listing?.depth -= 1
      listing?.add(
        way == 2
          ? "}([\(x).detached(), \(y).detached()])"
          : "}, primals: [\(x).detached(), \(y).detached()], cotangents: Tensor(Float(1.5)))")
      return place == 0
        ? say(loss.tensor.detached(), "\(names.2).detached()")
        : say(primals[place - 1], "found\(statement.id)[\(place - 1)].detached()")
    }
    let f = { (p: [Tensor]) in
      loss(Operand(tensor: p[0], text: ""), Operand(tensor: p[1], text: "")).tensor
    }
    let (value, found): (Tensor, [Tensor])
    if way == 2 {
      (value, found) = valueAndGrad(f)(primals)
    } else {
      (value, found) = vjp(f, primals: primals, cotangents: Tensor(Float(1.5)))
    }
    return say(place == 0 ? value.detached() : found[place - 1].detached(), "")
  }
}
