import Duet
import DuetTestSupport
import Testing

/// Optimizers and gradient clipping overwrite what a parameter has to itself, and nothing that anyone else can see.
@Suite struct UpdateMemoryTests {
  private static let count = 40_000

  private static func values(_ seed: Int) -> Tensor {
    var random = SplitMix64(seed)
    return random.tensor(.float32, [count])
  }

  private static func parameter(_ seed: Int = 1) -> Parameter {
    let parameter = Parameter(values(seed).contiguous())
    parameter.grad = values(seed + 100)
    return parameter
  }

  /// Where a parameter's value lies; nobody has it then.
  private func address(_ parameter: Parameter) -> UnsafeMutableRawPointer {
    parameter.value.body.pointer
  }

  private func gradientAddress(_ parameter: Parameter) -> UnsafeMutableRawPointer {
    parameter.grad!.body.pointer
  }

  struct Kind: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let make: @Sendable ([Parameter]) -> any Optimizer
    init(_ name: String, _ make: @escaping @Sendable ([Parameter]) -> any Optimizer) {
      (testDescription, self.make) = (name, make)
    }
  }

  static let kinds = [
    Kind("SGD") { SGD($0, learningRate: 0.1) },
    Kind("SGD with decay") { SGD($0, learningRate: 0.1, weightDecay: 0.1) },
    Kind("momentum") { SGD($0, learningRate: 0.1, momentum: 0.9, dampening: 0.1) },
    Kind("nesterov") { SGD($0, learningRate: 0.1, momentum: 0.9, nesterov: true) },
    Kind("Adam") { Adam($0, learningRate: 0.1) },
    Kind("amsgrad") { Adam($0, learningRate: 0.1, weightDecay: 0.1, amsgrad: true) },
    Kind("AdamW") { AdamW($0, learningRate: 0.1) },
  ]

  /// The value after two steps that keep whatever they find.
  private func expected(_ kind: Kind) -> Tensor {
    let parameter = Self.parameter()
    let optimizer = kind.make([parameter])
    var kept: [Tensor] = []
    for _ in 0..<2 {
      kept.append(parameter.value)
      optimizer.step()
    }
    withExtendedLifetime(kept) {}
    return parameter.value.detached()
  }

  @Test(arguments: kinds) func stepsStayInPlace(_ kind: Kind) {
    let parameter = Self.parameter()
    let optimizer = kind.make([parameter])
    let before = address(parameter)
    for _ in 0..<2 { optimizer.step() }
    #expect(address(parameter) == before)
    expectSame(parameter.value.detached(), expected(kind))
  }

  @Test(arguments: kinds) func othersKeepWhatTheyHave(_ kind: Kind) {
    let start = Self.values(1)
    let holders: [(String, (Parameter) -> Any)] = [
      ("the value", { $0.value }),
      ("a detached value", { $0.value.detached() }),
      ("a view", { $0.value.detached()[10..<30] }),
      ("a result that saves it", { ($0.value * $0.value).sum() }),
      ("a second variable", { Variable($0.value) }),
    ]
    for (name, hold) in holders {
      let parameter = Self.parameter()
      let optimizer = kind.make([parameter])
      let held = hold(parameter)
      for _ in 0..<2 { optimizer.step() }
      expectSame(parameter.value.detached(), expected(kind), name)
      switch held {
      case let result as Tensor where name.contains("saves"):
        parameter.grad = nil
        result.backward()
        expectSame(parameter.grad!, start * 2, name)
      case let view as Tensor where view.shape != start.shape:
        expectSame(view, start[10..<30], name)
      case let value as Tensor: expectSame(value.detached(), start, name)
      case let other as Variable: expectSame(other.value.detached(), start, name)
      default: Issue.record("\(name)")
      }
    }
  }

  @Test func tracedFunctionsSeeTheSteps() {
    let parameter = Self.parameter()
    let optimizer = SGD([parameter], learningRate: 0.5)
    let total = traced { (x: Tensor) in (parameter.value * x).sum() }
    let double = traced { (x: Tensor) -> Tensor in
      parameter.value = parameter.value.detached() * x
      return x
    }
    for i in 0..<4 {
      optimizer.step()
      let x = Tensor(Float(i + 1))
      expectSame(total(x).detached(), (parameter.value.detached() * x).sum(), "\(i)")
      let before = parameter.value.detached()
      _ = double(x)
      expectSame(parameter.value.detached(), before * x, "\(i)")
    }
  }

  @Test func sharedContentsAreLeftAlone() {
    let value = Self.values(3)
    let parameters = (0..<2).map { _ in Parameter(value) }
    for parameter in parameters { parameter.grad = value }
    SGD(parameters, learningRate: 1).step()
    for parameter in parameters { expectSame(parameter.value.detached(), value - value) }
    expectSame(value, Self.values(3))
    // One parameter twice: two steps.
    let twice = Self.parameter()
    SGD([twice, twice], learningRate: 1).step()
    expectSame(twice.value.detached(), Self.values(1) - Self.values(101) - Self.values(101))
  }

  @Test func clippingStaysInPlace() {
    let parameters = (0..<3).map { Self.parameter($0) }
    let before = parameters.map { gradientAddress($0) }
    let held = parameters[1].grad!
    let expected = held.detached() + 0
    let norm = clipGradNorm(parameters, maxNorm: 1)
    #expect(gradientAddress(parameters[0]) == before[0])
    #expect(gradientAddress(parameters[1]) != before[1])
    expectSame(held, expected, "a gradient that the program has")
    let factor = minimum(1 / (norm + 1e-6), 1)
    for (i, parameter) in parameters.enumerated() {
      expectSame(parameter.grad!, Self.values(i + 100) * factor, "\(i)")
    }
    clipGradValue(parameters, limit: 1e-3)
    #expect(gradientAddress(parameters[0]) == before[0])
    for (i, parameter) in parameters.enumerated() {
      expectSame(
        parameter.grad!, clip(Self.values(i + 100) * factor, min: -1e-3, max: 1e-3), "\(i)")
    }
  }

  @Test func otherThreadsSeeWholeSteps() async {
    // Every value that another thread sees is that before or after a step, in all elements.
    let parameter = Parameter(zeros([Self.count]))
    let optimizer = SGD([parameter], learningRate: 1)
    parameter.grad = full([Self.count], Float(-1))
    let sum = traced { (x: Tensor) in (parameter.value * x).max() - (parameter.value * x).min() }
    await withTaskGroup(of: Bool.self) { group in
      for reader in 0..<2 {
        group.addTask {
          (0..<150).allSatisfy { _ in
            if reader == 0 { return sum(Tensor(Float(1))).item(Float.self) == 0 }
            let value = parameter.value.detached()
            return (value.max() - value.min()).item(Float.self) == 0
          }
        }
      }
      for _ in 0..<150 { optimizer.step() }
      for await isWhole in group { #expect(isWhole) }
    }
    expectSame(parameter.value.detached(), full([Self.count], Float(150)))
  }

  /// The clipped gradient is a constant, whatever the one before was made of.
  @Test(arguments: [1000, 40_000]) func clippedGradientsHaveNoHistory(_ count: Int) {
    let w = Parameter(full([count], Float(3)))
    (w.value * w.value * w.value).sum().backward(createGraph: true)
    #expect(w.grad!.requiresGrad)
    clipGradValue([w], limit: 2)
    #expect(!w.grad!.requiresGrad)
    expectSame(w.grad!, full([count], Float(2)))
  }

  @Test func aParameterListedTwiceIsClippedOnce() {
    let p = Parameter(zeros([1000]))
    p.grad = ones([1000])
    clipGradNorm([p, p], maxNorm: 1)
    #expect(abs(p.grad!.norm().item(Double.self) - 1) < 1e-5)
  }

  @Test func factorsOfHalvesDoNotVanish() {
    let p = Parameter(zeros([10_000], dtype: .float16))
    p.grad = full([10_000], 60_000, dtype: .float16)
    let norm = clipGradNorm([p], maxNorm: 1)
    #expect(norm.dtype == .float32 && abs(norm.item(Double.self) - 6e6) < 6e3)
    #expect(abs(p.grad!.asType(.float32).norm().item(Double.self) - 1) < 1e-3)
  }
}
