import Duet
import DuetAllocationCounter
import DuetTestSupport
import Testing

/// An operation allocates its result and nothing else, and none where it takes over an operand's memory; counted
/// where malloc can be replaced.
@Suite(.enabled(if: duet_counts_allocations() != 0)) struct AllocationTests {
  struct Item: Sendable, CustomTestStringConvertible {
    let name: String
    let run: @Sendable (Tensor, Tensor) -> Tensor
    /// Whether the operation allocates memory for elements.
    let isView: Bool
    /// How many views the operation is given that are made for it.
    let views: Int
    var testDescription: String { name }

    init(
      _ name: String, isView: Bool = false, views: Int = 0,
      _ run: @escaping @Sendable (Tensor, Tensor) -> Tensor
    ) {
      self.name = name
      self.run = run
      self.isView = isView
      self.views = views
    }
  }

  /// Operations on two matrices of 24 × 24.
  static let items = [
    Item("a + b") { a, b in a + b },
    Item("a * b") { a, b in a * b },
    Item("a / b") { a, b in a / b },
    Item("a - 1") { a, _ in a - 1 },
    Item("a .> 0") { a, _ in a .> 0 },
    Item("2 * a") { a, _ in 2 * a },
    Item("-a") { a, _ in -a },
    Item("exp") { a, _ in exp(a) },
    Item("tanh") { a, _ in tanh(a) },
    Item("relu") { a, _ in relu(a) },
    Item("sigmoid") { a, _ in sigmoid(a) },
    Item("gelu") { a, _ in gelu(a) },
    Item("maximum") { a, b in maximum(a, b) },
    Item("a .< b") { a, b in a .< b },
    Item("matmul") { a, b in matmul(a, b) },
    Item("matmul of a transposed one", views: 1) { a, b in matmul(a.T, b) },
    Item("transposed", isView: true) { a, _ in a.T },
    Item("reshaped", isView: true) { a, _ in a.reshaped(4, 144) },
    Item("reshaped to what is left", isView: true) { a, _ in a.reshaped(-1, 2) },
    Item("flattened", isView: true) { a, _ in a.flattened() },
    Item("a[3]", isView: true) { a, _ in a[3] },
    Item("sum") { a, _ in a.sum() },
    Item("sum(axis:)") { a, _ in a.sum(axis: 1) },
    Item("mean(axis:)") { a, _ in a.mean(axis: 0) },
    Item("max") { a, _ in a.max() },
    Item("softmax") { a, _ in softmax(a, axis: -1) },
    Item("asType") { a, _ in a.asType(.float64) },
  ]

  private static let rounds = 100

  /// Allocations of one run, on average over many.
  private static func count(_ body: () -> Void) -> Double {
    for _ in 0..<10 { body() }
    let before = duet_allocation_count()
    for _ in 0..<rounds { body() }
    return Double(duet_allocation_count() - before) / Double(rounds)
  }

  @Test("malloc is counted")
  func countsMalloc() {
    let before = duet_allocation_count()
    let array = [Int](repeating: 1, count: Int(before % 7) + 100)
    #expect(duet_allocation_count() > before)
    #expect(array.count >= 100)
  }

  @Test("an operation allocates what its result is made of", arguments: items)
  func operations(_ item: Item) {
    var random = SplitMix64(1)
    let a = random.tensor(.float32, [24, 24])
    let b = random.tensor(.float32, [24, 24])
    let counted = Self.count { _ = item.run(a, b) }
    let result = item.run(a, b)
    let view = Self.count {
      _ = Tensor(TensorBody(viewOf: result.body, layout: result.body.layout))
    }
    let fresh = Self.count { _ = Tensor(TensorBody(allocating: result.type)) }
    let owned = (item.isView ? view : fresh) + Double(item.views) * view
    #expect(counted == owned, "\(item.name): \(counted) allocations, its result is \(owned)")
  }

  @Test("chains allocate one result, which every next operation takes over")
  func chain() {
    let a = Tensor([Float](repeating: 0.5, count: 64), [64])
    let counted = Self.count {
      var x = a
      for _ in 0..<20 { x = x * a + a }
      _ = x
    }
    let owned = Self.count { _ = Tensor(TensorBody(allocating: a.type)) }
    #expect(counted == 20 * owned)

    let numbers = Self.count { _ = (2 - (a * 3).tanh() * a) / 4 }
    #expect(numbers == owned)
  }
}
