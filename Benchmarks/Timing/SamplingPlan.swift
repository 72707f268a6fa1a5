/// How often and how long each case is sampled.
struct SamplingPlan {
  /// The shortest sample, in seconds: shorter iterations are done several times in one.
  var sample = 0.02
  /// Sampling goes on for at least that long per mode.
  var total = 1.0
  var warmUp = 0.2
  var minimumSamples = 5
  /// After that long, fewer samples are enough.
  var limit = 15.0
  var samplesAtLimit = 3
  var firstCalls = 5

  /// For figures to compare with other frameworks'.
  static let full = SamplingPlan()
  /// For the table of all cases, which should be there within two minutes.
  static let brief = SamplingPlan(total: 0.6, warmUp: 0.1, limit: 3)
  /// For a first look.
  static let quick = SamplingPlan(
    total: 0.1, warmUp: 0.02, minimumSamples: 3, limit: 1, firstCalls: 3)
}
