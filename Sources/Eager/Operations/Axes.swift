import DuetRuntime

extension Tensor {
  /// A user's axis counted from the front; nil for a failed tensor, or after noting that there is
  /// no such axis.
  ///
  /// - Parameter rank: The number of axes to count in, if it is not this tensor's.
  func checkedAxis(_ axis: Int, _ operation: String, rank: Int? = nil) -> Int? {
    if isFailed { return nil }
    let rank = rank ?? ndim
    guard axis >= -rank && axis < rank else {
      note(OpError(operation, "axis \(axis) is out of range for shape \(shape)"))
      return nil
    }
    return axis < 0 ? axis + rank : axis
  }

  /// A user's axes, all of them for nil; nil for a failed tensor, or after noting what is wrong
  /// with them.
  func checkedAxes(_ axes: [Int]?, _ operation: String) -> AxisSet? {
    if isFailed { return nil }
    guard let axes else { return AxisSet(allOf: ndim) }
    var set = AxisSet(bits: 0)
    for axis in axes {
      guard let axis = checkedAxis(axis, operation) else { return nil }
      guard !set.contains(axis) else {
        note(OpError(operation, "axis \(axis) is named twice in \(axes)"))
        return nil
      }
      set = AxisSet(bits: set.bits | 1 << UInt8(axis))
    }
    return set
  }
}
