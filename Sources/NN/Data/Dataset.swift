import DuetEager
import DuetRuntime

/// Items, each of an input and a target, by index.
public protocol Dataset: Sendable {
  /// The number of items.
  var count: Int { get }
  /// One item.
  subscript(index: Int) -> (Tensor, Tensor) { get }
  /// Several items, stacked along a new first axis. Datasets that can gather many at once should.
  func batch(_ indices: [Int]) -> (Tensor, Tensor)
}

extension Dataset {
  /// The items one by one, stacked: all must have one shape.
  public func batch(_ indices: [Int]) -> (Tensor, Tensor) {
    let items = indices.map { self[$0] }
    return (stacked(items.map { $0.0 }), stacked(items.map { $0.1 }))
  }
}

/// Inputs and targets whose first axis counts the items.
public struct TensorDataset: Dataset {
  /// `[count, ...]`.
  public let inputs: Tensor
  /// `[count, ...]`, of any dtype.
  public let targets: Tensor
  /// The size of both first axes.
  public let count: Int

  /// Items along the first axis: inputs `[N, ...]` and targets `[N, ...]`. Different first axes are an error.
  public init(_ inputs: Tensor, _ targets: Tensor) {
    let fits = inputs.ndim > 0 && targets.ndim > 0 && inputs.dim(0) == targets.dim(0)
    if !inputs.isFailed, !targets.isFailed, !fits {
      note(
        OpError(
          "TensorDataset",
          "inputs and targets must have one first axis: \(inputs.shape) and \(targets.shape)"))
    }
    self.inputs = inputs
    self.targets = targets
    count = fits ? inputs.dim(0) : 0
  }

  /// An item's input and target, both without the first axis.
  public subscript(index: Int) -> (Tensor, Tensor) {
    let place = Tensor(index)
    return (take(inputs, place, axis: 0), take(targets, place, axis: 0))
  }

  /// The items' parts, gathered at once: `[indices.count, ...]` each.
  public func batch(_ indices: [Int]) -> (Tensor, Tensor) {
    let places = Tensor(indices)
    return (take(inputs, places, axis: 0), take(targets, places, axis: 0))
  }
}

/// Some of another dataset's items, in an order of its own.
public struct Subset<Base: Dataset>: Dataset {
  /// Where the items come from.
  public let base: Base
  /// Each item's place in `base`.
  public let indices: [Int]

  /// The items of `base` at those places, which may repeat. A place that `base` does not have is an error.
  public init(_ base: Base, _ indices: some Sequence<Int>) {
    self.base = base
    self.indices = Array(indices)
    if let odd = self.indices.first(where: { $0 < 0 || $0 >= base.count }) {
      note(OpError("Subset", "there is no item \(odd) in a dataset of \(base.count)"))
    }
  }

  /// The number of `indices`.
  public var count: Int { indices.count }
  /// The item of `base` at `indices[index]`.
  public subscript(index: Int) -> (Tensor, Tensor) { base[indices[index]] }
  /// The items of `base` at those of `indices`, in the batch that `base` makes of them.
  public func batch(_ indices: [Int]) -> (Tensor, Tensor) {
    base.batch(indices.map { self.indices[$0] })
  }
}
