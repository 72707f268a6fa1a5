import DuetEager
import DuetRuntime
import Testing

/// Compares dtype, shape and values, and reports the first difference.
func expect(
  _ tensor: Tensor, _ shape: [Int], _ dtype: DType, _ values: [Double], tolerance: Double = 0,
  sourceLocation: Testing.SourceLocation = #_sourceLocation
) {
  #expect(tensor.dtype == dtype, sourceLocation: sourceLocation)
  #expect(tensor.shape == shape, sourceLocation: sourceLocation)
  let actual = tensor.asArray(Double.self)
  #expect(actual.count == values.count, sourceLocation: sourceLocation)
  for (i, (a, b)) in zip(actual, values).enumerated() {
    let isEqual = a == b || (a.isNaN && b.isNaN) || abs(a - b) <= tolerance * max(1, abs(b))
    if !isEqual {
      Issue.record("element \(i) is \(a), expected \(b)", sourceLocation: sourceLocation)
      return
    }
  }
}

/// Compares two tensors' dtypes, shapes and values.
func expect(
  _ tensor: Tensor, equals other: Tensor, tolerance: Double = 0,
  sourceLocation: Testing.SourceLocation = #_sourceLocation
) {
  expect(
    tensor, other.shape, other.dtype, other.asArray(Double.self), tolerance: tolerance,
    sourceLocation: sourceLocation)
}

/// The message of the mistake in a body, without its place in the program.
func message(_ body: () throws -> Void) -> String? {
  do {
    try checked(body)
    return nil
  } catch var error as TensorError {
    error.location = nil
    return error.description
  } catch {
    return "\(error)"
  }
}

/// Numbers between two bounds, all different and in no order.
func sample(_ shape: [Int], _ low: Double = -1, _ high: Double = 1, seed: Int = 0) -> Tensor {
  let count = shape.reduce(1, *)
  let values = (0..<count).map { i in
    let t = Double(i + 1 + 17 * seed) * 0.6180339887498949
    return low + (high - low) * (t - t.rounded(.down))
  }
  return Tensor(values, shape)
}
