import Duet
import DuetNN

extension Machine {
  func differentiation(
    _ statement: Program.Statement, _ a: Operand, _ b: Operand, _ random: inout SplitMix64
  ) -> Operand {
    switch statement.kind {
    case .leaf:
      let x = floating(a)
      return say(x.tensor.detached().requiringGrad(), "\(x).detached().requiringGrad()")
    case .detach: return say(a.tensor.detached(), "\(a).detached()")
    case .backward:
      let y = differentiable(a, b, &random)
      backward(loss(y, &random), &random)
      return say(y.tensor.detached(), "\(y).detached()")
    case .trainingLoss: return trainingLoss(a, &random)
    case .gradients: return gradients(differentiable(a, b, &random), &random)
    case .secondGradient: return secondGradient(a, &random)
    case .transform: return transform(floating(a), floating(b), &random)
    case .derivative: return derivative(statement, floating(a), floating(b), &random)
    case .retained:
      let x = differentiable(a, b, &random)
      guard x.tensor.requiresGrad else { return x }
      let p = x.tensor * 2
      p.retainGrad()
      listing?.add("let p = \(x) * 2; p.retainGrad()")
      backward(loss(say(p, "p"), &random), &random)
      return say(p.grad ?? zeros(like: p), "p.grad ?? zeros(like: p)")
    case .readGradient:
      guard let (name, owner) = owner(a, b, &random) else { return a }
      return say(
        owner.grad ?? zeros(like: owner).detached(), "\(name).grad ?? zeros(like: \(name))")
    case .forgetGradient:
      guard let (name, owner) = owner(a, b, &random) else { return a }
      listing?.add("\(name).grad = nil")
      owner.grad = nil
      return a
    case .descend: return descend(&random)
    case .optimizerStep:
      state.optimizer.step()
      state.optimizer.zeroGrad()
      listing?.add("optimizer.step(); optimizer.zeroGrad()")
      return say(state.parameters[1].value.detached(), "bias.value.detached()")
    case .clippedStep: return clippedStep()
    default:
      let rate = random.pick([0.01, 0.02, 0.05])
      state.optimizer.learningRate = rate
      listing?.add("optimizer.learningRate = \(rate)")
      return a
    }
  }

  // MARK: Where gradients go

  /// A leaf whose gradient can be read and written: an operand, or a parameter.
  private func owner(
    _ a: Operand, _ b: Operand, _ random: inout SplitMix64
  ) -> (String, Tensor)? {
    for x in [a, b] where x.tensor.isLeaf && x.tensor.body.autograd?.gradientCell != nil {
      return (x.text, x.tensor)
    }
    for value in values {
      let x = value.operand
      if x.tensor.isLeaf && x.tensor.body.autograd?.gradientCell != nil {
        return (x.text, x.tensor)
      }
    }
    guard program.isStateful else { return nil }
    let parameter = random.pick(state.parameters)
    return ("\(parameter.name).value", parameter.value)
  }

  /// A floating-point value that depends on something that gradients are asked for, if there is anything.
  private func differentiable(
    _ a: Operand, _ b: Operand, _ random: inout SplitMix64
  ) -> Operand {
    let (x, y) = (floating(a), floating(b))
    if !isGradEnabled || x.tensor.requiresGrad { return x }
    if y.tensor.requiresGrad {
      let y = fitting(y, with: x)
      return arithmetic(x, y, &random)
    }
    if let source = values.last(where: { $0.operand.tensor.requiresGrad })?.operand {
      let source = fitting(source, with: x)
      return say((x.tensor * source.tensor).tanh(), "(\(x) * \(source)).tanh()")
    }
    if program.isStateful {
      let scale = state.parameters[2].value
      return say((x.tensor * scale[0]).sin(), "(\(x) * scale.value[0]).sin()")
    }
    let leaf = x.tensor.detached().requiringGrad()
    listing?.add("let leaf = \(x).detached().requiringGrad()")
    return say(leaf * leaf.sigmoid(), "leaf * leaf.sigmoid()")
  }

  /// Runs backward from a number, if anything leads to it.
  private func backward(_ loss: Operand, _ random: inout SplitMix64) {
    let retains = isNested || place.isDifferentiated || random.chance(0.6)
    guard loss.tensor.requiresGrad, loss.tensor.gradFn != nil else { return }
    coverage?.gradients += 1
    listing?.add("\(loss).backward(\(retains ? "retainGraph: true" : ""))")
    loss.tensor.backward(retainGraph: retains)
    if !retains { detachAll() }
  }

  // MARK: Kinds of gradients

  /// The loss of a small layer on the parameters.
  private func trainingLoss(_ a: Operand, _ random: inout SplitMix64) -> Operand {
    let x = say(a.tensor.asType(.float32), "\(a).asType(.float32)")
    let rows = min(8, max(1, x.tensor.size / 4))
    let input = shaped(x, [rows, 4])
    let (weight, bias) = (state.parameters[0].value, state.parameters[1].value)
    let output = (Duet.matmul(input.tensor, weight) + bias).tanh()
    listing?.add("let output = (matmul(\(input), weight.value) + bias.value).tanh()")
    if random.chance(0.3) {
      let labels = Array((0..<rows).map { $0 % 6 })
      let loss = crossEntropy(output, Tensor(labels))
      listing?.add("let loss = crossEntropy(output, Tensor(\(labels)))")
      backward(say(loss, "loss"), &random)
      return say(loss.detached(), "loss.detached()")
    }
    let loss = output.square().mean()
    listing?.add("let loss = output.square().mean()")
    backward(say(loss, "loss"), &random)
    return say(loss.detached(), "loss.detached()")
  }

  private func gradients(_ y: Operand, _ random: inout SplitMix64) -> Operand {
    let loss = loss(y, &random)
    let creates = random.chance(0.4) && !program.hasOpenRegions
    var sources = values.map(\.operand).filter(\.tensor.requiresGrad)
    if program.isStateful {
      let parameter = random.pick(state.parameters)
      sources.append(say(parameter.value, "\(parameter.name).value"))
    }
    guard loss.tensor.requiresGrad, let first = sources.randomElement(using: &random),
      let second = sources.randomElement(using: &random)
    else { return y }
    coverage?.gradients += 1
    let found = Duet.gradients(
      of: [loss.tensor], by: [first.tensor, second.tensor], retainGraph: true, createGraph: creates)
    let place = random.int(0...1)
    return say(
      found[place],
      "gradients(of: [\(loss)], by: [\(first), \(second)], retainGraph: true, "
        + "createGraph: \(creates))[\(place)]")
  }

  /// The gradient of a gradient, of functions that are bent.
  private func secondGradient(_ a: Operand, _ random: inout SplitMix64) -> Operand {
    let leaf = floating(a).tensor.detached().requiringGrad()
    listing?.add("let leaf = \(floating(a)).detached().requiringGrad()")
    let bent =
      random.chance(0.5)
      ? say(leaf.tanh() * leaf, "leaf.tanh() * leaf")
      : say(leaf.square().exp(), "leaf.square().exp()")
    guard isGradEnabled else { return bent }
    coverage?.gradients += 2
    let first = Duet.gradients(of: [bent.tensor.sum()], by: [leaf], createGraph: true)[0]
    listing?.add("let first = gradients(of: [(\(bent)).sum()], by: [leaf], createGraph: true)[0]")
    let second = Duet.gradients(of: [first.square().sum()], by: [leaf])[0]
    return say(second, "gradients(of: [first.square().sum()], by: [leaf])[0]")
  }

  // MARK: Updates

  private func descend(_ random: inout SplitMix64) -> Operand {
    let parameter = random.pick(state.parameters)
    guard let gradient = parameter.grad else {
      return say(parameter.value.detached(), "\(parameter.name).value.detached()")
    }
    noGrad { parameter.value = parameter.value - gradient * 0.01 }
    parameter.grad = nil
    listing?.add(
      "noGrad { \(parameter.name).value = \(parameter.name).value - \(parameter.name).grad! * 0.01 }"
    )
    listing?.add("\(parameter.name).grad = nil")
    return say(parameter.value.detached(), "\(parameter.name).value.detached()")
  }

  /// Makes gradients shorter where they are long, and takes a step.
  private func clippedStep() -> Operand {
    let gradients = state.parameters.compactMap(\.grad)
    guard !gradients.isEmpty else { return say(state.captured * 1, "captured * 1") }
    let norm = gradients.map { $0.asType(.float32).square().sum() }.reduce(Tensor(Float(0)), +)
      .sqrt()
    listing?.add("let norm = /* of all gradients, as float32 */")
    listing?.add("if (norm .> 0.5).item() { /* gradients of parameters */ *= 0.5 / norm }")
    coverage?.looks += 1
    if (norm .> 0.5).item() {
      for parameter in state.parameters {
        if let gradient = parameter.grad {
          parameter.grad = gradient * (0.5 / norm).asType(gradient.dtype)
        }
      }
    }
    state.optimizer.step()
    state.optimizer.zeroGrad()
    listing?.add("optimizer.step(); optimizer.zeroGrad()")
    return say(norm, "norm")
  }
}
