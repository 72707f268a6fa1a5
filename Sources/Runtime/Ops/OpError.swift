/// Why an operation cannot be done. The caller adds where in the user's program it was asked for.
public struct OpError: Error, Sendable, CustomStringConvertible {
  public var operation: String
  public var reason: String

  public init(_ operation: String, _ reason: String) {
    self.operation = operation
    self.reason = reason
  }

  public var description: String { "\(operation): \(reason)" }
}
