import DuetEager
import DuetRuntime

/// The first of the tensors that has failed.
func firstFailed(_ tensors: Tensor?...) -> Tensor? {
  for tensor in tensors { if let tensor, tensor.isFailed { return tensor } }
  return nil
}

/// A failed tensor if `x` has failed, is not floating point, or has another number of axes.
/// - Parameters:
///   - ranks: The numbers of axes that it may have; empty: any.
///   - form: What is expected, for the message: `images [N, C, H, W]`.
func mistake(_ operation: String, _ x: Tensor, ranks: [Int] = [], _ form: String) -> Tensor? {
  if x.isFailed { return x }
  if x.dtype.isFloatingPoint && (ranks.isEmpty || ranks.contains(x.ndim)) { return nil }
  return fail(OpError(operation, "needs floating-point \(form), not \(x.type)"))
}

/// An axis counted from the front; nil after noting that there is none such.
func resolved(_ axis: Int, of x: Tensor, in operation: String) -> Int? {
  if x.isFailed { return nil }
  guard -x.ndim..<x.ndim ~= axis else {
    note(OpError(operation, "axis \(axis) is out of range for shape \(x.shape)"))
    return nil
  }
  return axis < 0 ? axis + x.ndim : axis
}

/// A height and a width of at least that much; nil after noting what is wrong.
func checkedExtent(
  _ value: any IntOrPair, _ operation: String, _ argument: String, atLeast least: Int = 1
) -> Extent? {
  guard let extent = value.extent, extent.height >= least, extent.width >= least else {
    note(
      OpError(
        operation, "\(argument) must be one number or two of at least \(least), not \(value)"))
    return nil
  }
  return extent
}

/// The product of sizes; nil if it is more than a number holds.
func checkedProduct(_ sizes: some Sequence<Int>) -> Int? {
  var product = 1
  for size in sizes {
    let (next, overflow) = product.multipliedReportingOverflow(by: size)
    if overflow { return nil }
    product = next
  }
  return product
}

/// Sizes for parameters after noting what is wrong with them: negative ones as 0, and those that no tensor has as one
/// that is too large for every tensor and small enough to compute with.
func boundedSize(_ size: Int, atLeast least: Int = 0) -> Int { min(max(size, least), 1 << 47) }

/// Notes a probability that is none.
func noteImprobable(_ p: Double, _ argument: String, in operation: String) {
  if !(0...1).contains(p) {
    note(OpError(operation, "the \(argument) \(p) is not in 0 ... 1"))
  }
}
