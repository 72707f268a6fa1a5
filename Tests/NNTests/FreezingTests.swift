import Duet
import DuetTestSupport
import Testing

@Suite struct FreezingTests {
  private struct Model: Module {
    let backbone = Linear(3, 4)
    let head = Linear(4, 2)
    func callAsFunction(_ x: Tensor) -> Tensor { head(relu(backbone(x))) }
  }

  @Test("frozen parameters stay, in a traced step too", arguments: [false, true])
  func frozenParametersStay(isTraced: Bool) {
    let model = Model()
    let optimizer = AdamW(model.parameters, learningRate: 0.1)
    let body = { (x: Tensor) -> Tensor in
      optimizer.zeroGrad()
      let loss = model(x).square().sum()
      loss.backward()
      optimizer.step()
      return loss.detached()
    }
    let step = traced(body)
    func run() { _ = isTraced ? step(ones([2, 3])) : body(ones([2, 3])) }
    func values(_ module: some Module) -> [[Float]] {
      module.parameters.map { $0.value.asArray(Float.self) }
    }
    let start = values(model)
    run()
    #expect(zip(values(model), start).allSatisfy { $0 != $1 })
    model.backbone.freeze()
    #expect(model.trainableParameters.names == ["head.weight", "head.bias"])
    #expect(model.backbone.weight.grad == nil)
    let (kept, head) = (values(model.backbone), values(model.head))
    for _ in 0..<3 { run() }
    #expect(values(model.backbone) == kept)
    #expect(model.backbone.weight.grad == nil)
    #expect(zip(values(model.head), head).allSatisfy { $0 != $1 })
    #expect(!model.backbone.weight.value.requiresGrad)
    model.backbone.weight.value = ones([4, 3])
    #expect(!model.backbone.weight.value.requiresGrad)
    model.unfreeze()
    #expect(model.trainableParameters.count == 4)
    let before = values(model.backbone)
    run()
    #expect(zip(values(model.backbone), before).allSatisfy { $0 != $1 })
    if isTraced { #expect(step.traceCount <= 4) }
  }

  @Test func frozenInputsCostNoGradient() {
    let layer = Linear(3, 2)
    layer.freeze()
    #expect(layer(ones([1, 3])).gradFn == nil)
    layer.bias?.requiresGrad = true
    #expect(layer(ones([1, 3])).gradFn != nil)
  }

  @Test func freezingInsideATracedFunctionIsAMistake() {
    let layer = Linear(3, 2)
    let function = traced { (x: Tensor) -> Tensor in
      layer.freeze()
      return layer(x)
    }
    let found = mistake { _ = function(ones([1, 3])) }
    #expect(found.contains("weight cannot change"), "\(found)")
    #expect(layer.weight.requiresGrad)
  }
}
