import Foundation

/// Seconds of a clock that never jumps.
func now() -> Double { Double(DispatchTime.now().uptimeNanoseconds) * 1e-9 }

/// How long the body took, in seconds.
func seconds(_ body: () -> Void) -> Double {
  let begin = now()
  body()
  return now() - begin
}

/// What the machine's processors did so far, to tell how many of them others used meanwhile.
struct Load {
  private let time = now()
  private let busy: Double
  private let own: Double

  /// Nil where the system does not tell.
  init?() {
    guard let text = try? String(contentsOfFile: "/proc/stat", encoding: .utf8),
      let line = text.split(separator: "\n").first
    else { return nil }
    // user, nice, system, idle, iowait, irq, softirq, steal; in clock ticks.
    let ticks = line.split(separator: " ").dropFirst().prefix(8).compactMap { Double($0) }
    guard ticks.count == 8 else { return nil }
    busy = (ticks.reduce(0, +) - ticks[3] - ticks[4]) / Double(sysconf(Int32(_SC_CLK_TCK)))
    own = Double(clock()) / Double(CLOCKS_PER_SEC)
  }

  /// The processors that other processes kept busy since an earlier moment.
  func others(since begin: Load) -> Double {
    max(0, ((busy - begin.busy) - (own - begin.own)) / (time - begin.time))
  }
}
