import Duet

/// Branches and loops of the graph, as the statements that they are made of.
extension Machine {
  /// Runs a branch or a loop.
  /// - Returns: All that it gives.
  func results(
    _ statement: Program.Statement, _ a: Operand, _ b: Operand, _ random: SplitMix64
  ) -> [Operand] {
    switch statement.kind {
    case .cond: return branches(statement, a, b, random)
    case .whileLoop: return iterations(statement, a, b, random)
    default: return slices(statement, a, b, random)
    }
  }

  /// x in the type of another: what a loop carries, and branches give, has one type.
  private func fit(_ x: Operand, like y: Operand) -> Operand {
    if program.isSized && x.shape != y.shape {
      let (number, array) = (x.tensor.asType(.float32).mean(), y.tensor.asType(.float32))
      return say(
        (array + number).asType(y.dtype),
        "(\(y).asType(.float32) + \(x).asType(.float32).mean()).asType(.\(y.dtype))")
    }
    let x = shaped(x, y.shape)
    return x.dtype == y.dtype ? x : say(x.tensor.asType(y.dtype), "\(x).asType(.\(y.dtype))")
  }

  private func branches(
    _ statement: Program.Statement, _ a: Operand, _ b: Operand, _ random: SplitMix64
  ) -> [Operand] {
    var random = random
    let predicate =
      place.isInRegion && looks != nil && random.chance(0.2)
      ? looks!.condition : condition(a, &random)
    let isPair = random.chance(0.4)
    let given = [(statement.id, a), (Program.inner(statement.id)[0], b)]
    /// What a closure gives.
    func side(_ i: Int) -> [Operand] {
      let last = run(nested: statement.blocks[i], given: given, otherwise: i == 0 ? a : b)
      let results = [fit(last, like: a)] + (isPair ? [fit(i == 0 ? last : a, like: b)] : [])
      listing?.add("  return (\(results.map(\.text).joined(separator: ", ")))")
      return results
    }
    let names = isPair ? ["r\(statement.id).0", "r\(statement.id).1"] : ["r\(statement.id)"]
    let tensors: [Tensor]
    if listing != nil {
      listing?.add("let r\(statement.id) = cond(\(predicate), then: {")
      let first = side(0).map(\.tensor)
      listing?.add("}, else: {")
      let second = side(1).map(\.tensor)
      listing?.add("})")
      tensors = predicate.tensor.item() ? first : second
    } else if isPair {
      let (first, second) = cond(
        predicate.tensor,
        then: {
          let results = side(0)
          return (results[0].tensor, results[1].tensor)
        },
        else: {
          let results = side(1)
          return (results[0].tensor, results[1].tensor)
        })
      tensors = [first, second]
    } else {
      tensors = [cond(predicate.tensor, then: { side(0)[0].tensor }, else: { side(1)[0].tensor })]
    }
    return zip(tensors, names).map { tensor, name in say(tensor, name) }
  }

  /// What a loop's body makes of a second value that is carried along.
  private func next(
    _ y: Operand, after x: Operand, _ result: Operand, _ random: inout SplitMix64
  ) -> Operand {
    switch random.int(below: 4) {
    case 0: return y
    case 1: return fit(x, like: y)
    default: return fit(result, like: y)
    }
  }

  private func iterations(
    _ statement: Program.Statement, _ a: Operand, _ b: Operand, _ random: SplitMix64
  ) -> [Operand] {
    var random = random
    let count =
      place.isInRegion && looks != nil && random.chance(0.2) ? looks!.count : smallCount(b)
    let carriesTwo = random.chance(0.5)
    let isArray = random.chance(0.3)
    let maximumLength = !place.hasGradients && random.chance(0.4) ? nil : random.int(1...4)
    let asksMore = random.int(below: 3)
    let draws = random
    let inner = Program.inner(statement.id)
    func named(_ s: [Tensor]) -> [Operand] {
      s.enumerated().map { place, tensor in say(tensor, "s\(statement.id).\(place)") }
    }
    func goesOn(_ s: [Operand]) -> Operand {
      let counts = say(s[0].tensor .< count.tensor, "\(s[0]) .< \(count)")
      switch asksMore {
      case 0:
        let x = s[1].tensor.asType(.float32).abs().sum() .< 40
        return say(
          logicalAnd(counts.tensor, x),
          "logicalAnd(\(counts), \(s[1]).asType(.float32).abs().sum() .< 40)")
      case 1 where program.isStateful:
        let variable = state.variables[2]
        return say(
          logicalAnd(counts.tensor, variable.value .< 1000),
          "logicalAnd(\(counts), \(variable.name).value .< 1000)")
      default: return counts
      }
    }
    func body(_ s: [Operand]) -> [Operand] {
      var draws = draws
      var given = [(statement.id, s[1]), (inner[0], s[0])]
      if carriesTwo { given.append((inner[1], s[2])) }
      let last = run(nested: statement.blocks[0], given: given, otherwise: s[1])
      let i = say(s[0].tensor + 1, "\(s[0]) + 1")
      let x = fit(last, like: s[1])
      return [i, x] + (carriesTwo ? [next(s[2], after: s[1], last, &draws)] : [])
    }
    let initial = [say(Tensor(0), "Tensor(0)"), a] + (carriesTwo ? [b] : [])
    let start = initial.map(\.tensor)
    if listing != nil {
      let s = named(start)
      let length = maximumLength.map { "maximumLength: \($0), " } ?? ""
      listing?.add(
        "let r\(statement.id) = whileLoop((\(initial.map(\.text).joined(separator: ", "))), \(length)while: { "
          + "s\(statement.id) in \(goesOn(s)) }, do: { s\(statement.id) in")
      let next = body(s)
      listing?.add("  return (\(next.map(\.text).joined(separator: ", ")))")
      listing?.add("})")
      return next.enumerated().map { i, x in say(x.tensor, "r\(statement.id).\(i)") }
    }
    let end: [Tensor]
    if isArray {
      end = whileLoop(
        start, maximumLength: maximumLength, while: { goesOn(named($0)).tensor },
        do: { s in body(named(s)).map(\.tensor) })
    } else if carriesTwo {
      let (i, x, y) = whileLoop(
        (start[0], start[1], start[2]), maximumLength: maximumLength,
        while: { goesOn(named([$0, $1, $2])).tensor },
        do: { i, x, y in
          let next = body(named([i, x, y]))
          return (next[0].tensor, next[1].tensor, next[2].tensor)
        })
      end = [i, x, y]
    } else {
      let (i, x) = whileLoop(
        (start[0], start[1]), maximumLength: maximumLength,
        while: { goesOn(named([$0, $1])).tensor },
        do: { i, x in
          let next = body(named([i, x]))
          return (next[0].tensor, next[1].tensor)
        })
      end = [i, x]
    }
    return named(end)
  }

  private func slices(
    _ statement: Program.Statement, _ a: Operand, _ b: Operand, _ random: SplitMix64
  ) -> [Operand] {
    var random = random
    let whole = withAxis(a)
    let most = random.pick([0, 1, 2, 3, 3, 5, 17])
    let length = program.isSized ? whole.tensor.dim(0) : min(whole.tensor.dim(0), most)
    let array =
      length == whole.tensor.dim(0)
      ? whole : say(whole.tensor[0..<length], "\(whole)[0..<\(length)]")
    let others =
      random.chance(0.4) && !program.isSized ? [shaped(b, [length, random.int(1...3)])] : []
    let arrays = [array] + others
    let carriesTwo = random.chance(0.4)
    let first =
      random.chance(0.4)
      ? b : say(zeros(Array(array.shape.dropFirst())), "zeros(\(Array(array.shape.dropFirst())))")
    let initial = [first] + (carriesTwo ? [value(statement.operands[2])] : [])
    let start = initial
    let isReversed = random.chance(0.4)
    let outputForm = random.int(below: 3)
    let draws = random
    let inner = Program.inner(statement.id)
    /// The next state, and what is stacked.
    func body(_ s: [Operand], _ slices: [Operand]) -> (state: [Operand], output: [Operand]) {
      var draws = draws
      var given = [(statement.id, s[0]), (inner[0], slices[0])]
      if carriesTwo {
        given.append((inner[1], s[1]))
      } else if slices.count > 1 {
        given.append((inner[1], slices[1]))
      }
      let last = run(nested: statement.blocks[0], given: given, otherwise: slices[0])
      let next =
        [fit(last, like: s[0])] + (carriesTwo ? [next(s[1], after: s[0], last, &draws)] : [])
      let output = [last] + (outputForm == 0 ? [] : [draws.pick(s + slices)])
      return (next, output)
    }
    func named(_ tensors: [Tensor], _ name: String) -> [Operand] {
      tensors.enumerated().map { i, tensor in say(tensor, "\(name)\(statement.id)[\(i)]") }
    }
    if listing != nil {
      listing?.add(
        "let (r\(statement.id), y\(statement.id)) = scan([\(initial.map(\.text).joined(separator: ", "))], "
          + "over: [\(arrays.map(\.text).joined(separator: ", "))], reverse: \(isReversed)) { "
          + "s\(statement.id), x\(statement.id) in")
      let slices = arrays.map { x in
        length > 0 ? x.tensor[0] : zeros(Array(x.shape.dropFirst()), dtype: x.dtype)
      }
      let (next, output) = body(named(start.map(\.tensor), "s"), named(slices, "x"))
      listing?.add(
        "  return ([\(next.map(\.text).joined(separator: ", "))], [\(output.map(\.text).joined(separator: ", "))])"
      )
      listing?.add("}")
      return named(next.map(\.tensor), "r")
        + named(
          output.map { x in
            length > 0
              ? stacked(Array(repeating: x.tensor, count: length))
              : zeros([0] + x.shape, dtype: x.dtype)
          }, "y")
    }
    let sequences = arrays.map(\.tensor)
    let (state, output): ([Tensor], [Tensor])
    switch (outputForm, carriesTwo) {
    case (0, false):
      let (s, y) = scan(start[0].tensor, over: sequences, reverse: isReversed) { s, x in
        let (next, output) = body(named([s], "s"), named(x, "x"))
        return (next[0].tensor, output[0].tensor)
      }
      (state, output) = ([s], [y])
    case (1, true):
      let (s, y) = scan(
        (start[0].tensor, start[1].tensor), over: sequences, reverse: isReversed
      ) { s, x in
        let (next, output) = body(named([s.0, s.1], "s"), named(x, "x"))
        return ((next[0].tensor, next[1].tensor), output.map(\.tensor))
      }
      (state, output) = ([s.0, s.1], y)
    default:
      (state, output) = scan(start.map(\.tensor), over: sequences, reverse: isReversed) { s, x in
        let (next, output) = body(named(s, "s"), named(x, "x"))
        return (next.map(\.tensor), output.map(\.tensor))
      }
    }
    return named(state, "r") + named(output, "y")
  }
}
