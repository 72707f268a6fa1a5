import DuetEager
import DuetRuntime
import Foundation

/// Tensors in a file of the safetensors format, as PyTorch and others write it.
///
/// Opening one reads its header alone; each tensor's bytes are read when it is asked for.
///
///     let file = try SafetensorsFile(url)
///     let weight = try file.tensor(named: "conv1.weight")
public struct SafetensorsFile: Sendable {
  /// The file that is read.
  public let url: URL
  /// The tensors' names in the order of the header.
  public let names: [String]
  /// What else the file says, as keys and values.
  public let metadata: [String: String]

  private let file: InputFile
  private let entries: [String: SafetensorsHeader.Entry]
  private let dataStart: Int

  /// Opens a file and checks its header.
  /// - Throws: `DataError` if the file is missing, truncated or not in the format.
  public init(_ url: URL) throws(DataError) {
    let file = try InputFile(url)
    guard file.size >= 8 else {
      throw DataError(url, "truncated: \(file.size) bytes are no safetensors file")
    }
    let prefix = try file.bytes(at: 0, count: 8)
    let headerSize = prefix.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    guard headerSize <= SafetensorsHeader.maximumSize else {
      throw DataError(
        url, "not a safetensors file: its header would have \(headerSize) bytes")
    }
    guard headerSize <= file.size - 8 else {
      throw DataError(
        url, "truncated: \(file.size) bytes, too few for a header of \(headerSize)")
    }
    dataStart = 8 + Int(headerSize)
    let text = try file.bytes(at: 8, count: Int(headerSize))
    let header: SafetensorsHeader
    do throws(SafetensorsHeader.Failure) {
      header = try SafetensorsHeader(parsing: text, dataSize: file.size - dataStart)
    } catch {
      throw DataError(url, error.reason)
    }
    self.url = url
    self.file = file
    names = header.entries.map(\.name)
    metadata = header.metadata
    entries = Dictionary(uniqueKeysWithValues: header.entries.map { ($0.name, $0) })
  }

  /// The dtype and shape of a tensor.
  /// - Throws: `DataError` if there is none of that name, or its dtype or shape is one that tensors cannot have.
  public func type(of name: String) throws(DataError) -> TensorType {
    guard let entry = entries[name] else {
      throw DataError(url, "holds no tensor \(quoted(name))")
    }
    guard let dtype = SafetensorsDType.named(entry.dtype) else {
      throw DataError(
        url, "holds \(quoted(name)) as \(entry.dtype), a dtype that tensors do not have here")
    }
    return TensorType(dtype, try Shape(entry.shape, of: name, in: url))
  }

  /// Reads one tensor; no byte of the others is read.
  /// - Throws: `DataError` as `type(of:)`, or if the file cannot be read.
  public func tensor(named name: String) throws(DataError) -> Tensor {
    let type = try type(of: name)
    let place = dataStart + entries[name]!.start
    return try Tensor(type, from: url) { buffer throws(DataError) in
      try file.read(at: place, into: buffer)
    }
  }

  /// Reads all tensors.
  /// - Throws: `DataError` as `tensor(named:)`.
  public func tensors() throws(DataError) -> [String: Tensor] {
    var result: [String: Tensor] = [:]
    for name in names { result[name] = try tensor(named: name) }
    return result
  }
}

extension Shape {
  /// A shape that a file claims.
  init(_ sizes: [Int], of name: String, in url: URL) throws(DataError) {
    guard sizes.count <= Shape.maximumRank else {
      throw DataError(
        url, "\(quoted(name)) has \(sizes.count) axes; tensors have at most \(Shape.maximumRank)")
    }
    self.init(sizes)
    guard sizes.allSatisfy({ $0 >= 0 }), isRepresentable else {
      throw DataError(url, "\(quoted(name)) claims an impossible shape: \(sizes)")
    }
  }
}
