import DuetEager
import DuetRuntime
import Synchronization

/// A dataset in batches: `for (x, y) in loader`.
///
/// Each iteration is an epoch. With `shuffle`, its order depends on the seed and the epoch's number only, not on
/// the number of workers.
public final class DataLoader<Source: Dataset>: Sequence, Sendable {
  /// Where the items come from.
  public let dataset: Source
  /// Items per batch. The last one of an epoch may have fewer, unless `dropLast`.
  public let batchSize: Int
  /// Whether each epoch goes through the items in a new random order.
  public let shuffle: Bool
  /// Whether a last batch of fewer items is left out.
  public let dropLast: Bool
  /// Threads that prepare batches ahead; 0: each is made when asked for.
  public let workers: Int
  /// Of the shuffling. One that was drawn may be given to another loader, which then has the same orders.
  public let seed: Int
  private let nextEpoch = Atomic<Int>(0)

  /// - Parameters:
  ///   - shuffle: Whether each epoch goes through the items in a new random order.
  ///   - dropLast: Whether a last batch of fewer items is left out.
  ///   - workers: Threads that prepare batches ahead; 0: each is made when asked for.
  ///   - seed: Of the shuffling; drawn from the global generator if nil.
  public init(
    _ dataset: Source, batchSize: Int, shuffle: Bool = false, dropLast: Bool = false,
    workers: Int = 0, seed: Int? = nil
  ) {
    if batchSize < 1 || workers < 0 {
      note(
        OpError(
          "DataLoader",
          "needs a batchSize from 1 up and workers from 0 up, not \(batchSize) and \(workers)"))
    }
    self.dataset = dataset
    self.batchSize = Swift.max(batchSize, 1)
    self.shuffle = shuffle
    self.dropLast = dropLast
    self.workers = Swift.max(workers, 0)
    self.seed =
      shuffle ? seed ?? Random.randInt(0..<Int.max, []).item(Int.self) : seed ?? 0
  }

  /// The number of batches in an epoch.
  public var batchCount: Int {
    let (whole, rest) = dataset.count.quotientAndRemainder(dividingBy: batchSize)
    return dropLast || rest == 0 ? whole : whole + 1
  }

  /// The number of the epoch that the next iteration is, from 0. Set it to go on where a run was interrupted.
  public var epoch: Int {
    get { nextEpoch.load(ordering: .relaxed) }
    set { nextEpoch.store(newValue, ordering: .relaxed) }
  }

  /// Exact: the number of batches in an epoch.
  public var underestimatedCount: Int { batchCount }

  /// Begins the next epoch.
  public func makeIterator() -> AnyIterator<(Tensor, Tensor)> {
    let epoch = nextEpoch.add(1, ordering: .relaxed).oldValue
    let order = shuffle ? shuffled(epoch) : nil
    let count = dataset.count
    let (dataset, batchSize) = (dataset, batchSize)
    let make: @Sendable (Int) -> (Tensor, Tensor) = { batch in
      let start = batch * batchSize
      let range = start..<(start + Swift.min(batchSize, count - start))
      return dataset.batch(order.map { Array($0[range]) } ?? Array(range))
    }
    let batches = batchCount
    if workers == 0 {
      var next = 0
      return AnyIterator {
        guard next < batches else { return nil }
        defer { next += 1 }
        return make(next)
      }
    }
    // The closure alone holds the prefetcher: its threads end when the iterator goes away.
    // A mistake in a worker becomes one of the thread that asks for the batch, which may be inside `checked`.
    let prefetcher = Prefetcher(count: batches, workers: workers) { batch in
      Result { try checked { make(batch) } }
    }
    return AnyIterator {
      switch prefetcher.next() {
      case .success(let batch): return batch
      case .failure(let error as TensorError):
        report(error)
        return (.failed, .failed)
      case .failure(let error): fatalError("\(error)")
      case nil: return nil
      }
    }
  }

  private func shuffled(_ epoch: Int) -> [Int] {
    // A seed of its own for each epoch, by the finaliser of SplitMix64 (Steele and others, 2014).
    var mixed =
      UInt64(bitPattern: Int64(seed)) &+ UInt64(bitPattern: Int64(epoch) &+ 1)
      &* 0x9E37_79B9_7F4A_7C15
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    mixed ^= mixed >> 31
    let generator = DuetEager.Generator(seed: Int(truncatingIfNeeded: mixed))
    return Random.permutation(dataset.count, generator: generator).asArray(Int.self)
  }
}
