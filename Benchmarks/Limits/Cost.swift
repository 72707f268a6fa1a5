/// What one iteration has to do at least, whatever computes it: the floor of its time on a machine
/// whose limits are known.
struct Cost {
  /// Floating-point operations. A multiply-add is two; a function such as `exp` counts as one, so
  /// that what it costs shows as a distance to the limit.
  let flops: Double
  /// Bytes of the inputs, each read once.
  let reads: Double
  /// Bytes of the results, each written once.
  let writes: Double

  var bytes: Double { reads + writes }

  /// Counts of float32 elements.
  init(flops: Int, reading: Int, writing: Int) {
    self.flops = Double(flops)
    reads = Double(4 * reading)
    writes = Double(4 * writing)
  }

  /// So many operations on each of `count` elements of some arrays, one array written.
  static func elementwise(_ count: Int, flops: Int, arrays: Int) -> Cost {
    Cost(flops: flops * count, reading: arrays * count, writing: count)
  }

  /// [m, k] times [k, n], `batch` times.
  static func product(_ m: Int, _ k: Int, _ n: Int, batch: Int = 1) -> Cost {
    Cost(
      flops: batch * 2 * m * k * n, reading: batch * (m * k + k * n), writing: batch * m * n)
  }

  /// A training step that reads and writes its parameters and the optimiser's slots, and reads a
  /// batch.
  static func training(flops: Int, parameters: Int, slots: Int, batch: Int) -> Cost {
    let state = parameters * (1 + slots)
    return Cost(flops: flops, reading: state + batch, writing: state)
  }
}
