import DuetEager
import DuetRuntime
import Testing

/// Functions composed of operations, where dtypes, empty tensors and arguments at their bounds matter.
@Suite struct ComposedOperationTests {
  @Test func quantilesOfInfinitiesAreThere() {
    let infinity = Double.infinity
    #expect(Tensor([1.0, infinity]).median().item(Double.self) == infinity)
    #expect(Tensor([infinity, infinity]).median().item(Double.self) == infinity)
    #expect(Tensor([Float(-3e38), Float(3e38)]).median().item(Float.self) == 0)
    let most = Tensor([1, infinity, infinity, infinity])
    #expect(most.quantile(0.9).item(Double.self) == infinity)
  }

  @Test func integersAreCloseByTheirDifference() {
    let bytes = isClose(Tensor([UInt8(0), 2]), Tensor([UInt8(255), 3]), atol: 2)
    #expect(bytes.asArray(Bool.self) == [false, true])
    #expect(!isClose(Tensor([Int8(100)]), Tensor([Int8(-100)]), atol: 60).all().item())
    #expect(!isClose(Tensor([Int.min]), Tensor([0])).all().item())
    #expect(
      isClose(Tensor([true, false]), Tensor([true, true])).asArray(Bool.self) == [true, false])
  }

  @Test func splittingGoesOnAfterMistakes() throws {
    #expect(zeros([0]).chunked(1).map(\.shape) == [[0]])
    #expect(zeros([3, 0]).chunked(1, axis: 1).map(\.shape) == [[3, 0]])
    #expect(throws: TensorError.self) {
      try checked {
        let p = zeros([4]).chunked(2, axis: 5)
        return p[0] + p[1]
      }
    }
    #expect(throws: TensorError.self) { try checked { zeros([4]).chunked(-2)[0] } }
    #expect(throws: TensorError.self) { try checked { zeros([4]).split(size: 2, axis: 5)[0] } }
    #expect(throws: TensorError.self) {
      try checked { Tensor([1.0]).repeated(counts: [1 << 40]) }
    }
    #expect(throws: TensorError.self) { try checked { zeros([1 << 40, 0]).unique(axis: 0) } }
    let many = Tensor([1, 2, 3]).repeated(counts: [0, 1 << 24, 1])
    #expect(
      many.size == (1 << 24) + 1 && many[0].item(Int.self) == 2 && many[-1].item(Int.self) == 3)
  }

  @Test func histogramsAreOfFiniteElements() {
    let (counts, edges) = histogram(Tensor([1.0, .nan, 3, .infinity]), bins: 2)
    #expect(counts.asArray(Int.self) == [1, 1] && edges.asArray(Double.self) == [1, 2, 3])
    #expect(histogram(Tensor([Double.nan])).counts.asArray(Int.self).allSatisfy { $0 == 0 })
    #expect(throws: TensorError.self) {
      try checked { histogram(zeros([3]), bins: 2, range: (-1e39, 1e39)).counts }
    }
  }

  @Test(arguments: [DType.float16, .bfloat16])
  func halvesAreComputedInSinglePrecision(_ dtype: DType) {
    // Squares, cubes and sums beyond the largest float16.
    let x = full([4], 200, dtype: dtype)
    expect(norm(x, order: 3), equals: norm(x.asType(.float32), order: 3).asType(dtype))
    expect(norm(full([4000], 30, dtype: dtype), order: 0), [], dtype, [4000], tolerance: 0.002)
    expect(nanMean(full([4000], 200, dtype: dtype)), [], dtype, [200])
    let rows = Tensor([300.0, -300, 100, 500], [2, 2])
    expect(cov(rows.asType(dtype)), equals: cov(rows.asType(dtype).asType(.float32)).asType(dtype))
    expect(
      cdist(rows.asType(dtype), zeros([1, 2], dtype: dtype)), [2, 1], dtype,
      cdist(rows, zeros([1, 2])).asType(dtype).asArray(Double.self))
    expect(
      cdist(full([30, 2], 150, dtype: dtype), zeros([1, 2], dtype: dtype)).max(), [], dtype,
      [212.1], tolerance: 0.004)
    expect(matrixNorm(x.reshaped(2, 2), .infinity), [], dtype, [400])
    expect(trapezoid(full([3], 200, dtype: dtype), dx: 100), [], dtype, [40000], tolerance: 0.004)
    expect(median(Tensor([1.0, 2, 4, 8]).asType(dtype)), [], dtype, [3])
    expect(lerp(zeros([1], dtype: dtype), full([1], 10, dtype: dtype), 0.25), [1], dtype, [2.5])
    expect(nanToNum(full([1], Double.infinity, dtype: dtype)).isFinite().all(), [], .bool, [1])
    expect(logAddExp(x, x), equals: (x.asType(.float32) + 0.6931472).asType(dtype))
  }

  @Test func partsOfUnequalSizes() {
    let x = arange(7)
    #expect(x.split(sizes: [3, 0, 4]).map(\.shape) == [[3], [0], [4]])
    #expect(x.split(size: 3).map { $0.asArray(Int.self) } == [[0, 1, 2], [3, 4, 5], [6]])
    #expect(x.chunked(5).map(\.size) == [2, 2, 2, 1])
    #expect(x.arraySplit(parts: 5).map(\.size) == [2, 2, 1, 1, 1])
    #expect(x.arraySplit(parts: 9).map(\.size) == [1, 1, 1, 1, 1, 1, 1, 0, 0])
    #expect(zeros([0]).chunked(3).map(\.shape) == [[0]])
    #expect(zeros([2, 0]).split(size: 4, axis: 1).map(\.shape) == [[2, 0]])
    #expect(zeros([0]).split(sizes: []).isEmpty)
    #expect(
      message { _ = x.split(sizes: [3, 3]) }
        == "split: the sizes [3, 3] do not fill axis 0 of shape [7]")
    #expect(
      message { _ = x.split(sizes: [8, -1]) }
        == "split: the sizes [8, -1] do not fill axis 0 of shape [7]")
    #expect(
      message { _ = x.split(size: 0) } == "split: parts of size 0 of axis 0 of shape [7]")
    #expect(message { _ = x.chunked(0) } == "chunked: 0 parts")
    #expect(message { _ = x.arraySplit(parts: 0) } == "arraySplit: 0 parts")
  }

  @Test func elementsThatComeAgain() {
    let x = Tensor([[1.0, 2], [3.0, 4]], requiresGrad: true)
    let y = repeated(x, counts: [0, 3], axis: -1)
    expect(y.detached(), [2, 3], .float32, [2, 2, 2, 4, 4, 4])
    y.sum().backward()
    expect(x.grad!, [2, 2], .float32, [0, 3, 0, 3])
    expect(repeated(zeros([0]), counts: []), [0], .float32, [])
    #expect(
      message { _ = repeated(x, counts: [1]) } == "repeated: 1 counts for axis 0 of shape [4]")
    #expect(
      message { _ = repeated(x, counts: [1, -1], axis: 0) } == "repeated: a negative count: -1")
    #expect(message { _ = repeated(x, counts: [.max, .max], axis: 0) } != nil)
  }

  @Test func normsHaveNoSlopeAtZero() {
    for order in [0, 0.5, 1, 1.5, 2, 3, Double.infinity, -1] {
      let x = Tensor([0.0, 0, 0], requiresGrad: true)
      norm(x, order: order).backward()
      expect(x.grad!, [3], .float32, [0, 0, 0])
    }
    expect(norm(zeros([2, 0]), order: 3, axis: 1), [2], .float32, [0, 0])
    #expect(message { _ = norm(zeros([2]), order: .nan) } == "norm: the order is not a number")
    #expect(
      message { _ = norm(arange(2), order: 1) }
        == "norm: needs a floating-point tensor, not int64; cast it first")
    #expect(message { _ = matrixNorm(zeros([2])) } != nil)
  }

  @Test func distancesOfNothing() {
    expect(cdist(zeros([2, 0]), zeros([3, 0])), [2, 3], .float32, Array(repeating: 0, count: 6))
    expect(cdist(zeros([0, 2]), zeros([3, 2])), [0, 3], .float32, [])
    #expect(
      message { _ = cdist(zeros([2, 3]), zeros([2, 2])) }
        == "cdist: stacks of vectors of one length, not [2, 3] and [2, 2]")
    #expect(message { _ = cdist(zeros([2, 3]), zeros([2, 3]), p: -1) } != nil)
  }

  @Test func quantilesAtTheEnds() {
    let x = Tensor([3.0, 1, .infinity, -.infinity, 2])
    expect(quantile(x, [0, 0.5, 1]), [3], .float32, [-.infinity, 2, .infinity])
    expect(median(Tensor(4.0)), [], .float32, [4])
    expect(median(x.reshaped(1, 5), keepDims: true), [1, 1], .float32, [2])
    expect(quantile(x.reshaped(1, 5), [0.5], axis: 1, keepDims: true), [1, 1, 1], .float32, [2])
    #expect(message { _ = quantile(x, 1.5) } == "quantile: 1.5 is not from 0 to 1")
    #expect(message { _ = quantile(x, .nan) } == "quantile: nan is not from 0 to 1")
    #expect(
      message { _ = median(zeros([2, 0]), axis: 1) } == "median: of no elements: shape [2, 0]")
  }

  @Test func whatIsNotANumberIsLeftOut() {
    let nan = Double.nan
    expect(nanSum(Tensor([nan, nan])), [], .float64, [0])
    expect(nanMean(Tensor([nan, nan])), [], .float64, [nan])
    expect(nanSum(Tensor([1, 2])), [], .int64, [3])
    expect(nanToNum(Tensor([1, 2])), [2], .int64, [1, 2])
    expect(nanMean(Tensor([[nan, 2], [4, 6]]), axes: [0, 1]), [], .float64, [4])
    expect(countNonzero(Tensor([[0.0, 2], [nan, 0]]), axes: [0]), [2], .int64, [1, 1])
  }

  @Test func differencesOfShortAxes() {
    expect(diff(Tensor([5.0])), [0], .float32, [])
    expect(diff(zeros([0])), [0], .float32, [])
    expect(diff(Tensor([1, 4, 9]), order: 5), [0], .int64, [])
    expect(diff(Tensor([UInt8(1), 0])), [1], .uint8, [255])
    expect(trapezoid(Tensor([5.0])), [], .float32, [0])
    expect(trapezoid(zeros([0])), [], .float32, [0])
    #expect(message { _ = diff(Tensor(1.0)) } == "diff: axis -1 is out of range for shape []")
    #expect(message { _ = trapezoid(zeros([3]), zeros([2])) } != nil)
    expect(cumulativeLogSumExp(zeros([0])), [0], .float32, [])
    let x = sample([300], -40, 40)
    for i in [0, 1, 127, 128, 299] {
      let expected = x[0..<(i + 1)].logSumExp().item(Double.self)
      #expect(abs(cumulativeLogSumExp(x)[i].item(Double.self) - expected) < 1e-12)
    }
  }

  @Test func productsOfOtherShapes() {
    expect(kron(Tensor([1, 2]), Tensor([[1], [10]])), [2, 2], .int64, [1, 2, 10, 20])
    expect(kron(Tensor(3), Tensor(4)), [], .int64, [12])
    expect(cross(Tensor([1, 0, 0]), Tensor([0, 1, 0])), [3], .int64, [0, 0, 1])
    expect(
      tensordot(ones([2, 0]), ones([0, 3]), axes: 1), [2, 3], .float32,
      Array(repeating: 0, count: 6))
    #expect(
      message { _ = cross(zeros([2]), zeros([2])) }
        == "cross: axis 0 of shape [2] has not 3 elements")
    #expect(
      message { _ = tensordot(zeros([2, 3]), zeros([2, 3]), axes: 1) }
        == "tensordot: axes [1] of shape [2, 3] and [0] of shape [2, 3] differ in size")
    #expect(message { _ = kron(zeros([1, 1, 1, 1, 1]), zeros([1])) } != nil)
  }

  @Test func stepsAndSpecialPoints() {
    expect(heaviside(Tensor([-1, 0, 2]), 5), [3], .int64, [0, 5, 1])
    expect(heaviside(Tensor([-1, 0, 2]), 0.5), [3], .float32, [0, 0.5, 1])
    expect(xlogy(0.0, Tensor([0.0, 2])), [2], .float32, [0, 0])
    expect(rot90(Tensor([[1, 2], [3, 4]])), [2, 2], .int64, [2, 4, 1, 3])
    #expect(message { _ = rot90(zeros([2])) } != nil)
    let x = Tensor([0.0, 1e-6, 0.5], dtype: .float64).requiringGrad()
    sinc(x).sum().backward()
    expect(
      x.grad!, [3], .float64, [0, -3.289868133696453e-6, -1.2732395447351628], tolerance: 1e-14)
  }
}
