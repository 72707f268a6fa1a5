import Duet
import DuetTestSupport
import Foundation
import Testing

@Suite struct StateTests {
  /// The model whose state dict PyTorch wrote.
  struct Model: Module {
    let conv1 = Conv2d(1, 6, kernelSize: 5)
    let norm = BatchNorm2d(6)
    let conv2 = Conv2d(6, 8, kernelSize: 5)
    let head = Sequential {
      Linear(128, 32)
      ReLU()
      Linear(32, 10)
    }

    func callAsFunction(_ x: Tensor) -> Tensor {
      var x = maxPool2d(relu(norm(conv1(x))), kernelSize: 2)
      x = maxPool2d(relu(conv2(x)), kernelSize: 2).flattened(start: 1)
      return head(x)
    }
  }

  private func contents(_ model: some Module) -> [Tensor] {
    model.parameters.map(\.value) + model.buffers.map(\.variable.value)
  }

  @Test func aStateDictOfPyTorchLoadsUnchanged() throws {
    let model = Model()
    let left = try load(model, from: Fixture.url("lenet.safetensors"))
    #expect(left.missing.isEmpty && left.unexpected.isEmpty)
    model.eval()
    let image = linspace(-1, 1, count: 784).reshaped(1, 1, 28, 28)
    let expected = try #require(
      try loadArrays(url: Fixture.url("lenet_scores.safetensors"))["scores"])
    let error = (model(image) - expected).abs().max().item(Float.self)
    #expect(error < 2e-6)
    // And back: the same bytes.
    try withTemporaryFile("safetensors") { url in
      try save(model, metadata: ["format": "pt"], to: url)
      #expect(try SafetensorsFile(url).metadata == ["format": "pt"])
    }
    try withTemporaryFile("safetensors") { url in
      try save(model, to: url)
      #expect(try [UInt8](Data(contentsOf: url)) == Fixture.bytes("lenet.safetensors"))
    }
  }

  @Test("models come back", arguments: ["safetensors", "npz"])
  func models(_ suffix: String) throws {
    try withTemporaryFile(suffix) { url in
      let (model, other) = (Model(), Model())
      model.norm.runningMean!.value = ones([6])
      try save(model, to: url)
      try load(other, from: url)
      expectSame(contents(other), contents(model))
      #expect(other.parameters.allSatisfy { $0.requiresGrad })
      let third = Model()
      try load(third, from: try loadArrays(url: url))
      expectSame(contents(third), contents(model))
    }
  }

  @Test func listsOfParametersComeBack() throws {
    let (layer, other) = (Linear(3, 2), Linear(3, 2))
    for suffix in ["safetensors", "npz"] {
      try withTemporaryFile(suffix) { url in
        try save(layer.parameters, to: url)
        #expect(try Set(loadArrays(url: url).keys) == ["weight", "bias"])
        try load(other.parameters, from: url)
        expectSame(contents(other), contents(layer))
        for parameter in other.parameters { parameter.value = parameter.value + 1 }
      }
    }
    try withTemporaryFile("npy") { url in
      let (one, two) = (Parameter(Tensor([1.0, 2.0])), Parameter(zeros([2])))
      try save(ParameterList([("p", one)]), to: url)
      try load(ParameterList([("q", two)]), from: url)
      expectSame(two.value, one.value)
      #expect(throws: DataError.self) { try save(layer.parameters, to: url) }
      #expect(throws: DataError.self) { try load(layer.parameters, from: url) }
    }
  }

  @Test func whatDoesNotFitChangesNothing() throws {
    let layer = Linear(3, 2)
    let before = contents(layer)
    func reason(_ tensors: [String: Tensor], strict: Bool = true) throws -> String {
      let error = #expect(throws: StateError.self) {
        try load(layer, from: tensors, strict: strict)
      }
      try withTemporaryFile("safetensors") { url in
        try save(tensors, to: url)
        let fromFile = #expect(throws: DataError.self) {
          try load(layer, from: url, strict: strict)
        }
        #expect(fromFile?.reason == error?.description)
      }
      expectSame(contents(layer), before)
      return error?.reason ?? "no error"
    }
    let (weight, bias) = (ones([2, 3]), ones([2]))
    #expect(try reason(["weight": weight]) == "1 missing (bias)")
    #expect(
      try reason(["weight": weight, "b": bias, "c": bias])
        == "1 missing (bias); 2 unexpected (b, c)")
    let many = Dictionary(uniqueKeysWithValues: (0..<9).map { ("x\($0)", bias) })
    #expect(try reason(many).hasSuffix("9 unexpected (x0, x1, x2, x3, x4, ...)"))
    #expect(
      try reason(["weight": weight, "bias": ones([3])])
        == "1 of another shape (bias is [3] instead of [2])")
    #expect(
      try reason(["weight": weight, "bias": ones([2], dtype: .int64)])
        == "1 of another dtype (bias is int64 instead of float32)")
    #expect(try reason(["bias": ones([3])], strict: false).contains("instead of"))
  }

  @Test func partsOfAModelLoadWhereThatIsWanted() throws {
    let layer = Linear(3, 2)
    let weight = layer.weight.value
    let left = try load(layer, from: ["bias": ones([2]), "x": ones([1])], strict: false)
    #expect(left.missing == ["weight"] && left.unexpected == ["x"])
    expectSame(layer.weight.value, weight)
    expectSame(layer.parameters["bias"]!.value, ones([2]))
  }

  @Test func floatingPointNumbersAreConverted() throws {
    for dtype in DType.allCases where dtype.isFloatingPoint {
      let layer = Linear(3, 2)
      let values = Fixture.numbers(dtype)
      try load(layer, from: ["weight": values, "bias": zeros([2], dtype: dtype)])
      expectSame(layer.weight.value, values.asType(.float32))
    }
  }

  @Test func aDamagedFileChangesNothing() throws {
    try withTemporaryFile("npz") { url in
      let model = Model()
      try save(Model(), to: url)
      let before = contents(model)
      var bytes = [UInt8](try Data(contentsOf: url))
      // An element of the last array, whose checksum is then wrong.
      bytes[bytes.count * 3 / 4] ^= 1
      try Data(bytes).write(to: url)
      #expect(throws: DataError.self) { try load(model, from: url) }
      expectSame(contents(model), before)
    }
  }

  @Test func savingAndLoadingInDeferredMode() throws {
    try withTemporaryFile("safetensors") { url in
      let (model, other) = (Linear(3, 2), Linear(3, 2))
      try withExecution(.deferred) {
        model.weight.value = model.weight.value * 2
        try save(model, to: url)
        try load(other, from: url)
      }
      expectSame(contents(other), contents(model))
    }
  }

  @Test func loadingInsideARecordingIsAnError() throws {
    try withTemporaryFile("safetensors") { url in
      let layer = Linear(3, 2)
      try save(layer, to: url)
      let f = traced { (x: Tensor) throws -> Tensor in
        try load(layer, from: url)
        return x
      }
      #expect(throws: TensorError.self) { try f(Tensor(1.0)) }
    }
  }
}
