import DuetEager
import DuetRuntime
import Testing

/// Results whose sizes depend on values: in every dtype and layout, with and without a size given.
@Suite struct ValueSizeTests {
  @Test(arguments: DType.allCases)
  func placesAreThoseOfWhatIsNotZero(_ dtype: DType) {
    let x = Tensor([0, 3, 0, 1, 0, 7], [2, 3]).asType(dtype)
    expect(nonzero(x), [3, 2], .int64, [0, 1, 1, 0, 1, 2])
    // Of a transposed view in the order of the view.
    expect(x.T.nonzero(), [3, 2], .int64, [0, 1, 1, 0, 2, 1])
    expect(nonzero(x, size: 4, fillValue: -1), [4, 2], .int64, [0, 1, 1, 0, 1, 2, -1, -1])
    expect(nonzero(x, size: 2), [2, 2], .int64, [0, 1, 1, 0])
    expect(nonzero(x, size: 0), [0, 2], .int64, [])
  }

  @Test func placesOfNothingAndOfScalars() {
    expect(nonzero(zeros([3, 0])), [0, 2], .int64, [])
    expect(nonzero(zeros([4])), [0, 1], .int64, [])
    expect(nonzero(Tensor(2.0)), [1, 0], .int64, [])
    expect(nonzero(Tensor(0.0)), [0, 0], .int64, [])
    expect(nonzero(zeros([0]), size: 2, fillValue: 9), [2, 1], .int64, [9, 9])
    expect(nonzero(Tensor(2.0), size: 2), [2, 0], .int64, [])
    #expect(
      message { _ = nonzero(zeros([2]), size: -1) }
        == "nonzero: [-1, 1] is not a shape: at most 8 axes, sizes from 0 up that fit in memory")
  }

  @Test func bothWaysFindTheSamePlaces() {
    for shape in [[1000], [37, 11], [1, 1, 200], [200, 1], [5, 4, 3, 2]] {
      let x = (sample(shape, 0, 1, seed: 3) .> 0.6).asType(.float32)
      let places = nonzero(x)
      expect(nonzero(x, size: places.dim(0)), equals: places)
      expect(maskedSelect(x, x, size: places.dim(0)), equals: maskedSelect(x, x))
    }
  }

  @Test func maskedElementsGiveTheirGradientBack() {
    let x = Tensor([1.0, 2, 3, 4], [2, 2], requiresGrad: true)
    let mask = Tensor([[true, false], [true, true]])
    let chosen = maskedSelect(x, mask)
    expect(chosen.detached(), [3], .float32, [1, 3, 4])
    (chosen * Tensor([1.0, 2, 3])).sum().backward()
    expect(x.grad!, [2, 2], .float32, [1, 0, 2, 3])
    x.grad = nil
    let padded = maskedSelect(x, mask, size: 4, fillValue: 7)
    expect(padded.detached(), [4], .float32, [1, 3, 4, 7])
    (padded * Tensor([1.0, 2, 3, 100])).sum().backward()
    expect(x.grad!, [2, 2], .float32, [1, 0, 2, 3])
    // Integers are not rounded by the fill value's type.
    let large = Tensor([1 << 60 + 1, 5])
    #expect(
      maskedSelect(large, Tensor([true, false]), size: 2).asArray(Int.self) == [1 << 60 + 1, 0])
    expect(maskedSelect(zeros([0]), zeros([0]), size: 2, fillValue: 3), [2], .float32, [3, 3])
    #expect(
      message { _ = maskedSelect(zeros([2]), zeros([3])) }
        == "maskedSelect: the shapes [2] and [3] do not broadcast")
  }

  @Test(arguments: DType.allCases.filter { $0 != .bool })
  func differentElementsAscend(_ dtype: DType) {
    let x = Tensor([5, 1, 5, 2, 1, 5], [2, 3]).asType(dtype)
    expect(unique(x), [3], dtype, [1, 2, 5])
    let all = uniqueAll(x)
    expect(all.values, [3], dtype, [1, 2, 5])
    expect(all.indices, [3], .int64, [1, 3, 0])
    expect(all.inverse, [2, 3], .int64, [2, 0, 2, 1, 0, 2])
    expect(all.counts, [3], .int64, [2, 1, 3])
    expect(all.count, [], .int64, [3])
    expect(unique(x, size: 4), [4], dtype, [1, 2, 5, 1])
    expect(unique(x, size: 5, fillValue: 9), [5], dtype, [1, 2, 5, 9, 9])
    let two = uniqueAll(x, size: 2)
    expect(two.values, [2], dtype, [1, 2])
    expect(two.counts, [2], .int64, [2, 1])
    expect(two.count, [], .int64, [3])
    expect(two.inverse, [2, 3], .int64, [2, 0, 2, 1, 0, 2])
    let four = uniqueAll(x, size: 4)
    expect(four.counts, [4], .int64, [2, 1, 3, 0])
    expect(unique(x, size: 0), [0], dtype, [])
    expect(uniqueAll(x, size: 0).counts, [0], .int64, [])
  }

  @Test func differentElementsOfBoolsAndOfNothing() {
    expect(unique(Tensor([true, false, true])), [2], .bool, [0, 1])
    expect(unique(zeros([0, 3])), [0], .float32, [])
    expect(uniqueAll(zeros([0, 3])).inverse, [0, 3], .int64, [])
    expect(uniqueAll(zeros([0])).count, [], .int64, [0])
    expect(unique(zeros([0]), size: 2), [2], .float32, [0, 0])
    expect(unique(zeros([0]), size: 2, fillValue: 4), [2], .float32, [4, 4])
    expect(uniqueAll(zeros([0]), size: 2).counts, [2], .int64, [0, 0])
    expect(unique(Tensor(3.0)), [1], .float32, [3])
    expect(uniqueAll(Tensor(3.0)).inverse, [], .int64, [0])
    let nan = Double.nan
    expect(uniqueAll(Tensor([nan, 1, nan, nan])).counts, [2], .int64, [1, 3])
    expect(unique(zeros([2, 0]), axis: 0), [1, 0], .float32, [])
    expect(unique(zeros([2, 0]), axis: 1), [2, 0], .float32, [])
    expect(unique(zeros([2, 0]), size: 2, fillValue: 1, axis: 1), [2, 2], .float32, [1, 1, 1, 1])
    let rows = Tensor([3.0, 1, 3, 1, 2, 2], [3, 2])
    expect(unique(rows, size: 3, axis: 0), [3, 2], .float32, [2, 2, 3, 1, 2, 2])
    expect(unique(rows, size: 3, fillValue: 0, axis: 0), [3, 2], .float32, [2, 2, 3, 1, 0, 0])
    #expect(
      message { _ = unique(rows, axis: 2) } == "unique: axis 2 is out of range for shape [3, 2]")
  }

  @Test func numbersAreCounted() {
    let x = Tensor([1, 3, 1, 0])
    expect(bincount(x), [4], .int64, [1, 2, 0, 1])
    expect(bincount(x, length: 2), [2], .int64, [1, 2])
    expect(bincount(Tensor([-1, 1]), length: 2), [2], .int64, [0, 1])
    expect(bincount(Tensor([true, false, true])), [2], .int64, [1, 2])
    expect(bincount(Tensor([UInt8(200), 200])), [201], .int64, (0..<201).map { $0 == 200 ? 2 : 0 })
    expect(bincount(zeros([0], dtype: .int64)), [0], .int64, [])
    expect(bincount(zeros([0], dtype: .int64), minLength: 2), [2], .int64, [0, 0])
    // 16 bits add up in 32.
    let many = zeros([3000], dtype: .int64)
    expect(bincount(many, weights: ones([3000], dtype: .float16)), [1], .float16, [3000])
    expect(bincount(x, weights: x), [4], .int64, [0, 2, 0, 3])
    let w = Tensor([1.0, 2, 3, 4], [4], requiresGrad: true)
    (bincount(x, weights: w) * Tensor([1.0, 10, 100, 1000])).sum().backward()
    expect(w.grad!, [4], .float32, [10, 1000, 10, 1])
    #expect(
      message { _ = bincount(Tensor([-1])) }
        == "bincount: counts integers from 0 up, and there are negative ones")
    #expect(message { _ = bincount(zeros([2])) } == "bincount: counts integers, not float32")
    #expect(
      message { _ = bincount(Tensor([1]), weights: zeros([2])) }
        == "bincount: weights of shape [2] for elements of shape [1]")
  }

  @Test(arguments: [DType.float16, .bfloat16, .float32, .int8, .int64])
  func histogramsCountWithinTheirRange(_ dtype: DType) {
    let x = Tensor([0, 1, 1, 2, 4, 4]).asType(dtype)
    let (counts, edges) = histogram(x, bins: 4)
    expect(counts, [4], .int64, [1, 2, 1, 2])
    expect(edges, [5], dtype.isFloatingPoint ? .float32 : .float64, [0, 1, 2, 3, 4])
    expect(histogram(zeros([0], dtype: dtype), bins: 2).counts, [2], .int64, [0, 0])
    expect(histogram(x, edges: Tensor([1.0, 2, 4])).counts, [2], .int64, [2, 3])
    #expect(
      message { _ = histogram(x, bins: 0) } == "histogram: 0 bins: there must be at least one")
    #expect(
      message { _ = histogram(x, edges: Tensor([1.0])) }
        == "histogram: edges of shape [1]: there must be a vector of at least two")
  }

  @Test func placesInSequences() {
    let sorted = Tensor([1, 3, 3, 5])
    expect(searchSorted(sorted, Tensor([[0, 1], [3, 9]])), [2, 2], .int64, [0, 0, 1, 4])
    expect(searchSorted(sorted, 3, side: .right), [], .int64, [3])
    expect(searchSorted(zeros([0]), Tensor([1.0])), [1], .int64, [0])
    expect(searchSorted(sorted, 2.5), [], .int64, [1])
    #expect(
      message { _ = searchSorted(zeros([2, 3]), zeros([3, 1])) }
        == "searchSorted: the shapes [2, 3] and [3, 1] differ in more than the last axis")
    for count in 1..<40 {
      let all = arange(count) * 2
      let values = arange(-1, 2 * count + 1)
      for side in [SearchSide.left, .right] {
        let expected = values.asArray(Int.self).map { value in
          (0..<count).count { side == .left ? 2 * $0 < value : 2 * $0 <= value }
        }
        #expect(searchSorted(all, values, side: side).asArray(Int.self) == expected)
      }
    }
  }
}
