import Duet

/// Training steps that look at a value and decide in plain Swift: the paths are recorded, and replayed as the
/// values tell.
func decisionCases() -> Family {
  Family(
    title: "Decisions",
    cases: [
      Case(
        "train_keep_best_b32", "784-256-128-10, SGD; if the loss is less than ever, notes it",
        cost: perceptronTrainingCost(batch: 32), prepare: keepBest),
      Case(
        "train_clip_above_b32", "the same; scales the gradients if their norm is above 1",
        cost: perceptronTrainingCost(batch: 32), prepare: clipAbove),
    ])
}

private func keepBest(_ mode: Mode) -> Step {
  var draw = Draws()
  let (x, labels) = (draw.normal(32, 784), draw.labels(32))
  let model = Perceptron(&draw, 784, 256, 128, 10)
  let best = Variable(Tensor(Float.infinity), name: "best")
  let optimizer = SGD(model.parameters, learningRate: 0.01, momentum: 0.9)
  let train = mode.function { (x: Tensor, labels: Tensor) in
    optimizer.zeroGrad()
    let loss = crossEntropy(model(x), labels)
    loss.backward()
    optimizer.step()
    if (loss .< best.value).item() { best.value = loss.detached() }
    return best.value
  }
  return Step { train(x, labels) }.changing(model.parameters)
}

private func clipAbove(_ mode: Mode) -> Step {
  var draw = Draws()
  let (x, labels) = (draw.normal(32, 784), draw.labels(32))
  let model = Perceptron(&draw, 784, 256, 128, 10)
  let optimizer = SGD(model.parameters, learningRate: 0.01, momentum: 0.9)
  let train = mode.function { (x: Tensor, labels: Tensor) in
    optimizer.zeroGrad()
    let loss = crossEntropy(model(x), labels)
    loss.backward()
    noGrad {
      let squares = model.parameters.map { ($0.grad! * $0.grad!).sum() }
      let norm = sqrt(stacked(squares).sum())
      if (norm .> 1).item() {
        for parameter in model.parameters { parameter.grad = parameter.grad! / norm }
      }
    }
    optimizer.step()
    return loss
  }
  return Step { train(x, labels) }.changing(model.parameters)
}
