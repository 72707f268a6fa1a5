import DuetEager
import DuetRuntime
import Testing

/// A function and the name of its gradient function.
struct Named: CustomTestStringConvertible, Sendable {
  let name: String
  let f: @Sendable (Tensor) -> Tensor

  init(_ name: String, _ f: @escaping @Sendable (Tensor) -> Tensor) {
    self.name = name
    self.f = f
  }

  var testDescription: String { name }
}

@Suite struct AutogradTests {
  @Test func leavesAndResults() {
    let w = Tensor([1.0], requiresGrad: true)
    let x = Tensor([2.0], requiresGrad: true)
    let p = w + x
    p.retainGrad()
    let y = p * (w + 1)
    #expect(w.isLeaf && w.gradFn == nil && !y.isLeaf)
    #expect("\(y.gradFn!)" == "MulBackward")
    #expect(y.gradFn!.nextFunctions.map { $0?.name } == ["AddBackward", "AddBackward"])
    y.backward()
    expect(w.grad!, [1], .float32, [5])
    expect(x.grad!, [1], .float32, [2])
    expect(p.grad!, [1], .float32, [2])
    #expect(y.grad == nil)
  }

  @Test(arguments: [
    Named("SubBackward") { $0 - 1 }, Named("DivBackward") { $0 / 2 },
    Named("PowBackward") { $0 ** 2 },
    Named("NegBackward") { -$0 }, Named("AbsBackward") { abs($0) },
    Named("ExpBackward") { exp($0) },
    Named("SumBackward") { $0.sum() }, Named("MeanBackward") { $0.mean() },
    Named("MatmulBackward") { matmul($0.reshaped(1, 1), $0.reshaped(1, 1)) },
    Named("ReshapeBackward") { $0.reshaped(1, 1) }, Named("ReluBackward") { relu($0) },
    Named("SoftmaxBackward") { softmax($0) }, Named("TransposeBackward") { $0.reshaped(1, 1).T },
  ])
  func functionsAreNamed(_ function: Named) {
    #expect(function.f(Tensor([0.5], requiresGrad: true)).gradFn?.name == function.name)
  }

  @Test func gradientsAccumulateUntilTheyAreReset() {
    let x = Tensor([3.0], requiresGrad: true)
    (x * x).backward()
    (x * x).backward()
    expect(x.grad!, [1], .float32, [12])
    x.grad = nil
    (x * 2).backward()
    expect(x.grad!, [1], .float32, [2])
  }

  @Test func nothingIsRecordedInsideNoGrad() {
    let x = Tensor([3.0], requiresGrad: true)
    let y = noGrad { x * x }
    #expect(!y.requiresGrad)
    #expect(noGrad { isGradEnabled } == false)
    #expect(isGradEnabled)
    let z = noGrad { enableGrad { x * x } }
    #expect(z.requiresGrad)
    #expect(!(x .> 1).requiresGrad && !x.asType(.int64).requiresGrad)
  }

  @Test func detachedCutsTheGraph() {
    let x = Tensor([3.0], requiresGrad: true)
    let y = x.detached()
    #expect(!y.requiresGrad)
    (x * y).backward()
    expect(x.grad!, [1], .float32, [3])
  }

  @Test func runningBackwardTwiceNeedsTheGraphRetained() {
    let x = Tensor([3.0], requiresGrad: true)
    let y = x * x
    y.backward(retainGraph: true)
    y.backward()
    expect(x.grad!, [1], .float32, [12])
    #expect(
      message { y.backward() }
        == "backward: MulBackward was run through before and let go of what it had saved; "
        + "pass retainGraph: true to the first backward")
  }

  @Test func mistakes() {
    let x = Tensor([1.0, 2.0], requiresGrad: true)
    #expect(
      message { (x * 2).backward() }
        == "backward: a tensor of shape [2] needs a gradient to start from; "
        + "only a single number has the gradient 1")
    #expect(
      message { (x * 2).backward(zeros([3])) }
        == "backward: the gradient float32[3] does not match the tensor float32[2]")
    #expect(
      message { Tensor([1.0]).backward() }
        == "backward: the tensor does not require gradients and has no gradFn")
    #expect(
      message { _ = Tensor([1], requiresGrad: true) }
        == "requiresGrad: only floating-point tensors can require gradients, not int64")
  }

  @Test func aTensorUsedManyTimesGetsTheSum() {
    let x = Tensor(2.0, requiresGrad: true)
    var y = x
    for _ in 0..<3 { y = y * x + x }
    // ((x² + x) x + x) x + x, whose derivative is 4x³ + 3x² + 2x + 1.
    y.backward()
    #expect(x.grad!.item(Double.self) == 49)
  }

  @Test func gradientsOfChosenInputs() {
    let x = Tensor(3.0, requiresGrad: true)
    let y = Tensor(4.0, requiresGrad: true)
    let unused = Tensor([1.0, 1.0], requiresGrad: true)
    let z = x * y
    let found = gradients(of: [z], by: [x, unused])
    expect(found[0], [], .float32, [4])
    expect(found[1], [2], .float32, [0, 0])
    #expect(x.grad == nil && y.grad == nil)
  }

  @Test func gradientsCanBeDifferentiated() {
    let x = Tensor(2.0, dtype: .float64, requiresGrad: true)
    let y = x * x * x
    let first = gradients(of: [y], by: [x], createGraph: true)[0]
    let second = gradients(of: [first], by: [x], createGraph: true)[0]
    let third = gradients(of: [second], by: [x])[0]
    expect(stacked([first, second, third].map { $0.detached() }), [3], .float64, [12, 12, 6])
  }

  @Test func rulesThatReadTheResultCanBeDifferentiatedThroughIt() {
    let x = Tensor(0.7, dtype: .float64, requiresGrad: true)
    let first = gradients(of: [exp(x)], by: [x], createGraph: true)[0]
    let second = gradients(of: [first], by: [x])[0]
    expect(second, equals: exp(x.detached()), tolerance: 1e-14)
  }

  @Test func aLongChainIsDifferentiatedAndFreed() {
    let x = Tensor(1.0, requiresGrad: true)
    var y = x
    for _ in 0..<200_000 { y = y + x }
    y.backward()
    #expect(x.grad!.item(Double.self) == 200_001)
    var z = x
    for _ in 0..<200_000 { z = z * x }
    z = x
    #expect(z.requiresGrad)
  }

  @Test func anomaliesNameTheOperation() {
    #expect(throws: TensorError.self) {
      try detectAnomaly { log(Tensor([-1.0], requiresGrad: true)) }
    }
    #expect(
      message { _ = try detectAnomaly { log(Tensor([-1.0])) } }
        == "log: the result of shape [1] holds a NaN")
  }

  @Test func anomaliesOfGradientsNameTheOperationTheyBelongTo() throws {
    let line = #line + 4
    do {
      try detectAnomaly {
        let x = Tensor([0.0], requiresGrad: true)
        let root = sqrt(x)
        (root * 0).sum().backward()
      }
      Issue.record("no error")
    } catch let error as TensorError {
      #expect(error.reason.contains("holds a NaN, in the gradient of sqrt"))
      if error.location != nil {
        #expect(error.reason.hasSuffix("done at AutogradTests.swift:\(line)"))
      }
    }
  }

  @Test func gradientsAtKinksAreFinite() {
    func gradient(_ values: [Float], _ f: (Tensor) -> Tensor) -> [Float] {
      let x = Tensor(values, requiresGrad: true)
      f(x).sum().backward()
      return x.grad!.asArray(Float.self)
    }
    #expect(gradient([0, 0]) { $0.norm() } == [0, 0])
    #expect(gradient([3, 4]) { $0.norm() } == [0.6, 0.8])
    #expect(gradient([2, 2]) { $0.std() } == [0, 0])
    #expect(gradient([0, 1]) { elu($0) } == [1, 1])
  }
}
