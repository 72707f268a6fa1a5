import DuetEager

/// Layers one after the other.
///
///     let model = Sequential { Linear(784, 128); ReLU(); Linear(128, 10) }
///
/// Its parameters are named by the layers' places: `0.weight`, `0.bias`, `2.weight`, `2.bias`.
public struct Sequential: UnaryLayer, NamesItsParts {
  public let layers: [any UnaryLayer]

  public init(@LayerBuilder _ layers: () -> [any UnaryLayer]) { self.layers = layers() }

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
  public let function: (Tensor) -> Tensor
  public init(_ function: @escaping (Tensor) -> Tensor) { self.function = function }
  public func callAsFunction(_ x: Tensor) -> Tensor { function(x) }
}

/// Collects the layers that the lines of a `Sequential`'s closure give.
@resultBuilder
public enum LayerBuilder {
  public static func buildExpression(_ layer: any UnaryLayer) -> [any UnaryLayer] { [layer] }
  public static func buildExpression(_ layers: [any UnaryLayer]) -> [any UnaryLayer] { layers }
  public static func buildExpression(
    _ function: @escaping (Tensor) -> Tensor
  ) -> [any UnaryLayer] { [Lambda(function)] }
  public static func buildBlock(_ parts: [any UnaryLayer]...) -> [any UnaryLayer] {
    parts.flatMap { $0 }
  }
  public static func buildOptional(_ part: [any UnaryLayer]?) -> [any UnaryLayer] { part ?? [] }
  public static func buildEither(first part: [any UnaryLayer]) -> [any UnaryLayer] { part }
  public static func buildEither(second part: [any UnaryLayer]) -> [any UnaryLayer] { part }
  public static func buildArray(_ parts: [[any UnaryLayer]]) -> [any UnaryLayer] {
    parts.flatMap { $0 }
  }
  public static func buildLimitedAvailability(
    _ part: [any UnaryLayer]
  ) -> [any UnaryLayer] { part }
}
