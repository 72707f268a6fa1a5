import DuetEager
import DuetRuntime
import Foundation

/// Writes tensors under names to a file, whose extension says the format: `.safetensors`, which PyTorch, JAX and
/// others read, or `.npz`, which NumPy does.
///
///     try save(["weight": weight, "bias": bias], to: URL(fileURLWithPath: "layer.safetensors"))
///
/// The file is replaced as a whole, once all bytes are on the disk: if writing fails, an old one is still there. Equal
/// tensors make equal bytes. In deferred mode values are computed first.
/// - Parameters:
///   - metadata: Is written beside the tensors; `.safetensors` only.
///   - compressed: Whether elements are compressed; `.npz` only.
/// - Throws: `DataError` if the file cannot be written, its extension is another, or the format cannot hold something:
///   `.npz` no metadata and no `bfloat16`, `.npy` no names. `TensorError` where a function is being recorded, which
///   would write when it is first called and never again, and for a value without elements.
public func save(
  _ tensors: [String: Tensor], metadata: [String: String] = [:], to url: URL,
  compressed: Bool = false
) throws {
  let named = tensors.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
  try saveNamed(
    named.map { ($0.key, $0.value) }, metadata: metadata, to: url, compressed: compressed)
}

/// Writes one tensor to an `.npy` file, byte by byte as `numpy.save` does.
///
/// The file is replaced as a whole, once all bytes are on the disk: if writing fails, an old one is still there.
/// - Throws: `DataError` if the file cannot be written or its extension is another, and for `bfloat16`, which NumPy
///   has no name for. `TensorError` where a function is being recorded, and for a value without elements.
public func save(_ tensor: Tensor, to url: URL) throws {
  try requireNoRecording("save", adviceForSaving)
  guard try FileFormat(url) == .npy else {
    throw DataError(
      url,
      "cannot be written: tensors have names there, as in save([\"name\": tensor], to: url); "
        + ".npy needs none")
  }
  let tensor = try tensor.withElementsToSave()
  try OutputFile.write(to: url) { file in
    try NPYFile.write(tensor, named: nil, url: url) { try file.write($0) }
  }
}

/// As `save(_:to:)`.
/// - Throws: As `save(_:to:)`.
public func save(array: Tensor, url: URL) throws { try save(array, to: url) }

/// As `save(_:metadata:to:compressed:)`.
/// - Throws: As `save(_:metadata:to:compressed:)`.
public func save(arrays: [String: Tensor], metadata: [String: String] = [:], url: URL) throws {
  try save(arrays, metadata: metadata, to: url)
}

let adviceForSaving = "save behind the call, or in a hostCallback"

/// Writes tensors in an order of their own, as far as the format keeps one.
package func saveNamed(
  _ tensors: [(name: String, tensor: Tensor)], metadata: [String: String] = [:], to url: URL,
  compressed: Bool = false
) throws {
  try requireNoRecording("save", adviceForSaving)
  let format = try FileFormat(url)
  guard format == .npz || !compressed else {
    throw DataError(url, "cannot be written: only .npz files can be compressed")
  }
  guard format == .safetensors || metadata.isEmpty else {
    throw DataError(url, "cannot be written: only .safetensors files hold metadata")
  }
  switch format {
  case .safetensors: try SafetensorsWriter.write(tensors, metadata: metadata, to: url)
  case .npz: try NPZFile.write(tensors, compressed: compressed, to: url)
  case .npy:
    guard tensors.count == 1 else {
      throw DataError(
        url,
        "cannot be written: an .npy file holds one array, not \(tensors.count); "
          + "write a .safetensors or .npz file")
    }
    try save(tensors[0].tensor, to: url)
  }
}
