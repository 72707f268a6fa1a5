import DuetEager
import DuetRuntime
import Foundation

/// Reads the array of an `.npy` file, of any version of the format and any order of bytes and elements.
///
/// Of a file to which several arrays were written it is the first, as with `numpy.load`. In a traced function the file
/// is read once, when the function is recorded, and its numbers are constants.
/// - Throws: `DataError` if the file is missing, damaged or of another format, or holds what tensors cannot: objects,
///   strings, structures, complex numbers, unsigned integers of more than one byte.
public func loadArray(url: URL) throws(DataError) -> Tensor {
  guard try FileFormat(url) == .npy else {
    throw DataError(url, "holds arrays with names: loadArrays(url:) reads them")
  }
  return try NPYFile.read(from: FilePart(InputFile(url)))
}

/// Reads all tensors of a `.safetensors` or `.npz` file.
///
/// Nothing in a file makes this take more memory than the file's size justifies. To read some tensors of a large
/// file, see ``SafetensorsFile``. In a traced function the file is read once, when the function is recorded, and its
/// numbers are constants.
/// - Throws: `DataError` if the file is missing, damaged or of another format, or holds a dtype that tensors do not
///   have.
public func loadArrays(url: URL) throws(DataError) -> [String: Tensor] {
  let file = try openTensorFile(url)
  var result: [String: Tensor] = [:]
  for name in file.names { result[name] = try file.tensor(named: name) }
  return result
}

/// Reads all tensors of a `.safetensors` or `.npz` file, and the metadata, which the latter has none of.
/// - Throws: `DataError` as `loadArrays(url:)`.
public func loadArraysAndMetadata(
  url: URL
) throws(DataError) -> ([String: Tensor], [String: String]) {
  let file = try openTensorFile(url)
  var result: [String: Tensor] = [:]
  for name in file.names { result[name] = try file.tensor(named: name) }
  return (result, (file as? SafetensorsFile)?.metadata ?? [:])
}
