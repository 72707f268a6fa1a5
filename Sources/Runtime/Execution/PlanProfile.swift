// Unsafe: hands out room for times, which outlives the runs.

/// How long the steps of a plan take.
public struct PlanProfile: Sendable, CustomStringConvertible {
  /// One step of the plan.
  public struct Step: Sendable {
    /// What a printed plan says of the step.
    public let text: String
    /// The operation's name; `fused` for a group of them.
    public let operation: String
    /// The median over the runs.
    public let microseconds: Double
  }

  /// In the order of execution.
  public let steps: [Step]
  /// The number of runs that were timed.
  public let runCount: Int

  /// The sum over the steps.
  public var microseconds: Double { steps.reduce(0) { $0 + $1.microseconds } }

  /// The time that each kind of operation takes, largest first.
  public var operations: [(name: String, stepCount: Int, microseconds: Double)] {
    var sums: [String: (Int, Double)] = [:]
    for step in steps {
      let known = sums[step.operation] ?? (0, 0)
      sums[step.operation] = (known.0 + 1, known.1 + step.microseconds)
    }
    return sums.map { ($0.key, $0.value.0, $0.value.1) }
      .sorted {
        $0.microseconds != $1.microseconds ? $0.microseconds > $1.microseconds : $0.name < $1.name
      }
  }

  /// - Parameter times: Nanoseconds per step, run after run.
  init(_ plan: Plan, times: [UInt64]) {
    let count = plan.stepCount
    let labels = plan.labels
    let runs = count == 0 ? 0 : times.count / count
    runCount = runs
    steps = (0..<count).map { s in
      let sorted = (0..<runs).map { times[$0 * count + s] }.sorted()
      let median = runs == 0 ? 0 : Double(sorted[(runs - 1) / 2] + sorted[runs / 2]) / 2
      return Step(
        text: labels[s], operation: plan.kinds[s], microseconds: median / 1000)
    }
  }

  /// The time per kind of operation, and the steps that take longest.
  public var description: String { text(slowest: 20) }

  /// The time per kind of operation, and so many of the steps that take longest.
  public func text(slowest count: Int) -> String {
    let total = microseconds
    func row(_ time: Double, _ rest: String) -> String {
      let share = total > 0 ? (time / total * 1000).rounded() / 10 : 0
      return pad("\((time * 10).rounded() / 10)", 12) + " µs" + pad("\(share)", 7) + " %  " + rest
    }
    func pad(_ text: String, _ width: Int) -> String {
      String(repeating: " ", count: max(0, width - text.count)) + text
    }
    var lines = [row(total, "all \(steps.count) steps, medians of \(runCount) runs"), ""]
    lines += operations.map { row($0.microseconds, "\($0.name) × \($0.stepCount)") }
    lines.append("")
    let slowest = steps.indices.sorted {
      let (a, b) = (steps[$0].microseconds, steps[$1].microseconds)
      return a != b ? a > b : $0 < $1
    }
    for s in slowest.prefix(count) {
      let text = steps[s].text.split(separator: "\n").joined(separator: "\n" + pad("", 27))
      lines.append(row(steps[s].microseconds, "\(s)  " + text))
    }
    return lines.joined(separator: "\n")
  }
}

extension Plan {
  /// Times the steps of several runs.
  /// - Parameter run: Runs the plan and hands that room for times to it; gives false if it did not run.
  package func profile(
    runs: Int, _ run: (UnsafeMutablePointer<UInt64>) throws(OpError) -> Bool
  ) throws(OpError) -> PlanProfile? {
    let times = UnsafeMutableBufferPointer<UInt64>.allocate(capacity: max(1, runs * stepCount))
    times.initialize(repeating: 0)
    defer { times.deallocate() }
    for i in 0..<runs {
      guard try run(times.baseAddress! + i * stepCount) else { return nil }
    }
    return PlanProfile(self, times: Array(times.prefix(runs * stepCount)))
  }
}
