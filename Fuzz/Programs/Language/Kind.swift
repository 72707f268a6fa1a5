/// What a statement does.
public enum Kind: String, Sendable, CaseIterable {
  // Elementwise.
  case unary, activation, binary, withNumber, chain, integers, comparison, logic, choice, clip, cast
  // Along axes.
  case reduction, statistic, extreme, softmax, running, sorting, normalization, losses
  // Views and joins.
  case reshaping, transposing, slicing, broadcasting, joining, repeating, triangle
  // Products and windows.
  case matmul, linear, einsum, convolution, pooling
  // Indexing.
  case take, scatter, gather, assignment, mask, oneHot
  // Values from nowhere.
  case filled, literal, captured, random, dropout, reseed
  // State.
  case readVariable, writeVariable, count, localVariable, movingStatistics
  // What is called back with values.
  case callback
  // Gradients.
  case leaf, detach, backward, trainingLoss, gradients, secondGradient, transform, derivative,
    retained, readGradient, forgetGradient
  case descend, optimizerStep, clippedStep, learningRate
  // Swift's control flow on values, and other uses of values.
  case branch, loop, selection, repetition, earlyReturn, withoutGradients, number, elements
  // Control flow inside the graph.
  case cond, whileLoop, scan
  // Arguments that are not tensors, and functions.
  case staticValue, optional, call
  // Ends that are no results: a throw, and mistakes.
  case refusal, outOfRange, itemOfMany, mismatch
  // What several threads may do to one variable.
  case accumulate

  /// How often it is drawn, of programs without state and of those with it.
  var weight: (stateless: Double, stateful: Double) {
    switch self {
    case .unary: (6, 4)
    case .activation: (3, 2)
    case .binary: (10, 7)
    case .withNumber: (4, 3)
    case .chain: (4, 3)
    case .integers: (3, 2)
    case .comparison: (2, 2)
    case .logic: (1, 1)
    case .choice: (3, 2)
    case .clip: (1, 1)
    case .cast: (3, 2)
    case .reduction: (5, 4)
    case .statistic: (2, 2)
    case .extreme: (2, 2)
    case .softmax: (2, 1.5)
    case .running: (1.5, 1)
    case .sorting: (1.5, 1)
    case .normalization: (1.5, 1)
    case .losses: (1, 1)
    case .reshaping: (3, 2)
    case .transposing: (3, 2)
    case .slicing: (4, 3)
    case .broadcasting: (1.5, 1)
    case .joining: (2.5, 2)
    case .repeating: (1.5, 1)
    case .triangle: (1, 0.7)
    case .matmul: (4, 3)
    case .linear: (1.5, 1)
    case .einsum: (1, 0.7)
    case .convolution: (1, 0.7)
    case .pooling: (0.7, 0.5)
    case .take: (2, 1.5)
    case .scatter: (1.5, 1)
    case .gather: (1.5, 1)
    case .assignment: (2, 1.5)
    case .mask: (0.4, 0.3)
    case .oneHot: (0.7, 0.5)
    case .filled: (1.5, 1)
    case .literal: (1, 0.7)
    case .captured: (1, 1)
    case .random: (0, 4)
    case .dropout: (0, 1)
    case .reseed: (0, 0.5)
    case .readVariable: (0, 4)
    case .writeVariable: (0, 5)
    case .count: (0, 3)
    case .localVariable: (0.7, 1)
    case .movingStatistics: (0, 1)
    case .callback: (0, 1.2)
    case .leaf: (1.2, 1)
    case .detach: (0.7, 0.7)
    case .backward: (2, 2)
    case .trainingLoss: (0, 4)
    case .gradients: (2.5, 2)
    case .secondGradient: (1, 0.8)
    case .transform: (2, 1.5)
    case .derivative: (1.2, 1)
    case .retained: (0.8, 0.8)
    case .readGradient: (1, 2)
    case .forgetGradient: (0.5, 1.5)
    case .descend: (0, 2)
    case .optimizerStep: (0, 2.5)
    case .clippedStep: (0, 1)
    case .learningRate: (0, 0.4)
    case .branch: (4, 4)
    case .loop: (2, 2)
    case .selection: (1, 1)
    case .repetition: (1, 1)
    case .earlyReturn: (0.5, 0.5)
    case .withoutGradients: (0.7, 0.7)
    case .number: (0.25, 0.25)
    case .elements: (0.25, 0.25)
    case .cond: (2.5, 2.5)
    case .whileLoop: (2, 2)
    case .scan: (2.5, 2.5)
    case .staticValue: (1, 1)
    case .optional: (1, 1)
    case .call: (3, 3)
    case .refusal, .outOfRange, .itemOfMany, .mismatch, .accumulate: (0, 0)
    }
  }

  /// How many blocks it has.
  var blockCount: Int {
    switch self {
    case .branch, .optional, .cond: 2
    case .selection: 3
    case .loop, .repetition, .withoutGradients, .derivative, .whileLoop, .scan: 1
    default: 0
    }
  }

  /// Whether it is control flow inside the graph.
  var isRegion: Bool { self == .cond || self == .whileLoop || self == .scan }

  /// Whether it looks at values, or does something else that a graph which is built once for all values cannot do.
  var needsValues: Bool {
    switch self {
    case .branch, .loop, .selection, .number, .elements, .mask, .earlyReturn, .refusal, .callback,
      .itemOfMany, .clippedStep, .localVariable:
      true
    default: false
    }
  }

  /// Whether what it does with numbers of elements holds for all sizes of its operands.
  var fitsAnySize: Bool {
    switch self {
    case .losses, .linear, .einsum, .convolution, .pooling, .take, .scatter, .gather, .oneHot,
      .assignment, .trainingLoss, .outOfRange, .mismatch, .accumulate, .triangle:
      false
    default: !needsValues
    }
  }

  /// Whether it means something where values are looked at nowhere, gradients are nobody's, and a closure stands for
  /// all iterations: in control flow inside the graph.
  var fitsRegions: Bool {
    switch self {
    case .backward, .trainingLoss, .gradients, .retained, .leaf, .readGradient, .forgetGradient,
      .descend, .optimizerStep, .clippedStep, .derivative:
      // What they do depends on what requires gradients, which differs: what a loop that is recorded begins with
      // always does. Or they write gradients that are not there before.
      false
    case .loop, .number, .elements, .mask, .earlyReturn, .refusal, .callback, .itemOfMany: false
    default: true
    }
  }
}
