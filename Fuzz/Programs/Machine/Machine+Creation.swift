import Duet

extension Machine {
  func creation(_ kind: Kind, _ a: Operand, _ random: inout SplitMix64) -> Operand {
    let (rows, columns) = (random.int(1...4), random.int(1...5))
    let shape = [rows, columns]
    switch kind {
    case .filled:
      switch random.int(below: 6) {
      case 0: return say(zeros(shape), "zeros(\(shape))")
      case 1: return say(ones(shape, dtype: .int32), "ones(\(shape), dtype: .int32)")
      case 2: return say(arange(rows * 3), "arange(\(rows * 3))")
      case 3: return say(eye(rows, columns), "eye(\(rows), \(columns))")
      case 4:
        return say(linspace(0, 1, count: columns), "linspace(0, 1, count: \(columns))")
      default: return say(ones(like: a.tensor), "ones(like: \(a))")
      }
    case .literal:
      let numbers = (0..<columns).map { _ in Double(random.int(-8...8)) / 4 }
      return random.chance(0.5)
        ? say(Tensor(numbers, dtype: .float32), "Tensor(\(numbers), dtype: .float32)")
        : say(Tensor(numbers[0]), "Tensor(\(numbers[0]))")
    case .captured:
      return say(state.captured * 2, "captured * 2")
    case .random:
      let generator = state.generator
      switch random.int(below: 6) {
      case 0: return say(Random.normal(shape, generator: generator), "Random.normal(\(shape))")
      case 1:
        return say(
          Random.uniform(low: -1, high: 2, a.shape, generator: generator),
          "Random.uniform(low: -1, high: 2, \(a.shape))")
      case 2:
        return say(
          Random.randInt(-3..<4, shape, generator: generator), "Random.randInt(-3 ..< 4, \(shape))")
      case 3:
        return say(
          Random.permutation(rows * 3, generator: generator), "Random.permutation(\(rows * 3))")
      case 4:
        return say(
          Random.bernoulli(0.5, a.shape, generator: generator), "Random.bernoulli(0.5, \(a.shape))")
      default:
        return say(
          Random.normal(shape, dtype: .float16, generator: generator),
          "Random.normal(\(shape), dtype: .float16)")
      }
    case .dropout:
      let x = floating(a)
      let keep = Random.bernoulli(0.75, x.shape, generator: state.generator)
      return say(x.tensor * keep / 0.75, "\(x) * Random.bernoulli(0.75, \(x.shape)) / 0.75")
    default:
      let seed = random.int(0...3)
      listing?.add("generator.seed(\(seed))")
      state.generator.seed(seed)
      return say(Random.uniform([2], generator: state.generator), "Random.uniform([2])")
    }
  }

  func variables(_ kind: Kind, _ a: Operand, _ random: inout SplitMix64) -> Operand {
    let variable = random.pick(state.variables)
    switch kind {
    case .readVariable:
      if random.chance(0.4) {
        let parameter = random.pick(state.parameters)
        return place.detachesParameters
          ? say(parameter.value.detached(), "\(parameter.name).value.detached()")
          : say(parameter.value, "\(parameter.name).value")
      }
      return say(variable.value, "\(variable.name).value")
    case .writeVariable:
      let value = fitted(a, to: variable)
      let before = variable.value
      switch random.int(below: 3) {
      case 0:
        listing?.add("\(variable.name).value = \(value)")
        variable.value = value.tensor
      case 1:
        listing?.add("\(variable.name).value = \(variable.name).value + \(value)")
        variable.value = before + value.tensor
      default:
        let mixed =
          variable.dtype == .int64 ? before - value.tensor : before * 0.9 + value.tensor * 0.1
        listing?.add(
          "\(variable.name).value = "
            + (variable.dtype == .int64
              ? "\(variable.name).value - \(value)"
              : "\(variable.name).value * 0.9 + \(value) * 0.1"))
        variable.value = mixed
      }
      return random.chance(0.5)
        ? say(before, "/* \(variable.name).value before */")
        : say(variable.value, "\(variable.name).value")
    case .count:
      let count = state.variables[1]
      count.value = count.value + 1
      listing?.add("count.value = count.value + 1")
      return say(count.value, "count.value")
    case .localVariable:
      let x = numeric(a)
      let local = Variable(x.tensor.detached(), name: "local")
      local.value = local.value + local.value
      listing?.add("let local = Variable(\(x).detached())")
      listing?.add("local.value = local.value + local.value")
      return say(local.value, "local.value")
    case .movingStatistics:
      let x = shaped(wide(a), [2, 3, 2]).tensor.asType(.float32).detached()
      let training = random.chance(0.6)
      return say(
        batchNorm(
          x, runningMean: state.moments.mean, runningVariance: state.moments.variance,
          training: training),
        "batchNorm(\(shaped(wide(a), [2, 3, 2])).asType(.float32).detached(), "
          + "runningMean: mean, runningVariance: variance, training: \(training))")
    case .callback:
      let state = state
      listing?.add("hostCallback(\(a)) { log.append($0) }")
      hostCallback(a.tensor) { state.note(Bits($0)) }
      return a
    default:
      // accumulate: a sum of integers, whose order does not matter.
      let count = state.variables[1]
      let value = shaped(integral(a), [5])
      count.value = count.value + value.tensor.asType(.int64).detached()
      listing?.add("count.value = count.value + \(value).asType(.int64).detached()")
      return say(a.tensor, a.text)
    }
  }

  /// A value of the variable's dtype and shape.
  func fitted(_ x: Operand, to variable: Variable) -> Operand {
    let x = shaped(numeric(x), variable.shape)
    return say(
      x.tensor.asType(variable.dtype).detached(), "\(x).asType(.\(variable.dtype)).detached()")
  }
}
