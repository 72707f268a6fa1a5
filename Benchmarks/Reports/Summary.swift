import Foundation

/// What all cases together show.
struct Summary {
  let ratios: [(name: String, ratio: Double)]
  let differing: [String]
  let failed: [String]
  let compared: Int

  init(_ outcomes: [Outcome]) {
    ratios = outcomes.compactMap { outcome in outcome.ratio.map { (outcome.name, $0) } }
    differing = outcomes.filter { $0.bitsAreEqual == false }.map(\.name)
    failed = outcomes.filter { $0.failure != nil }.map(\.name)
    compared = outcomes.count { $0.bitsAreEqual != nil }
  }

  var isGood: Bool { differing.isEmpty && failed.isEmpty }

  /// The geometric mean of eager / traced; nil if no case ran in both modes.
  var geometricMean: Double? {
    guard !ratios.isEmpty else { return nil }
    return exp(ratios.reduce(0) { $0 + log($1.ratio) } / Double(ratios.count))
  }

  /// What the figures say, in words. Differences of less than a twentieth are called a tie.
  var sentence: String {
    guard let best = ratios.max(by: { $0.ratio < $1.ratio }),
      let worst = ratios.min(by: { $0.ratio < $1.ratio })
    else { return "" }
    let faster = ratios.count { $0.ratio > 1.05 }
    let slower = ratios.count { $0.ratio < 1 / 1.05 }
    var text = "Traced is faster in \(faster) of \(counted(ratios.count, "case"))"
    text += ", slower in \(slower) and within 5 % of eager in \(ratios.count - faster - slower)"
    if ratios.count > 1 {
      text +=
        "; best in \(best.name) (×\(short(best.ratio))), "
        + "worst in \(worst.name) (×\(short(worst.ratio)))"
    }
    text += ". "
    text +=
      differing.isEmpty
      ? "Both modes gave the same bits wherever both ran."
      : "The bits DIFFER in \(differing.joined(separator: ", "))."
    return text
  }
}
