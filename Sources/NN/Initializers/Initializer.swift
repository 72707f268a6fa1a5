import DuetEager
import DuetRuntime

/// What weights begin with, as PyTorch's `nn.init`.
///
///     let layer = Linear(784, 128)
///     layer.weight.initialize(.kaimingUniform(nonlinearity: .relu))
///     layer.bias?.initialize(.zeros)
///
/// Matrices are `[out, in]`, kernels of convolutions `[out, in, ...]`: the numbers that meet in a result (fan-in) are
/// all axes but the first, those that a number takes part in (fan-out) all but the second.
///
/// Numbers are drawn in the dtype that is asked for, but for `truncatedNormal` and `orthogonal`: these draw `float64`
/// and read what they have drawn, which a traced function then depends on.
public struct Initializer: Sendable {
  private let make: @Sendable (_ shape: [Int], _ dtype: DType, _ generator: Generator?) -> Tensor

  /// An initialiser of one's own.
  /// - Parameter make: Takes shape, dtype and the generator to draw from, the global one if nil.
  public init(_ make: @escaping @Sendable ([Int], DType, Generator?) -> Tensor) {
    self.make = make
  }

  /// The first values of a tensor. Other than floating-point dtypes are an error.
  public func callAsFunction(
    _ shape: [Int], dtype: DType = .float32, generator: Generator? = nil
  ) -> Tensor {
    guard dtype.isFloatingPoint else {
      return fail(OpError("Initializer", "needs a floating-point dtype, not \(dtype)"))
    }
    return make(shape, dtype, generator)
  }

  /// Zeros.
  public static let zeros = constant(0)
  /// Ones.
  public static let ones = constant(1)

  /// The same number everywhere.
  public static func constant(_ value: Double) -> Initializer {
    Initializer { shape, dtype, _ in full(shape, value, dtype: dtype) }
  }

  /// Ones on the diagonal of a matrix, zeros elsewhere.
  public static let identity = Initializer { shape, dtype, _ in
    guard shape.count == 2 else {
      return fail(OpError("Initializer.identity", "needs a matrix, not shape \(shape)"))
    }
    return eye(shape[0], shape[1], dtype: dtype)
  }

  /// All numbers from `low` up to but not including `high` equally likely.
  public static func uniform(low: Double = 0, high: Double = 1) -> Initializer {
    Initializer { shape, dtype, generator in
      Random.uniform(low: low, high: high, shape, dtype: dtype, generator: generator)
    }
  }

  /// Normally distributed.
  public static func normal(mean: Double = 0, std: Double = 1) -> Initializer {
    Initializer { shape, dtype, generator in
      Random.normal(shape, mean: mean, std: std, dtype: dtype, generator: generator)
    }
  }
}

extension Parameter {
  /// Begins anew with what an initialiser gives for the parameter's shape and dtype.
  public func initialize(_ initializer: Initializer, generator: Generator? = nil) {
    let content = initializer(shape, dtype: dtype, generator: generator)
    value = content.detached()
  }
}
