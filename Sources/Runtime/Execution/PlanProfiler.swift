// Unsafe: hands out room for the times of one run, which outlives it.

import DuetKernels
import Foundation

/// Prints a plan's profile without a change of the program: with `DUET_PROFILE=n` in the environment every plan
/// times its first n runs, after two to warm up, and writes its profile to the standard error.
final class PlanProfiler: Sendable {
  private let stepCount: Int
  private let collected = Lock<(runs: Int, times: [UInt64])>((-2, []))

  /// How many runs are timed; 0: none.
  private static let runs = Int(ProcessInfo.processInfo.environment["DUET_PROFILE"] ?? "") ?? 0

  /// A profiler, if one is asked for.
  static func ifWanted(stepCount: Int) -> PlanProfiler? {
    runs > 0 ? PlanProfiler(stepCount) : nil
  }

  private init(_ stepCount: Int) { self.stepCount = stepCount }

  /// Runs a plan, and times its steps until there are enough runs.
  func run(
    _ plan: Plan, _ body: (UnsafeMutablePointer<UInt64>?) -> duet_status
  ) -> duet_status {
    let isTimed = collected.withLock { collected in
      collected.runs += 1
      return collected.runs > 0 && collected.runs <= Self.runs
    }
    guard isTimed else { return body(nil) }
    var times = [UInt64](repeating: 0, count: max(1, stepCount))
    let status = times.withUnsafeMutableBufferPointer { body($0.baseAddress) }
    let all = collected.withLock { collected -> [UInt64]? in
      collected.times += times.prefix(stepCount)
      return collected.times.count == stepCount * Self.runs ? collected.times : nil
    }
    if let all, stepCount > 0 {
      FileHandle.standardError.write(Data("\(PlanProfile(plan, times: all))\n".utf8))
    }
    return status
  }
}
