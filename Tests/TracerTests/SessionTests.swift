import Duet
import DuetTestSupport
import Synchronization
import Testing

/// Placeholders, feeding, fetching, and state changes that a session makes.
@Suite(OwnPendingPrograms()) struct SessionTests {
  private let x = placeholder(.float32, shape: [2], name: "x")
  private let session = Session()

  private func expectError(
    _ part: String, _ body: () throws -> Void,
    sourceLocation: Testing.SourceLocation = #_sourceLocation
  ) {
    let error = #expect(throws: TensorError.self, sourceLocation: sourceLocation) { try body() }
    let text = error?.description ?? ""
    #expect(text.contains(part), "\(text)", sourceLocation: sourceLocation)
  }

  @Test func severalFetchesAtOnceInAnyForm() throws {
    let (sum, product) = withExecution(.deferred) { (x + 1, x * 3) }
    let feeds: Feeds = [x: Tensor([1.0, 2.0])]
    let array = try session.run([sum, product], feeding: feeds)
    expectSame(array, [Tensor([2.0, 3.0]), Tensor([3.0, 6.0])])
    let (a, b) = try session.run((sum, product), feeding: feeds)
    expectSame([a, b], array)
    let (c, d, e) = try session.run((sum, [product], x), feeding: feeds)
    expectSame([c, d[0], e], array + [Tensor([1.0, 2.0])])
    let four = try session.run((sum, product, sum, x), feeding: feeds)
    expectSame([four.0, four.1, four.2, four.3], [a, b, a, e])
    let named = try session.run(["sum": sum, "product": product], feeding: feeds)
    expectSame([named["sum"]!, named["product"]!], array)
    let nothing: Tensor? = nil
    let fetched = try withExecution(.deferred) { try session.run(nothing) }
    #expect(fetched == nil)
  }

  @Test func placeholdersAreMadeInEitherModeAndUsedInDeferredMode() throws {
    let feeds: Feeds = [x: Tensor([1.0, 2.0])]
    let y = withExecution(.deferred) { x.exp() * 2 }
    expectSame(try session.run(y, feeding: feeds), Tensor([1.0, 2.0]).exp() * 2)
    // Used in eager mode a placeholder has no elements to work on.
    expectError("placeholder \"x\"") { try checked { _ = x + 1 } }
  }

  @Test func anInnerValueThatIsFedIsNotComputed() throws {
    try withExecution(.deferred) {
      let inner = x * 100
      let y = inner + 1
      expectSame(try session.run(y, feeding: [inner: Tensor([1.0, 2.0])]), Tensor([2.0, 3.0]))
      expectSame(
        try session.run([y, inner], feeding: [inner: Tensor([5.0, 6.0])]),
        [Tensor([6.0, 7.0]), Tensor([5.0, 6.0])])
      expectSame(try session.run(y, feeding: [x: Tensor([1.0, 2.0])]), Tensor([101.0, 201.0]))
      // Also one that needs no placeholder.
      let free = Tensor([1.0, 1.0]) * 3
      let sum = free + 1
      expectSame(try session.run(sum, feeding: [free: Tensor([8.0, 9.0])]), Tensor([9.0, 10.0]))
      expectSame(try session.run(sum), Tensor([4.0, 4.0]))
    }
  }

  @Test func feedingWhatIsNotNeededAnyMoreIsTold() {
    withExecution(.deferred) {
      let inner = Tensor([1.0, 1.0]) * 3
      let y = inner + 1
      #expect(y.asArray(Float.self) == [4, 4])
      expectError("does not depend on \"multiply\"") {
        try session.run(y, feeding: [inner: Tensor([0.0, 0.0])])
      }
    }
  }

  @Test func aVariablesValueCanBeFed() throws {
    try withExecution(.deferred) {
      let v = Variable(Tensor([1.0, 2.0]), name: "v")
      let y = v.value * 2
      expectSame(try session.run(y, feeding: [v.value: Tensor([5.0, 6.0])]), Tensor([10.0, 12.0]))
      expectSame(try session.run(y), Tensor([2.0, 4.0]))
    }
  }

  @Test func whatWasDoneAtOnceIsNoGraph() {
    expectError("the session's graph is empty") { try session.run(Tensor([1.0]) + 1) }
    expectError("the session's graph is empty") { try session.run([Tensor]()) }
  }

  @Test func tensorsOfTheProgramCanBeFetchedInDeferredMode() throws {
    let fetched = try withExecution(.deferred) { try session.run(Tensor([1.0])) }
    expectSame(fetched, Tensor([1.0]))
  }

  @Test func aMissingFeedNamesItsPlaceholder() {
    let y = withExecution(.deferred) {
      nameScope("model") { placeholder(.float32, shape: [2], name: "y") }
    }
    let sum = withExecution(.deferred) { x + y }
    expectError("the placeholder \"model/y\" (float32[2]) is needed and was not fed") {
      try session.run(sum, feeding: [x: Tensor([1.0, 2.0])])
    }
    expectError("placeholder \"x\"") { try checked { _ = sum.asArray(Float.self) } }
    expectError("placeholder \"x\"") { try checked { _ = (sum .> 0).all().item(Bool.self) } }
    #expect("\(x)" == "Tensor(\"x:0\", shape: [2], dtype: float32)")
    #expect("\(sum)" == "Tensor(\"add:0\", shape: [2], dtype: float32)")
  }

  @Test func aFeedOfAnotherTypeIsTold() {
    let y = withExecution(.deferred) { x * 2 }
    expectError("the placeholder \"x\" takes float32[2], but the dtype of what was fed is float64")
    {
      try session.run(y, feeding: [x: zeros([2], dtype: .float64)])
    }
    expectError("the placeholder \"x\" takes float32[2], but the shape of what was fed is [3]") {
      try session.run(y, feeding: [x: zeros([3])])
    }
    expectError("the value \"multiply\" takes float32[2], but the shape of what was fed is []") {
      try session.run(y, feeding: [y: Tensor(1.0)])
    }
    expectError("only placeholders and other values of deferred mode can be fed") {
      try session.run(y, feeding: [Tensor(1.0): Tensor(1.0)])
    }
    expectError("depends on the placeholder \"x\" itself") { try session.run(y, feeding: [x: y]) }
  }

  @Test func placeholdersCheckTheirShapeAndPlace() {
    expectError("[-1] is not a shape") { try checked { _ = placeholder(.float32, shape: [-1]) } }
    let f = traced { (a: Tensor) in a + placeholder(.float32, shape: [2]) }
    expectError("as arguments instead") { try checked { _ = f(ones([2])) } }
    let g = traced { (a: Tensor) in (try? Session().run(a)) ?? a * 0 }
    expectSame(g(ones([2])), zeros([2]))
  }

  @Test func feedsCanBePutTogetherAndLayOutAsTheyLike() throws {
    let m = placeholder(.int64, shape: [3, 2], name: "m")
    let y = withExecution(.deferred) { m * 10 }
    var feeds = Feeds()
    let values = arange(6).reshaped(2, 3).T
    feeds[m] = values
    #expect(feeds.count == 1)
    expectSame(feeds[m]!, values)
    expectSame(try session.run(y, feeding: feeds), values * 10)
    feeds[m] = withExecution(.deferred) { values + 1 }
    expectSame(try session.run(y, feeding: feeds), (values + 1) * 10)
    feeds[m] = nil
    #expect(feeds.count == 0)
  }

  @Test func mistakesInARunNameTheOperationItsScopeAndItsLine() throws {
    let indices = placeholder(.int64, shape: [1], name: "indices")
    let line = #line + 2
    let taken = withExecution(.deferred) {
      nameScope("table") { Tensor([1.0, 2.0]).take(indices, axis: 0) * 2 }
    }
    let error = #expect(throws: TensorError.self) {
      try session.run(taken, feeding: [indices: Tensor([5])])
    }
    #expect(error?.description.hasPrefix("table/take: ") == true, "\(error!)")
    #expect(error?.location?.line == line)
    #expect(try session.run(taken, feeding: [indices: Tensor([1])]).item(Float.self) == 4)
  }

  // MARK: Gradients

  @Test func gradientsOfGradients() throws {
    let x = placeholder(.float64, shape: [], name: "x")
    let feeds: Feeds = [x: Tensor(2.0, dtype: .float64)]
    let (first, second) = withExecution(.deferred) { () -> (Tensor, Tensor) in
      let y = x * x * x
      let first = gradients(of: y, withRespectTo: [x])[0]
      return (first, gradients(of: first, withRespectTo: [x])[0])
    }
    let results = try session.run([first, second], feeding: feeds)
    #expect(results.map { $0.item(Double.self) } == [12, 12])
  }

  @Test func gradientsByInnerValuesVariablesAndOfSums() throws {
    let w = Parameter(Tensor([2.0, 3.0]), name: "w")
    let (byInner, byVariable, unused) = withExecution(.deferred) { () -> (Tensor, Tensor, Tensor) in
      let weight = w.value
      let inner = x * weight
      let y = inner * inner
      let found = gradients(of: [y, inner], withRespectTo: [inner, weight])
      let other = placeholder(.float32, shape: [3], name: "other")
      return (found[0], found[1], gradients(of: y, withRespectTo: [other])[0])
    }
    let feeds: Feeds = [x: Tensor([1.0, 10.0])]
    // d(i² + i)/di = 2i + 1 for i = [2, 30]; times x by w.
    expectSame(try session.run(byInner, feeding: feeds), Tensor([5.0, 61.0]))
    expectSame(try session.run(byVariable, feeding: feeds), Tensor([5.0, 610.0]))
    expectSame(try session.run(unused, feeding: feeds), zeros([3]))
    #expect(w.grad == nil)
    expectError("does not require") {
      try checked { _ = gradients(of: byInner, withRespectTo: [ones([2])]) }
    }
  }

  @Test func gradientsWorkEagerlyToo() {
    let a = Tensor([1.0, 2.0], requiresGrad: true)
    expectSame(gradients(of: a * a, withRespectTo: [a])[0].detached(), Tensor([2.0, 4.0]))
  }

  // MARK: State

  @Test func runsTakeVariablesAsTheyAre() throws {
    let v = Variable(Tensor([1.0, 2.0]), name: "v")
    let y = withExecution(.deferred) { v.value + x }
    let feeds: Feeds = [x: Tensor([10.0, 10.0])]
    expectSame(try session.run(y, feeding: feeds), Tensor([11.0, 12.0]))
    v.value = Tensor([5.0, 6.0])
    expectSame(try session.run(y, feeding: feeds), Tensor([15.0, 16.0]))
    withExecution(.deferred) { v.value = v.value * 2 }
    expectSame(try session.run(y, feeding: feeds), Tensor([20.0, 22.0]))
  }

  @Test func updatesHappenWhenTheyAreRunAndFetchesComeFromBefore() throws {
    let v = Variable(Tensor([1.0, 2.0]), name: "v")
    let count = Variable(Tensor(0), name: "count")
    let y = withExecution(.deferred) { v.value * 10 }
    let change = updates {
      v.value = v.value + x
      count.value = count.value + 1
      v.value = v.value * 2
    }
    #expect(change.names == ["v", "count"])
    expectSame(v.value, Tensor([1.0, 2.0]))
    let feeds: Feeds = [x: Tensor([1.0, 1.0])]
    expectSame(try session.run(y, running: change, feeding: feeds), Tensor([10.0, 20.0]))
    expectSame(v.value, Tensor([4.0, 6.0]))
    try session.run(change, feeding: feeds)
    expectSame(v.value, Tensor([10.0, 14.0]))
    #expect(count.value.item(Int.self) == 2)
  }

  @Test func changesThatDependOnAPlaceholderBelongInsideUpdates() {
    let v = Variable(Tensor([1.0, 2.0]), name: "v")
    withExecution(.deferred) {
      expectError("inside updates { }") { try checked { v.value = v.value + x } }
    }
    expectError("placeholder \"x\"") { try checked { v.value = x } }
    expectSame(v.value, Tensor([1.0, 2.0]))
  }

  @Test func aFailedRunLeavesAllStateAsItWas() throws {
    let v = Variable(Tensor([1.0, 2.0]), name: "v")
    let index = placeholder(.int64, shape: [1], name: "index")
    let change = updates {
      v.value = v.value + Tensor([10.0, 20.0]).take(index, axis: 0)
    }
    try session.run(change, feeding: [index: Tensor([0])])
    #expect(throws: TensorError.self) { try session.run(change, feeding: [index: Tensor([2])]) }
    expectSame(v.value, Tensor([11.0, 12.0]))
  }

  @Test func gradientsThatWouldAddUpAreTold() throws {
    let w = Parameter(Tensor([1.0, 2.0]), name: "w")
    let train = withExecution(.deferred) {
      let loss = (w.value * x).sum()
      return updates { loss.backward() }
    }
    try session.run(train, feeding: [x: Tensor([3.0, 4.0])])
    expectSame(w.grad!, Tensor([3.0, 4.0]))
    expectError("w.grad held nothing when updates { } was written down") {
      try session.run(train, feeding: [x: Tensor([3.0, 4.0])])
    }
  }

  @Test func randomNumbersInsideUpdatesAreDrawnAnew() throws {
    let generator = Generator(seed: 4)
    let (noise, draw) = resultAndUpdates { Random.normal([3], generator: generator) }
    let same = Generator(seed: 4)
    for _ in 0..<3 {
      expectSame(try session.run(noise, running: draw), Random.normal([3], generator: same))
    }
  }

  // MARK: Looking inside

  @Test func theGraphShowsPlaceholdersConstantsAndScopes() throws {
    let y = withExecution(.deferred) { nameScope("block") { (x * 2).tanh() } + 1 }
    let graph = try session.graph(of: y)
    #expect(
      graph.description == """
        graph (x: float32[2]) -> (result: %5) {
          %1 = constant float32[] 2.0
          %2 = multiply(%0, %1) : float32[2]  # block/multiply
          %3 = tanh(%2) : float32[2]  # block/tanh
          %4 = constant float32[] 1.0
          %5 = add(%3, %4) : float32[2]
        }
        """)
    #expect(try Graph(parsing: graph.description).description == graph.unoptimised.description)
    let v = Variable(Tensor([1.0, 2.0]), name: "v")
    let change = updates { v.value = v.value + 1 }
    #expect(
      try session.graph(of: [Tensor](), running: change).description.contains(
        "(v: float32[2]) -> (v: %2)"))
    expectError("graph is empty") { _ = try session.graph(of: Tensor(1.0)) }
  }

  @Test func theSameRunIsCompiledOnce() throws {
    let x = placeholder(.float32, shape: [61], name: "x")
    let y = withExecution(.deferred) { (x * 2).tanh() + x }
    let before = DeferredThread.current.compileCount
    for i in 0..<5 { try session.run(y, feeding: [x: full([61], Float(i))]) }
    // Another session, and another graph of the same structure.
    try Session().run(y, feeding: [x: ones([61])])
    let again = withExecution(.deferred) { (x * 5).tanh() + x }
    let values = ones([61])
    expectSame(try session.run(again, feeding: [x: values]), (values * 5).tanh() + values)
    #expect(DeferredThread.current.compileCount == before + 1)
  }

  @Test func oneSessionManyThreads() {
    let v = Variable(zeros([500], dtype: .int64), name: "v")
    let n = placeholder(.int64, shape: [], name: "n")
    let change = updates { v.value = v.value + n }
    let doubled = withExecution(.deferred) { n * 2 }
    let wrong = Atomic<Int>(0)
    onThreads(4) { thread in
      for i in 0..<100 {
        let fetched = try? session.run(doubled, running: change, feeding: [n: Tensor(thread + i)])
        if fetched?.item(Int.self) != 2 * (thread + i) { wrong.add(1, ordering: .relaxed) }
      }
    }
    #expect(wrong.load(ordering: .relaxed) == 0)
    let total = (0..<4).reduce(0) { $0 + (0..<100).reduce(100 * $1, +) }
    expectSame(v.value, full([500], total))
  }

  // MARK: Branches and loops

  @Test func branchesAndLoopsOnPlaceholdersArePartsOfTheGraph() throws {
    func program(_ x: Tensor, _ n: Tensor, _ w: Tensor) -> [Tensor] {
      let chosen = cond(x.sum() .> 0, then: { x * w }, else: { x - 1 })
      let (_, power) = whileLoop(
        (Tensor(0), x), maximumLength: 6, while: { i, _ in i .< n },
        do: { i, y in (i + 1, y * w) })
      let (state, rows) = scan(w, over: x) { s, element in
        (cond(element .> 0, then: { s * element }, else: { s - w }), s + element)
      }
      let loss = chosen.sum() + power.sum() + state.sum() + rows.sum()
      return [chosen, power, state, rows] + gradients(of: [loss], by: [w])
    }
    let w = Parameter(Tensor([0.5, -2.0, 1.5]), name: "w")
    try withExecution(.deferred) {
      let x = placeholder(.float32, shape: [3], name: "x")
      let n = placeholder(.int64, shape: [], name: "n")
      let fetches = program(x, n, w.value)
      let session = Session()
      for (values, count) in [([1.0, 2, 3], 2), ([-1, -5, 2], 0), ([0.5, -0.25, 0.125], 9)] {
        let feed = Tensor(values, dtype: .float32)
        let found = try session.run(fetches, feeding: [x: feed, n: Tensor(count)])
        let expected = withExecution(.eager) { program(feed, Tensor(count), w.value) }
        expectSame(found, expected.map { $0.detached() }, "\(values), \(count)")
        withExecution(.eager) { noGrad { w.value = w.value * 1.5 } }
      }
    }
  }

  @Test(arguments: [nil, 5]) func loopsThatDependOnAPlaceholderOnlyLater(maximum: Int?) throws {
    // The first condition is known; what the body makes of it is not.
    func program(_ x: Tensor, _ n: Tensor) -> [Tensor] {
      let (i, y) = whileLoop(
        (Tensor(0), Tensor(Float(1))), maximumLength: maximum, while: { _, y in y .< 100 },
        do: { i, y in (i + 1, y * x) })
      let (a, b) = whileLoop(
        (Tensor(Float(1)), Tensor(Float(2))), maximumLength: maximum, while: { a, _ in a .< 50 },
        do: { a, b in (b, a + n * b) })
      return [i, y, a, b]
    }
    try withExecution(.deferred) {
      let x = placeholder(.float32, shape: [], name: "x")
      let n = placeholder(.float32, shape: [], name: "n")
      let fetches = program(x, n)
      for (factor, bound): (Float, Float) in [(2, 3), (101, 60), (1.5, 0.5)] {
        let found = try Session().run(fetches, feeding: [x: Tensor(factor), n: Tensor(bound)])
        expectSame(found, withExecution(.eager) { program(Tensor(factor), Tensor(bound)) })
      }
    }
  }

  @Test func gradientsOfLoopsThatDependOnAPlaceholderOnlyLater() throws {
    let w = Parameter(Tensor([1.1, 0.7, 1.3]), name: "w")
    func program(_ x: Tensor, _ w: Tensor) -> [Tensor] {
      let (a, b, c) = whileLoop(
        (Tensor(Float(0)), ones([3]), w), maximumLength: 6,
        while: { (a: Tensor, _: Tensor, _: Tensor) in a .< 3 },
        do: { (a: Tensor, b: Tensor, c: Tensor) -> (Tensor, Tensor, Tensor) in
          let slow: Tensor = which(a .< 2, 0.5, 0)
          return (a + slow + x, b * w * x, c + b * w)
        })
      let loss: Tensor = (w * 3).sum() + a + b.sum()
      return [a, b, c] + gradients(of: [loss + (c * w).sum()], by: [w])
    }
    try withExecution(.deferred) {
      let x = placeholder(.float32, shape: [], name: "x")
      let fetches = program(x, w.value)
      for factor: Float in [0.25, 0.6, 1.75, 4] {
        let found = try Session().run(fetches, feeding: [x: Tensor(factor)])
        let expected = withExecution(.eager) { program(Tensor(factor), w.value) }
        expectSame(found, expected.map { $0.detached() }, "\(factor)")
      }
    }
  }

  @Test func branchesInUpdatesChangeVariablesAndDraw() throws {
    let v = Variable(Tensor(Float(1)), name: "v")
    let random = Generator(seed: 5)
    let same = Generator(seed: 5)
    try withExecution(.deferred) {
      let x = placeholder(.float32, shape: [], name: "x")
      let (y, step) = resultAndUpdates {
        cond(
          x .> 0,
          then: {
            v.value = v.value + x
            return Random.uniform([2], generator: random)
          },
          else: {
            v.value = v.value * 2
            return zeros([2])
          })
      }
      let session = Session()
      var expected: Float = 1
      for value: Float in [1, -1, 5] {
        let found = try session.run(y, running: step, feeding: [x: Tensor(value)])
        expected = value > 0 ? expected + value : expected * 2
        withExecution(.eager) {
          expectSame(found, value > 0 ? Random.uniform([2], generator: same) : zeros([2]))
          #expect(v.value.item(Float.self) == expected)
        }
      }
    }
  }

  @Test func branchesOnStateInsideUpdatesAreDecidedInEveryRun() throws {
    let v = Variable(Tensor(Float(1)), name: "v")
    try withExecution(.deferred) {
      let step = updates {
        v.value = cond(v.value .< 10, then: { v.value * 3 }, else: { v.value - 20 })
        let (_, y) = whileLoop(
          (Tensor(0), v.value), while: { _, y in y .> 20 }, do: { i, y in (i + 1, y - 1) })
        v.value = y
      }
      let session = Session()
      for expected: Float in [3, 9, 20, 0] {
        try session.run(step)
        withExecution(.eager) { #expect(v.value.item(Float.self) == expected) }
      }
    }
  }

  @Test func mistakesInsideABranchNameTheOperation() throws {
    try withExecution(.deferred) {
      let x = placeholder(.int64, shape: [], name: "x")
      let y = cond(x .> 0, then: { take(arange(3), x) }, else: { x })
      let session = Session()
      let found = try session.run(y, feeding: [x: Tensor(2)])
      #expect(found.item(Int.self) == 2)
      let error = #expect(throws: TensorError.self) {
        try session.run(y, feeding: [x: Tensor(5)])
      }
      #expect(error?.operation == "take")
    }
  }
}
