import DuetEager
import DuetFormats
import Foundation

/// Writes parameters under their dotted names: to a `.safetensors` file, which PyTorch and others read, or an `.npz`
/// file; one parameter alone also to an `.npy` file.
///
///     try save(model.parameters, to: URL(fileURLWithPath: "model.safetensors"))
///
/// The file is replaced as a whole: if writing fails, an old one is still there.
/// - Parameter metadata: Is written beside them; `.safetensors` only. Some programs ask for `["format": "pt"]`.
/// - Throws: `DataError` if the file cannot be written, its extension is another, or two parameters have one name;
///   `TensorError` where a function is being recorded.
public func save(
  _ parameters: ParameterList, metadata: [String: String] = [:], to url: URL
) throws {
  try saveNamed(parameters.namedState, metadata: metadata, to: url)
}

/// Writes a model's parameters and buffers under their dotted names: what PyTorch calls its state dict.
///
/// What training needs beside the model to go on where it was: the optimiser (`save(optimizer, to:)`), its schedule
/// (`save(scheduler, to:)`), the random generator's `snapshot` and a data loader's `epoch`.
/// - Parameter metadata: Is written beside them; `.safetensors` only. Some programs ask for `["format": "pt"]`.
/// - Throws: As for a list of parameters.
public func save(
  _ module: some Module, metadata: [String: String] = [:], to url: URL
) throws {
  try saveNamed(module.namedState, metadata: metadata, to: url)
}

/// Writes an optimiser's `learning_rate` and its `stateVariables`, by their parameters' places.
/// - Throws: As for a list of parameters.
public func save(_ optimizer: some Optimizer, to url: URL) throws {
  try saveNamed(optimizer.namedState, to: url)
}

/// Writes what a schedule remembers: its `stateVariables`, and the rate that it began with as `initial_rate`; of
/// schedules that it is made of too, as `schedules.0.initial_rate`. Functions that it was made with are not written.
/// - Throws: As for a list of parameters.
public func save(_ scheduler: some Scheduler, to url: URL) throws {
  try saveNamed(scheduler.namedState, to: url)
}
