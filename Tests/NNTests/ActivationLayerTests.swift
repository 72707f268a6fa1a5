import Duet
import DuetTestSupport
import Testing

@Suite struct ActivationLayerTests {
  static let layers: [String: @Sendable (DType) -> any UnaryLayer] = [
    "glu": { _ in GLU() },
    "glu_axis": { _ in GLU(axis: 1) },
    "softmin": { _ in Softmin() },
    "celu": { _ in CELU(alpha: 1.5) },
    "hardshrink": { _ in Hardshrink(lambda: 0.75) },
    "softshrink": { _ in Softshrink(lambda: 0.625) },
    "tanhshrink": { _ in Tanhshrink() },
    "threshold": { _ in Threshold(0.25, value: -2) },
    "relu6": { _ in ReLU6() },
    "hardtanh": { _ in Hardtanh(min: -0.5, max: 1.5) },
    "hardsigmoid": { _ in Hardsigmoid() },
    "hardswish": { _ in Hardswish() },
    "selu": { _ in SELU() },
    "mish": { _ in Mish() },
    "log_sigmoid": { _ in LogSigmoid() },
    "softsign": { _ in Softsign() },
    "prelu": { PReLU(dtype: $0) },
    "prelu_channels": { PReLU(3, dtype: $0) },
  ]

  @Test("A layer and its gradients are PyTorch's", arguments: layers.keys.sorted())
  func agrees(_ name: String) throws {
    try ModuleCase.check(name) { ModuleCase.Subject(Self.layers[name]!($0)) }
  }

  /// Large arrays are computed in one pass over them.
  @Test("many elements are computed as few", arguments: [DType.float32, .float64, .bfloat16])
  func manyElements(_ dtype: DType) {
    let functions: [(Tensor) -> Tensor] = [
      { celu($0, alpha: 0.7) }, { hardshrink($0) }, { softshrink($0) }, { tanhshrink($0) },
      { threshold($0, 0.1, value: 3) },
    ]
    let special = Tensor(
      [Double.nan, .infinity, -.infinity, 0, -0.0, 0.5, -0.5], [7], dtype: dtype)
    let x = concatenated(
      [special, Random.normal([49_993], dtype: dtype, generator: Generator(seed: 2))])
    for (i, function) in functions.enumerated() {
      func outcome(_ x: Tensor) -> [Tensor] {
        let leaf = x.requiringGrad()
        let y = function(leaf)
        y.sum().backward()
        return [y.detached(), leaf.grad!]
      }
      let parts = x.split(parts: 10).map(outcome)
      let all = outcome(x)
      for k in 0..<2 { expectSame(all[k], concatenated(parts.map { $0[k] }), "function \(i)") }
    }
  }

  @Test func slopesBeginAsPyTorchs() {
    #expect(PReLU(3).weight.value.asArray(Float.self) == [0.25, 0.25, 0.25])
  }

  @Test func mistakesAreNamed() {
    func expect(_ parts: String..., from body: () -> Void) {
      let found = mistake(body)
      for part in parts { #expect(found.contains(part), "\(found)") }
    }
    expect("glu", "halves", "[2, 3]") { _ = GLU()(ones([2, 3])) }
    expect("glu", "axis 2") { _ = GLU(axis: 2)(ones([2, 3])) }
    expect("prelu", "[3]", "[2, 4]") { _ = PReLU(3)(ones([2, 4])) }
    expect("PReLU", "0") { _ = PReLU(0) }
    expect("celu", "alpha") { _ = celu(ones([1]), alpha: 0) }
    expect("celu", "floating-point") { _ = celu(Tensor([1])) }
    expect("softshrink", "lambda") { _ = softshrink(ones([1]), lambda: -1) }
  }
}
