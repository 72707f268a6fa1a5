import DuetRuntime

/// The different elements of a tensor, or its different parts along an axis, and how they came: what `uniqueAll` gives.
public struct UniqueElements: Sendable {
  /// The different elements in ascending order, a vector; or the different parts along the axis in lexicographic order.
  public var values: Tensor
  /// Where each of them came first: `int64`.
  public var indices: Tensor
  /// Which of them each element is, of the tensor's shape; or each part, a vector: `int64`.
  public var inverse: Tensor
  /// How often each of them came: `int64`.
  public var counts: Tensor
  /// How many there are, whatever size was asked for: `int64`, a scalar.
  public var count: Tensor
}

// Not-a-number counts as one value, and comes last, as in NumPy.
extension Tensor {
  /// The different elements in ascending order: a vector. Not-a-number is one of them, the last.
  ///
  /// Looks at how many there are, as `item()` does; `unique(size:)` looks at nothing.
  ///
  /// - Parameter axis: If given, the different parts along this axis, in lexicographic order.
  public func unique(axis: Int? = nil) -> Tensor {
    guard let groups = EqualGroups(self, axis), let places = groups.places() else { return .failed }
    return groups.values(at: places)
  }

  /// The first `size` of the different elements in ascending order. Looks at no value, and so goes into every graph.
  ///
  /// - Parameters:
  ///   - size: How many elements the result has. Further ones are left out.
  ///   - fillValue: What stands in the places for which there is none; nil: the smallest element (of an empty tensor 0).
  ///   - axis: If given, the different parts along this axis, in lexicographic order.
  public func unique(size: Int, fillValue: Double? = nil, axis: Int? = nil) -> Tensor {
    guard let groups = EqualGroups(self, axis), let places = groups.places(size) else {
      return .failed
    }
    return groups.values(at: places, size, fillValue)
  }

  /// The different elements in ascending order with the places of their first coming, which of them each element is, and
  /// how often each comes.
  ///
  /// Looks at how many there are, as `item()` does; `uniqueAll(size:)` looks at nothing.
  ///
  /// - Parameter axis: If given, of the different parts along this axis, in lexicographic order.
  public func uniqueAll(axis: Int? = nil) -> UniqueElements {
    guard let groups = EqualGroups(self, axis), let places = groups.places() else { return .failed }
    return groups.all(groups.values(at: places), places, isCut: false)
  }

  /// As `unique(size:)`, with the places of their first coming, which of them each element is, and how often each comes:
  /// 0 times where there is none. An element that is left out is counted in `inverse` and `count` all the same.
  public func uniqueAll(size: Int, fillValue: Double? = nil, axis: Int? = nil) -> UniqueElements {
    guard let groups = EqualGroups(self, axis), let places = groups.places(size) else {
      return .failed
    }
    return groups.all(groups.values(at: places, size, fillValue), places, isCut: true)
  }
}

/// The different elements in ascending order, or the different parts along an axis. Looks at how many there are, as
/// `item()` does.
public func unique(_ x: Tensor, axis: Int? = nil) -> Tensor { x.unique(axis: axis) }

/// The first `size` of the different elements, or of the different parts along an axis; the fill value, or the first of
/// them, stands where there are fewer. Looks at no value.
public func unique(
  _ x: Tensor, size: Int, fillValue: Double? = nil, axis: Int? = nil
) -> Tensor {
  x.unique(size: size, fillValue: fillValue, axis: axis)
}

/// The different elements with their first places, which of them each element is, and how often each comes. Looks at how
/// many there are, as `item()` does.
public func uniqueAll(_ x: Tensor, axis: Int? = nil) -> UniqueElements { x.uniqueAll(axis: axis) }

/// As `unique(_:size:)`, with first places, which of them each element is, and how often each comes. Looks at no value.
public func uniqueAll(
  _ x: Tensor, size: Int, fillValue: Double? = nil, axis: Int? = nil
) -> UniqueElements {
  x.uniqueAll(size: size, fillValue: fillValue, axis: axis)
}

extension UniqueElements {
  fileprivate static let failed = UniqueElements(
    values: .failed, indices: .failed, inverse: .failed, counts: .failed, count: .failed)
}

/// Elements, or parts along an axis, in order, and where in this order others begin than before.
private struct EqualGroups {
  /// What is told apart lies along axis 0, or along the axis that was asked for.
  let source: Tensor
  let axis: Int
  let inverseShape: Shape
  /// The places in ascending order of what is there: `int64`, a vector.
  let order: Tensor
  /// What is in order, if it was put in order to be compared.
  let sorted: Tensor?
  /// Whether something else stands at that place of the order than at the one before.
  let isFirst: Tensor

  /// Nil for a failed tensor, or after noting what is wrong.
  init?(_ x: Tensor, _ axis: Int?) {
    if x.isFailed { return nil }
    let x = x.withoutGradient
    if let axis {
      guard let axis = x.checkedAxis(axis, "unique") else { return nil }
      (source, self.axis, inverseShape) = (x, axis, [x.dim(axis)])
      let count = x.dim(axis)
      let width = x.body.layout.shape.removing(axis: axis).elementCount
      let key = lexicographicRanks(x.movedAxis(from: axis, to: 0).reshaped(count, width))
      order = apply(.argSort(axis: 0, descending: false), key)
      sorted = nil
      isFirst = isDifferent(apply(.take(axis: 0), key, order), axis: 0)
    } else {
      (source, self.axis, inverseShape) = (x.flattened(), 0, x.body.layout.shape)
      order = apply(.argSort(axis: 0, descending: false), source)
      let inOrder = apply(.take(axis: 0), source, order)
      sorted = inOrder
      isFirst = isDifferent(inOrder, axis: 0)
    }
    if isFirst.isFailed { return nil }
  }

  /// The places in the order where others begin. Looks at how many there are.
  func places() -> Tensor? {
    guard let count = isFirst.trueCount(for: "unique", orUse: "unique(x, size:)") else {
      return nil
    }
    return isFirst.truePlaces(count)[0]
  }

  /// The first so many places in the order where others begin; 0 where there are fewer.
  func places(_ size: Int) -> Tensor? {
    guard source.checkedShape([size], "unique") != nil else { return nil }
    return isFirst.recordedPlaces(size)[0]
  }

  /// What begins at those places of the order.
  func values(at places: Tensor) -> Tensor {
    if let sorted { return apply(.take(axis: 0), sorted, places) }
    return apply(.take(axis: axis), source, apply(.take(axis: 0), order, places))
  }

  /// The same with a value in the places for which there is nothing.
  func values(at places: Tensor, _ size: Int, _ fillValue: Double?) -> Tensor {
    var shape = source.shape
    shape[axis] = size
    if source.dim(axis) == 0 { return full(shape, fillValue ?? 0, dtype: source.dtype) }
    let values = values(at: places)
    // Places that are missing are 0, where the smallest begins.
    guard let fillValue else { return values }
    var along = Array(repeating: 1, count: shape.count)
    along[axis] = size
    let fill = full([], fillValue, dtype: source.dtype)
    return which((arange(size) .< isFirst.sum()).reshaped(along), values, fill)
  }

  /// - Parameters:
  ///   - places: Where in the order the values begin.
  ///   - isCut: Whether there may be more values than places.
  func all(_ values: Tensor, _ places: Tensor, isCut: Bool) -> UniqueElements {
    let (size, total) = (places.size, order.size)
    let count = isFirst.sum()
    if total == 0 {
      let none = zeros([size], dtype: .int64)
      return UniqueElements(
        values: values, indices: none, inverse: zeros(Array(inverseShape), dtype: .int64),
        counts: none, count: count)
    }
    let group = isFirst.cumsum(axis: 0) - 1
    let inverse = apply(.scatterSet(axis: 0), [zeros([total], dtype: .int64), order, group])
    // From where each begins to where the next does; the last one goes to the end.
    let row = arange(size)
    let begin = which(row .< count, places, total)
    var end = concatenated([begin, full([1], total, dtype: .int64)]).part(along: 0, 1, size)
    // Behind the last value there may be others, which were not wanted.
    if isCut { end = minimum(end, (group .< size).sum()) }
    return UniqueElements(
      values: values, indices: apply(.take(axis: 0), order, places),
      inverse: inverse.reshaped(Array(inverseShape)), counts: end - begin, count: count)
  }
}

/// Whether elements differ from those before them along an axis; the first ones do.
private func isDifferent(_ sorted: Tensor, axis: Int) -> Tensor {
  if sorted.isFailed { return .failed }
  let count = sorted.dim(axis)
  var first = sorted.shape
  first[axis] = Swift.min(count, 1)
  let begin = full(first, true)
  if count < 2 { return begin }
  let (after, before) = (
    sorted.part(along: axis, 1, count - 1), sorted.part(along: axis, 0, count - 1)
  )
  let differs = after .!= before
  guard sorted.dtype.isFloatingPoint else { return concatenated([begin, differs], axis: axis) }
  let areNaN = isNaN(after) .& isNaN(before)
  return concatenated([begin, differs .& logicalNot(areNaN)], axis: axis)
}

/// For each row of a matrix `[n, m]` a number, `int64`, such that numbers compare as rows do lexicographically: the place
/// of each element among those of its column first, and then of pairs of neighbouring columns, until one is left.
private func lexicographicRanks(_ rows: Tensor) -> Tensor {
  let count = rows.dim(0)
  if rows.size == 0 { return zeros([count], dtype: .int64) }
  func ranks(_ x: Tensor) -> Tensor {
    let order = apply(.argSort(axis: 0, descending: false), x)
    let sorted = apply(.takeAlong(axis: 0), x, order)
    let rank = isDifferent(sorted, axis: 0).cumsum(axis: 0)
    return apply(.scatterAddAlong(axis: 0), [zeros(x.shape, dtype: .int64), order, rank])
  }
  var keys = ranks(rows)
  while keys.dim(1) > 1 {
    let pairs = keys.dim(1) / 2
    let even = keys.part(along: 1, 0, 2 * pairs).reshaped(count, pairs, 2)
    // Ranks go from 1 to the number of rows.
    let joint = even[0..., 0..., 0] * (count + 1) + even[0..., 0..., 1]
    let ranked = ranks(joint)
    let hasRest = keys.dim(1) > 2 * pairs
    keys = hasRest ? concatenated([ranked, keys.part(along: 1, 2 * pairs, 1)], axis: 1) : ranked
  }
  return keys.flattened()
}
