import DuetEager
import DuetRuntime

extension Batching {
  func take(_ axis: Int, _ source: Batched, _ indices: Batched, _ type: TensorType) -> Batched {
    guard indices.isMapped else {
      return .mapped(apply(.take(axis: axis + 1), source.tensor, indices.tensor))
    }
    guard source.isMapped else {
      return .mapped(moving(apply(.take(axis: axis), source.tensor, indices.tensor), axis, to: 0))
    }
    // Rows of all examples in one array, each with its own number.
    let rows = OwnRows(self, source, axis)
    let found = apply(.take(axis: 0), rows.array(of: source), rows.numbers(indices))
    let apart = reshaped(
      found, [size, indices.shape.elementCount] + rows.others)
    return .mapped(reshaped(moving(apart, 1, to: axis + 1), [size] + Array(type.shape)))
  }

  /// Base, indices (a vector), and what is added or put there.
  func scatter(_ op: Op, _ axis: Int, _ operands: [Batched], _ type: TensorType) -> Batched {
    let (base, indices, updates) = (operands[0], operands[1], operands[2])
    guard indices.isMapped else {
      let isSum = if case .scatterAdd = op { true } else { false }
      return .mapped(
        apply(
          isSum ? .scatterAdd(axis: axis + 1) : .scatterSet(axis: axis + 1),
          [expanded(base), indices.tensor, expanded(updates)]))
    }
    let rows = OwnRows(self, base, axis)
    let isSum = if case .scatterAdd = op { true } else { false }
    let result = apply(
      isSum ? .scatterAdd(axis: 0) : .scatterSet(axis: 0),
      [
        rows.array(of: base), reshaped(rows.numbers(indices), [size * indices.shape[0]]),
        rows.array(of: updates),
      ])
    let apart = reshaped(result, [size, base.shape[axis]] + rows.others)
    return .mapped(moving(apart, 1, to: axis + 1))
  }
}

/// An axis that examples are indexed along, each by indices of its own.
private struct OwnRows {
  let batching: Batching
  let axis: Int
  let count: Int
  /// The sizes of the other axes.
  let others: [Int]

  init(_ batching: Batching, _ source: Batched, _ axis: Int) {
    self.batching = batching
    self.axis = axis
    count = source.shape[axis]
    others = Array(source.shape.removing(axis: axis))
  }

  /// `[B, ..., n, ...]` as `[B n, ...]`.
  func array(of value: Batched) -> Tensor {
    let moved = batching.moving(batching.expanded(value), axis + 1, to: 1)
    return batching.reshaped(moved, [batching.size * value.shape[axis]] + others)
  }

  /// Where in that array the elements are that indices name; those out of range are an error, as in one example.
  func numbers(_ indices: Batched) -> Tensor {
    let own = apply(.iota(.int64, count: count, start: 0, step: 1), [])
    let known = apply(
      .take(axis: 0), own,
      batching.reshaped(
        indices.tensor, [batching.size, indices.shape.elementCount]))
    let first = apply(
      .iota(.int64, count: batching.size, start: 0, step: Double(count)), [])
    return known + batching.reshaped(first, [batching.size, 1])
  }
}
