import Duet
import DuetTestSupport
import Testing

/// Layouts against the addresses of their elements, written out one by one.
@Suite struct LayoutTests {
  /// Where each element lies, in row-major order.
  private func addresses(_ layout: Layout, offset: Int = 0) -> [Int] {
    var result = [offset]
    for axis in 0..<layout.shape.rank {
      result = result.flatMap { start in
        (0..<layout.shape[axis]).map { start + $0 * layout.strides[axis] }
      }
    }
    return result
  }

  private func randomLayout(_ random: inout SplitMix64) -> Layout {
    let shape = Shape((0..<random.int(0...5)).map { _ in random.pick([0, 1, 1, 2, 2, 3, 4, 6]) })
    switch random.int(below: 3) {
    case 0: return Layout(contiguous: shape)
    case 1:
      // Contiguous in another order of axes: parts of it can be regrouped.
      let order = Shape((0..<shape.rank).shuffled(using: &random))
      var inverse = order
      for (place, axis) in order.enumerated() { inverse[axis] = place }
      return Layout(contiguous: Shape(order.map { shape[$0] })).transposed(inverse)
    default:
      let strides = shape.map { _ in random.pick([0, 1, 2, 3, 4, 6, 12, -1, -2]) }
      return Layout(shape: shape, strides: Shape(strides))
    }
  }

  private func randomShape(_ count: Int, _ random: inout SplitMix64) -> Shape {
    if count == 0 { return random.pick([[0], [0, 3], [2, 0], [1, 0, 1]]) }
    var rest = count
    var sizes: [Int] = []
    while rest > 1 && sizes.count < 6 {
      let divisors = (2...rest).filter { rest % $0 == 0 }
      let size = sizes.count == 5 ? rest : random.pick(divisors)
      sizes.append(size)
      rest /= size
    }
    for _ in 0..<random.int(0...2) { sizes.insert(1, at: random.int(0...sizes.count)) }
    return Shape(sizes)
  }

  @Test(
    "a reshaped view has the elements in their order; where there is none no strides could give it",
    arguments: 0..<20)
  func reshaping(_ seed: Int) {
    var random = SplitMix64(seed)
    for _ in 0..<200 {
      let layout = randomLayout(&random)
      let target = randomShape(layout.shape.elementCount, &random)
      let wanted = addresses(layout)
      if wanted.isEmpty { continue }
      if let view = layout.reshaped(target) {
        #expect(view.shape == target)
        #expect(addresses(view) == wanted, "\(layout) as \(target)")
      } else if let strides = strides(of: target, wanted) {
        Issue.record("\(layout) could be seen as \(target) with strides \(strides)")
      }
    }
  }

  /// Strides that give those addresses in that shape, if any do.
  private func strides(of shape: Shape, _ addresses: [Int]) -> Shape? {
    var strides = Shape(repeating: 0, rank: shape.rank)
    let steps = Layout(contiguous: shape).strides
    for axis in 0..<shape.rank where shape[axis] > 1 {
      strides[axis] = addresses[steps[axis]] - addresses[0]
    }
    let result = Layout(shape: shape, strides: strides)
    return self.addresses(result, offset: addresses.first ?? 0) == addresses ? strides : nil
  }

  @Test(arguments: 0..<10)
  func contiguityIsThatOfTheAddresses(_ seed: Int) {
    var random = SplitMix64(seed)
    for _ in 0..<200 {
      let layout = randomLayout(&random)
      let places = addresses(layout)
      // Of no elements either answer is right.
      if places.isEmpty { continue }
      #expect(layout.isContiguous == (places == Array(0..<places.count)), "\(layout)")
    }
  }

  @Test(arguments: 0..<10)
  func slicesTakeTheElementsThatTheyName(_ seed: Int) {
    var random = SplitMix64(seed)
    for _ in 0..<100 {
      let layout = randomLayout(&random)
      let shape = layout.shape
      var slice = Slice(all: shape)
      for axis in 0..<shape.rank where shape[axis] > 0 {
        slice.starts[axis] = random.int(below: shape[axis])
        slice.steps[axis] = random.pick([1, 2, -1, -3])
        let room = slice.steps[axis] > 0 ? shape[axis] - 1 - slice.starts[axis] : slice.starts[axis]
        slice.sizes[axis] = random.int(0...(room / abs(slice.steps[axis]) + 1))
      }
      let (view, offset) = layout.sliced(slice)
      var expected = [0]
      for axis in 0..<shape.rank {
        expected = expected.flatMap { start in
          (0..<slice.sizes[axis]).map {
            start + (slice.starts[axis] + $0 * slice.steps[axis]) * layout.strides[axis]
          }
        }
      }
      #expect(addresses(view, offset: offset) == expected)
    }
  }

  @Test(arguments: 0..<10)
  func broadcastingRepeatsElements(_ seed: Int) {
    var random = SplitMix64(seed)
    for _ in 0..<100 {
      let layout = randomLayout(&random)
      var target = layout.shape
      for axis in 0..<target.rank where target[axis] == 1 { target[axis] = random.int(0...3) }
      for _ in 0..<random.int(0...2) { target = target.inserting(random.int(1...3), at: 0) }
      let lead = target.rank - layout.shape.rank
      var expected = [0]
      for axis in 0..<target.rank {
        let stride = axis < lead || layout.shape[axis - lead] == 1 ? 0 : layout.strides[axis - lead]
        expected = expected.flatMap { start in (0..<target[axis]).map { start + $0 * stride } }
      }
      #expect(addresses(layout.broadcast(to: target)) == expected)
    }
  }
}
