import Foundation

/// How an epoch gets on: a bar that moves on a terminal, a line now and then elsewhere.
struct Progress {
  private let title: String
  private let steps: Int
  private let isTerminal = isatty(STDOUT_FILENO) == 1
  private let start = ContinuousClock.now
  private var lastShown = ContinuousClock.now
  private var done = 0
  private var images = 0
  private var lossSum = 0.0
  private var recentLoss: Double?
  private var linesShown = 0

  init(_ title: String, steps: Int) {
    self.title = title
    self.steps = steps
  }

  /// Notes a step.
  mutating func advance(images count: Int, loss: Double) {
    done += 1
    images += count
    lossSum += loss
    recentLoss = recentLoss.map { $0 + (loss - $0) * 0.05 } ?? loss
    if isTerminal {
      let now = ContinuousClock.now
      if now - lastShown < .milliseconds(100) { return }
      lastShown = now
      write("\r\(bar) \(state(loss: recentLoss ?? loss)), \(timeLeft) left\u{1B}[K")
    } else if steps >= 10, done * 4 / steps > linesShown, done < steps {
      linesShown = done * 4 / steps
      write("\(title): \(done)/\(steps) steps, \(state(loss: recentLoss ?? loss))\n")
    }
  }

  /// Shows the whole epoch in a line that stays.
  func finish() {
    guard done > 0 else { return }
    let text = "\(title): \(state(loss: lossSum / Double(done))) in \(Self.text(elapsed))"
    write(isTerminal ? "\r\(text)\u{1B}[K\n" : text + "\n")
  }

  private var elapsed: Double { (ContinuousClock.now - start) / .seconds(1) }

  private var bar: String {
    let width = 24
    let full = done * width / max(steps, 1)
    return title + " [" + String(repeating: "=", count: full)
      + String(repeating: " ", count: width - full) + "]"
  }

  private func state(loss: Double) -> String {
    String(format: "loss %.4f, %.0f images/s", loss, Double(images) / max(elapsed, 1e-9))
  }

  private var timeLeft: String {
    Self.text(elapsed / Double(max(done, 1)) * Double(steps - done))
  }

  private static func text(_ seconds: Double) -> String {
    seconds < 60
      ? String(format: "%.1f s", seconds)
      : String(format: "%ld min %02ld s", Int(seconds) / 60, Int(seconds) % 60)
  }

  private func write(_ text: String) {
    print(text, terminator: "")
    fflush(nil)
  }
}
