/// The times of one case in one mode.
struct Measurement {
  /// Seconds per iteration.
  private(set) var samples: [Double] = []
  /// Iterations in all samples together.
  private(set) var iterations = 0
  /// The very first iteration, in seconds.
  var first = 0.0
  /// The sum over the results of their mean magnitudes, after the third iteration.
  var check: Double?
  /// The processors that other processes kept busy meanwhile.
  var others: Double?

  mutating func add(_ sample: Double, iterations count: Int = 1) {
    samples.append(sample)
    iterations += count
  }

  var median: Double {
    let sorted = samples.sorted()
    let middle = sorted.count / 2
    return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
  }
  var minimum: Double { samples.min()! }
  var maximum: Double { samples.max()! }
}

/// What came of one case.
struct Outcome {
  let name: String
  let work: String
  let family: String
  var measurements: [Mode: Measurement] = [:]
  /// Whether both modes gave the same bits; nil if only one ran.
  var bitsAreEqual: Bool?
  /// Why the case could not be run.
  var failure: String?

  /// How many times faster the traced form is.
  var ratio: Double? {
    guard let eager = measurements[.eager], let traced = measurements[.traced] else { return nil }
    return eager.median / traced.median
  }
}
