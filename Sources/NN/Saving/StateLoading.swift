import DuetEager
import DuetFormats
import DuetRuntime
import Foundation

/// Tensors that cannot be loaded into a model or an optimiser: why not. Nothing has been changed then.
public struct StateError: Error, Sendable, CustomStringConvertible {
  /// What does not fit: names, shapes or dtypes, a few of each and how many there are.
  public var reason: String

  public var description: String { "the state does not fit: \(reason)" }
}

/// Tensors under names, from a file or a dictionary.
struct StateSource {
  var names: [String]
  var type: (String) throws -> TensorType
  var tensor: (String) throws -> Tensor
  /// What is thrown for tensors that do not fit.
  var error: (StateError) -> any Error

  init(_ tensors: [String: Tensor]) {
    names = tensors.keys.sorted()
    type = { tensors[$0]!.type }
    tensor = { tensors[$0]! }
    error = { $0 }
  }

  /// - Parameter targets: Gives the array of an `.npy` file its name, if there is only one.
  init(_ url: URL, for targets: [StateTarget]) throws {
    try requireNoRecording("load", "load before the call")
    let file = try openTensorFile(
      url, nameOfArray: targets.count == 1 ? targets[0].name : nil)
    names = file.names
    type = { try file.type(of: $0) }
    tensor = { try file.tensor(named: $0) }
    error = { DataError(url, "\($0)") }
  }

  /// Puts the tensors into their places: all that have one, once everything has been checked and read.
  /// - Returns: The names of places without a tensor, and of tensors without a place: none if `strict`.
  func load(
    into targets: [StateTarget], strict: Bool
  ) throws -> (missing: [String], unexpected: [String]) {
    let known = Set(names)
    let wanted = Set(targets.map(\.name))
    let missing = targets.map(\.name).filter { !known.contains($0) }
    let unexpected = names.filter { !wanted.contains($0) }
    if strict {
      let problems =
        complaint("missing", missing) { $0 } + complaint("unexpected", unexpected) { $0 }
      if !problems.isEmpty { throw error(StateError(reason: problems.joined(separator: "; "))) }
    }
    let found = targets.filter { known.contains($0.name) }
    let types = try found.map { try type($0.name) }
    let pairs = Array(zip(found, types))
    try check("of another shape", pairs.filter { $0.type.shape != $1.shape }) {
      "\($0.shape) instead of \($1.shape)"
    }
    try check("of another dtype", pairs.filter { !$1.dtype.loads(as: $0.type.dtype) }) {
      "\($0.dtype) instead of \($1.dtype)"
    }
    let tensors = try found.map { target in
      let tensor = try tensor(target.name)
      return noGrad { tensor.asType(target.type.dtype) }
    }
    for (target, tensor) in zip(found, tensors) { target.set(tensor) }
    return (missing, unexpected)
  }

  /// Throws if there are places that the tensors do not fit.
  private func check(
    _ what: String, _ odd: [(StateTarget, TensorType)],
    _ difference: (TensorType, TensorType) -> String
  ) throws {
    let problems = complaint(what, odd) { "\($0.0.name) is \(difference($0.1, $0.0.type))" }
    if !problems.isEmpty { throw error(StateError(reason: problems[0])) }
  }

  /// How many there are and the first few, or nothing: `2 missing (a, b)`.
  private func complaint<Item>(
    _ what: String, _ items: [Item], _ text: (Item) -> String
  ) -> [String] {
    if items.isEmpty { return [] }
    let most = 5
    let some = items.prefix(most).map(text) + (items.count > most ? ["..."] : [])
    return ["\(items.count) \(what) (\(some.joined(separator: ", ")))"]
  }
}

extension DType {
  /// Whether elements may be taken for those of another dtype: floating-point ones are converted, as by PyTorch.
  fileprivate func loads(as other: DType) -> Bool {
    self == other || isFloatingPoint && other.isFloatingPoint
  }
}
