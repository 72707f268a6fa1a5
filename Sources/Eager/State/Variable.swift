import DuetRuntime
import Synchronization

/// A named place for a tensor that changes: weights, running statistics, counters.
///
/// A variable is a reference; models that are structs share it when they are copied. Reading and writing are
/// safe from any thread, one at a time. Traced functions capture it by identity.
public class Variable: @unchecked Sendable, CustomStringConvertible {
  // Sendable: content sits in locked cells, and `isFrozen`, which is atomic, changes under the content's lock; all else
  // is constant.

  package let cell: StateCell
  /// The place in the autograd graph that values have; nil while the variable is frozen, and if it never gets gradients.
  package var autograd: AutogradMeta? { isFrozen.load(ordering: .relaxed) ? nil : leaf }
  private let leaf: AutogradMeta?
  private let isFrozen = Atomic<Bool>(false)
  /// The dtype and shape that every value has.
  public let type: TensorType

  /// A variable that starts with that value.
  /// - Parameter requiresGrad: Whether `backward` accumulates gradients in `grad`.
  public init(_ value: Tensor, requiresGrad: Bool = false, name: String = "variable") {
    type = value.type
    if requiresGrad && !value.dtype.isFloatingPoint {
      note(
        OpError("Variable", "only floating-point tensors can require gradients, not \(value.dtype)")
      )
    }
    leaf = requiresGrad ? AutogradMeta(leafNamed: name + ".grad") : nil
    cell = StateCell(label: name)
    // A new variable is not one that a session changes.
    let content = adopted(value)
    DeferredThread.withoutUpdates { cell.write(content) }
  }

  /// The current content. Setting it asks for the same dtype and shape.
  public var value: Tensor {
    get { cell.read() ?? .failed }
    set {
      if newValue.isFailed { return }
      guard newValue.type == type else {
        note(
          OpError("Variable", "a value of type \(newValue.type) does not fit \(cell.name): \(type)")
        )
        return
      }
      // So that traces know whether the variable is frozen, which decides what the content is to `backward`.
      if leaf != nil && ThreadContext.recorder != nil { _ = cell.read() }
      cell.write(adopted(newValue))
    }
  }

  /// The gradient that `backward` accumulated; nil before, or after `zeroGrad`, and of frozen variables.
  public var grad: Tensor? {
    get { autograd?.gradientCell?.read() }
    set {
      guard let cell = leaf?.gradientCell, newValue == nil || autograd != nil else {
        note(OpError("grad", "the variable does not require gradients"))
        return
      }
      cell.writeGradient(newValue, of: type)
    }
  }

  /// Whether `backward` accumulates gradients here.
  public var requiresGrad: Bool { autograd != nil }

  /// Whether `backward` shall accumulate gradients here. A variable that gets none forgets the one that it has, so that
  /// optimisers leave it alone. Traced functions notice, and keep a trace for each.
  fileprivate func setRequiresGrad(_ requires: Bool) {
    guard let leaf, isFrozen.load(ordering: .relaxed) == requires else { return }
    if ThreadContext.recorder != nil {
      // A replay would change the content, but not what later ones become.
      return note(
        OpError("requiresGrad", "\(name) cannot change inside a function that is recorded"))
    }
    cell.settle()
    cell.lock()
    isFrozen.store(!requires, ordering: .relaxed)
    let content = cell.lockedContent
    cell.lockedContent = content.map { Tensor($0.body.attached(to: autograd)) }
    cell.unlock()
    // What a graph made before, or a program before the freeze, has left.
    leaf.gradientCell?.write(nil)
  }

  /// The name in printed graphs.
  public var name: String {
    get { cell.name }
    set {
      cell.name = newValue
      leaf?.gradientCell?.name = newValue + ".grad"
    }
  }

  /// The sizes of the axes, which every value has.
  public var shape: [Int] { Array(type.shape) }
  /// The dtype that every value has.
  public var dtype: DType { type.dtype }
  public var description: String { "\(Swift.type(of: self))(\(name): \(type))" }

  /// The value as a leaf of this variable: contiguous, and with the variable's own gradient.
  private func adopted(_ value: Tensor) -> Tensor {
    let value = value.body.isContiguous ? value : noGrad { apply(.copy, value) }
    if value.body.autograd === autograd { return value }
    let result = Tensor(value.body.attached(to: autograd))
    ThreadContext.recorder?.recordAlias(result, of: value)
    return result
  }
}

/// A variable that training changes.
public final class Parameter: Variable, @unchecked Sendable {
  // Sendable: as its superclass; it adds nothing.

  /// A trainable variable that starts with that value.
  public init(_ value: Tensor, name: String = "parameter") {
    super.init(value, requiresGrad: true, name: name)
  }

  /// Whether `backward` accumulates gradients here. A parameter that is set to false is frozen: it forgets its gradient,
  /// and optimisers leave it alone. Traced functions notice, and keep a trace for each. Not to be set inside them.
  public override var requiresGrad: Bool {
    get { super.requiresGrad }
    set { setRequiresGrad(newValue) }
  }
}
