import DuetEager
import DuetRuntime
import Foundation

/// Writes files of the safetensors format.
///
/// The bytes are those of the reference implementation: tensors by dtype, the widest first, then by name, and the
/// header filled up with spaces so that the elements begin at a multiple of eight bytes.
package enum SafetensorsWriter {
  /// Writes tensors under names of which none occurs twice. Elements are written from where they lie: none is copied
  /// but those of views that are not contiguous, one tensor at a time.
  /// - Throws: `DataError` if the file cannot be written or holds what the format cannot say; `TensorError` for a
  ///   tensor without elements. What was there before is then still there.
  package static func write(
    _ tensors: [(name: String, tensor: Tensor)], metadata: [String: String] = [:], to url: URL
  ) throws {
    var names: Set<String> = []
    for (name, _) in tensors {
      guard name != "__metadata__", names.insert(name).inserted else {
        throw DataError(url, "cannot be written: the name \(quoted(name)) is taken")
      }
    }
    let ready = try tensors.map { ($0.name, try $0.tensor.withElementsToSave()) }
    let ordered = ready.sorted { a, b in
      let (first, second) = (
        SafetensorsDType.rank(of: a.1.dtype), SafetensorsDType.rank(of: b.1.dtype)
      )
      return first == second ? a.0.utf8.lexicographicallyPrecedes(b.0.utf8) : first < second
    }
    let header = header(ordered, metadata)
    guard header.count <= SafetensorsHeader.maximumSize else {
      throw DataError(url, "cannot be written: its header would have \(header.count) bytes")
    }
    try OutputFile.write(to: url) { file in
      try file.write((0..<8).map { UInt8(truncatingIfNeeded: header.count >> (8 * $0)) })
      try file.write(header)
      for (_, tensor) in ordered { try tensor.withElementBytes { try file.write($0) } }
    }
  }

  private static func header(
    _ tensors: [(String, Tensor)], _ metadata: [String: String]
  ) -> [UInt8] {
    var members: [String] = []
    if !metadata.isEmpty {
      let pairs = metadata.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
      let text = pairs.map { "\(json($0.key)):\(json($0.value))" }.joined(separator: ",")
      members.append("\"__metadata__\":{\(text)}")
    }
    var place = 0
    for (name, tensor) in tensors {
      let end = place + tensor.type.byteCount
      let shape = tensor.shape.map(String.init).joined(separator: ",")
      let dtype = SafetensorsDType.name(of: tensor.dtype)
      members.append(
        "\(json(name)):{\"dtype\":\"\(dtype)\",\"shape\":[\(shape)],"
          + "\"data_offsets\":[\(place),\(end)]}")
      place = end
    }
    let text = Array("{\(members.joined(separator: ","))}".utf8)
    return text + Array(repeating: 0x20, count: -text.count & 7)
  }

  /// A string as JSON, with the escapes that RFC 8259 asks for and no others.
  private static func json(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "\u{8}": result += "\\b"
      case "\u{C}": result += "\\f"
      case "\n": result += "\\n"
      case "\r": result += "\\r"
      case "\t": result += "\\t"
      case _ where scalar.value < 0x20:
        let digits = String(scalar.value, radix: 16)
        result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }
}
