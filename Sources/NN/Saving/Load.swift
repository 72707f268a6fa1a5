import DuetEager
import DuetFormats
import Foundation

/// Reads parameters from a `.safetensors` or `.npz` file, by their names; one parameter alone also from an `.npy` file.
///
/// All or nothing: names, shapes and dtypes are checked and all tensors are read before the first parameter changes.
/// Floating-point numbers are converted to the parameters' dtypes. No byte is read of tensors that are not wanted.
/// - Parameter strict: Whether names that only one side has are an error. If not, they are left alone and returned.
/// - Returns: The names that the file lacks, and those that the parameters lack.
/// - Throws: `DataError` if the file is missing, damaged or does not fit; `TensorError` where a function is being
///   recorded.
@discardableResult
public func load(
  _ parameters: ParameterList, from url: URL, strict: Bool = true
) throws -> (missing: [String], unexpected: [String]) {
  try load(parameters.stateTargets, url, strict)
}

/// Sets parameters to tensors of their names, as if these came from a file.
/// - Parameter strict: Whether names that only one side has are an error. If not, they are left alone and returned.
/// - Returns: The names that the dictionary lacks, and those that the parameters lack.
/// - Throws: `StateError` if the tensors do not fit; then nothing has changed.
@discardableResult
public func load(
  _ parameters: ParameterList, from tensors: [String: Tensor], strict: Bool = true
) throws -> (missing: [String], unexpected: [String]) {
  try StateSource(tensors).load(into: parameters.stateTargets, strict: strict)
}

/// Reads a model's parameters and buffers: what `save(_:to:)` wrote, or PyTorch's state dict of the same model.
///
/// All or nothing, as for a list of parameters.
/// - Parameter strict: Whether names that only one side has are an error. If not, they are left alone and returned.
/// - Returns: The names that the file lacks, and those that the model lacks.
/// - Throws: As for a list of parameters.
@discardableResult
public func load(
  _ module: some Module, from url: URL, strict: Bool = true
) throws -> (missing: [String], unexpected: [String]) {
  try load(module.stateTargets, url, strict)
}

/// Sets a model's parameters and buffers to tensors of their names, as if these came from a file.
/// - Parameter strict: Whether names that only one side has are an error. If not, they are left alone and returned.
/// - Returns: The names that the dictionary lacks, and those that the model lacks.
/// - Throws: `StateError` if the tensors do not fit; then nothing has changed.
@discardableResult
public func load(
  _ module: some Module, from tensors: [String: Tensor], strict: Bool = true
) throws -> (missing: [String], unexpected: [String]) {
  try StateSource(tensors).load(into: module.stateTargets, strict: strict)
}

/// Reads an optimiser's state, so that training goes on with the same bits. The optimiser is of the same kind, made
/// with the same settings for the same parameters in the same order; the learning rate is set.
///
/// - Throws: As for a list of parameters.
public func load(_ optimizer: some Optimizer, from url: URL) throws {
  _ = try load(optimizer.stateTargets, url, true)
}

/// Sets an optimiser's state to tensors of their names, as if these came from a file.
/// - Throws: `StateError` if the tensors do not fit; then nothing has changed.
public func load(_ optimizer: some Optimizer, from tensors: [String: Tensor]) throws {
  _ = try StateSource(tensors).load(into: optimizer.stateTargets, strict: true)
}

/// Reads what a schedule remembers, so that its next step is the one that it would have been. The schedule is of the
/// same kind, made with the same settings. The optimiser's rate stays as it is: load the optimiser too.
///
/// - Throws: As for a list of parameters.
public func load(_ scheduler: some Scheduler, from url: URL) throws {
  _ = try load(scheduler.stateTargets, url, true)
}

/// Sets what a schedule remembers to tensors of their names, as if these came from a file.
/// - Throws: `StateError` if the tensors do not fit; then nothing has changed.
public func load(_ scheduler: some Scheduler, from tensors: [String: Tensor]) throws {
  _ = try StateSource(tensors).load(into: scheduler.stateTargets, strict: true)
}

private func load(
  _ targets: [StateTarget], _ url: URL, _ strict: Bool
) throws -> (missing: [String], unexpected: [String]) {
  try StateSource(url, for: targets).load(into: targets, strict: strict)
}
