import Foundation

/// A file of data that cannot be used: which one, and why.
public struct DataError: Error, Sendable, CustomStringConvertible {
  public var path: String
  public var reason: String

  public init(_ url: URL, _ reason: String) {
    path = url.path
    self.reason = reason
  }

  public var description: String { "\(path): \(reason)" }
}
