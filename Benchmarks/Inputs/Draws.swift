import Duet

/// A case's inputs: the numbers that NumPy's `default_rng(7)` gives when it is asked for the same
/// arrays in the same order, so that every framework computes with the same ones.
struct Draws {
  private var generator = PCG64(seed: 7)
  private static let ziggurat = Ziggurat()

  /// Standard normal numbers times a scale.
  mutating func normal(_ shape: Int..., scale: Float = 1) -> Tensor { normal(shape, scale: scale) }

  /// Standard normal numbers times a scale.
  mutating func normal(_ shape: [Int], scale: Float = 1) -> Tensor {
    tensor(shape) { Self.ziggurat.next(&$0) * scale }
  }

  /// Uniform numbers.
  mutating func uniform(_ shape: Int..., low: Float = 0, high: Float = 1) -> Tensor {
    tensor(shape) { $0.nextFloat() * (high - low) + low }
  }

  /// Uniform numbers in ±1 / sqrt(fanIn).
  mutating func weight(_ shape: Int..., fanIn: Int) -> Tensor {
    let bound = Float(1 / Double(fanIn).squareRoot())
    return tensor(shape) { ($0.nextFloat() * 2 - 1) * bound }
  }

  /// A dense layer's weight, drawn as [in, out] and laid out as PyTorch's [out, in].
  mutating func denseWeight(_ inputs: Int, _ outputs: Int, fanIn: Int? = nil) -> Tensor {
    weight(inputs, outputs, fanIn: fanIn ?? inputs).transposed().contiguous()
  }

  /// Class numbers, int64.
  mutating func labels(_ count: Int, classes: UInt32 = 10) -> Tensor {
    Tensor((0..<count).map { _ in Int64(generator.next(below: classes)) })
  }

  private mutating func tensor(_ shape: [Int], _ next: (inout PCG64) -> Float) -> Tensor {
    let count = shape.reduce(1, *)
    var local = generator
    let values = [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
      for i in 0..<count { buffer.initializeElement(at: i, to: next(&local)) }
      initialized = count
    }
    generator = local
    return Tensor(values, shape)
  }
}
