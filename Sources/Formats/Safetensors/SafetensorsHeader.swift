import DuetRuntime

/// The header of a safetensors file: where which tensor lies, and the metadata.
struct SafetensorsHeader {
  /// A tensor's entry. The dtype may be one that Duet has not.
  struct Entry {
    var name: String
    var dtype: String
    var shape: [Int]
    /// From the end of the header on.
    var start: Int
    var end: Int
  }

  /// What is wrong with a header.
  struct Failure: Error {
    var reason: String
  }

  /// The largest header of the format, and the most axes of any framework's tensors.
  static let maximumSize = 100_000_000
  private static let mostAxes = 64

  /// In the order of the header.
  private(set) var entries: [Entry] = []
  private(set) var metadata: [String: String] = [:]

  /// Reads a header and checks it against the number of bytes behind it.
  init(parsing text: [UInt8], dataSize: Int) throws(Failure) {
    do throws(JSONScanner.Failure) {
      try parse(text)
    } catch {
      throw Failure(reason: "not a safetensors header: \(error.reason) at byte \(error.place)")
    }
    try checkPlaces(dataSize)
  }

  private mutating func parse(_ text: [UInt8]) throws(JSONScanner.Failure) {
    var scanner = JSONScanner(text)
    var names: Set<String> = []
    var (entries, metadata): ([Entry], [String: String]) = ([], [:])
    try scanner.object { scanner, name throws(JSONScanner.Failure) in
      guard names.insert(name).inserted else {
        throw scanner.failure("the name \(quoted(name)) occurs twice")
      }
      guard name == "__metadata__" else {
        entries.append(try Self.entry(name, &scanner))
        return
      }
      try scanner.object { scanner, key throws(JSONScanner.Failure) in
        guard metadata.updateValue(try scanner.string(), forKey: key) == nil else {
          throw scanner.failure("the metadata \(quoted(key)) occurs twice")
        }
      }
    }
    try scanner.end()
    (self.entries, self.metadata) = (entries, metadata)
  }

  private static func entry(
    _ name: String, _ scanner: inout JSONScanner
  ) throws(JSONScanner.Failure) -> Entry {
    var (dtype, shape, offsets): (String?, [Int]?, [Int]?)
    try scanner.object { scanner, key throws(JSONScanner.Failure) in
      switch key {
      case "dtype" where dtype == nil: dtype = try scanner.string()
      case "shape" where shape == nil: shape = try integers(&scanner, atMost: mostAxes)
      case "data_offsets" where offsets == nil: offsets = try integers(&scanner, atMost: 2)
      case "dtype", "shape", "data_offsets":
        throw scanner.failure("\(key) of \(quoted(name)) occurs twice")
      default: try scanner.skipValue()
      }
    }
    guard let dtype, let shape, let offsets, offsets.count == 2 else {
      throw scanner.failure("\(quoted(name)) lacks dtype, shape or two data_offsets")
    }
    return Entry(name: name, dtype: dtype, shape: shape, start: offsets[0], end: offsets[1])
  }

  private static func integers(
    _ scanner: inout JSONScanner, atMost most: Int
  ) throws(JSONScanner.Failure) -> [Int] {
    var values: [Int] = []
    try scanner.array { scanner throws(JSONScanner.Failure) in
      guard values.count < most else { throw scanner.failure("more than \(most) numbers") }
      values.append(try scanner.integer())
    }
    return values
  }

  /// Tensors lie one behind the other and take all bytes, each as many as its shape says.
  private func checkPlaces(_ dataSize: Int) throws(Failure) {
    var end = 0
    for entry in entries.sorted(by: { ($0.start, $0.end) < ($1.start, $1.end) }) {
      let name = quoted(entry.name)
      guard entry.start == end, entry.end >= entry.start else {
        throw Failure(
          reason: "the data of \(name) is at \(entry.start) ..< \(entry.end), "
            + "where it should begin at \(end)")
      }
      guard entry.end <= dataSize else {
        throw Failure(
          reason: "truncated: the data of \(name) ends at \(entry.end) of \(dataSize) bytes")
      }
      if let bits = SafetensorsDType.bits(of: entry.dtype) {
        let held = (entry.end - entry.start).multipliedReportingOverflow(by: 8)
        guard let needed = product(entry.shape, bits), !held.overflow,
          needed == held.partialValue
        else {
          throw Failure(
            reason: "\(name) has \(entry.end - entry.start) bytes, "
              + "which does not fit \(entry.dtype)\(entry.shape)")
        }
      }
      end = entry.end
    }
    guard end == dataSize else {
      throw Failure(reason: "has \(dataSize - end) bytes more than its tensors take")
    }
  }

  private func product(_ shape: [Int], _ bits: Int) -> Int? {
    if shape.contains(0) { return 0 }
    var result = bits
    for size in shape {
      let (next, overflow) = result.multipliedReportingOverflow(by: size)
      if overflow { return nil }
      result = next
    }
    return result
  }
}

/// A name from a file for a message: quoted, and not longer than a line.
func quoted(_ name: String) -> String {
  let text = name.count > 100 ? String(name.prefix(100)) + "..." : name
  return String(reflecting: text)
}
