import DuetEager

/// A module's parameters in order, each with its dotted name.
public struct ParameterList: RandomAccessCollection, Sendable {
  /// The parameters with their names.
  public let named: [(name: String, parameter: Parameter)]

  /// A list of parameters under names of one's own, for models that are not a `Module`.
  public init(_ named: [(name: String, parameter: Parameter)]) { self.named = named }

  public var startIndex: Int { 0 }
  public var endIndex: Int { named.count }
  /// The parameter at that place, from 0.
  public subscript(index: Int) -> Parameter { named[index].parameter }

  /// The dotted names in order.
  public var names: [String] { named.map(\.name) }

  /// The parameter of that name, or nil. Complexity: O(count).
  public subscript(name: String) -> Parameter? {
    named.first { $0.name == name }?.parameter
  }
}

extension ParameterList: CustomStringConvertible {
  /// One line per parameter: `conv1.weight: float32[6, 1, 5, 5]`.
  public var description: String {
    named.map { "\($0.name): \($0.parameter.type)" }.joined(separator: "\n")
  }
}
