import Duet

/// A case's inputs: the numbers that NumPy's `default_rng(7)` gives when it is asked for the same
/// arrays in the same order, so that every framework computes with the same ones.
///
/// The modes of a case draw the same arrays and get the same memory: two copies of what is larger
/// than half of a cache would push each other out of it, which no mode does when it runs alone.
struct Draws {
  private var generator = PCG64(seed: 7)
  private static let ziggurat = Ziggurat()
  @TaskLocal private static var shared: SharedDraws?

  /// Inside the body, the first draws are kept, and the same ones after them get their tensors.
  static func sharing<Result>(_ body: () throws -> Result) rethrows -> Result {
    try $shared.withValue(SharedDraws(), operation: body)
  }

  /// Standard normal numbers times a scale.
  mutating func normal(_ shape: Int..., scale: Float = 1) -> Tensor { normal(shape, scale: scale) }

  /// Standard normal numbers times a scale.
  mutating func normal(_ shape: [Int], scale: Float = 1) -> Tensor {
    tensor(shape, "normal \(scale)") { Self.ziggurat.next(&$0) * scale }
  }

  /// Uniform numbers.
  mutating func uniform(_ shape: Int..., low: Float = 0, high: Float = 1) -> Tensor {
    tensor(shape, "uniform \(low) \(high)") { $0.nextFloat() * (high - low) + low }
  }

  /// Uniform numbers in ±1 / sqrt(fanIn).
  mutating func weight(_ shape: Int..., fanIn: Int) -> Tensor {
    let bound = Float(1 / Double(fanIn).squareRoot())
    return tensor(shape, "weight \(bound)") { ($0.nextFloat() * 2 - 1) * bound }
  }

  /// A dense layer's weight, drawn as [in, out] and laid out as PyTorch's [out, in].
  mutating func denseWeight(_ inputs: Int, _ outputs: Int, fanIn: Int? = nil) -> Tensor {
    weight(inputs, outputs, fanIn: fanIn ?? inputs).transposed().contiguous()
  }

  /// Class numbers, int64.
  mutating func labels(_ count: Int, classes: UInt32 = 10) -> Tensor {
    Tensor((0..<count).map { _ in Int64(generator.next(below: classes)) })
  }

  private mutating func tensor(
    _ shape: [Int], _ distribution: String, _ next: (inout PCG64) -> Float
  ) -> Tensor {
    let key = SharedDraws.Key(generator: generator, distribution: distribution, shape: shape)
    if let known = Self.shared?.drawn[key] {
      generator = known.generator
      return known.tensor
    }
    let size = shape.reduce(1, *)
    var local = generator
    let values = [Float](unsafeUninitializedCapacity: size) { buffer, initialized in
      for i in 0..<size { buffer.initializeElement(at: i, to: next(&local)) }
      initialized = size
    }
    generator = local
    let tensor = Tensor(values, shape)
    Self.shared?.drawn[key] = (tensor, local)
    return tensor
  }
}

/// What has been drawn so far, and the generator behind it.
private final class SharedDraws: @unchecked Sendable {  // of the one thread that prepares cases
  struct Key: Hashable {
    let generator: PCG64
    let distribution: String
    let shape: [Int]
  }

  var drawn: [Key: (tensor: Tensor, generator: PCG64)] = [:]
}
