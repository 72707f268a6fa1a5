import Duet
import Foundation
import Testing

@Suite struct DataTests {
  private func numbers(_ count: Int) -> TensorDataset {
    TensorDataset(arange(count * 2, dtype: .float32).reshaped(count, 2), arange(count))
  }

  private func labels(_ loader: DataLoader<some Dataset>) -> [[Int]] {
    loader.map { $0.1.asArray(Int.self) }
  }

  @Test func batchesComeInOrder() {
    let loader = DataLoader(numbers(7), batchSize: 3)
    #expect(loader.batchCount == 3)
    #expect(labels(loader) == [[0, 1, 2], [3, 4, 5], [6]])
    let first = Array(loader)[0].0
    #expect(first.shape == [3, 2])
    #expect(first.asArray(Float.self) == [0, 1, 2, 3, 4, 5])
    #expect(labels(DataLoader(numbers(7), batchSize: 3, dropLast: true)).count == 2)
    #expect(labels(DataLoader(numbers(0), batchSize: 3, workers: 2)).isEmpty)
  }

  @Test func unusualSizesAreNoTrouble() {
    #expect(labels(DataLoader(numbers(3), batchSize: .max)) == [[0, 1, 2]])
    #expect(labels(DataLoader(numbers(3), batchSize: 2, workers: .max)) == [[0, 1], [2]])
    let loader = DataLoader(numbers(3), batchSize: 5, shuffle: true, workers: 2)
    loader.epoch = -7
    #expect(labels(loader)[0].sorted() == [0, 1, 2])
    #expect(throws: TensorError.self) { try checked { DataLoader(numbers(3), batchSize: 0) } }
    #expect(throws: TensorError.self) {
      try checked {
        labels(DataLoader(TensorDataset(ones([4]), arange(3)), batchSize: 9, workers: 2))
      }
    }
  }

  @Test(arguments: [0, 2]) func mistakesInADatasetReachTheOneWhoAsksForTheBatch(workers: Int) {
    struct Faulty: Dataset {
      let count = 5
      subscript(index: Int) -> (Tensor, Tensor) { (zeros([]), zeros([])) }
      func batch(_ indices: [Int]) -> (Tensor, Tensor) {
        (ones([2]) + ones([3]), arange(indices.count))
      }
    }
    #expect {
      try checked { for _ in DataLoader(Faulty(), batchSize: 2, workers: workers) {} }
    } throws: { error in
      (error as? TensorError)?.reason == "shapes [2] and [3] do not broadcast"
    }
  }

  @Test func orderDependsOnSeedAndEpochOnly() {
    func epochs(_ workers: Int, _ seed: Int) -> [[[Int]]] {
      let loader = DataLoader(
        numbers(101), batchSize: 8, shuffle: true, workers: workers, seed: seed)
      return [labels(loader), labels(loader)]
    }
    let expected = epochs(0, 4)
    for workers in [1, 2, 5] { #expect(epochs(workers, 4) == expected) }
    #expect(expected[0] != expected[1])
    #expect(epochs(0, 5) != expected)
    for epoch in expected { #expect(epoch.joined().sorted() == Array(0..<101)) }

    let resumed = DataLoader(numbers(101), batchSize: 8, shuffle: true, seed: 4)
    resumed.epoch = 1
    #expect(labels(resumed) == expected[1])
  }

  @Test func withoutASeedTheGlobalGeneratorDecides() {
    func order() -> [[Int]] {
      Random.seed(77)
      return labels(DataLoader(numbers(50), batchSize: 5, shuffle: true))
    }
    #expect(order() == order())
  }

  /// Counts how many items were made, and on the way whether too many are ahead.
  private final class Counting: Dataset, @unchecked Sendable {
    // Sendable: `made` is guarded by `lock`.
    private let lock = NSLock()
    private var made = 0
    let count = 1000
    var total: Int { lock.withLock { made } }
    subscript(index: Int) -> (Tensor, Tensor) {
      lock.withLock { made += 1 }
      return (Tensor(index), Tensor(index))
    }
  }

  @Test func leavingALoopEarlyEndsTheWorkers() {
    for workers in [1, 2, 4] {
      for _ in 0..<20 {
        let data = Counting()
        weak var watched: Counting?
        do {
          let loader = DataLoader(data, batchSize: 1, workers: workers)
          watched = loader.dataset
          var seen = 0
          for (x, _) in loader {
            #expect(x.asArray(Int.self) == [seen])
            #expect(data.total <= seen + 1 + 2 * workers)
            seen += 1
            if seen == 5 { break }
          }
        }
        // The iterator is gone and has waited for its threads: nothing more is made.
        let total = data.total
        #expect(total <= 5 + 2 * workers)
        #expect(watched?.total == total)
      }
    }
  }

  @Test func twoIterationsAtOnceAreTwoEpochs() {
    let loader = DataLoader(numbers(20), batchSize: 4, shuffle: true, workers: 2, seed: 1)
    let (first, second) = (loader.makeIterator(), loader.makeIterator())
    let pairs = (0..<5).map { _ in
      (first.next()!.1.asArray(Int.self), second.next()!.1.asArray(Int.self))
    }
    #expect(first.next() == nil && first.next() == nil)
    #expect(pairs.flatMap { $0.0 }.sorted() == Array(0..<20))
    #expect(pairs.flatMap { $0.1 }.sorted() == Array(0..<20))
    #expect(pairs.map { $0.0 } != pairs.map { $0.1 })
  }

  @Test func subsetsRenumber() {
    let subset = Subset(numbers(10), [7, 2, 5])
    #expect(subset.count == 3)
    #expect(subset[1].1.item(Int.self) == 2)
    #expect(labels(DataLoader(subset, batchSize: 2)) == [[7, 2], [5]])
  }

  @Test func theSampleIsReal() throws {
    let sample = try MNIST(.test, at: Fixture.sampleFolder)
    #expect(sample.count == 10_000)
    #expect(sample.labels[0..<5].asArray(Int.self) == [7, 2, 1, 0, 4])
    let (x, y) = sample[0]
    #expect(x.shape == [1, 28, 28] && x.dtype == .float32)
    #expect(y.shape == [] && y.dtype == .int64 && y.item(Int.self) == 7)
    #expect(x.max().item(Double.self) <= 1 && x.min().item(Double.self) == 0)
    let (batch, digits) = sample.batch([3, 0])
    #expect(batch.shape == [2, 1, 28, 28])
    #expect((batch[1] .== x).all().item(Bool.self))
    #expect(digits.asArray(Int.self) == [0, 7])
    let normalized = try MNIST(.test, at: Fixture.sampleFolder, normalized: true).batch(
      Array(0..<2000)
    ).0
    #expect(abs(normalized.mean().item(Double.self)) < 0.05)
    #expect(abs(normalized.std().item(Double.self) - 1) < 0.05)
  }
}
