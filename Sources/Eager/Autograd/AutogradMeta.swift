import DuetRuntime
import Synchronization

/// A tensor's place in the autograd graph: a leaf with a gradient, or the result of a recorded operation.
package final class AutogradMeta: Sendable {
  /// The operation that gave the tensor; nil for a leaf.
  // Unsafe: changes only in the hands of the last owner, who has made sure of being that by `isKnownUniquelyReferenced`.
  @exclusivity(unchecked) nonisolated(unsafe) package private(set) var function: GradientFunction?
  /// Where `backward` accumulates the gradient, if it is kept.
  private let kept: Lock<StateCell?>

  /// A leaf: a tensor whose gradient is asked for.
  package init(leafNamed label: String) {
    function = nil
    kept = Lock(StateCell(label: label, isGradient: true))
  }

  /// A leaf whose gradient can be asked for, but is not kept.
  package init() {
    function = nil
    kept = Lock(nil)
  }

  /// The result of an operation.
  init(_ function: GradientFunction) {
    self.function = function
    kept = Lock(nil)
  }

  /// Gives up the operation, once nobody else refers to this object.
  func takeFunction() -> GradientFunction? {
    defer { function = nil }
    return function
  }

  package var gradientCell: StateCell? { kept.withLock { $0 } }

  private let hasEnded = Atomic<Bool>(false)

  /// Whether this is a leaf that only a transform knew, and nobody can ask for its gradient any more.
  var isEnded: Bool { hasEnded.load(ordering: .relaxed) }

  /// Ends a leaf that only a transform knew.
  func endLeaf() { hasEnded.store(true, ordering: .relaxed) }

  /// From now on the gradient of this result is kept like a leaf's.
  func keepGradient() {
    kept.withLock { cell in
      if cell == nil { cell = StateCell(label: "gradient", isGradient: true) }
    }
  }
}

extension Tensor {
  /// Whether gradients flow back to this tensor.
  public var requiresGrad: Bool { body.autograd != nil }

  /// Whether this tensor was made by the user rather than by an operation on tensors that require gradients.
  public var isLeaf: Bool { body.autograd?.function == nil }

  /// The operation that `backward` goes through first; nil for a leaf.
  public var gradFn: GradientFunction? { body.autograd?.function }

  /// The gradient that `backward` accumulated; nil before, and for results without `retainGrad()`.
  public var grad: Tensor? {
    get { body.autograd?.gradientCell?.read() }
    nonmutating set {
      guard let cell = body.autograd?.gradientCell else {
        note(OpError("grad", "only a leaf that requires gradients has one to set"))
        return
      }
      cell.writeGradient(newValue, of: type)
    }
  }

  /// Keeps the gradient of this intermediate result when `backward` passes through it.
  public func retainGrad() {
    guard let autograd = body.autograd else {
      note(OpError("retainGrad", "the tensor does not require gradients"))
      return
    }
    autograd.keepGradient()
  }

  /// The same elements as a leaf whose gradients are (or are not) asked for.
  public func requiringGrad(_ requires: Bool = true) -> Tensor {
    if requires && !dtype.isFloatingPoint {
      return fail(
        OpError("requiresGrad", "only floating-point tensors can require gradients, not \(dtype)"))
    }
    if isFailed { return self }
    let result = Tensor(
      body.attached(to: requires ? AutogradMeta(leafNamed: "gradient") : nil))
    ThreadContext.recorder?.recordAlias(result, of: self)
    return result
  }

  /// The same elements, cut off from the autograd graph.
  public func detached() -> Tensor {
    if body.autograd == nil { return self }
    let result = Tensor(body.attached(to: nil))
    ThreadContext.recorder?.recordAlias(result, of: self)
    return result
  }
}

extension StateCell {
  /// Replaces the gradient of something of that type.
  func writeGradient(_ gradient: Tensor?, of type: TensorType) {
    if let gradient, gradient.type != type {
      note(OpError("grad", "a gradient of type \(gradient.type) does not fit \(type)"))
      return
    }
    write(gradient)
  }
}

extension Tensor {
  /// The same elements with that place in the autograd graph.
  func attached(to autograd: AutogradMeta) -> Tensor {
    let result = Tensor(body.attached(to: autograd))
    ThreadContext.recorder?.recordAlias(result, of: self)
    return result
  }
}

/// Whether operations of this thread are recorded for differentiation.
public var isGradEnabled: Bool { ThreadContext.isGradEnabled }

/// Runs the body without recording operations for differentiation.
public func noGrad<R, E: Error>(_ body: () throws(E) -> R) throws(E) -> R {
  try ThreadContext.with(ThreadContext.Flags.noGrad, true, body)
}

/// Runs the body with operations recorded for differentiation, also inside `noGrad`.
public func enableGrad<R, E: Error>(_ body: () throws(E) -> R) throws(E) -> R {
  try ThreadContext.with(ThreadContext.Flags.noGrad, false, body)
}

extension AutogradMeta {
  /// Whether `backward` could still run from here: no operation on the way has let go of what it saved.
  package var leadsToSavedValues: Bool {
    var seen: Set<ObjectIdentifier> = []
    var rest = [self]
    while let meta = rest.popLast() {
      guard let function = meta.function, seen.insert(ObjectIdentifier(function)).inserted else {
        continue
      }
      if function.isFinished { return false }
      rest += function.edges.compactMap { $0 }
    }
    return true
  }
}
