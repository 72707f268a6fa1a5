import Duet

/// The sum over the tensors of the mean magnitude of their elements, in float64.
func fingerprint(_ tensors: [Tensor]) -> Double {
  tensors.reduce(0) { sum, tensor in
    var total = 0.0
    if tensor.dtype == .float32 {
      for value in tensor.asArray(Float.self) { total += Double(value.magnitude) }
    } else {
      for value in tensor.asArray(Double.self) { total += value.magnitude }
    }
    return sum + total / Double(tensor.size)
  }
}

/// Whether two lists of tensors have the same dtypes, shapes and elements, bit for bit.
func haveEqualBits(_ a: [Tensor], _ b: [Tensor]) -> Bool {
  a.count == b.count && zip(a, b).allSatisfy(haveEqualBits)
}

private func haveEqualBits(_ a: Tensor, _ b: Tensor) -> Bool {
  guard a.dtype == b.dtype, a.shape == b.shape else { return false }
  if a.dtype == .float32 {
    return zip(a.asArray(Float.self), b.asArray(Float.self))
      .allSatisfy { $0.bitPattern == $1.bitPattern }
  }
  return zip(a.asArray(Double.self), b.asArray(Double.self))
    .allSatisfy { $0.bitPattern == $1.bitPattern }
}
