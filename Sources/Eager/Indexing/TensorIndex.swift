import DuetRuntime

/// What may stand in the brackets of a tensor: integers, ranges, `.ellipsis`, `.newAxis`, strides,
/// tensors of integers (gather) and of `bool` (masks).
public protocol TensorIndex: Sendable {
  /// The index in one form for all.
  var resolved: ResolvedIndex { get }
}

/// An index in one form for all.
public enum ResolvedIndex: Sendable {
  /// One place along an axis, which goes away.
  case place(Int)
  /// Places at equal distances along an axis, which stays.
  case slice(TensorSlice)
  /// All axes that the other indices leave.
  case ellipsis
  /// A new axis of one element.
  case newAxis
  /// Places along an axis; a `bool` tensor stands for as many axes as it has.
  case tensor(Tensor)
}

/// Every `step`-th element from `start` up to but not including `end`, as Python's
/// `start:end:step`: negative places count from the end, places out of range are moved to the
/// nearest end.
public struct TensorSlice: TensorIndex {
  /// Nil: from the end that the step leads away from.
  public var start: Int?
  /// Nil: up to and including the last.
  public var end: Int?
  /// The distance from each place to the next; negative: backwards. A subscript takes 0 for an error.
  public var step: Int

  /// What Python writes `start:end:step`; without arguments all of an axis.
  public init(from start: Int? = nil, to end: Int? = nil, by step: Int = 1) {
    self.start = start
    self.end = end
    self.step = step
  }

  public var resolved: ResolvedIndex { .slice(self) }

  /// The first place and the number of elements along an axis of that size.
  func range(in size: Int) -> (start: Int, count: Int) {
    func bounded(_ place: Int, _ low: Int, _ high: Int) -> Int {
      Swift.min(Swift.max(place < 0 ? place + size : place, low), high)
    }
    if step > 0 {
      let first = start.map { bounded($0, 0, size) } ?? 0
      let limit = end.map { bounded($0, 0, size) } ?? size
      return (first, limit > first ? (limit - first - 1) / step + 1 : 0)
    }
    let first = start.map { bounded($0, -1, size - 1) } ?? size - 1
    let limit = end.map { bounded($0, -1, size - 1) } ?? -1
    // -(step + 1) + 1 cannot overflow, unlike -step.
    let distance = step == .min ? Int.max : -step
    return (first, first > limit ? (first - limit - 1) / distance + 1 : 0)
  }
}

/// Stands for all axes that the other indices leave.
public struct EllipsisIndex: TensorIndex {
  public var resolved: ResolvedIndex { .ellipsis }
}

/// Puts in a new axis of one element.
public struct NewAxisIndex: TensorIndex {
  public var resolved: ResolvedIndex { .newAxis }
}

extension TensorIndex where Self == EllipsisIndex {
  /// All axes that the other indices leave.
  public static var ellipsis: EllipsisIndex { EllipsisIndex() }
}

extension TensorIndex where Self == NewAxisIndex {
  /// A new axis of one element.
  public static var newAxis: NewAxisIndex { NewAxisIndex() }
}

extension TensorIndex where Self == TensorSlice {
  /// All of an axis.
  public static var all: TensorSlice { TensorSlice() }

  /// Every `step`-th element from `start` up to but not including `end`, as Python's
  /// `start:end:step`.
  public static func stride(
    from start: Int? = nil, to end: Int? = nil, by step: Int = 1
  ) -> TensorSlice {
    TensorSlice(from: start, to: end, by: step)
  }
}

extension Tensor: TensorIndex {
  public var resolved: ResolvedIndex { .tensor(self) }
}

extension Int: TensorIndex {
  public var resolved: ResolvedIndex { .place(self) }
}

extension Range<Int>: TensorIndex {
  public var resolved: ResolvedIndex { by(1).resolved }

  /// Every `step`-th element of the range.
  public func by(_ step: Int) -> TensorSlice {
    step > 0
      ? TensorSlice(
        from: lowerBound, to: upperBound == 0 && lowerBound < 0 ? nil : upperBound, by: step)
      : TensorSlice.backwards(lowerBound, isEmpty ? nil : upperBound - 1, step)
  }
}

extension ClosedRange<Int>: TensorIndex {
  public var resolved: ResolvedIndex { by(1).resolved }

  /// Every `step`-th element of the range.
  public func by(_ step: Int) -> TensorSlice {
    step > 0
      ? TensorSlice(
        from: lowerBound, to: upperBound == -1 || upperBound == .max ? nil : upperBound + 1,
        by: step)
      : TensorSlice.backwards(lowerBound, upperBound, step)
  }
}

extension PartialRangeFrom<Int>: TensorIndex {
  public var resolved: ResolvedIndex { by(1).resolved }

  /// Every `step`-th element of the range.
  public func by(_ step: Int) -> TensorSlice {
    step > 0
      ? TensorSlice(from: lowerBound, by: step) : TensorSlice.backwards(lowerBound, -1, step)
  }
}

extension PartialRangeUpTo<Int>: TensorIndex {
  public var resolved: ResolvedIndex { by(1).resolved }

  /// Every `step`-th element of the range.
  public func by(_ step: Int) -> TensorSlice {
    step > 0
      ? TensorSlice(to: upperBound, by: step)
      : TensorSlice.backwards(
        0, upperBound == 0 || upperBound == .min ? nil : upperBound - 1, step)
  }
}

extension PartialRangeThrough<Int>: TensorIndex {
  public var resolved: ResolvedIndex { by(1).resolved }

  /// Every `step`-th element of the range.
  public func by(_ step: Int) -> TensorSlice {
    step > 0
      ? TensorSlice(to: upperBound == -1 || upperBound == .max ? nil : upperBound + 1, by: step)
      : TensorSlice.backwards(0, upperBound, step)
  }
}

extension TensorSlice {
  /// From the last place of a range down to its first; nil: the range is empty.
  fileprivate static func backwards(_ first: Int, _ last: Int?, _ step: Int) -> TensorSlice {
    guard let last else { return TensorSlice(from: 0, to: 0, by: step) }
    return TensorSlice(from: last, to: first == 0 || first == .min ? nil : first - 1, by: step)
  }
}

extension StrideTo<Int>: TensorIndex {
  public var resolved: ResolvedIndex { TensorSlice(progression: self).resolved }
}

extension StrideThrough<Int>: TensorIndex {
  public var resolved: ResolvedIndex { TensorSlice(progression: self).resolved }
}

extension TensorSlice {
  /// The elements of a Swift stride: all negative (from the end), or up to the first that is.
  fileprivate init(progression: some Sequence<Int>) {
    var iterator = progression.makeIterator()
    guard let first = iterator.next() else {
      self.init(from: 0, to: 0)
      return
    }
    guard let second = iterator.next() else {
      self.init(from: first, to: first == -1 ? nil : first + 1)
      return
    }
    let step = second - first
    var last = second
    while let next = iterator.next(), (next < 0) == (first < 0) { last = next }
    if (second < 0) != (first < 0) { last = first }
    let limit = last + step.signum()
    // Past the last element either way there is no place to name.
    self.init(from: first, to: last == (step > 0 ? -1 : 0) ? nil : limit, by: step)
  }
}
