import DuetEager
import DuetRuntime

/// A function as a file says it: its graphs as text, and what is outside of them. Arrays have names here, and are kept
/// beside it.
package struct SavedForm: Codable, Sendable {
  /// The version of the form that this library writes, and the only one that it reads.
  static let currentVersion = 1

  package var version = Self.currentVersion
  package var state: [State]
  package var programs: [Program]

  /// A place whose content calls read or write.
  package struct State: Codable, Sendable {
    package var name: String
    /// The array that it holds; nil: nothing, or what no call asks for.
    package var content: String?
    /// Whether it is the state of the generator that a process uses where none is named.
    package var isGlobalGenerator: Bool?
  }

  /// What calls with certain arguments do.
  package struct Program: Codable, Sendable {
    package var arguments: [Argument]
    /// The structure of the arguments and the values of static ones, in words; nil: each is a tensor.
    package var structure: String?
    /// Programs have the same number where structure and static values are the same.
    package var structureNumber: Int
    /// Whether the call that was recorded was outside of `noGrad`: of two programs for the same arguments calls take
    /// the one that was recorded as they are made.
    package var isGradEnabled: Bool
    package var paths: [Path]
    /// Nil: all sizes are known.
    package var sizes: Sizes?
  }

  package struct Argument: Codable, Sendable {
    package var name: String
    package var dtype: String
    /// Nil: unknown.
    package var shape: [Int?]
  }

  /// What is known of unknown sizes.
  package struct Sizes: Codable, Sendable {
    /// For each argument and axis which of the unknown sizes it is.
    package var places: [[Int?]]
    /// The sizes of each of a path's graphs.
    package var points: [[Int]]
    /// For every unknown size those that the program is not for.
    package var excluded: [[Int]]
    /// Unknown sizes that must not be equal.
    package var differing: [[Int]]
    package var excludesOnes: Bool
  }

  /// What calls do whose values lead the same way. Values have their numbers in the graph's text.
  package struct Path: Codable, Sendable {
    /// The graph; one for each point where sizes are unknown.
    package var graphs: [String]
    /// For every value its number in the recording, which is the same in all paths that begin alike.
    package var values: [Int]
    package var inputs: [Input]
    package var reads: [Read]
    package var looks: [Look]
    package var results: [Int]
    package var writes: [Write]
  }

  /// What a graph's input stands for: one of the two.
  package struct Input: Codable, Sendable {
    package var argument: Int?
    package var state: Int?
  }

  package struct Read: Codable, Sendable {
    package var state: Int
    /// What has to be there; nil: nothing.
    package var dtype: String?
    package var shape: [Int]?
    /// Whether gradients went to it.
    package var requiresGrad: Bool
    /// How many values were looked at before.
    package var after: Int
  }

  /// A value that the program looks at, and what this path is for.
  package struct Look: Codable, Sendable {
    package var value: Int
    /// The number of the first value that is computed afterwards.
    package var position: Int
    /// The elements' bytes in row-major order, as hexadecimal digits.
    package var bytes: String
    package var operation: String
  }

  package struct Write: Codable, Sendable {
    package var state: Int
    /// Nil: nothing is there afterwards.
    package var value: Int?
  }
}

/// Why a saved function cannot be used.
package struct SavedFormError: Error, Sendable, CustomStringConvertible {
  package let description: String

  package init(_ description: String) { self.description = description }
}

/// A function in memory as a file has it.
package struct FunctionArchive: Sendable {
  package var form: SavedForm
  /// By name, in the order of their first use.
  package var arrays: [(name: String, tensor: Tensor)]

  package init(form: SavedForm, arrays: [(name: String, tensor: Tensor)]) {
    self.form = form
    self.arrays = arrays
  }
}
