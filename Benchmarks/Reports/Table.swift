import Foundation

/// The report for a terminal: a line per case, printed as soon as it is known.
struct Table {
  private let modes: [Mode]
  private let nameWidth: Int
  private let numberWidth = 12

  init(names: [String], modes: [Mode]) {
    self.modes = modes
    nameWidth = names.map(\.count).max() ?? 0
  }

  private var comparesModes: Bool { modes.count > 1 }

  var header: String {
    var line = "case".rightPadded(to: nameWidth)
    for mode in modes { line += "\(mode.rawValue) µs".leftPadded(to: numberWidth) }
    if comparesModes { line += "eager/traced".leftPadded(to: 14) + "  bits" }
    return line + "\n" + String(repeating: "-", count: line.count)
  }

  func row(_ outcome: Outcome) -> String {
    var line = outcome.name.rightPadded(to: nameWidth)
    if let failure = outcome.failure { return line + "  failed: \(failure)" }
    for mode in modes {
      let median = outcome.measurements[mode].map { microseconds($0.median) }
      line += (median ?? "-").leftPadded(to: numberWidth)
    }
    guard comparesModes else { return line }
    line += (outcome.ratio.map(short) ?? "-").leftPadded(to: 14)
    return line + "  " + (outcome.bitsAreEqual.map { $0 ? "equal" : "DIFFER" } ?? "-")
  }

  func footer(_ summary: Summary) -> String? {
    guard let mean = summary.geometricMean else { return nil }
    return "geometric mean of eager/traced over \(counted(summary.ratios.count, "case")): "
      + "\(short(mean)). \(summary.sentence)"
  }
}
