import DuetEager
import DuetRuntime
import Foundation

/// Arrays with names in NumPy's `.npz` format: a zip archive of `.npy` files.
struct NPZFile: Sendable {
  let url: URL
  /// In the order of the archive.
  let names: [String]
  private let archive: ZipReader
  private let members: [String: ZipReader.Member]

  private static let suffix = ".npy"

  init(_ url: URL) throws(DataError) {
    let archive = try ZipReader(url)
    for member in archive.members where !member.name.hasSuffix(Self.suffix) {
      throw DataError(url, "has a member that is no .npy file: \(quoted(member.name))")
    }
    self.url = url
    self.archive = archive
    names = archive.members.map { String($0.name.dropLast(Self.suffix.count)) }
    members = Dictionary(uniqueKeysWithValues: zip(names, archive.members))
  }

  private func open(_ name: String) throws(DataError) -> ZipMemberReader {
    guard let member = members[name] else {
      throw DataError(url, "holds no array \(quoted(name))")
    }
    return try archive.open(member)
  }

  /// An error in an array's own bytes names the array.
  private func naming<R>(
    _ name: String, _ body: () throws(DataError) -> R
  ) throws(DataError) -> R {
    do throws(DataError) {
      return try body()
    } catch {
      throw DataError(url, "the array \(quoted(name)): \(error.reason)")
    }
  }

  /// The dtype and shape of an array, for which its beginning is read.
  func type(of name: String) throws(DataError) -> TensorType {
    let source = try open(name)
    return try naming(name) { () throws(DataError) in try NPYHeader(from: source).type }
  }

  /// Reads one array, and checks that its bytes are those that were written.
  func tensor(named name: String) throws(DataError) -> Tensor {
    let source = try open(name)
    return try naming(name) { () throws(DataError) in
      let tensor = try NPYFile.read(from: source)
      try source.finish()
      return tensor
    }
  }

  /// Writes arrays as `numpy.savez` does, or compressed as `numpy.savez_compressed`.
  static func write(
    _ tensors: [(name: String, tensor: Tensor)], compressed: Bool, to url: URL
  ) throws {
    var names: Set<String> = []
    for (name, _) in tensors where !names.insert(name).inserted {
      throw DataError(url, "cannot be written: the name \(quoted(name)) is taken")
    }
    let ready = try tensors.map { ($0.name, try $0.tensor.withElementsToSave()) }
    try OutputFile.write(to: url) { file in
      let archive = try ZipWriter(file, for: url, isCompressed: compressed)
      for (name, tensor) in ready {
        try archive.add(name + suffix) { put in
          try NPYFile.write(tensor, named: name, url: url, put)
        }
      }
      try archive.finish()
    }
  }
}
