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
}
