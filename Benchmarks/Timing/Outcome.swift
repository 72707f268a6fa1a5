/// The middle one of some numbers in order, or the mean of the two in the middle.
func median(_ numbers: [Double]) -> Double {
  let sorted = numbers.sorted()
  let middle = sorted.count / 2
  return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

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
  /// How far the resident memory grew at most, in MB of 2²⁰ bytes; such a measurement has no times.
  var peakMegabytes: Double?

  mutating func add(_ sample: Double, iterations count: Int = 1) {
    samples.append(sample)
    iterations += count
  }

  var median: Double { duet_bench.median(samples) }
  var minimum: Double { samples.min()! }
  var maximum: Double { samples.max()! }
}

/// What came of one case.
struct Outcome {
  let name: String
  let work: String
  let family: String
  let cost: Cost
  var measurements: [Mode: Measurement] = [:]
  /// Whether both modes gave the same bits; nil if only one ran.
  var bitsAreEqual: Bool?
  /// Why the case could not be run.
  var failure: String?
  /// The case's place under the machine's limits, if they were measured.
  var roofline: Roofline?
  /// The fastest of the others that a file tells of.
  var peer: Peers.Line?

  /// How many times faster the traced form is.
  var ratio: Double? {
    guard let eager = measurements[.eager], let traced = measurements[.traced],
      eager.peakMegabytes == nil
    else { return nil }
    return eager.median / traced.median
  }

  /// How much of the machine's limit a mode reaches.
  func share(_ mode: Mode) -> Double? {
    guard let measurement = measurements[mode], measurement.peakMegabytes == nil else { return nil }
    return roofline?.share(of: measurement.samples)
  }

  /// How many times faster (or smaller) than the best of the others a mode is.
  func peerRatio(_ mode: Mode) -> Double? {
    guard let measurement = measurements[mode], let peer else { return nil }
    return peer.value / (measurement.peakMegabytes ?? measurement.median * 1e6)
  }
}
