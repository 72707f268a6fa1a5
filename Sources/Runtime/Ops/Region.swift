/// A part of a program that runs as one operation and has programs of its own: a branch or a loop.
///
/// What these programs are is known to the compiler, whose regions are subclasses. A plain region stands for
/// one that Swift itself ran, in the autograd graph.
open class Region: @unchecked Sendable, Hashable {
  // Sendable: constant after init; subclasses see to what they add.

  /// What the program calls it: `cond`, `whileLoop`, `scan`.
  public let name: String
  /// The types that its inputs have to have.
  public let inputTypes: [TensorType]
  /// One per result, at the index that `Op.regionResult` has.
  public let outputTypes: [TensorType]

  package init(_ name: String, inputTypes: [TensorType] = [], outputTypes: [TensorType] = []) {
    self.name = name
    self.inputTypes = inputTypes
    self.outputTypes = outputTypes
  }

  /// The type of what stands for all results together.
  package static let type = TensorType(.uint8, [0])

  /// Whether values decide if it can be done.
  open var canFail: Bool { false }

  /// Whether both do the same to the same inputs.
  open func isSame(as other: Region) -> Bool { self === other }

  public static func == (a: Region, b: Region) -> Bool { a === b || a.isSame(as: b) }

  public func hash(into hasher: inout Hasher) {
    hasher.combine(name)
    hasher.combine(inputTypes)
    hasher.combine(outputTypes)
  }
}
