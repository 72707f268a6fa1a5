import Foundation

/// The report for a terminal: a line per case, printed as soon as it is known.
struct Table {
  private let modes: [Mode]
  private let showsLimits: Bool
  private let showsPeers: Bool
  private let nameWidth: Int
  private let numberWidth = 12

  init(names: [String], modes: [Mode], showsLimits: Bool = false, showsPeers: Bool = false) {
    self.modes = modes
    self.showsLimits = showsLimits
    self.showsPeers = showsPeers
    nameWidth = names.map(\.count).max() ?? 0
  }

  private var comparesModes: Bool { modes.count > 1 }

  var header: String {
    var line = "case".rightPadded(to: nameWidth)
    for mode in modes { line += "\(mode.rawValue) µs".leftPadded(to: numberWidth) }
    if comparesModes { line += "eager/traced".leftPadded(to: 14) + "  bits" }
    if showsLimits {
      line += "bound".leftPadded(to: 8)
      for mode in modes { line += "\(mode.rawValue) %".leftPadded(to: 10) }
    }
    if showsPeers {
      for mode in modes { line += "peer/\(mode.rawValue)".leftPadded(to: 13) }
      line += "  best peer"
    }
    return line + "\n" + String(repeating: "-", count: line.count)
  }

  func row(_ outcome: Outcome) -> String {
    var line = outcome.name.rightPadded(to: nameWidth)
    if let failure = outcome.failure { return line + "  failed: \(failure)" }
    for mode in modes {
      let figure = outcome.measurements[mode].map(figure)
      line += (figure ?? "-").leftPadded(to: numberWidth)
    }
    if comparesModes {
      line += (outcome.ratio.map(short) ?? "-").leftPadded(to: 14)
      let bits = outcome.bitsAreEqual.map { $0 ? "equal" : "DIFFER" } ?? "-"
      line += "  " + (showsLimits || showsPeers ? bits.rightPadded(to: 6) : bits)
    }
    if showsLimits {
      line += (outcome.roofline?.bound.rawValue ?? "-").leftPadded(to: 8)
      for mode in modes {
        line += (outcome.share(mode).map { short($0 * 100) } ?? "-").leftPadded(to: 10)
      }
    }
    if showsPeers {
      for mode in modes {
        line += (outcome.peerRatio(mode).map(short) ?? "-").leftPadded(to: 13)
      }
      line += "  " + (outcome.peer.map { "\($0.name) \(short($0.value))" } ?? "-")
    }
    return line
  }

  /// Microseconds, or megabytes where memory was measured.
  private func figure(_ measurement: Measurement) -> String {
    measurement.peakMegabytes.map { short($0) + " MB" } ?? microseconds(measurement.median)
  }

  func footer(_ summary: Summary) -> String? {
    guard let mean = summary.geometricMean else { return nil }
    return "geometric mean of eager/traced over \(counted(summary.ratios.count, "case")): "
      + "\(short(mean)). \(summary.sentence)"
  }
}

/// The machine's limits for a terminal.
func limitsTable(_ limits: Limits) -> String {
  var text = "limits of this machine, GFLOP/s and GB/s, best (median)\n"
  for rate in limits.rates {
    let size = rate.mebibytes.map { "\($0) MiB arrays" } ?? rate.instructions
    text += rate.name.rightPadded(to: 19) + size.rightPadded(to: 16)
    text += counted(rate.threads, "thread").rightPadded(to: 12)
    text += short(rate.best / 1e9).leftPadded(to: 8) + " (\(short(rate.median / 1e9)))\n"
  }
  return text
}
