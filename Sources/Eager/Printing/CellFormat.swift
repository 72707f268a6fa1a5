import DuetRuntime
import Foundation

/// How the elements of one tensor are written: all with the same number of digits.
enum CellFormat {
  private static let precision = 4

  /// The elements in row-major order, filled up with spaces to one width.
  static func cells(of tensor: Tensor) -> [String] {
    switch tensor.dtype {
    case .bool: aligned(tensor.elements(Bool.self).map { $0 ? "true" : "false" })
    case .uint8, .int8, .int16, .int32, .int64:
      aligned(tensor.elements(Int64.self).map(String.init))
    case .float16, .bfloat16, .float32, .float64: aligned(reals(tensor.elements(Double.self)))
    }
  }

  private static func aligned(_ cells: [String]) -> [String] {
    let width = cells.map(\.count).max() ?? 0
    return cells.map { String(repeating: " ", count: width - $0.count) + $0 }
  }

  /// Plain decimals, or powers of ten where those would lose the smallest numbers or become too
  /// long.
  private static func reals(_ values: [Double]) -> [String] {
    let magnitudes = values.filter { $0.isFinite && $0 != 0 }.map(\.magnitude)
    let (smallest, largest) = (magnitudes.min() ?? 1, magnitudes.max() ?? 1)
    let areWhole = magnitudes.allSatisfy { $0 == $0.rounded() }
    let isScientific =
      largest >= 1e8 || smallest < 1e-4 || (!areWhole && largest / smallest > 1e5)
    let format = isScientific ? "%.\(precision)e" : "%.\(precision)f"
    let full = values.map { $0.isFinite ? String(format: format, $0) : name($0) }
    // As many digits after the point as the number with the most needs, at least one.
    let unneeded =
      zip(values, full).lazy.filter(\.0.isFinite).map { unneededZeros($0.1) }.min() ?? 0
    return zip(values, full).map { value, text in
      value.isFinite ? dropping(min(unneeded, precision - 1), text) : text
    }
  }

  private static func name(_ value: Double) -> String {
    value.isNaN ? "nan" : value < 0 ? "-inf" : "inf"
  }

  private static func unneededZeros(_ text: String) -> Int {
    text.prefix { $0 != "e" }.reversed().prefix { $0 == "0" }.count
  }

  private static func dropping(_ zeros: Int, _ text: String) -> String {
    let mantissa = text.prefix { $0 != "e" }
    return String(mantissa.dropLast(zeros)) + text.dropFirst(mantissa.count)
  }
}
