import DuetEager

/// Layers one after the other.
///
///     let model = Sequential { Linear(784, 128); ReLU(); Linear(128, 10) }
///
/// Its parameters are named by the layers' places: `0.weight`, `0.bias`, `2.weight`, `2.bias`.
public struct Sequential: UnaryLayer, NamesItsParts {
  /// In the order in which they are called.
  public let layers: [any UnaryLayer]

  /// The layers that the closure's lines give, in order; lines may be functions, `if`, `switch` and `for`.
  public init(@LayerBuilder _ layers: () -> [any UnaryLayer]) { self.layers = layers() }

  /// The layers of an array, in order.
  public init(_ layers: [any UnaryLayer]) { self.layers = layers }

  var parts: [(name: String, part: Any)] {
    layers.enumerated().map { (String($0.offset), $0.element) }
  }

  public func callAsFunction(_ x: Tensor) -> Tensor {
    var x = x
    for layer in layers { x = layer(x) }
    return x
  }
}

/// A function as a layer.
public struct Lambda: UnaryLayer {
  /// What is called. Parameters of layers that it captures are not found: a model must hold those layers itself.
  public let function: (Tensor) -> Tensor
  /// A layer that calls a function or a closure: `Lambda { $0.reshaped(-1, 10) }`.
  public init(_ function: @escaping (Tensor) -> Tensor) { self.function = function }
  public func callAsFunction(_ x: Tensor) -> Tensor { function(x) }
}

/// Collects the layers that the lines of a `Sequential`'s closure give.
@resultBuilder
public enum LayerBuilder {
  /// A line that is a layer.
  public static func buildExpression(_ layer: any UnaryLayer) -> [any UnaryLayer] { [layer] }
  /// A line that is an array of layers.
  public static func buildExpression(_ layers: [any UnaryLayer]) -> [any UnaryLayer] { layers }
  /// A line that is a function, taken as a ``Lambda``.
  public static func buildExpression(
    _ function: @escaping (Tensor) -> Tensor
  ) -> [any UnaryLayer] { [Lambda(function)] }
  /// The layers of all lines, in order.
  public static func buildBlock(_ parts: [any UnaryLayer]...) -> [any UnaryLayer] {
    parts.flatMap { $0 }
  }
  /// The layers of an `if` without `else`: none where the condition is false.
  public static func buildOptional(_ part: [any UnaryLayer]?) -> [any UnaryLayer] { part ?? [] }
  /// The layers of an `if` with `else` whose condition is true, or of such a part of a `switch`.
  public static func buildEither(first part: [any UnaryLayer]) -> [any UnaryLayer] { part }
  /// The layers of an `else`, or of such a part of a `switch`.
  public static func buildEither(second part: [any UnaryLayer]) -> [any UnaryLayer] { part }
  /// The layers of a `for` loop: those of its passes, in order.
  public static func buildArray(_ parts: [[any UnaryLayer]]) -> [any UnaryLayer] {
    parts.flatMap { $0 }
  }
  /// The layers of an `if #available`.
  public static func buildLimitedAvailability(
    _ part: [any UnaryLayer]
  ) -> [any UnaryLayer] { part }
}
