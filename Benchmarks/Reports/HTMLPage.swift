/// The report as one self-contained page: charts drawn with plain HTML and CSS, light and dark, no
/// network.
struct HTMLPage {
  private let outcomes: [Outcome]
  private let summary: Summary
  private let machine: Machine
  private let modes: [Mode]
  private let limits: Limits?

  init(
    _ outcomes: [Outcome], _ summary: Summary, _ machine: Machine, modes: [Mode], limits: Limits?
  ) {
    self.limits = limits
    self.outcomes = outcomes
    self.summary = summary
    self.machine = machine
    self.modes = modes
  }

  var text: String {
    """
    <!doctype html>
    <html lang="en">
    <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Duet: eager and traced</title>
    <style>\(Self.style)</style>
    </head>
    <body>
    <h1>Duet: eager and traced</h1>
    <p class="quiet">\(escaped(machine.description))</p>
    \(tiles)
    \(failures)
    \(speedups)
    \(shares)
    \(times)
    \(figures)
    </body>
    </html>

    """
  }

  // MARK: Above the charts

  private var tiles: String {
    guard let mean = summary.geometricMean else { return "" }
    let faster = summary.ratios.count { $0.ratio > 1.05 }
    let same = summary.compared - summary.differing.count
    return """
      <div class="tiles">
      <div><b>×\(short(mean))</b>geometric mean of eager / traced</div>
      <div><b>\(faster) of \(summary.ratios.count)</b>cases are faster traced by over 5 %</div>
      <div><b>\(same) of \(summary.compared)</b>cases give the same bits in both modes</div>
      </div>
      <p>\(escaped(summary.sentence))</p>
      """
  }

  private var failures: String {
    let lines = outcomes.compactMap { outcome in
      outcome.failure.map { "<li>\(outcome.name): \(escaped($0))</li>" }
    }
    return lines.isEmpty ? "" : "<h2>Failed</h2><ul>\(lines.joined())</ul>"
  }

  // MARK: Charts

  /// Bars that start at ×1: to the right where the traced form is faster, to the left where it is
  /// slower.
  private var speedups: String {
    guard !summary.ratios.isEmpty else { return "" }
    // The axis is logarithmic, so that ×2 and ×½ are equally long; it reaches at least to ×2.
    let reach = max(2, summary.ratios.map { max($0.ratio, 1 / $0.ratio) }.max()!)
    let rows = summary.ratios.sorted { $0.ratio > $1.ratio }.map { name, ratio in
      let length = abs(logarithm(ratio) / logarithm(reach)) * 50
      let side = ratio >= 1 ? "faster" : "slower"
      let start = ratio >= 1 ? 50 : 50 - length
      return """
        <div class="row"><span class="name">\(name)</span><span class="track centered">\
        <i class="\(side)" style="left:\(percent(start));width:\(percent(length))"></i></span>\
        <span class="value">×\(short(ratio))</span></div>
        """
    }
    return """
      <h2>How many times faster traced is</h2>
      <p class="quiet">Median time eager / traced. The line is ×1, the scale logarithmic.</p>
      <section>\(rows.joined(separator: "\n"))</section>
      """
  }

  /// How much of the machine's limit each case reaches; the track is the whole of it.
  private var shares: String {
    guard let limits else { return "" }
    var sections = ""
    for outcome in outcomes {
      guard let roofline = outcome.roofline else { continue }
      let bars = modes.compactMap { mode -> String? in
        guard let share = outcome.share(mode) else { return nil }
        return """
          <span class="bar"><span class="track limit"><i class="\(mode.rawValue)" \
          style="left:0;width:\(percent(min(share, 1) * 100))"></i></span>\
          <span class="value">\(short(share * 100)) %</span></span>
          """
      }
      if bars.isEmpty { continue }
      sections += """
        <div class="pair"><span class="name">\(outcome.name)\
        <small>bound by \(roofline.bound.rawValue), at least \(duration(roofline.floor))</small>\
        </span><span>\(bars.joined())</span></div>
        """
    }
    let rows = limits.rates.map { rate in
      let size = rate.mebibytes.map { "\($0) MiB arrays" } ?? rate.instructions
      let cells = [size, String(rate.threads), short(rate.best / 1e9), short(rate.median / 1e9)]
      return "<tr><th>\(rate.name)</th>" + cells.map { "<td>\($0)</td>" }.joined() + "</tr>"
    }
    let heads = ["limit", "of", "threads", "best GFLOP/s or GB/s", "median"]
    return """
      <h2>Shares of the machine's limit</h2>
      <p class="quiet">The least time that a case's operations, or its bytes, take on this machine, \
      as a share of the time measured.</p>
      <section>\(sections)</section>
      <details><summary>The limits measured</summary><div class="wide"><table>
      <tr>\(heads.map { "<th>\($0)</th>" }.joined())</tr>
      \(rows.joined(separator: "\n"))</table></div></details>
      """
  }

  /// A bar per case and mode; within a case their lengths compare.
  private var times: String {
    var sections = "<h2>Time per iteration</h2>"
    sections += "<p class=\"quiet\">Medians; within a case the longer bar is the slower mode.</p>"
    if modes.count > 1 {
      let keys = modes.map { "<span><i class=\"\($0.rawValue)\"></i>\($0.rawValue)</span>" }
      sections += "<p class=\"legend\">\(keys.joined())</p>"
    }
    for (family, outcomes) in groupedByFamily() {
      sections += "<h3>\(escaped(family))</h3><section>"
      sections += outcomes.map(bars).joined(separator: "\n") + "</section>"
    }
    return sections
  }

  private func bars(_ outcome: Outcome) -> String {
    if outcome.measurements.values.contains(where: { $0.peakMegabytes != nil }) {
      return memoryBars(outcome)
    }
    let longest = outcome.measurements.values.map(\.median).max() ?? 1
    let bars = modes.compactMap { mode -> String? in
      guard let measurement = outcome.measurements[mode] else { return nil }
      let range = "\(duration(measurement.minimum)) to \(duration(measurement.maximum))"
      return """
        <span class="bar" \
        title="\(mode.rawValue): \(range) in \(measurement.iterations) iterations">\
        <span class="track"><i class="\(mode.rawValue)" \
        style="left:0;width:\(percent(measurement.median / longest * 100))"></i></span>\
        <span class="value">\(duration(measurement.median))</span></span>
        """
    }
    return """
      <div class="pair"><span class="name">\(outcome.name)\
      <small>\(escaped(outcome.work))</small></span><span>\(bars.joined())</span></div>
      """
  }

  private func memoryBars(_ outcome: Outcome) -> String {
    let most = outcome.measurements.values.compactMap(\.peakMegabytes).max() ?? 1
    let bars = modes.compactMap { mode -> String? in
      guard let peak = outcome.measurements[mode]?.peakMegabytes else { return nil }
      return """
        <span class="bar"><span class="track"><i class="\(mode.rawValue)" \
        style="left:0;width:\(percent(peak / most * 100))"></i></span>\
        <span class="value">\(short(peak)) MB</span></span>
        """
    }
    return """
      <div class="pair"><span class="name">\(outcome.name)\
      <small>\(escaped(outcome.work))</small></span><span>\(bars.joined())</span></div>
      """
  }

  /// Families in the order of the cases.
  private func groupedByFamily() -> [(String, [Outcome])] {
    var groups: [(String, [Outcome])] = []
    for outcome in outcomes where !outcome.measurements.isEmpty {
      if let i = groups.firstIndex(where: { $0.0 == outcome.family }) {
        groups[i].1.append(outcome)
      } else {
        groups.append((outcome.family, [outcome]))
      }
    }
    return groups
  }

  // MARK: The figures

  private var figures: String {
    var rows = ""
    for outcome in outcomes {
      for mode in modes {
        guard let measurement = outcome.measurements[mode], measurement.peakMegabytes == nil else {
          continue
        }
        let times = [measurement.median, measurement.minimum, measurement.maximum].map(microseconds)
        let bits = outcome.bitsAreEqual.map { $0 ? "equal" : "differ" } ?? "–"
        let cells = times + [String(measurement.iterations), bits]
        rows += "<tr><th>\(outcome.name)</th><td>\(mode.rawValue)</td>"
        rows += cells.map { "<td>\($0)</td>" }.joined() + "</tr>\n"
      }
    }
    let heads = ["case", "mode", "median µs", "min µs", "max µs", "iterations", "bits"]
    return """
      <details><summary>All figures</summary><div class="wide"><table>
      <tr>\(heads.map { "<th>\($0)</th>" }.joined())</tr>
      \(rows)</table></div></details>
      """
  }
}
