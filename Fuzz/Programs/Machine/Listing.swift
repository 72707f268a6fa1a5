import Duet

/// A program written down as Swift while it runs.
final class Listing {
  private(set) var lines: [String] = []
  var depth = 0

  func add(_ line: String) { lines.append(String(repeating: "  ", count: depth) + line) }

  /// Notes that a name stands for a value from here on.
  func define(_ name: String, _ value: Operand) {
    if value.text == name { return }
    add("let \(name) = \(value)  // \(value.tensor.type)")
  }
}
