import Duet
import Testing

@Suite struct ModuleTests {
  struct Block: Module {
    let norm = LayerNorm(4)
    let dropout = Dropout(0.5)
    let scale = Parameter(ones([4]), name: "own name")
  }

  class Base: Module {
    let first = Linear(2, 2, bias: false)
  }

  final class Derived: Base {
    let second = Linear(2, 3, bias: false)
  }

  struct Everything: Module {
    let single = Linear(4, 4)
    let blocks = [Block(), Block()]
    let present: Linear? = Linear(4, 2, bias: false)
    let absent: Linear? = nil
    let byName = ["b": Linear(1, 1, bias: false), "a": Linear(1, 2, bias: false)]
    let pair = (left: Linear(1, 1, bias: false), Linear(1, 1, bias: false))
    let list = Sequential {
      ReLU()
      Linear(4, 2)
    }
    let derived = Derived()
    let counter = Variable(zeros([]), name: "variable")
    let sizes = [1, 2, 3]
    let name = "not a part"
  }

  @Test func partsAreFoundInOrderUnderDottedNames() {
    let model = Everything()
    #expect(
      model.parameters.names == [
        "single.weight", "single.bias",
        "blocks.0.norm.weight", "blocks.0.norm.bias", "blocks.0.scale",
        "blocks.1.norm.weight", "blocks.1.norm.bias", "blocks.1.scale",
        "present.weight", "byName.a.weight", "byName.b.weight",
        "pair.left.weight", "pair.1.weight", "list.1.weight", "list.1.bias",
        "derived.first.weight", "derived.second.weight",
      ])
    #expect(model.buffers.map(\.name) == ["counter"])
    #expect(model.parameters["blocks.1.norm.bias"] === model.blocks[1].norm.bias)
    #expect(model.parameters["nothing"] == nil)
    #expect(model.parameterCount == model.parameters.reduce(0) { $0 + $1.value.size })
  }

  @Test func partsOfPlainStructsAndEnumsAreFound() {
    struct Head {
      let linear = Linear(2, 2, bias: false)
      let size = 2
    }
    enum Choice {
      case linear(Linear)
      case nothing
    }
    struct Model: Module {
      let head = Head()
      let heads = [Head(), Head()]
      let chosen = Choice.linear(Linear(2, 1, bias: false))
      let absent = Choice.nothing
      let choices = [Choice.nothing, .linear(Linear(1, 1, bias: false))]
      let constant = Tensor([1.0])
    }
    #expect(
      Model().parameters.names == [
        "head.linear.weight", "heads.0.linear.weight", "heads.1.linear.weight",
        "chosen.linear.weight", "choices.1.linear.weight",
      ])
  }

  @Test func layersMayBeSharedWithOtherThreads() {
    struct Model: Module, Sendable {
      let linear = Linear(2, 2)
      let convolution = Conv2d(1, 1, kernelSize: 1), norm = BatchNorm2d(1), dropout = Dropout()
    }
    let model = Model()
    let onAnother: @Sendable () -> Tensor = { model.linear(ones([1, 2])) }
    #expect(onAnother().shape == [1, 2])
  }

  @Test func variablesAreNamedAfterTheirPlace() {
    let model = Everything()
    _ = model.parameters
    #expect(model.single.weight.name == "single.weight")
    #expect(model.blocks[1].norm.bias?.name == "blocks.1.norm.bias")
    #expect(model.counter.name == "counter")
    #expect(model.blocks[0].scale.name == "own name")
    _ = model.single.parameters
    #expect(model.single.weight.name == "single.weight")
  }

  @Test func sharedParametersAreListedOnce() {
    struct Tied: Module {
      let a: Linear
      let b: Linear
      let again: Parameter
    }
    let linear = Linear(2, 2)
    let model = Tied(a: linear, b: linear, again: linear.weight)
    #expect(model.parameters.names == ["a.weight", "a.bias"])
    #expect(model.parameters.named.count == model.parameters.count)
  }

  @Test func copiesShareTheirWeights() {
    let model = Linear(2, 2)
    let copy = model
    copy.weight.value = zeros([2, 2])
    #expect(model.weight.value.asArray(Float.self) == [0, 0, 0, 0])
  }

  @Test func trainAndEvalReachEveryPart() {
    let model = Everything()
    #expect(model.isTraining)
    model.eval()
    #expect(!model.isTraining)
    #expect(!model.blocks[1].dropout.isTraining)
    model.blocks[0].train()
    #expect(!model.isTraining)
    #expect(model.blocks[0].isTraining)
    model.train()
    #expect(model.isTraining)
  }

  @Test func tracedFunctionsNoticeTheMode() {
    let layer = Dropout(0.5)
    let f = traced { (x: Tensor) -> Tensor in noGrad { layer(x) } }
    let x = ones([64])
    #expect((f(x) .== 0).any().item(Bool.self))
    layer.eval()
    for _ in 0..<2 { #expect((f(x) .== x).all().item(Bool.self)) }
    layer.train()
    let (a, b) = (f(x).asArray(Float.self), f(x).asArray(Float.self))
    #expect(a != b && a.contains(0))
    #expect(f.traceCount == 2)
  }

  @Test func zeroGradForgetsGradients() {
    let model = Linear(2, 1)
    model(ones([1, 2])).sum().backward()
    #expect(model.weight.grad?.asArray(Float.self) == [1, 1])
    model.zeroGrad()
    #expect(model.weight.grad == nil && model.bias?.grad == nil)
  }

  @Test func sequentialTakesConditionsLoopsAndFunctions() {
    let isDeep = true
    let model = Sequential {
      Linear(2, 4)
      if isDeep { ReLU() } else { Tanh() }
      for _ in 0..<2 { Linear(4, 4) }
      if !isDeep { Dropout() }
      relu
    }
    #expect(model.layers.count == 5)
    #expect(
      model.parameters.names == [
        "0.weight", "0.bias", "2.weight", "2.bias", "3.weight", "3.bias",
      ])
    #expect(model(ones([3, 2])).shape == [3, 4])
  }

  @Test func summaryListsEveryVariable() {
    let text = Sequential {
      Conv2d(1, 2, kernelSize: 3)
      BatchNorm2d(2)
    }.summary
    #expect(text.contains("0.weight") && text.contains("[2, 1, 3, 3]"))
    #expect(text.contains("1.running_var (buffer)"))
    #expect(text.contains("24 parameters, 96 bytes"))
  }
}
