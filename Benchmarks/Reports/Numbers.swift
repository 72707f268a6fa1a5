import Foundation

/// A time or a ratio with about three significant digits: 2.31, 46.1, 1024.
func short(_ value: Double) -> String {
  let digits = value < 9.995 ? 2 : value < 99.95 ? 1 : 0
  return String(format: "%.\(digits)f", value)
}

/// A number of seconds as microseconds.
func microseconds(_ seconds: Double) -> String { short(seconds * 1e6) }

/// A number of seconds in the unit that suits it: 812 ns, 4.20 µs, 31.5 ms.
func duration(_ seconds: Double) -> String {
  let units = [(1.0, "s"), (1e-3, "ms"), (1e-6, "µs")]
  let (unit, name) = units.first { seconds >= $0.0 } ?? (1e-9, "ns")
  return "\(short(seconds / unit)) \(name)"
}

extension String {
  func leftPadded(to width: Int) -> String {
    String(repeating: " ", count: Swift.max(0, width - count)) + self
  }
  func rightPadded(to width: Int) -> String {
    self + String(repeating: " ", count: Swift.max(0, width - count))
  }
}
