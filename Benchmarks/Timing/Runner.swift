import Duet
import Foundation

/// Times a case in each of the modes.
///
/// The modes take turns, sample by sample, so that whatever else the machine does touches both
/// alike. They have the drawn inputs in common, and each has its own parameters and optimiser.
/// Duet's calls return when the result is there, so an iteration's time includes all of its work.
struct Runner {
  let plan: SamplingPlan
  let modes: [Mode]
  let threads: Int
  /// Where the shares of the machine's limits are wanted.
  let limits: Limits?

  func run(_ item: Case, in family: String) -> Outcome {
    var outcome = Outcome(name: item.name, work: item.work, family: family, cost: item.cost)
    let modes = modes.filter(item.modes.contains)
    do {
      switch item.kind {
      case .steady: try measure(item, modes, &outcome)
      case .firstCall: try measureFirstCalls(item, modes, &outcome)
      case .memory: try measureMemory(item, modes, &outcome)
      case .processStart: try measureStarts(modes, &outcome)
      }
    } catch {
      outcome.failure = "\(error)"
    }
    return outcome
  }

  private func measure(_ item: Case, _ modes: [Mode], _ outcome: inout Outcome) throws {
    var racers: [Racer] = []
    var compared: [[Tensor]] = []
    try Draws.sharing {
      for mode in modes {
        // The first calls are checked, so that a mistake in a case names itself and the others
        // still run.
        let (racer, values) = try checked {
          var racer = Racer(mode, item.prepare(mode))
          let results = racer.begin()
          return (racer, results + racer.step.state())
        }
        racers.append(racer)
        compared.append(values)
      }
    }
    if compared.count == 2 { outcome.bitsAreEqual = haveEqualBits(compared[0], compared[1]) }
    compared = []

    let limit = limits?.bound(of: item.cost)
    var roofline = limit.map { Roofline(item.cost, under: $0) }
    for i in racers.indices { racers[i].warmUp(plan) }
    let begin = Load()
    if let limit { roofline?.add(rate: limit.rate()) }
    while racers.contains(where: { !$0.isDone(plan) }) {
      for i in racers.indices {
        // What was in the caches may have made room for the limit's arrays.
        if roofline?.bound == .bytes { racers[i].step.run(1) }
        racers[i].sample()
      }
      if let limit { roofline?.add(rate: limit.rate()) }
    }
    let end = Load()
    outcome.roofline = roofline
    for racer in racers {
      var measurement = racer.measurement
      if let begin, let end { measurement.others = end.others(since: begin) }
      outcome.measurements[racer.mode] = measurement
    }
  }

  private func measureFirstCalls(
    _ item: Case, _ modes: [Mode], _ outcome: inout Outcome
  ) throws {
    for mode in modes {
      var measurement = Measurement()
      // The process's own first one pays for set-up that happens once; it is kept apart.
      for i in 0...plan.firstCalls {
        let time = try checked {
          let step = item.prepare(mode)
          return seconds { step.run(1) }
        }
        if i == 0 { measurement.first = time } else { measurement.add(time) }
      }
      outcome.measurements[mode] = measurement
    }
  }
}

extension Runner {
  /// What a process of its own prints about its memory.
  private func measureMemory(_ item: Case, _ modes: [Mode], _ outcome: inout Outcome) throws {
    for mode in modes {
      let text = try runAgain([
        "--resident", item.name, "--modes", mode.rawValue, "--threads", "\(threads)",
      ])
      guard let bytes = Int(text.trimmingCharacters(in: .whitespacesAndNewlines)) else {
        throw ChildError("no size in \(text)")
      }
      var measurement = Measurement()
      measurement.peakMegabytes = Double(bytes) / Double(1 << 20)
      outcome.measurements[mode] = measurement
    }
  }

  /// The first start warms the caches of the file system.
  private func measureStarts(_ modes: [Mode], _ outcome: inout Outcome) throws {
    for mode in modes {
      var measurement = Measurement()
      for i in 0...plan.firstCalls {
        let time = try secondsToStart()
        if i == 0 { measurement.first = time } else { measurement.add(time) }
      }
      outcome.measurements[mode] = measurement
    }
  }
}

/// Peak growth of the resident memory since the program began, inputs included, over three
/// iterations that follow a first one.
func residentGrowth(_ item: Case, _ mode: Mode) throws -> Int {
  let base = peakResident()
  let step = try checked {
    let step = item.prepare(mode)
    step.run(1)
    return step
  }
  resetPeakResident()
  step.run(3)
  return peakResident() - base
}

/// One mode of a case while it is being timed.
private struct Racer {
  let mode: Mode
  let step: Step
  private(set) var measurement = Measurement()
  /// The shortest of the first iterations, in seconds.
  private var estimate = 0.0
  /// Iterations in one sample.
  private var count = 1
  private var spent = 0.0

  init(_ mode: Mode, _ step: Step) {
    self.mode = mode
    self.step = step
  }

  /// Does the first three iterations and gives the results of the third.
  mutating func begin() -> [Tensor] {
    measurement.first = seconds { step.run(1) }
    let second = seconds { step.run(1) }
    var results: [Tensor] = []
    let third = seconds { results = step.results() }
    measurement.check = fingerprint(results)
    estimate = min(measurement.first, second, third)
    return results
  }

  /// Runs until caches and processors are warm and a sample is long enough to be timed well.
  mutating func warmUp(_ plan: SamplingPlan) {
    let end = now() + plan.warmUp
    while now() < end || Double(count) * estimate < plan.sample {
      count = estimate < plan.sample ? Int(plan.sample / estimate * 1.1) + 1 : 1
      estimate = seconds { step.run(count) } / Double(count)
    }
  }

  mutating func sample() {
    let time = seconds { step.run(count) }
    spent += time
    measurement.add(time / Double(count), iterations: count)
  }

  func isDone(_ plan: SamplingPlan) -> Bool {
    let samples = measurement.samples.count
    if spent > plan.limit && samples >= plan.samplesAtLimit { return true }
    return samples >= plan.minimumSamples && spent >= plan.total
  }
}
