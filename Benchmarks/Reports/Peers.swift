import Foundation

/// What others need for the same cases, from a file with lines of JSON as `--json` prints them.
struct Peers {
  struct Line {
    /// The framework and its mode.
    let name: String
    /// Microseconds, or megabytes where the case measures memory.
    let value: Double
  }

  /// The best line of each case.
  private var best: [String: Line] = [:]

  /// Takes the lines for that many threads. Of several lines for the same case, framework and mode
  /// the last counts; lines that report a failure, and what is no such line, are left out.
  init(contentsOf path: String, threads: Int) throws(UsageError) {
    guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
      throw UsageError("cannot read \(path)")
    }
    var lines: [String: [String: Line]] = [:]
    for row in text.split(separator: "\n") {
      guard
        let object = try? JSONSerialization.jsonObject(with: Data(row.utf8)) as? [String: Any],
        let framework = object["framework"] as? String, let mode = object["mode"] as? String,
        let name = object["case"] as? String, (object["threads"] as? NSNumber)?.intValue == threads
      else { continue }
      let peak = (object["extra"] as? [String: Any])?["peak_mb"] as? NSNumber
      guard let value = (object["median_us"] as? NSNumber) ?? peak, value.doubleValue > 0 else {
        continue
      }
      let peer = "\(framework) \(mode)"
      lines[name, default: [:]][peer] = Line(name: peer, value: value.doubleValue)
    }
    if lines.isEmpty {
      throw UsageError("\(path) has no figures for \(counted(threads, "thread"))")
    }
    best = lines.mapValues { $0.values.min { $0.value < $1.value }! }
  }

  subscript(case name: String) -> Line? { best[name] }
}
