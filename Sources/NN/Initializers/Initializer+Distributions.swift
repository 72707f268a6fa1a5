import DuetEager
import DuetRuntime
import Foundation

extension Initializer {
  /// Normally distributed among the numbers from `low` to `high`: by the inverse of the distribution's function, as in
  /// PyTorch. Numbers are drawn as `float64` and rounded once; a function that is recorded has to know them then.
  public static func truncatedNormal(
    mean: Double = 0, std: Double = 1, low: Double = -2, high: Double = 2
  ) -> Initializer {
    Initializer { shape, dtype, generator in
      guard low < high, std > 0 else {
        return fail(
          OpError(
            "Initializer.truncatedNormal",
            "needs a deviation above 0 and bounds that ascend, not \(std) and \(low) ... \(high)"))
      }
      func share(below x: Double) -> Double { erf((x - mean) / std * 0.5.squareRoot()) }
      // In float64, by the element, whatever the dtype: a weight is initialised once.
      let drawn = Random.uniform(
        low: share(below: low), high: share(below: high), shape, dtype: .float64,
        generator: generator)
      if drawn.isFailed { return drawn }
      let values = drawn.asArray(Double.self).map { y in
        min(max(mean + std * 2.0.squareRoot() * inverseErf(y), low), high)
      }
      return Tensor(values, shape, dtype: dtype)
    }
  }

  /// A matrix whose rows, or columns where there are fewer of them, are at right angles and have the length `gain`
  /// (Saxe and others, 2014). Further axes count as columns. Numbers are drawn and turned as `float64` and rounded
  /// once; a function that is recorded has to know them then.
  public static func orthogonal(gain: Double = 1) -> Initializer {
    Initializer { shape, dtype, generator in
      guard shape.count >= 2, shape.allSatisfy({ $0 >= 0 }) else {
        return fail(
          OpError(
            "Initializer.orthogonal", "needs a weight of at least two axes, not shape \(shape)"))
      }
      if shape.contains(0) { return DuetEager.zeros(shape, dtype: dtype) }
      let rows = shape[0]
      guard let columns = checkedProduct(shape.dropFirst()), checkedProduct(shape) != nil else {
        return fail(OpError("Initializer.orthogonal", "a tensor of shape \(shape) is too large"))
      }
      let (count, length) = (min(rows, columns), max(rows, columns))
      let drawn = Random.normal([count, length], dtype: .float64, generator: generator)
      if drawn.isFailed { return drawn }
      let basis = orthonormalised(drawn.asArray(Double.self), count: count, length: length)
      let matrix = Tensor(basis.map { $0 * gain }, [count, length], dtype: dtype)
      return (rows > columns ? matrix.transposed() : matrix).reshaped(shape)
    }
  }
}

/// x with erf(x) = y: an estimate (Winitzki, 2008) and Newton's steps.
func inverseErf(_ y: Double) -> Double {
  if y <= -1 { return -.infinity }
  if y >= 1 { return .infinity }
  let logarithm = log1p(-y * y)
  let a = 0.147
  let b = 2 / (Double.pi * a) + logarithm / 2
  var x = (((b * b - logarithm / a).squareRoot() - b).squareRoot()) * (y < 0 ? -1 : 1)
  for _ in 0..<4 {
    let slope = 2 / Double.pi.squareRoot() * exp(-x * x)
    guard slope > 0 else { break }
    // Near the ends erf is 1 but for its last bits; its complement is not.
    let error = y > 0.5 ? (1 - y) - erfc(x) : y < -0.5 ? erfc(-x) - (1 + y) : erf(x) - y
    x -= error / slope
  }
  return x
}

/// Rows of length 1 at right angles that span what the first of the given rows span, by the method of Gram and Schmidt
/// with every projection taken twice (Giraud and others, 2005). Directions are as likely as each other.
private func orthonormalised(_ rows: [Double], count: Int, length: Int) -> [Double] {
  var q = rows
  q.withUnsafeMutableBufferPointer { q in
    for i in 0..<count {
      let row = i * length
      for _ in 0..<2 {
        for j in 0..<i {
          let other = j * length
          var dot = 0.0
          for k in 0..<length { dot += q[row + k] * q[other + k] }
          for k in 0..<length { q[row + k] -= dot * q[other + k] }
        }
      }
      var square = 0.0
      for k in 0..<length { square += q[row + k] * q[row + k] }
      let factor = 1 / square.squareRoot()
      for k in 0..<length { q[row + k] *= factor }
    }
  }
  return q
}
