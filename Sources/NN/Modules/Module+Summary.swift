import DuetEager
import DuetRuntime

extension Module {
  /// A table of the model's parameters and buffers, with their shapes and sizes, and the sums.
  public var summary: String {
    let contents = ModuleContents(of: self).variables
    var rows = [["name", "shape", "dtype", "elements"]]
    for (name, variable) in contents {
      let size = variable.type.shape.elementCount
      let mark = variable is Parameter ? "" : " (buffer)"
      rows.append([name + mark, "\(variable.shape)", "\(variable.dtype)", grouped(size)])
    }
    let widths = (0..<4).map { column in rows.map { $0[column].count }.max()! }
    func padded(_ text: String, _ column: Int) -> String {
      let fill = String(repeating: " ", count: widths[column] - text.count)
      return column == 3 ? fill + text : text + fill
    }
    var lines = rows.map { row in
      row.enumerated().map { padded($0.element, $0.offset) }.joined(separator: "  ")
    }
    let rule = String(repeating: "-", count: widths.reduce(6, +))
    lines.insert(rule, at: 1)
    lines.append(rule)
    let trained = contents.filter { $0.variable is Parameter }.map(\.variable.type)
    let elements = trained.reduce(0) { $0 + $1.shape.elementCount }
    let bytes = trained.reduce(0) { $0 + $1.byteCount }
    lines.append("\(grouped(elements)) parameters, \(grouped(bytes)) bytes")
    return ([String(describing: type(of: self))] + lines).joined(separator: "\n")
  }
}

/// A number with its digits in groups of three.
private func grouped(_ number: Int) -> String {
  let digits = Array(String(number))
  var result = ""
  for (i, digit) in digits.enumerated() {
    if i > 0 && (digits.count - i) % 3 == 0 { result += "," }
    result.append(digit)
  }
  return result
}
