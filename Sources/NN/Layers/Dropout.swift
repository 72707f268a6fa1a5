import DuetEager
import DuetRuntime

/// In training sets elements to 0 with probability `p` and multiplies the others by 1 / (1 - p); otherwise gives
/// what comes in (Srivastava and others, 2014).
public struct Dropout: UnaryLayer, Sendable {
  /// The probability, from 0 to 1, that training sets an element to 0.
  public let p: Double
  /// Where the random numbers come from; the global generator if nil.
  public let generator: Generator?
  let mode = TrainingMode()

  /// - Parameters:
  ///   - p: From 0 to 1.
  ///   - generator: Where the random numbers come from; the global generator if nil.
  public init(_ p: Double = 0.5, generator: Generator? = nil) {
    if !(0...1).contains(p) { note(OpError("Dropout", "the probability \(p) is not in 0 ... 1")) }
    self.p = p
    self.generator = generator
  }

  public func callAsFunction(_ x: Tensor) -> Tensor {
    guard p > 0, mode.isTraining else { return x }
    if p >= 1 { return x * 0 }
    let isKept = Random.bernoulli(1 - p, x.shape, generator: generator)
    return x * (isKept.asType(x.dtype) * (1 / (1 - p)))
  }
}
