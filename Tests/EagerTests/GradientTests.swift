import DuetEager
import DuetRuntime
import Testing

@Suite struct GradientTests {
  /// Numbers to weigh results with, so that no two elements count the same.
  static func weights(_ shape: [Int], seed: Int) -> Tensor { sample(shape, 0.5, 1.5, seed: seed) }

  /// The derivative of a scalar function by each element of an input: central differences with two
  /// steps, extrapolated (Richardson).
  static func differences(
    _ inputs: [Tensor], _ i: Int, _ f: ([Tensor]) -> Double
  ) -> [Double] {
    let values = inputs[i].asArray(Double.self)
    return values.indices.map { j in
      func slope(_ h: Double) -> Double {
        func value(_ x: Double) -> Double {
          var values = values
          values[j] = x
          var inputs = inputs
          inputs[i] = Tensor(values, inputs[i].shape)
          return f(inputs)
        }
        return (value(values[j] + h) - value(values[j] - h)) / (2 * h)
      }
      return (4 * slope(1e-4) - slope(2e-4)) / 3
    }
  }

  static func close(_ a: [Double], _ b: [Double], _ tolerance: Double) -> Int? {
    if a.count != b.count { return -1 }
    return zip(a, b).map { abs($0 - $1) <= tolerance * max(1, abs($1)) }.firstIndex(of: false)
  }

  @Test(arguments: GradientCase.all)
  func firstOrder(_ c: GradientCase) {
    func loss(_ inputs: [Tensor]) -> Tensor {
      let y = c.f(inputs)
      return (y * Self.weights(y.shape, seed: 20)).sum()
    }
    let leaves = c.inputs.map { $0.requiringGrad() }
    let found = gradients(of: [loss(leaves)], by: leaves)
    for i in c.inputs.indices {
      let expected = Self.differences(c.inputs, i) { loss($0).item(Double.self) }
      let actual = found[i].asArray(Double.self)
      #expect(found[i].shape == c.inputs[i].shape && found[i].dtype == .float64)
      if let j = Self.close(actual, expected, 1e-7) {
        Issue.record("input \(i), element \(j): \(actual) instead of \(expected)")
      }
    }
  }

  @Test(arguments: GradientCase.all.filter(\.isTwice))
  func secondOrder(_ c: GradientCase) {
    /// The gradients' weighted sum, itself a function of the inputs.
    func slope(_ inputs: [Tensor], createGraph: Bool) -> Tensor {
      let y = c.f(inputs)
      let loss = (y * Self.weights(y.shape, seed: 20)).sum()
      let first = gradients(of: [loss], by: inputs, createGraph: createGraph)
      return first.enumerated().reduce(Tensor(0.0, dtype: .float64)) { sum, next in
        sum + (next.element * Self.weights(next.element.shape, seed: 30 + next.offset)).sum()
      }
    }
    let leaves = c.inputs.map { $0.requiringGrad() }
    let outer = slope(leaves, createGraph: true)
    guard outer.requiresGrad else { return }
    let found = gradients(of: [outer], by: leaves)
    for i in c.inputs.indices {
      let expected = Self.differences(c.inputs, i) { inputs in
        slope(inputs.map { $0.requiringGrad() }, createGraph: false).item(Double.self)
      }
      let actual = found[i].asArray(Double.self)
      if let j = Self.close(actual, expected, 1e-6) {
        Issue.record("input \(i), element \(j): \(actual) instead of \(expected)")
      }
    }
  }

  /// Every operation that floating-point tensors can go through has its case.
  @Test func theTableIsComplete() {
    final class Names: Recorder {
      var seen: Set<String> = []
      override func record(_ op: Op, _ inputs: [Tensor], _ result: Tensor) {
        if result.gradFn != nil { seen.insert(op.name) }
      }
    }
    let names = Names(isSymbolic: false)
    for c in GradientCase.all {
      let leaves = c.inputs.map { $0.requiringGrad() }
      _ = ThreadContext.withRecorder(names) { c.f(leaves) }
    }
    var expected = Set(UnaryOp.allCases.filter { $0.gives(.float64) }.map { "\($0)" })
    expected.formUnion(BinaryOp.allCases.filter { $0.gives(.float64) }.map { "\($0)" })
    expected.formUnion([
      "which", "sum", "mean", "product", "max", "min", "softmax", "logSoftmax",
      "softmaxGradient", "logSoftmaxGradient", "cumulativeSum", "cumulativeProduct",
      "cumulativeMax", "cumulativeMin", "matmul", "linear", "conv2d", "conv2dInputGradient",
      "conv2dWeightGradient",
      "maxPool2d", "maxPool2dSelect", "maxPool2dGradient", "averagePool2d", "averagePool2dGradient",
      "reshape", "transpose", "broadcast", "slice", "copy", "concatenate", "updateSlice", "take",
      "takeAlong", "scatterAdd", "scatterAddAlong", "scatterSet", "layerNorm",
      "layerNormInputGradient", "layerNormParameterGradient", "rmsNorm", "rmsNormInputGradient",
      "rmsNormParameterGradient", "channelMoments", "batchNorm", "batchNormParameterGradient",
      "batchNormInputGradient", "crossEntropy", "crossEntropyGradient", "nllLoss",
      "nllLossGradient",
    ])
    #expect(expected.subtracting(names.seen).isEmpty)
  }

  /// A cast leads back to the dtype that it came from.
  @Test func castsKeepTheirInputsDType() {
    let x = Tensor([1.0, 2.0], requiresGrad: true)
    (x.asType(.float64) * 3).sum().backward()
    expect(x.grad!, [2], .float32, [3, 3])
  }

  /// As PyTorch has it: nothing else is as near to what the angle does there.
  @Test func theAngleAtTheOriginHasNoGradient() {
    for magnitude: Float in [0, -0.0, 1e-30] {
      let y = Tensor([magnitude, 1], requiresGrad: true)
      let x = Tensor([magnitude, 1], requiresGrad: true)
      atan2(y, x).sum().backward()
      expect(y.grad!, [2], .float32, [0, 0.5])
      expect(x.grad!, [2], .float32, [0, -0.5])
    }
  }

  @Test func tiesShareTheGradient() {
    let x = Tensor([1.0, 3.0, 3.0], requiresGrad: true)
    x.max().backward()
    expect(x.grad!, [3], .float32, [0, 0.5, 0.5])
    let a = Tensor([2.0], requiresGrad: true)
    let b = Tensor([2.0], requiresGrad: true)
    maximum(a, b).sum().backward()
    expect(a.grad!, [1], .float32, [0.5])
    expect(b.grad!, [1], .float32, [0.5])
  }

  @Test func elementsOnABoundHaveTheWholeGradient() {
    let x = Tensor([-2.0, -1.0, 0.0, 1.0, 2.0], requiresGrad: true)
    let low = Tensor([-1.0], requiresGrad: true)
    let high = Tensor([1.0], requiresGrad: true)
    let y = x.clip(min: low, max: high)
    expect(y, [5], .float32, [-1, -1, 0, 1, 1])
    y.sum().backward()
    expect(x.grad!, [5], .float32, [0, 1, 1, 1, 0])
    expect(low.grad!, [1], .float32, [1])
    expect(high.grad!, [1], .float32, [1])
    let (noNumber, noBound) = (
      Tensor([.nan, 1.0], requiresGrad: true), Tensor([2, .nan], requiresGrad: true)
    )
    clip(noNumber, min: noBound).sum().backward()
    expect(noNumber.grad!, [2], .float32, [0, 0])
    expect(noBound.grad!, [2], .float32, [0, 0])
  }

  /// PyTorch's, found by asking it.
  @Test func activationsHaveTheGradientOfOneSideOnABound() {
    func gradients(_ x: [Float], _ function: (Tensor) -> Tensor) -> Tensor {
      let x = Tensor(x, requiresGrad: true)
      function(x).sum().backward()
      return x.grad!
    }
    expect(gradients([-1, 1]) { hardtanh($0) }, [2], .float32, [0, 0])
    expect(gradients([0, 6, 3]) { relu6($0) }, [3], .float32, [0, 0, 1])
    expect(gradients([-3, 3]) { hardsigmoid($0) }, [2], .float32, [0, 0])
    expect(gradients([-3, 3, -0.0]) { hardswish($0) }, [3], .float32, [0, 1, 0.5])
    expect(gradients([0, -.infinity, .infinity]) { elu($0) }, [3], .float32, [1, 0, 1])
    expect(
      gradients([50, -50, .infinity]) { mish($0) }, [3], .float32, [1, -9.450875e-21, 1],
      tolerance: 1e-6)
  }

  @Test(
    "powers that have another name are those of the power's kernel",
    arguments: [DType.float16, .bfloat16, .float32, .float64], [2, 3, 0.5, -0.5, -1])
  func simplePowers(_ dtype: DType, _ exponent: Double) {
    for count in [5, 20_001] {
      let start = Random.uniform(low: 0.3, high: 3, [count]).asType(dtype)
      func all(_ body: (Tensor) -> Tensor) -> [Tensor] {
        let x = start.requiringGrad()
        let y = body(x)
        let slope = gradients(of: [y.sum()], by: [x], createGraph: true)[0]
        return [y.detached(), slope.detached()] + gradients(of: [slope.sum()], by: [x])
      }
      let simple = all { $0 ** exponent }
      let general = all { $0 ** Tensor(exponent).asType(dtype) }
      let step =
        dtype == .float64 ? 1e-14 : dtype == .float32 ? 3e-6 : dtype == .float16 ? 0.01 : 0.08
      for (a, b) in zip(simple, general) {
        #expect(a.dtype == dtype)
        #expect(allClose(a, b, rtol: step, atol: step).item(Bool.self))
      }
      for y in [pow(start, exponent), start.pow(exponent)] {
        #expect((y .== start ** exponent).all().item(Bool.self))
      }
      #expect((start.requiringGrad() ** exponent).gradFn?.name == "PowBackward")
    }
  }

  @Test func powersOfIntegersAreIntegers() {
    #expect((Tensor([3, -4]) ** 2).asArray(Int.self) == [9, 16])
    #expect((Tensor([3, -4]) ** 3).asArray(Int.self) == [27, -64])
    #expect((Tensor([4, 9]) ** 0.5).asArray(Float.self) == [2, 3])
    #expect((Tensor([4, 9]) ** 2.0).dtype == .float32)
    let edges = Tensor([0.0, -0.0, .infinity, -.infinity, -2])
    #expect((edges ** 2).asArray(Float.self) == [0, 0, .infinity, .infinity, 4])
    #expect((edges ** -1).asArray(Float.self) == [.infinity, -.infinity, 0, 0, -0.5])
    #expect((edges ** 3).asArray(Float.self) == [0, 0, .infinity, -.infinity, -8])
  }

  @Test func powersWithTheExponentZeroHaveNoSlopeOfAnyOrder() {
    let x = Tensor([0.0, 2.0], requiresGrad: true)
    let y = (x ** 0 + x ** 2 + x ** Tensor(0.0)).sum()
    let slope = gradients(of: [y], by: [x], createGraph: true)[0]
    expect(slope.detached(), [2], .float32, [0, 4])
    expect(gradients(of: [slope.sum()], by: [x])[0], [2], .float32, [2, 2])
  }
}
