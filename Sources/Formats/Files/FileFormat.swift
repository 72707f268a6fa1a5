import DuetEager
import DuetRuntime
import Foundation

/// The formats of files with tensors, told apart by the ends of files' names.
enum FileFormat: String, CaseIterable {
  case safetensors, npz, npy

  /// The format that a URL's extension says; others are an error that names the ones there are.
  init(_ url: URL) throws(DataError) {
    let suffix = url.pathExtension
    guard let format = FileFormat(rawValue: suffix.lowercased()) else {
      throw DataError(
        url,
        (suffix.isEmpty ? "has no extension" : "has the extension .\(suffix)")
          + "; tensors are in .safetensors, .npz and .npy files")
    }
    self = format
  }
}

/// Tensors under names, each of which is read when it is asked for.
package protocol TensorFile: Sendable {
  /// The file, for messages.
  var url: URL { get }
  /// The names, each once.
  var names: [String] { get }
  /// What a tensor's header says.
  func type(of name: String) throws(DataError) -> TensorType
  /// Reads a tensor.
  func tensor(named name: String) throws(DataError) -> Tensor
}

extension SafetensorsFile: TensorFile {}
extension NPZFile: TensorFile {}

/// Opens a file of tensors with names: `.safetensors` or `.npz`.
/// - Parameter name: For the one array of an `.npy` file, which has none itself; nil: such a file is an error.
package func openTensorFile(
  _ url: URL, nameOfArray name: String? = nil
) throws(DataError) -> any TensorFile {
  switch try FileFormat(url) {
  case .safetensors: return try SafetensorsFile(url)
  case .npz: return try NPZFile(url)
  case .npy:
    guard let name else {
      throw DataError(url, "holds one array without a name: loadArray(url:) reads it")
    }
    return NamedNPYFile(url: url, name: name)
  }
}

/// An `.npy` file whose array goes by a name that somebody gave it.
private struct NamedNPYFile: TensorFile {
  let url: URL
  let name: String

  var names: [String] { [name] }

  func type(of name: String) throws(DataError) -> TensorType {
    try NPYHeader(from: FilePart(InputFile(url))).type
  }

  func tensor(named name: String) throws(DataError) -> Tensor { try loadArray(url: url) }
}
