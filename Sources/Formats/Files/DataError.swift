import Foundation

/// A file of data that cannot be used: which one, and why.
public struct DataError: Error, Sendable, CustomStringConvertible {
  /// The path of the file, or of the folder that lacks it.
  public var path: String
  /// What is wrong, worded so that it can follow the path: `does not exist or cannot be read`.
  public var reason: String

  /// An error about the file or folder at a URL; prints as its path, a colon and the reason.
  public init(_ url: URL, _ reason: String) {
    path = url.path
    self.reason = reason
  }

  public var description: String { "\(path): \(reason)" }
}
