import DuetRuntime

extension Tensor: CustomStringConvertible, CustomDebugStringConvertible {
  /// The elements as NumPy prints them: columns aligned, four digits after the point, the middle of
  /// large tensors left out. In a function that is being recorded, and of a value that depends on a placeholder:
  /// `Tensor("add:0", shape: [2, 2], dtype: float32)`.
  public var description: String {
    if isFailed { return "Tensor(failed)" }
    if let name = ThreadContext.recorder?.name(of: self) { return symbol(name) }
    if let pending = body as? PendingBody {
      if pending.node.placeholder != nil { return symbol(pending.node.label + ":0") }
      let evaluated = evaluated(for: "print")
      return evaluated.isFailed ? "Tensor(failed)" : TensorPrinter(evaluated).text()
    }
    if !hasElements { return symbol("") }
    return TensorPrinter(self).text()
  }

  /// The elements with shape and dtype.
  public var debugDescription: String {
    "Tensor(\(description), shape: \(shape), dtype: \(dtype))"
  }

  private func symbol(_ name: String) -> String {
    "Tensor(\"\(name)\", shape: \(shape), dtype: \(dtype))"
  }
}

/// Writes a tensor's elements in nested brackets.
private struct TensorPrinter {
  private static let largestCount = 1000
  private static let edgeCount = 3
  private static let lineLength = 75

  private let shape: [Int]
  private let isSummary: Bool
  /// Of every axis the places that are printed; -1 stands for those left out.
  private let places: [[Int]]
  /// The printed elements in row-major order, all of one width.
  private let cells: [String]
  private let isScalar: Bool

  init(_ tensor: Tensor) {
    shape = tensor.shape
    isScalar = shape.isEmpty
    let summary = tensor.size > Self.largestCount
    isSummary = summary
    places = shape.map { size in
      summary && size > 2 * Self.edgeCount
        ? Array(0..<Self.edgeCount) + [-1] + Array((size - Self.edgeCount)..<size)
        : Array(0..<size)
    }
    cells = CellFormat.cells(of: Self.corners(tensor, places))
  }

  /// The tensor without what is left out.
  private static func corners(_ tensor: Tensor, _ places: [[Int]]) -> Tensor {
    ThreadContext.withRecorder(nil) {
      noGrad {
        var result = tensor
        for (axis, places) in places.enumerated() where places.contains(-1) {
          let tail = tensor.dim(axis) - edgeCount
          result = concatenated(
            [result.part(along: axis, 0, edgeCount), result.part(along: axis, tail, edgeCount)],
            axis: axis)
        }
        return result
      }
    }
  }

  func text() -> String {
    if isScalar { return cells[0].trimmed }
    if shape.contains(0) { return shape.count == 1 ? "[]" : "[], shape: \(shape)" }
    var next = 0
    return block(0, &next)
  }

  /// The bracket of one axis at the place that has been reached.
  private func block(_ axis: Int, _ next: inout Int) -> String {
    if axis == shape.count - 1 { return row(&next) }
    let parts = places[axis].map { $0 < 0 ? "..." : block(axis + 1, &next) }
    let separator =
      "," + String(repeating: "\n", count: shape.count - axis - 1)
      + String(repeating: " ", count: axis + 1)
    return "[" + parts.joined(separator: separator) + "]"
  }

  private func row(_ next: inout Int) -> String {
    let indent = String(repeating: " ", count: shape.count)
    var lines: [String] = []
    var line = ""
    for (i, place) in places[shape.count - 1].enumerated() {
      var cell = "..."
      if place >= 0 {
        cell = cells[next]
        next += 1
      }
      if i > 0 { line += "," }
      if i > 0 && indent.count + line.count + 1 + cell.count > Self.lineLength {
        lines.append(line)
        line = cell
      } else {
        line += i > 0 ? " " + cell : cell
      }
    }
    lines.append(line)
    return "[" + lines.joined(separator: "\n" + indent) + "]"
  }
}

extension String {
  fileprivate var trimmed: String { String(drop { $0 == " " }) }
}
