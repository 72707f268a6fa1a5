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
    var name: String
    /// The array that it holds; nil: nothing, or what no call asks for.
    var content: String?
    /// Whether it is the state of the generator that a process uses where none is named.
    var isGlobalGenerator: Bool?
  }

  /// What calls with certain arguments do.
  package struct Program: Codable, Sendable {
    var arguments: [Argument]
    /// The structure of the arguments and the values of static ones, in words; nil: each is a tensor.
    var structure: String?
    /// Whether the call that was recorded was outside of `noGrad`: of two programs for the same arguments calls take
    /// the one that was recorded as they are made.
    var isGradEnabled: Bool
    var paths: [Path]
    /// Nil: all sizes are known.
    var sizes: Sizes?
  }

  package struct Argument: Codable, Sendable {
    var name: String
    var dtype: String
    /// Nil: unknown.
    var shape: [Int?]
  }

  /// What is known of unknown sizes.
  package struct Sizes: Codable, Sendable {
    /// For each argument and axis which of the unknown sizes it is.
    var places: [[Int?]]
    /// The sizes of each of a path's graphs.
    var points: [[Int]]
    /// For every unknown size those that the program is not for.
    var excluded: [[Int]]
    /// Unknown sizes that must not be equal.
    var differing: [[Int]]
    var excludesOnes: Bool
  }

  /// What calls do whose values lead the same way. Values have their numbers in the graph's text.
  package struct Path: Codable, Sendable {
    /// The graph; one for each point where sizes are unknown.
    var graphs: [String]
    var inputs: [Input]
    var reads: [Read]
    var looks: [Look]
    var results: [Int]
    var writes: [Write]
  }

  /// What a graph's input stands for: one of the two.
  package struct Input: Codable, Sendable {
    var argument: Int?
    var state: Int?
  }

  package struct Read: Codable, Sendable {
    var state: Int
    /// What has to be there; nil: nothing.
    var dtype: String?
    var shape: [Int]?
    /// How many values were looked at before.
    var after: Int
  }

  /// A value that the program looks at, and what this path is for.
  package struct Look: Codable, Sendable {
    var value: Int
    /// The number of the first value that is computed afterwards.
    var position: Int
    /// The elements' bytes in row-major order, as hexadecimal digits.
    var bytes: String
    var operation: String
  }

  package struct Write: Codable, Sendable {
    var state: Int
    /// Nil: nothing is there afterwards.
    var value: Int?
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
