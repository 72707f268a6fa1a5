/// Why an operation cannot be done. The caller adds where in the user's program it was asked for.
public struct OpError: Error, Sendable, CustomStringConvertible {
  /// The name by which the program asked for it: `matmul`, `DataLoader`.
  public var operation: String
  /// What is wrong, with the shapes, dtypes or numbers that do not fit.
  public var reason: String

  /// Prints as the operation's name, a colon and the reason.
  public init(_ operation: String, _ reason: String) {
    self.operation = operation
    self.reason = reason
  }

  public var description: String { "\(operation): \(reason)" }
}
