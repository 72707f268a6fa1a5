import Duet
import DuetTestSupport
import Testing

/// Results whose sizes depend on values, in traced functions and deferred mode.
@Suite struct ValueSizeTests {
  private static func mask(_ places: [Int]) -> Tensor {
    Tensor((0..<8).map { places.contains($0) ? 1.0 : 0.0 }, dtype: .float32)
  }

  @Test func aTraceRemembersHowManyPlacesThereAreAndNotWhere() {
    let f = traced { (x: Tensor) in [nonzero(x), x[x .> 0] * 2, maskedSelect(x + 1, x)] }
    for places in [[1, 5], [0, 7], [2, 3], [3, 4], [6, 7]] {
      let x = Self.mask(places)
      expectSame(f(x), [nonzero(x), x[x .> 0] * 2, maskedSelect(x + 1, x)])
      #expect(f(x)[0].asArray(Int.self) == places)
    }
    #expect(f.traceCount == 1)
    let x = Self.mask([1, 2, 3])
    expectSame(f(x), [nonzero(x), x[x .> 0] * 2, maskedSelect(x + 1, x)])
    #expect(f.traceCount == 2)
  }

  @Test func aTraceRemembersHowManyElementsDiffer() {
    func all(_ x: Tensor) -> [Tensor] {
      let u = uniqueAll(x)
      return [u.values, u.indices, u.inverse, u.counts, unique(x.reshaped(4, 2), axis: 0)]
    }
    let f = traced { (x: Tensor) in all(x) }
    for values in [[1, 1, 2, 2, 3, 3, 1, 1], [9, 9, 5, 5, 7, 7, 5, 5], [0, 0, 1, 1, 8, 8, 8, 8]] {
      let x = Tensor(values)
      expectSame(f(x), all(x))
    }
    #expect(f.traceCount == 1)
  }

  @Test func constantMasksAreNotLookedAt() {
    let mask = Tensor([true, false, true])
    let f = traced { (x: Tensor) in x[mask] }
    expectSame(f(Tensor([1.0, 2, 3])), Tensor([1.0, 3]))
    expectSame(f(Tensor([4.0, 5, 6])), Tensor([4.0, 6]))
    #expect(f.explain().traces[0].guards.isEmpty)
  }

  @Test func formsWithASizeLookAtNothing() {
    func all(_ x: Tensor) -> [Tensor] {
      let u = uniqueAll(x, size: 5, fillValue: -1)
      let h = histogram(x, bins: 3)
      return [
        nonzero(x, size: 5), maskedSelect(x, x .> 0, size: 3), u.values, u.indices, u.inverse,
        u.counts, u.count, unique(x.reshaped(4, 2), size: 3, axis: 0),
        bincount(x.asType(.int64), length: 2), h.counts, h.edges,
      ]
    }
    let f = traced { (x: Tensor) in all(x) }
    for places in [[1, 5], [], [0, 1, 2, 3, 4, 5, 6, 7], [6]] {
      let x = Self.mask(places)
      expectSame(f(x), all(x))
      expectSame(withExecution(.deferred) { all(x) }, all(x))
    }
    #expect(f.traceCount == 1)
    #expect(f.explain().traces[0].guards.isEmpty)
  }

  @Test func countingFollowsTheLargestNumber() {
    let f = traced { (x: Tensor) in bincount(x) }
    for values in [[1, 2, 0], [2, 2, 2], [0, 0, 2]] {
      expectSame(f(Tensor(values)), bincount(Tensor(values)))
    }
    #expect(f.traceCount == 1)
    expectSame(f(Tensor([5, 0, 0])), bincount(Tensor([5, 0, 0])))
    #expect(f.traceCount == 2)
  }

  @Test func formsWithASizeTakeAnyNumberOfRows() throws {
    func all(_ x: Tensor) -> [Tensor] {
      let u = uniqueAll(x.round(), size: 4)
      return [
        nonzero(x .> 0, size: 5), maskedSelect(x, x .> 0, size: 6, fillValue: -1), u.values,
        u.inverse, u.counts, bincount((x * 3).asType(.int64), length: 4),
        searchSorted(Tensor([-1.0, 0, 1]), x), histogram(x, bins: 3, range: (-1, 1)).counts,
        nanMean(x, axis: 0), norm(x, order: 3, axis: 1), diff(x, axis: 1),
      ]
    }
    let f = traced { (x: Tensor) in all(x) }
    try f.lower(TensorSpec([nil, 3]))
    var random = SplitMix64(8)
    for size in [4, 2, 9, 4, 30] {
      let x = random.tensor(.float32, [size, 3])
      expectSame(f(x), all(x), "n = \(size)")
    }
    #expect(f.traceCount == 1)
  }

  @Test func whatWasLookedAtIsTheNumberAndHasItsLine() {
    let f = traced { (x: Tensor) in x[x .> 0] + nonzero(x).sum() }
    for places in [[1], [4], [1, 4]] { _ = f(Self.mask(places)) }
    let guards = f.explain().traces[0].guards
    #expect(guards.first?.operation == "subscript")
    #expect(guards.contains { $0.operation == "nonzero" })
    #expect(guards.allSatisfy { $0.location?.file == "ValueSizeTests.swift" })
  }

  @Test func gradientsGoThroughChosenElements() {
    func slope(_ x: Tensor) -> Tensor { grad { (x: Tensor) in (x[x .> 0] ** 2).sum() }(x) }
    let f = traced { (x: Tensor) in slope(x) }
    for values in [[1.0, -1, 2], [-3.0, 4, 5], [6.0, 7, -8]] {
      expectSame(f(Tensor(values)), slope(Tensor(values)))
    }
    #expect(f.traceCount == 1)
  }

  @Test func whereValuesCannotBeSeenTheErrorNamesTheOtherForm() throws {
    let f = traced { (x: Tensor) in nonzero(x) }
    do {
      _ = try f.lower(TensorSpec([4], .float32))
      Issue.record("no error")
    } catch {
      #expect("\(error)".contains("nonzero(x, size:)"))
    }
    let loop = traced { (x: Tensor) in
      whileLoop((Tensor(0), x), while: { i, _ in i .< 2 }) { i, x in (i + 1, x + unique(x)[0]) }.1
    }
    #expect(message { _ = loop(Tensor([1.0, 2.0])) }?.contains("unique(x, size:)") == true)
    let inside = traced { (x: Tensor) in
      cond(x.sum() .> 0, then: { nonzero(x, size: 2) }, else: { nonzero(-x, size: 2) * 2 })
    }
    for x in [Tensor([0.0, 1, 2]), Tensor([0.0, 0, -2])] {
      expectSame(inside(x), (x.sum() .> 0).item() ? nonzero(x, size: 2) : nonzero(-x, size: 2) * 2)
    }
  }

  @Test func masksFromBeforeABranchAreSeenBeforeIt() {
    let f = traced { (x: Tensor, mask: Tensor) in
      cond(x.sum() .> 0, then: { x[mask].sum() }, else: { x.sum() })
    }
    let mask = Tensor([true, false, true])
    expectSame(f(Tensor([1.0, 2, 3]), mask), Tensor(4.0))
    expectSame(f(Tensor([1.0, 5, 3]), mask), Tensor(4.0))
    expectSame(f(Tensor([1.0, 5, 3]), Tensor([true, true, false])), Tensor(6.0))
  }

  @Test func deferredModeCountsWhenItHasTo() {
    let x = Self.mask([2, 6])
    withExecution(.deferred) {
      expectSame(nonzero(x * 2), Tensor([2, 6], [2, 1]))
      expectSame((x * 3)[x * 3 .> 1], Tensor([3.0, 3.0]))
      expectSame(unique(x - 1), Tensor([-1.0, 0.0]))
      expectSame(bincount((x * 2).asType(.int64)), Tensor([6, 0, 2]))
    }
  }
}
