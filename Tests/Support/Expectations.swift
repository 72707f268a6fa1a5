import Duet
@_exported import DuetPrograms
import Testing

/// Expects equal bits, and says where the first difference is.
public func expectSame(
  _ actual: Tensor, _ expected: Tensor, _ what: @autoclosure () -> String = "",
  sourceLocation: Testing.SourceLocation = #_sourceLocation
) {
  expectSame(Bits(actual), Bits(expected), what(), sourceLocation: sourceLocation)
}

/// Expects equal bits, and says where the first difference is.
public func expectSame(
  _ actual: Bits, _ expected: Bits, _ what: @autoclosure () -> String = "",
  sourceLocation: Testing.SourceLocation = #_sourceLocation
) {
  guard let difference = actual.difference(from: expected) else { return }
  Issue.record("\(what()): \(difference)", sourceLocation: sourceLocation)
}

/// Expects the same number of tensors with equal bits.
public func expectSame(
  _ actual: [Tensor], _ expected: [Tensor], _ what: @autoclosure () -> String = "",
  sourceLocation: Testing.SourceLocation = #_sourceLocation
) {
  guard actual.count == expected.count else {
    Issue.record(
      "\(what()): \(actual.count) tensors instead of \(expected.count)",
      sourceLocation: sourceLocation)
    return
  }
  for i in actual.indices {
    expectSame(actual[i], expected[i], "\(what()), tensor \(i)", sourceLocation: sourceLocation)
  }
}

/// The message of the mistake in a body, with its place in the program.
public func message(_ body: () -> Void) -> String? {
  do {
    try checked(body)
    return nil
  } catch {
    return "\(error)"
  }
}
