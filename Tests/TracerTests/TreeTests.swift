import Duet
import DuetTestSupport
import Testing

/// Structs of tensors as arguments and results.
@Suite struct TreeTests {
  struct Batch: TensorStruct {
    var images: Tensor
    var labels: Tensor?
    var extras: [String: Tensor] = [:]
    var epoch = 0
    var note = "not a part"
    static var parts: [PartialKeyPath<Batch>] { [\.images, \.labels, \.extras, \.epoch] }
  }

  struct Pair: TensorStruct {
    var first: Batch
    var second: [Batch]
    static var parts: [PartialKeyPath<Pair>] { [\.first, \.second] }
  }

  @Test func aStructNamesItsPartsAndNothingElse() {
    let f = traced { (batch: Batch) -> Batch in
      var batch = batch
      batch.images = batch.images * Float(batch.epoch + 1)
      batch.labels = batch.labels.map { $0 + 1 }
      return batch
    }
    for epoch in 0..<2 {
      for i in 0..<3 {
        let batch = Batch(images: full([2], Float(i)), labels: Tensor(i), epoch: epoch)
        let result = f(batch)
        expectSame(result.images, full([2], Float(i * (epoch + 1))))
        #expect(result.labels?.item(Int.self) == i + 1)
        #expect(result.epoch == epoch)
        #expect(f(Batch(images: full([2], Float(i)), epoch: epoch)).labels == nil)
      }
    }
    #expect(f.traceCount == 4, "one for each epoch, with and without labels")
  }

  @Test func messagesNameTheParts() {
    let f = traced { (pair: Pair) in pair.first.images.sum() + pair.second[0].images.sum() }
    func pair(_ n: Int) -> Pair {
      Pair(first: Batch(images: ones([2])), second: [Batch(images: ones([n]))])
    }
    _ = f(pair(1))
    _ = f(pair(3))
    #expect(
      f.explain().traces[1].reason
        == "argument 0.second[0].images: shape [3] instead of [1]")
  }

  @Test func structsNestInOtherTrees() {
    let f = traced { (batches: [String: Pair?]) in
      batches.mapValues { $0.map { [$0.first.images, $0.second[0].images * 2] } ?? [] }
    }
    for i in 1...3 {
      let x = full([3], Float(i))
      let pair = Pair(first: Batch(images: x), second: [Batch(images: x + 1)])
      let results = f(["a": pair, "b": nil])
      expectSame(results["a"]!, [x, (x + 1) * 2])
      expectSame(results["b"]!, [])
    }
    #expect(f.traceCount == 1)
  }

  struct Unfit: TensorStruct {
    let x: Tensor
    static var parts: [PartialKeyPath<Unfit>] { [\.x] }
  }

  @Test func aPartThatCannotBeReplacedIsAnError() {
    let f = traced { (unfit: Unfit) in unfit.x }
    let error = #expect(throws: TensorError.self) { try checked { f(Unfit(x: ones([2]))) } }
    #expect(error?.description.contains("must be a variable") == true)
  }
}
