import Duet
import DuetTestSupport
import Foundation
import Testing

@Suite struct InitializerTests {
  private static func moments(_ x: Tensor) -> (mean: Double, std: Double, largest: Double) {
    (x.mean().item(), x.std().item(), x.abs().max().item())
  }

  /// The deviations are those of PyTorch's formulas.
  @Test func scalesFollowFans() {
    let relu = 2.0.squareRoot()
    let cases: [(Initializer, std: Double, isUniform: Bool)] = [
      (.xavierUniform(), (2.0 / 3000).squareRoot(), true),
      (.xavierNormal(gain: 2), 2 * (2.0 / 3000).squareRoot(), false),
      (.kaimingUniform(), relu / 1800.0.squareRoot(), true),
      (.kaimingNormal(mode: .fanOut, nonlinearity: .tanh), 5.0 / 3 / 1200.0.squareRoot(), false),
      (
        .kaimingUniform(nonlinearity: .leakyRelu(negativeSlope: 5.0.squareRoot())),
        1 / 5400.0.squareRoot(), true
      ),
      (.uniform(low: -0.5, high: 0.5), 1 / 12.0.squareRoot(), true),
      (.normal(std: 3), 3, false),
    ]
    for (i, (initializer, std, isUniform)) in cases.enumerated() {
      for dtype in [DType.float32, .float64, .float16, .bfloat16] {
        let x = initializer([200, 300, 2, 3], dtype: dtype, generator: Generator(seed: i))
        #expect(x.dtype == dtype && x.shape == [200, 300, 2, 3])
        let found = Self.moments(x.asType(.float64))
        #expect(abs(found.mean) < 0.02 * std && abs(found.std / std - 1) < 0.01, "case \(i)")
        if isUniform {
          let bound = std * 3.0.squareRoot()
          #expect(found.largest <= bound * 1.004 && found.largest > 0.99 * bound)
        }
      }
    }
  }

  @Test func gainsArePyTorchs() {
    #expect(Nonlinearity.linear.gain == 1 && Nonlinearity.sigmoid.gain == 1)
    #expect(Nonlinearity.tanh.gain == 5.0 / 3 && Nonlinearity.selu.gain == 0.75)
    #expect(Nonlinearity.relu.gain == 2.0.squareRoot())
    #expect(Nonlinearity.leakyRelu(negativeSlope: 0.2).gain == (2 / 1.04).squareRoot())
  }

  @Test(
    "rows or columns are at right angles", arguments: [[5, 12], [12, 5], [7, 7], [6, 2, 4]])
  func orthogonal(_ shape: [Int]) {
    let x = Initializer.orthogonal(gain: 1.5)(
      shape, dtype: .float64, generator: Generator(seed: 3))
    #expect(x.shape == shape)
    let matrix = x.flattened(start: 1)
    let square = shape[0] <= matrix.dim(1) ? matmul(matrix, matrix.T) : matmul(matrix.T, matrix)
    expectClose(square, eye(square.dim(0), dtype: .float64) * 2.25, "products", tolerance: 1e-13)
  }

  @Test func truncatedNumbersAreWithinTheirBounds() {
    let initializer = Initializer.truncatedNormal(mean: 1, std: 2, low: -1, high: 2)
    let x = initializer([100_000], generator: Generator(seed: 5))
    #expect(x.min().item(Double.self) >= -1 && x.max().item(Double.self) <= 2)
    // Of the standard normal distribution between -1 and 1/2: φ is its density, Φ its function.
    let (mass, slope) = (0.5328072071, 0.2419707245 - 0.3520653268)
    #expect(abs(x.mean().item(Double.self) - (1 + 2 * slope / mass)) < 0.01)
    let tails = Initializer.truncatedNormal(low: -8, high: 8)(
      [100_000], dtype: .float64, generator: Generator(seed: 5))
    #expect(abs(tails.std().item(Double.self) - 1) < 0.01)
    #expect(tails.isFinite().all().item())
  }

  @Test func parametersBeginAnew() {
    let layer = Linear(4, 3)
    layer.weight.initialize(.constant(0.5))
    layer.bias?.initialize(.ones)
    #expect(layer(ones([1, 4])).asArray(Float.self) == [3, 3, 3])
    layer.weight.initialize(.zeros)
    #expect(layer.weight.value.requiresGrad)
    #expect(layer(ones([1, 4])).asArray(Float.self) == [1, 1, 1])
    layer.weight.initialize(.identity)
    #expect(layer.weight.value.asArray(Float.self) == [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0])
    layer.weight.initialize(.normal(), generator: Generator(seed: 1))
    let other = Linear(4, 3)
    other.weight.initialize(.normal(), generator: Generator(seed: 1))
    expectSame(layer.weight.value.detached(), other.weight.value.detached())
  }

  @Test func mistakesAreNamed() {
    func expect(_ parts: String..., from body: () -> Void) {
      let found = mistake(body)
      for part in parts { #expect(found.contains(part), "\(found)") }
    }
    expect("xavierUniform", "[3]") { _ = Initializer.xavierUniform()([3]) }
    expect("kaimingNormal", "[3]") { _ = Initializer.kaimingNormal()([3]) }
    expect("orthogonal", "[3]") { _ = Initializer.orthogonal()([3]) }
    expect("orthogonal", "too large") { _ = Initializer.orthogonal()([1 << 33, 1 << 33]) }
    expect("[2, 2, 1099511627776, 1099511627776]") {
      _ = Initializer.kaimingUniform()([2, 2, 1 << 40, 1 << 40])
    }
    expect("identity", "[3]") { _ = Initializer.identity([3]) }
    expect("truncatedNormal", "-2") { _ = Initializer.truncatedNormal(low: 2, high: -2)([3]) }
    expect("Initializer", "int64") { _ = Initializer.zeros([3], dtype: .int64) }
  }
}
