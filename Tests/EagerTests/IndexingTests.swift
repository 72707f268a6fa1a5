import DuetEager
import DuetRuntime
import Testing

@Suite struct IndexingTests {
  let m = arange(12).reshaped(3, 4)

  @Test func placesAndRanges() {
    expect(m[0], [4], .int64, [0, 1, 2, 3])
    expect(m[-1], [4], .int64, [8, 9, 10, 11])
    expect(m[1, -2], [], .int64, [6])
    expect(m[0..., 1], [3], .int64, [1, 5, 9])
    expect(m[1..<3, ..<2], [2, 2], .int64, [4, 5, 8, 9])
    expect(m[1...1], [1, 4], .int64, [4, 5, 6, 7])
    expect(m[...1, (-1)...], [2, 1], .int64, [3, 7])
    expect(m[.ellipsis, 0..<1], [3, 1], .int64, [0, 4, 8])
    expect(m[.newAxis].reshaped(12), [12], .int64, (0..<12).map(Double.init))
    #expect(m[.newAxis, 0, .newAxis].shape == [1, 1, 4])
    #expect(m[1..<100].shape == [2, 4])
    #expect(m[2..<1 + 1].shape == [0, 4])
  }

  @Test func strides() {
    let v = arange(6)
    expect(v[stride(from: 0, to: 6, by: 2)], [3], .int64, [0, 2, 4])
    expect(v[stride(from: 5, through: 0, by: -2)], [3], .int64, [5, 3, 1])
    expect(v[stride(from: 3, through: 0, by: -1)], [4], .int64, [3, 2, 1, 0])
    expect(v[stride(from: -1, to: -4, by: -1)], [3], .int64, [5, 4, 3])
    expect(v[(0..<6).by(4)], [2], .int64, [0, 4])
    expect(v[(0...).by(-1)], [6], .int64, [5, 4, 3, 2, 1, 0])
    expect(v[.stride(from: 4, by: -2)], [3], .int64, [4, 2, 0])
    expect(v[.all], equals: v)
  }

  @Test func tensorsGather() {
    expect(m[Tensor([0, 2, 0]), 1], [3], .int64, [1, 9, 1])
    expect(m[Tensor([-1])], [1, 4], .int64, [8, 9, 10, 11])
    expect(m[Tensor([[0, 1], [1, 0]])].sum(axis: -1), [2, 2], .int64, [6, 22, 22, 6])
    expect(m[0..., Tensor([3, 0])], [3, 2], .int64, [3, 0, 7, 4, 11, 8])
    expect(m[Tensor([0, 1, 2]), Tensor([0, 1, -1])], [3], .int64, [0, 5, 11])
    let cube = arange(24).reshaped(2, 3, 4)
    expect(cube[Tensor([0, 1]), 0..., Tensor([0, 3])], [2, 3], .int64, [0, 4, 8, 15, 19, 23])
    expect(
      cube[0..., Tensor([[0], [2]]), Tensor([1, 2])], [2, 2, 2], .int64,
      [1, 2, 9, 10, 13, 14, 21, 22])
  }

  @Test func masksPick() {
    expect(m[m .> 8], [3], .int64, [9, 10, 11])
    expect(m[Tensor([true, false, true]), 0], [2], .int64, [0, 8])
    expect(m[m .> 100], [0], .int64, [])
  }

  @Test func settingLeavesOthersAlone() {
    let a = Tensor([[1.0, 2.0], [3.0, 4.0]])
    var b = a
    b[0] = Tensor([9.0, 9.0])
    expect(a, [2, 2], .float32, [1, 2, 3, 4])
    expect(b, [2, 2], .float32, [9, 9, 3, 4])
    let view = b[1]
    b[1] = Tensor(0)
    expect(view, [2], .float32, [3, 4])
    expect(b, [2, 2], .float32, [9, 9, 0, 0])
    b[0..., 1] += 1
    expect(b, [2, 2], .float32, [9, 10, 0, 1])
  }

  @Test func settingWritesInPlaceWhereNobodyLooks() {
    var a = zeros([1000])
    a[0] = Tensor(1.0)
    let storage = ObjectIdentifier(a.body.storage!)
    for i in 0..<10 { a[i] = Tensor(Double(i)) }
    #expect(ObjectIdentifier(a.body.storage!) == storage)
    let copy = a
    a[0] = Tensor(5.0)
    #expect(ObjectIdentifier(a.body.storage!) != storage)
    #expect(copy[0].item(Double.self) == 0)
  }

  @Test func settingBroadcastsAndCasts() {
    var a = zeros([2, 3], dtype: .int32)
    a[0..., 1...] = Tensor([7.9, 8.1])
    expect(a, [2, 3], .int32, [0, 7, 8, 0, 7, 8])
    a[.ellipsis, 0] = Tensor(5)
    expect(a, [2, 3], .int32, [5, 7, 8, 5, 7, 8])
    a[(0..<2).by(-1)] = Tensor([[1, 1, 1], [2, 2, 2]])
    expect(a, [2, 3], .int32, [2, 2, 2, 1, 1, 1])
    #expect(
      message { a[0] = Tensor([1, 2]) }
        == "subscript: a value of shape [2] does not fill a part of shape [3]")
    expect(a, [2, 3], .int32, [2, 2, 2, 1, 1, 1])
  }

  @Test func settingThroughTensors() {
    var a = zeros([3, 2])
    a[Tensor([0, -1])] = Tensor([[1.0, 2.0], [3.0, 4.0]])
    expect(a, [3, 2], .float32, [1, 2, 0, 0, 3, 4])
    a[a .> 2] = Tensor(-1.0)
    expect(a, [3, 2], .float32, [1, 2, 0, 0, -1, -1])
    a[a .< 0] = Tensor([8.0, 9.0])
    expect(a, [3, 2], .float32, [1, 2, 0, 0, 8, 9])
    a[Tensor([0, 1]), Tensor([1, 0])] = Tensor([5.0, 6.0])
    expect(a, [3, 2], .float32, [1, 5, 6, 0, 8, 9])
    a[1..<3, Tensor([1])] = Tensor(7.0)
    expect(a, [3, 2], .float32, [1, 5, 6, 7, 8, 7])
  }

  @Test func gradientsFlowThroughSetting() {
    let x = Tensor([1.0, 2.0, 3.0], requiresGrad: true)
    let v = Tensor([5.0], requiresGrad: true)
    var y = x * 2
    y[1..<2] = v * v
    y.sum().backward()
    expect(x.grad!, [3], .float32, [2, 0, 2])
    expect(v.grad!, [1], .float32, [10])
  }

  @Test func mistakesNameShapes() {
    let m = m
    #expect(message { _ = m[3] } == "subscript: index 3 is out of range for axis 0 of shape [3, 4]")
    #expect(
      message { _ = m[0, -5] } == "subscript: index -5 is out of range for axis 1 of shape [3, 4]")
    #expect(message { _ = m[0, 0, 0] } == "subscript: 3 indices for the 2 axes of shape [3, 4]")
    #expect(message { _ = m[.ellipsis, .ellipsis] } == "subscript: more than one ellipsis")
    #expect(
      message { _ = m[Tensor([1.0])] } == "subscript: indices must be integers or bool, not float32"
    )
    #expect(
      message { _ = m[Tensor([5])] } == "take: index 5 is out of range for an axis of 3 elements")
    #expect(
      message { _ = m[Tensor([true])] } == "subscript: a mask of shape [1] for axes of shape [3]")
  }

  @Test func rangesWithoutAnEnd() {
    let x = arange(4)
    expect(x[(Int.min...Int.max).by(-1)], [4], .int64, [3, 2, 1, 0])
    expect(x[(..<Int.min).by(-1)], [0], .int64, [])
  }
}
