import DuetEager
import DuetRuntime

/// A struct that is a tree of tensors: it names its parts, and nothing else.
///
///     struct Batch: TensorStruct {
///       var images: Tensor, labels: Tensor?
///       var epoch: Int
///       static var parts: [PartialKeyPath<Batch>] { [\.images, \.labels, \.epoch] }
///     }
///
/// A part that is a tree is taken apart. One that is `Hashable` and no tree, like `epoch` here, is part of a traced
/// function's signature, as `Static` is. Properties that are not named are no part: of an argument the closure sees
/// those of the call, of a result a replay gives those of the recording.
///
/// A type that is visited very often, or that is no struct, writes `visit` itself:
///
///     mutating func visit(_ visitor: inout TensorVisitor) {
///       visitor.visit(&images, "images")
///       visitor.visit(&labels, "labels")
///     }
public protocol TensorStruct: TensorTree {
  /// The stored properties that are its parts, always in the same order. Those that are trees are variables.
  static var parts: [PartialKeyPath<Self>] { get }
}

extension TensorStruct {
  /// Shows `parts` in their order, under the properties' names. One that is neither a tree nor `Hashable` is an error.
  public mutating func visit(_ visitor: inout TensorVisitor) {
    for (i, part) in Self.parts.enumerated() { visit(part, i, &visitor) }
  }

  private mutating func visit(
    _ part: PartialKeyPath<Self>, _ index: Int, _ visitor: inout TensorVisitor
  ) {
    let type = Swift.type(of: part).valueType
    if let tree = type as? any TensorTree.Type {
      visit(part, as: tree, index, &visitor)
    } else if let value = self[keyPath: part] as? any Hashable {
      visitor.token(.standing(for: value))
    } else {
      note(
        OpError(
          "TensorStruct",
          "part \(index) of \(Self.self), of type \(type), is neither a tree of tensors nor Hashable"
        ))
    }
  }

  private mutating func visit<Part: TensorTree>(
    _ part: PartialKeyPath<Self>, as type: Part.Type, _ index: Int, _ visitor: inout TensorVisitor
  ) {
    guard let part = part as? WritableKeyPath<Self, Part> else {
      note(
        OpError(
          "TensorStruct",
          "part \(index) of \(Self.self), of type \(type), must be a variable: replays put tensors there"
        ))
      return
    }
    visitor.visit(&self[keyPath: part], Self.name(of: part, index))
  }

  /// A property's name, where the program carries it; its place among the parts otherwise.
  private static func name(of part: PartialKeyPath<Self>, _ index: Int) -> String {
    let text = "\(part)"
    guard let dot = text.lastIndex(of: "."), !text[dot...].contains(" ") else { return "\(index)" }
    return String(text[text.index(after: dot)...])
  }
}
