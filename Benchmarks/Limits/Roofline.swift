/// How near a case comes to what the machine can do (S. Williams, A. Waterman and D. Patterson,
/// "Roofline", 2009): the least time that its operations or its bytes take, whichever is longer.
///
/// A processor's clock and what others leave of its memory change from second to second, so the
/// limit is measured again before and after every sample of the case.
struct Roofline {
  enum Bound: String { case flops, bytes }

  let bound: Bound
  private let work: Double
  /// Operations or bytes per second.
  private var rates: [Double] = []

  init(_ cost: Cost, under limit: LimitLoop) {
    bound = limit.arrays == nil ? .flops : .bytes
    work = bound == .flops ? cost.flops : cost.bytes
  }

  /// What was measured of the limit before the first sample of a case or after one.
  mutating func add(rate: Double) { rates.append(rate) }

  /// Seconds below which no program comes.
  var floor: Double { work / median(rates) }

  /// The median, over the samples of a case, of its share of the limit measured around the sample.
  func share(of samples: [Double]) -> Double {
    median(samples.indices.map { work / ((rates[$0] + rates[$0 + 1]) / 2) / samples[$0] })
  }
}
