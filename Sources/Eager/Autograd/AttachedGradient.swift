import DuetRuntime

/// A gradient that is no operation's own, in the autograd graph: that of a branch or a loop, or one that a function has
/// brought along.
public struct AttachedGradient {
  package enum Kind {
    /// A region's, the places of what it depends on, and which results depend on these.
    case region(
      RegionGradient, name: String, inputs: [RegionGradient.Input], isDifferentiable: [Bool])
    /// A function's own.
    case custom(CustomGradient.Rule, name: String, inputs: [Tensor], keepsResults: Bool)
  }

  package let kind: Kind
  /// Without a place in the graph.
  package let results: [Tensor]
  /// The same, each with its place if it has one.
  package let attached: [Tensor]
}
