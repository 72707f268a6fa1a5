import DuetEager
import DuetRuntime
import Testing

@Suite struct OperationTests {
  @Test func numbersTakeTheTensorsDType() {
    let x = Tensor([1.0, 2.0], dtype: .float16)
    #expect((x + 1).dtype == .float16)
    #expect((2.5 * x).dtype == .float16)
    #expect((Tensor([1, 2]) * 2).dtype == .int64)
    expect(Tensor([1, 2]) * 0.5, [2], .float32, [0.5, 1])
    expect(Tensor([true, false]) + 1, [2], .int64, [2, 1])
    expect(maximum(Tensor([1, 5]), 3), [2], .int64, [3, 5])
    expect(maximum(1, 2), [], .int64, [2])
    expect(which(Tensor([true, false]), 1.5, 0.0), [2], .float32, [1.5, 0])
  }

  @Test(arguments: [
    (DType.bool, DType.int8, DType.int8), (.uint8, .int8, .int16), (.int32, .int64, .int64),
    (.int64, .float16, .float16), (.float16, .bfloat16, .float32), (.float32, .float64, .float64),
  ])
  func tensorsPromote(_ a: DType, _ b: DType, _ result: DType) {
    #expect(maximum(ones([2], dtype: a), ones([2], dtype: b)).dtype == result)
    #expect(maximum(ones([2], dtype: b), ones([2], dtype: a)).dtype == result)
    #expect(concatenated([ones([1], dtype: a), ones([1], dtype: b)]).dtype == result)
  }

  @Test func integerDivisionAndRemainders() {
    let a = Tensor([7, -7])
    let b = Tensor([2, 2])
    expect(a / b, [2], .int64, [3, -3])
    expect(a % b, [2], .int64, [1, -1])
    expect(floorDivide(a, b), [2], .int64, [3, -4])
    expect(remainder(a, b), [2], .int64, [1, 1])
    expect(a / 0, [2], .int64, [0, 0])
  }

  @Test func selection() {
    let x = Tensor([-2.0, 0.5, 3.0])
    expect(which(x .> 0, x, 0), [3], .float32, [0, 0.5, 3])
    expect(clip(x, min: -1, max: 1), [3], .float32, [-1, 0.5, 1])
    expect(x.clip(max: 0), [3], .float32, [-2, 0, 0])
    expect(logicalAnd(x, 1), [3], .bool, [1, 1, 1])
    expect(logicalNot(Tensor([0.0, 2.0])), [2], .bool, [1, 0])
    #expect(allClose(x, x + 1e-7).item(Bool.self))
    #expect(!allClose(x, x + 1).item(Bool.self))
  }

  @Test func reductionsKeepOrDropAxes() {
    let x = arange(6).reshaped(2, 3).asType(.float32)
    expect(x.sum(), [], .float32, [15])
    expect(x.sum(axis: 0), [3], .float32, [3, 5, 7])
    expect(sum(x, axis: -1, keepDims: true), [2, 1], .float32, [3, 12])
    expect(x.mean(axes: [0, 1], keepDims: true), [1, 1], .float32, [2.5])
    expect(x.sum(axes: []), equals: x)
    expect(prod(x + 1), [], .float32, [720])
    expect(max(x, axis: 1), [2], .float32, [2, 5])
    expect(min(x.T, axis: 1), [3], .float32, [0, 1, 2])
    expect(argMax(x, axis: 1), [2], .int64, [2, 2])
    expect(x.argMin(), [], .int64, [0])
    expect((x .> 2).sum(), [], .int64, [3])
    expect(all(x .>= 0), [], .bool, [1])
    expect(any(x, axis: 0), [3], .bool, [1, 1, 1])
    expect(Tensor([1, 2], dtype: .int8).sum(), [], .int64, [3])
    expect(Tensor([false, true]).max(), [], .bool, [1])
  }

  @Test func statistics() {
    let x = Tensor([1.0, 2.0, 3.0, 4.0])
    expect(x.variance(), [], .float32, [1.25])
    expect(x.variance(ddof: 1), [], .float32, [5.0 / 3], tolerance: 1e-6)
    expect(x.std(axis: 0, keepDims: true), [1], .float32, [1.118033988749895], tolerance: 1e-6)
    expect(Tensor([3.0, 4.0]).norm(), [], .float32, [5])
    expect(Tensor([1000.0, 1000.0]).logSumExp(), [], .float32, [1000.6931], tolerance: 1e-6)
    expect(Tensor([-.infinity, -.infinity]).logSumExp(), [], .float32, [-.infinity])
    expect(softmax(zeros([2, 4])), [2, 4], .float32, Array(repeating: 0.25, count: 8))
  }

  @Test func runningAndSorting() {
    let x = Tensor([[3, 1, 2], [6, 5, 4]])
    expect(x.cumsum(axis: 1), [2, 3], .int64, [3, 4, 6, 6, 11, 15])
    expect(cumsum(x), [6], .int64, [3, 4, 6, 12, 17, 21])
    expect(x.cumprod(axis: 0), [2, 3], .int64, [3, 1, 2, 18, 5, 8])
    expect(sort(x), [2, 3], .int64, [1, 2, 3, 4, 5, 6])
    expect(x.argSort(axis: 1, descending: true), [2, 3], .int64, [0, 2, 1, 0, 1, 2])
    let (values, places) = topK(x, 2)
    expect(values, [2, 2], .int64, [3, 2, 6, 5])
    expect(places, [2, 2], .int64, [0, 2, 0, 1])
  }

  @Test func movement() {
    let x = arange(6).reshaped(2, 3)
    expect(x.T, [3, 2], .int64, [0, 3, 1, 4, 2, 5])
    expect(x.reshaped([-1, 2]), [3, 2], .int64, [0, 1, 2, 3, 4, 5])
    expect(x.T.reshaped(6), [6], .int64, [0, 3, 1, 4, 2, 5])
    #expect(zeros([2, 3, 4]).transposed(2, 0, 1).shape == [4, 2, 3])
    #expect(zeros([2, 3, 4]).movedAxis(from: 0, to: -1).shape == [3, 4, 2])
    #expect(zeros([2, 3, 4]).swappedAxes(0, -1).shape == [4, 3, 2])
    #expect(zeros([2, 3, 4]).flattened(start: 1).shape == [2, 12])
    #expect(zeros([1, 3, 1]).squeezed().shape == [3])
    #expect(zeros([3]).expandedDimensions(axis: -1).shape == [3, 1])
    #expect(zeros([3]).expandedDimensions(axes: [0, 2]).shape == [1, 3, 1])
    expect(x.flipped(axis: 1), [2, 3], .int64, [2, 1, 0, 5, 4, 3])
    expect(x.rolled(1, axis: 1), [2, 3], .int64, [2, 0, 1, 5, 3, 4])
    expect(x.rolled(-1), [2, 3], .int64, [1, 2, 3, 4, 5, 0])
    expect(x.tiled([2]), [2, 6], .int64, [0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5])
    expect(x.repeated(count: 2, axis: 0), [4, 3], .int64, [0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5])
    expect(Tensor([1, 2]).repeated(count: 2), [4], .int64, [1, 1, 2, 2])
    expect(Tensor([1, 2]).padded(widths: [(1, 2)], value: 9), [5], .int64, [9, 1, 2, 9, 9])
    let parts = x.split(indices: [1], axis: 1)
    expect(parts[0], [2, 1], .int64, [0, 3])
    expect(parts[1], [2, 2], .int64, [1, 2, 4, 5])
    expect(concatenated(split(x, parts: 3, axis: 1), axis: 1), equals: x)
    expect(stacked([Tensor([1, 2]), Tensor([3, 4])], axis: 1), [2, 2], .int64, [1, 3, 2, 4])
    expect(Tensor([1, 2]).broadcast(to: [2, 2]), [2, 2], .int64, [1, 2, 1, 2])
  }

  @Test func matrixProducts() {
    let m = Tensor([[1.0, 2.0], [3.0, 4.0]])
    let v = Tensor([1.0, 10.0])
    expect(matmul(m, m), [2, 2], .float32, [7, 10, 15, 22])
    expect(matmul(m, v), [2], .float32, [21, 43])
    expect(matmul(v, m), [2], .float32, [31, 42])
    expect(dot(v, v), [], .float32, [101])
    expect(outer(v, v), [2, 2], .float32, [1, 10, 10, 100])
    #expect(matmul(zeros([5, 1, 2, 3]), zeros([4, 3, 6])).shape == [5, 4, 2, 6])
    #expect(matmul(zeros([5, 2, 3]), zeros([3])).shape == [5, 2])
    #expect(matmul(zeros([3]), zeros([5, 3, 2])).shape == [5, 2])
    expect(matmul(Tensor([[1, 2]]), Tensor([[3], [4]])), [1, 1], .int64, [11])
  }

  @Test func gathering() {
    let x = arange(6).reshaped(2, 3)
    expect(take(x, Tensor([2, 0]), axis: 1), [2, 2], .int64, [2, 0, 5, 3])
    expect(x.take(Tensor([5, -1])), [2], .int64, [5, 5])
    expect(takeAlong(x, Tensor([[2], [0]]), axis: 1), [2, 1], .int64, [2, 3])
    expect(
      scatterAdd(zeros([3], dtype: .int64), Tensor([0, 0, 2]), Tensor([1, 2, 3])), [3], .int64,
      [3, 0, 3])
    expect(oneHot(Tensor([1, 0]), 3), [2, 3], .float32, [0, 1, 0, 1, 0, 0])
  }

  @Test("long rows added at their places, in the order of the updates", arguments: [64, 83])
  func scatteringManyRows(_ columns: Int) {
    let places = arange(3000) * 7 % 50 - 20  // some count from the end
    let updates = arange(3000 * columns).reshaped(3000, columns)
    let base = arange(50 * columns).reshaped(50, columns)
    let expected = base + matmul(oneHot((places + 50) % 50, 50).T.asType(.int64), updates)
    #expect((base.scatterAdd(places, updates) .== expected).all().item())
    let wide = base.asType(.float64).scatterAdd(places, updates.asType(.float64))
    #expect((wide .== expected.asType(.float64)).all().item())
  }

  @Test func windows() {
    let x = arange(16, dtype: .float32).reshaped(1, 1, 4, 4)
    expect(maxPool2d(x, kernelSize: 2), [1, 1, 2, 2], .float32, [5, 7, 13, 15])
    expect(avgPool2d(x, kernelSize: [2, 4]), [1, 1, 2, 1], .float32, [3.5, 11.5])
    let w = ones([1, 1, 3, 3])
    expect(conv2d(x, w), [1, 1, 2, 2], .float32, [45, 54, 81, 90])
    expect(
      conv2d(x, w, bias: Tensor([1.0]), stride: 2, padding: 1), [1, 1, 2, 2], .float32,
      [11, 25, 52, 91])
  }

  @Test func activations() {
    let x = Tensor([-2.0, 0.0, 2.0, 8.0])
    expect(relu(x), [4], .float32, [0, 0, 2, 8])
    expect(leakyRelu(x, negativeSlope: 0.5), [4], .float32, [-1, 0, 2, 8])
    expect(relu6(x), [4], .float32, [0, 0, 2, 6])
    expect(hardswish(x), [4], .float32, [-1.0 / 3, 0, 10.0 / 6, 8], tolerance: 1e-6)
    expect(elu(x), [4], .float32, [-0.8646647, 0, 2, 8], tolerance: 1e-6)
    expect(softsign(x), [4], .float32, [-2.0 / 3, 0, 2.0 / 3, 8.0 / 9], tolerance: 1e-6)
    expect(
      logSigmoid(x), [4], .float32, [-2.126928, -0.6931472, -0.126928, -0.00033540637],
      tolerance: 1e-6)
    expect(mish(x), [4], .float32, [-0.25250149, 0, 1.943959, 7.9999995], tolerance: 1e-6)
    expect(gelu(x), [4], .float32, [-0.04550026, 0, 1.9544997, 8], tolerance: 1e-6)
    expect(
      gelu(x, approximate: .tanh), [4], .float32, [-0.0454023, 0, 1.9545977, 8], tolerance: 1e-5)
  }

  @Test func runningSumsOfIntegersAreWide() {
    expect(full([3], 100, dtype: .int8).cumsum(), [3], .int64, [100, 200, 300])
    expect(full([3], 100, dtype: .uint8).cumprod(), [3], .int64, [100, 10_000, 1_000_000])
    expect(full([2], 100, dtype: .int8).cummax(), [2], .int8, [100, 100])
  }

  @Test func fewerElementsThanAreTakenOff() {
    let none = zeros([0])
    expect(Tensor([1.0, 2.0]).variance(ddof: 5), [], .float32, [.infinity])
    expect(Tensor([3.0]).variance(ddof: 2), [], .float32, [.nan])
    expect(none.variance(ddof: 1), [], .float32, [.nan])
    expect(Tensor([1.0, 2.0]).variance(ddof: .min), [], .float32, [0.5 / 0x1p63], tolerance: 0)
    expect(logSumExp(zeros([0, 2]), axis: 0), [2], .float32, [-.infinity, -.infinity])
    expect(logSumExp(none), [], .float32, [-.infinity])
  }

  @Test func remaindersHaveTheSlopeOfTheirQuotient() {
    let divisor = Tensor(Float(0.001)).requiringGrad()
    remainder(Tensor(Float(5)), divisor).backward()
    #expect(divisor.grad!.item(Float.self) == -4999)
  }

  @Test func activationsOfIntegers() {
    expect(relu6(Tensor([-3, 5, 9])), [3], .int64, [0, 5, 6])
    for (name, f) in [
      ("softsign", softsign), ("hardswish", hardswish), ("hardsigmoid", hardsigmoid),
      ("mish", mish),
    ] as [(String, (Tensor) -> Tensor)] {
      #expect(
        message { _ = f(Tensor([1])) }
          == "\(name): needs a floating-point tensor, not int64; cast it first")
    }
  }

  @Test func sumsOfSeveralRunsOfRows() {
    for shape in [[6, 10, 4, 466], [3, 3, 40, 200], [2, 3, 70, 17], [5, 1, 33, 1030]] {
      let count = shape.reduce(1, *)
      let x = (arange(count) % 11 - 5).asType(.float32).reshaped(shape)
      let expected = x.sum(axis: 2).sum(axis: 0)
      expect(x.sum(axes: [0, 2]), equals: expected)
      expect(x.asType(.bfloat16).sum(axes: [0, 2]).asType(.float32), equals: expected)
      expect(x.max(axes: [0, 2]), equals: x.max(axis: 2).max(axis: 0))
    }
  }
}
