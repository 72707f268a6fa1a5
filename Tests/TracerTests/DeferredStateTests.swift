import Duet
import DuetTestSupport
import Foundation
import Synchronization
import Testing

/// Runs the body on another thread and waits for it.
func onAnotherThread(_ body: @escaping @Sendable () -> Void) { onThreads(1) { _ in body() } }

/// Gives each test a cache of pending programs that the others do not fill.
struct OwnPendingPrograms: SuiteTrait, TestTrait, TestScoping {
  var isRecursive: Bool { true }

  func provideScope(
    for test: Test, testCase: Test.Case?, performing body: () async throws -> Void
  ) async throws {
    try await PendingPrograms.$shared.withValue(PendingPrograms()) { try await body() }
  }
}

/// State, training, memory and threads in deferred mode.
@Suite(OwnPendingPrograms()) struct DeferredStateTests {
  private var compileCount: Int { DeferredThread.current.compileCount }

  /// Inputs `[N, 24]` and labels, the same for every run.
  private static func batches(_ count: Int) -> [(Tensor, Tensor)] {
    let generator = Generator(seed: 21)
    return (0..<count).map { _ in
      (
        Random.normal([16, 24], generator: generator),
        Random.randInt(0..<5, [16], generator: generator)
      )
    }
  }

  private struct Run {
    let bits: [Bits]
    let compiledAtStep: [Int]
  }

  private func train(
    _ mode: ExecutionMode, steps: Int = 8, readEvery: Int = 1, width: Int = 20,
    optimizer makeOptimizer: ([Parameter]) -> any Optimizer
  ) -> Run {
    let generator = Generator(seed: 9)
    let model = Sequential {
      Linear(24, width)
      BatchNorm1d(width)
      ReLU()
      Dropout(0.25, generator: generator)
      Linear(width, 5)
    }
    for parameter in model.parameters {
      parameter.value = Random.uniform(low: -0.3, high: 0.3, parameter.shape, generator: generator)
    }
    let optimizer = makeOptimizer(Array(model.parameters))
    var losses: [Tensor] = []
    var compiled: [Int] = []
    withExecution(mode) {
      for (i, (x, labels)) in Self.batches(steps).enumerated() {
        let before = compileCount
        optimizer.learningRate = 0.05 / Double(i + 1)
        optimizer.zeroGrad()
        let loss = crossEntropy(model(x), labels) * Double(i + 1)
        loss.backward()
        optimizer.step()
        losses.append(loss.detached())
        if (i + 1) % readEvery == 0 { #expect(loss.item(Float.self).isFinite) }
        compiled.append(compileCount - before)
      }
    }
    let state =
      model.parameters.map { $0.value.detached() } + model.buffers.map { $0.variable.value }
    let gradients = model.parameters.map { $0.grad! }
    return Run(
      bits: (losses + state + gradients + [Random.normal([2], generator: generator)]).map(
        Bits.init),
      compiledAtStep: compiled)
  }

  @Test("training gives the same bits eagerly and deferred, and is compiled once", arguments: 0..<3)
  func trainingIsCompiledOnce(_ kind: Int) {
    func optimizer(_ parameters: [Parameter]) -> any Optimizer {
      switch kind {
      case 0: SGD(parameters, learningRate: 0.05, momentum: 0.9)
      case 1: Adam(parameters, learningRate: 0.01)
      default: SGD(parameters, learningRate: 0.05, momentum: 0.5, dampening: 0.1, weightDecay: 0.01)
      }
    }
    let eager = train(.eager, optimizer: optimizer)
    let deferred = train(.deferred, optimizer: optimizer)
    expectSame(deferred.bits, eager.bits)
    // The loss's factor and the learning rate change from step to step: they are arguments of the program. With
    // dampening the second step differs from the first, which sets what the later ones read.
    #expect(
      deferred.compiledAtStep.dropFirst(2).allSatisfy { $0 == 0 }, "\(deferred.compiledAtStep)")
    #expect(
      deferred.compiledAtStep.reduce(0, +) <= (kind == 2 ? 2 : 1), "\(deferred.compiledAtStep)")
  }

  /// Puts off what nobody will ask for, and a write to a variable that is gone at the end if there shall be one.
  private func leaveOperations(writing: Bool) {
    withExecution(.deferred) {
      let variable = Variable(Tensor([1.0]), name: "lost")
      var value = variable.value
      for _ in 0..<450 { value = value.sin() }
      if writing { variable.value = value }
    }
  }

  @Test func stepsMayGoUnread() {
    leaveOperations(writing: false)
    func optimizer(_ parameters: [Parameter]) -> any Optimizer {
      SGD(parameters, learningRate: 0.05, momentum: 0.9)
    }
    func compare(readEvery: Int, width: Int) -> Int {
      let eager = train(.eager, steps: 40, width: width, optimizer: optimizer)
      let deferred = train(
        .deferred, steps: 40, readEvery: readEvery, width: width, optimizer: optimizer)
      expectSame(deferred.bits, eager.bits)
      return deferred.compiledAtStep.reduce(0, +)
    }
    #expect(compare(readEvery: 2, width: 20) <= 1)
    leaveOperations(writing: true)
    // Ten steps are too much for one program: they are cut into parts.
    #expect((1...4).contains(compare(readEvery: 10, width: 21)))
    // Pending graphs do not grow for ever where nothing is read.
    #expect((1...2).contains(compare(readEvery: 100, width: 22)))
  }

  @Test func aSessionTrainsWithTheSameBits() throws {
    func models(_ build: (any UnaryLayer, SGD, Generator) throws -> [Bits]) rethrows -> [Bits] {
      let generator = Generator(seed: 31)
      let model = Sequential {
        Linear(24, 12)
        BatchNorm1d(12)
        Tanh()
        Dropout(0.5, generator: generator)
        Linear(12, 5)
      }
      for parameter in model.parameters {
        parameter.value = Random.uniform(
          low: -0.3, high: 0.3, parameter.shape, generator: generator)
      }
      let optimizer = SGD(model.parameters, learningRate: 0.1, momentum: 0.9)
      return try build(model, optimizer, generator)
        + model.buffers.map { Bits($0.variable.value) }
        + model.parameters.map { Bits($0.value.detached()) }
        + model.parameters.map { Bits($0.grad!) }
    }
    let eager = models { model, optimizer, _ in
      Self.batches(6).map { x, y in
        optimizer.zeroGrad()
        let loss = crossEntropy(model(x), y)
        loss.backward()
        optimizer.step()
        return Bits(loss.detached())
      }
    }
    let before = compileCount
    let inSession = try models { model, optimizer, _ in
      let images = placeholder(.float32, shape: [16, 24], name: "images")
      let labels = placeholder(.int64, shape: [16], name: "labels")
      let (loss, train) = resultAndUpdates {
        optimizer.zeroGrad()
        let loss = crossEntropy(model(images), labels)
        loss.backward()
        optimizer.step()
        return loss
      }
      let session = Session()
      return try Self.batches(6).map { x, y in
        Bits(try session.run(loss, running: train, feeding: [images: x, labels: y]))
      }
    }
    expectSame(inSession, eager)
    #expect(compileCount - before <= 1)
  }

  private func expectSame(
    _ actual: [Bits], _ expected: [Bits],
    sourceLocation: Testing.SourceLocation = #_sourceLocation
  ) {
    #expect(actual.count == expected.count, sourceLocation: sourceLocation)
    for (i, (a, b)) in zip(actual, expected).enumerated() {
      DuetTestSupport.expectSame(a, b, "value \(i)", sourceLocation: sourceLocation)
    }
  }

  @Test func aConstantThatChangesIsNoOtherProgram() {
    withExecution(.deferred) {
      let x = full([57], Float(1.5))
      _ = x.asArray(Float.self)
      let before = compileCount
      for i in 0..<6 {
        let y = (x * Double(i) + Double(i * i)).tanh() - Tensor([Float(i)])
        DuetTestSupport.expectSame(
          y, withExecution(.eager) { (x * Double(i) + Double(i * i)).tanh() - Tensor([Float(i)]) })
      }
      #expect(compileCount <= before + 1)
    }
  }

  @Test func partsOfDataThatWasPreparedInDeferredModeAreOneProgram() {
    withExecution(.deferred) {
      let data = arange(120).reshaped(12, 10).asType(.float32) / 100
      let columns = data.T.contiguous()
      var counts: [Int] = []
      for i in 0..<6 {
        let before = compileCount
        let y = (data[(2 * i)..<(2 * i + 2)] * columns[0..., 0..<2].T).sum(axis: 1) + data[i, 3]
        let expected = withExecution(.eager) { () -> Tensor in
          let data = arange(120).reshaped(12, 10).asType(.float32) / 100
          return (data[(2 * i)..<(2 * i + 2)] * data[0..<2]).sum(axis: 1) + data[i, 3]
        }
        DuetTestSupport.expectSame(y, expected)
        counts.append(compileCount - before)
      }
      #expect(counts.dropFirst(2).allSatisfy { $0 == 0 }, "\(counts)")
    }
  }

  @Test func readsAndWritesOfVariablesKeepTheProgramsOrder() {
    let v = Variable(Tensor([1.0]), name: "v")
    let (a, b) = withExecution(.deferred) { () -> (Tensor, Tensor) in
      let a = v.value * 2
      v.value = v.value + 10
      return (a, v.value * 2)
    }
    v.value = Tensor([100.0])
    DuetTestSupport.expectSame(a, Tensor([2.0]))
    DuetTestSupport.expectSame(b, Tensor([22.0]))
  }

  @Test func randomNumbersAreThoseOfEagerMode() {
    let (one, two) = (Generator(seed: 5), Generator(seed: 5))
    func draw(_ generator: Generator) -> [Tensor] {
      [
        Random.normal([5], generator: generator), Random.uniform([3], generator: generator),
        Random.permutation(7, generator: generator),
      ]
    }
    let expected = draw(one)
    let pending = withExecution(.deferred) { draw(two) }
    // In another order than they were drawn.
    for i in [2, 0, 1] { DuetTestSupport.expectSame(pending[i], expected[i]) }
    DuetTestSupport.expectSame(
      Random.normal([2], generator: two), Random.normal([2], generator: one))
  }

  @Test func backwardAfterReadingTheLossComputesNothingTwice() {
    let w = Parameter(ones([4, 4]), name: "w")
    withExecution(.deferred) {
      let x = full([4, 4], Float(0.5))
      let h = matmul(x, w.value).tanh()
      let loss = (h * h).sum()
      #expect(loss.item(Float.self) > 0)
      // What the gradient reads was kept when the loss was computed.
      #expect(h.node?.value != nil)
      loss.backward()
      let gradient = w.grad!
      withExecution(.eager) {
        let v = Parameter(ones([4, 4]), name: "v")
        let h = matmul(x, v.value).tanh()
        (h * h).sum().backward()
        DuetTestSupport.expectSame(gradient, v.grad!)
      }
    }
  }

  // MARK: Memory

  @Test func valuesThatAreDroppedAreReleased() {
    withExecution(.deferred) {
      weak var dropped: PendingNode?
      weak var inner: PendingNode?
      do {
        let x = ones([3]) * 2
        inner = x.node
        dropped = (x + 1).tanh().node
      }
      #expect(dropped == nil)
      #expect(inner == nil)
    }
  }

  @Test func whatWasEvaluatedLetsGoOfWhatItNeeded() {
    withExecution(.deferred) {
      weak var inner: PendingNode?
      let y: Tensor
      do {
        let x = ones([3]) * 2
        inner = x.node
        y = x + 1
      }
      #expect(inner != nil)
      #expect(y.asArray(Float.self) == [3, 3, 3])
      #expect(inner == nil)
    }
  }

  @Test func aVariableAndItsPendingContentDieTogether() {
    weak var content: PendingNode?
    withExecution(.deferred) {
      let v = Variable(Tensor([1.0]), name: "v")
      v.value = v.value + 1
      v.value = v.value * 2
      content = v.cell.pendingContent?.node
      #expect(content != nil)
    }
    #expect(content == nil)
  }

  @Test func longChainsAreDoneAndReleasedWithoutDeepRecursion() {
    withExecution(.deferred) {
      var x = zeros([1], dtype: .int64)
      for _ in 0..<20_000 { x = x + 1 }
      #expect(x.item(Int.self) == 20_000)
      var dropped = placeholder(.int64, shape: [1]) + 1
      for _ in 0..<100_000 { dropped = dropped + 1 }
    }
  }

  @Test func graphsDoNotGrowFromStepToStep() {
    let v = Variable(zeros([2]), name: "v")
    withExecution(.deferred) {
      weak var first: PendingNode?
      for i in 0..<5 {
        v.value = v.value + 1
        if i == 0 { first = v.cell.pendingContent?.node }
        let probe = Tensor([1.0]) + 1
        #expect(probe.item(Float.self) == 2)
        #expect(v.cell.pendingContent == nil, "reading evaluates what was written, too")
      }
      #expect(first == nil)
    }
    DuetTestSupport.expectSame(v.value, full([2], Float(5)))
  }

  // MARK: Threads

  @Test func everyThreadBuildsAndTrainsByItself() {
    let expected = train(.eager, steps: 3) { SGD($0, learningRate: 0.05, momentum: 0.9) }.bits
    let wrong = Atomic<Int>(0)
    onThreads(4) { _ in
      let run = train(.deferred, steps: 3) { SGD($0, learningRate: 0.05, momentum: 0.9) }
      for (a, b) in zip(run.bits, expected) where a.difference(from: b) != nil {
        wrong.add(1, ordering: .relaxed)
      }
    }
    #expect(wrong.load(ordering: .relaxed) == 0)
  }

  @Test func oneValueIsReadFromManyThreads() {
    for round in 0..<20 {
      let x = Random.normal([300], generator: Generator(seed: round))
      let (inner, y) = withExecution(.deferred) { () -> (Tensor, Tensor) in
        let inner = x.tanh() * 2
        return (inner, (inner + 1).exp())
      }
      let expected = Bits((x.tanh() * 2 + 1).exp())
      let wrong = Atomic<Int>(0)
      onThreads(4) { thread in
        if thread % 2 == 1 { _ = inner.asArray(Float.self) }
        if Bits(y).difference(from: expected) != nil { wrong.add(1, ordering: .relaxed) }
      }
      #expect(wrong.load(ordering: .relaxed) == 0)
    }
  }

  @Test func aVariableWrittenOnOneThreadIsReadOnAnother() {
    let v = Variable(zeros([64]), name: "v")
    for i in 1...20 {
      withExecution(.deferred) { v.value = v.value + 1 }
      onThreads(3) { _ in
        let seen = v.value.asArray(Float.self)
        #expect(seen.allSatisfy { $0 == Float(i) })
      }
    }
  }
}
