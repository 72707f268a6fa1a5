import DuetEager
import DuetRuntime
import Testing

@Suite struct RandomTests {
  @Test func aSeedFixesTheNumbers() {
    let a = Generator(seed: 7)
    let b = Generator(seed: 7)
    let c = Generator(seed: 8)
    let first = Random.normal([100], generator: a)
    expect(Random.normal([100], generator: b), equals: first)
    #expect(!allClose(Random.normal([100], generator: c), first).item(Bool.self))
    #expect(!allClose(Random.normal([100], generator: a), first).item(Bool.self))
    a.seed(7)
    expect(Random.normal([100], generator: a), equals: first)
  }

  @Test func distributionsHaveTheirMoments() {
    let g = Generator(seed: 1)
    let n = Random.normal([100_000], mean: 3, std: 2, generator: g)
    #expect(abs(n.mean().item(Double.self) - 3) < 0.03)
    #expect(abs(n.std().item(Double.self) - 2) < 0.03)
    let u = Random.uniform(low: -1, high: 1, [100_000], dtype: .float64, generator: g)
    #expect(u.dtype == .float64)
    #expect(u.min().item(Double.self) >= -1 && u.max().item(Double.self) < 1)
    #expect(abs(u.mean().item(Double.self)) < 0.02)
    let b = Random.bernoulli(0.25, [100_000], generator: g)
    #expect(b.dtype == .bool)
    #expect(abs(b.sum().item(Double.self) / 100_000 - 0.25) < 0.01)
    let c = Random.categorical(Tensor([0.0, 0.0, -100.0]).broadcast(to: [1000, 3]), generator: g)
    #expect(c.shape == [1000] && c.max().item(Int.self) == 1 && c.min().item(Int.self) == 0)
  }

  @Test func integersStayInTheirRange() {
    let g = Generator(seed: 2)
    let i = Random.randInt(-3..<3, [10_000], dtype: .int8, generator: g)
    #expect(i.dtype == .int8)
    #expect(i.min().item(Int.self) == -3 && i.max().item(Int.self) == 2)
    let p = Random.permutation(100, generator: g)
    expect(p.sort(), equals: arange(100))
    #expect(!(p .== arange(100)).all().item(Bool.self))
    let rows = Random.permutation(arange(20).reshaped(10, 2), generator: g)
    expect(rows[0..., 1] - rows[0..., 0], equals: ones([10], dtype: .int64))
  }

  @Test func theGlobalGeneratorCanBeSeeded() {
    Random.seed(42)
    let first = Random.uniform([3])
    Random.seed(42)
    expect(Random.uniform([3]), equals: first)
  }

  @Test(arguments: [DType.float16, .bfloat16, .float32, .float64])
  func whatHasNoProbabilityIsNotDrawn(_ dtype: DType) {
    // Two hundred times a hundred thousand numbers: some of them are 0.
    let classes = 50_000
    var logits = full([classes], -Double.infinity, dtype: dtype)
    logits[5] = Tensor(0.0)
    for seed in 0..<10 {
      let drawn = Random.categorical(
        logits.broadcast(to: [40, classes]), generator: Generator(seed: seed))
      #expect((drawn .== 5).all().item(Bool.self))
    }
    let unlikely = Tensor([-100.0, -100, 0], dtype: dtype).broadcast(to: [100_000, 3])
    let drawn = Random.categorical(unlikely, generator: Generator(seed: 1))
    #expect((drawn .== 2).all().item(Bool.self))
  }

  @Test(arguments: [DType.float16, .bfloat16]) func halvesAreDrawnWithTheirProbability(
    _ dtype: DType
  ) {
    let g = Generator(seed: 3)
    for p in [0.001, 0.01, 0.5] {
      let drawn = Random.bernoulli(full([1_000_000], p, dtype: dtype), generator: g)
      let share = drawn.sum().item(Double.self) / 1e6
      #expect(abs(share - p) < 5 * (p / 1e6).squareRoot() + 0.004 * p, "\(p): \(share)")
    }
    let equal = Random.categorical(zeros([100_000, 20], dtype: dtype), generator: g)
    for c in 0..<20 {
      let share = (equal .== c).sum().item(Double.self) / 1e5
      #expect(abs(share - 0.05) < 0.004, "class \(c): \(share)")
    }
  }

  @Test func uniformNumbersStayBelowTheirBound() {
    let bounds: [(DType, Double, Double)] = [
      (.float32, 1000, 1001), (.bfloat16, 2, 5), (.float16, 2, 3), (.float32, -1, 0),
      (.float64, 1e6, 1e6 + 1e-9), (.float16, -3, -2), (.float32, 0, 0.1),
    ]
    for (dtype, low, high) in bounds {
      let x = Random.uniform(
        low: low, high: high, [1_000_000], dtype: dtype, generator: Generator(seed: 4))
      let bound = full([], high, dtype: dtype).item(Double.self)
      #expect(x.max().item(Double.self) < bound, "\(dtype) \(low) \(high)")
      #expect(x.min().item(Double.self) >= full([], low, dtype: dtype).item(Double.self))
    }
    // Where nothing lies between, the lower one is all there is.
    let narrow = Random.uniform(low: 1000, high: 1001, [100], dtype: .bfloat16)
    expect(narrow, equals: full([100], 1000, dtype: .bfloat16))
  }
}
