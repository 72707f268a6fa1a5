import DuetEager
import DuetRuntime

/// What follows a layer, for the scale that its weights begin with.
public enum Nonlinearity: Sendable, Hashable {
  /// Nothing.
  case linear
  /// 1 / (1 + e⁻ˣ).
  case sigmoid
  /// The hyperbolic tangent.
  case tanh
  /// max(x, 0).
  case relu
  /// x above 0, `negativeSlope` x below.
  case leakyRelu(negativeSlope: Double = 0.01)
  /// The self-normalising `elu`.
  case selu

  /// How many times the deviation of what comes in weights must have to keep it, as PyTorch's `calculate_gain`.
  public var gain: Double {
    switch self {
    case .linear, .sigmoid: 1
    case .tanh: 5.0 / 3
    case .relu: 2.0.squareRoot()
    case .leakyRelu(let slope): (2 / (1 + slope * slope)).squareRoot()
    case .selu: 0.75
    }
  }
}

/// Which numbers a scale keeps.
public enum FanMode: Sendable, Hashable {
  /// Results': by how many numbers meet in one.
  case fanIn
  /// Gradients': by how many numbers one takes part in.
  case fanOut
}

extension Initializer {
  /// Uniform in ±gain √(6 / (fan-in + fan-out)) (Glorot and Bengio, 2010).
  public static func xavierUniform(gain: Double = 1) -> Initializer {
    scaled("xavierUniform", isUniform: true) { gain * (2 / ($0 + $1)).squareRoot() }
  }

  /// Normal with the deviation gain √(2 / (fan-in + fan-out)) (Glorot and Bengio, 2010).
  public static func xavierNormal(gain: Double = 1) -> Initializer {
    scaled("xavierNormal", isUniform: false) { gain * (2 / ($0 + $1)).squareRoot() }
  }

  /// Uniform in ±gain √(3 / fan) (He and others, 2015).
  /// - Parameter nonlinearity: What follows; PyTorch's default is a leaky ReLU of slope 0.
  public static func kaimingUniform(
    mode: FanMode = .fanIn, nonlinearity: Nonlinearity = .leakyRelu(negativeSlope: 0)
  ) -> Initializer {
    scaled("kaimingUniform", isUniform: true) {
      nonlinearity.gain / (mode == .fanIn ? $0 : $1).squareRoot()
    }
  }

  /// Normal with the deviation gain / √fan (He and others, 2015).
  /// - Parameter nonlinearity: What follows; PyTorch's default is a leaky ReLU of slope 0.
  public static func kaimingNormal(
    mode: FanMode = .fanIn, nonlinearity: Nonlinearity = .leakyRelu(negativeSlope: 0)
  ) -> Initializer {
    scaled("kaimingNormal", isUniform: false) {
      nonlinearity.gain / (mode == .fanIn ? $0 : $1).squareRoot()
    }
  }

  /// - Parameter deviation: Takes fan-in and fan-out.
  private static func scaled(
    _ name: String, isUniform: Bool,
    _ deviation: @escaping @Sendable (_ fanIn: Double, _ fanOut: Double) -> Double
  ) -> Initializer {
    Initializer { shape, dtype, generator in
      guard shape.count >= 2, shape.allSatisfy({ $0 >= 0 }) else {
        return fail(
          OpError("Initializer." + name, "needs a weight of at least two axes, not shape \(shape)"))
      }
      if shape.contains(0) { return DuetEager.zeros(shape, dtype: dtype) }
      // As floating point: the shape may be too large, which is found when numbers are drawn.
      let kernel = shape.dropFirst(2).reduce(1.0) { $0 * Double($1) }
      let std = deviation(Double(shape[1]) * kernel, Double(shape[0]) * kernel)
      if !isUniform { return Random.normal(shape, std: std, dtype: dtype, generator: generator) }
      let bound = std * 3.0.squareRoot()
      return Random.uniform(low: -bound, high: bound, shape, dtype: dtype, generator: generator)
    }
  }
}
