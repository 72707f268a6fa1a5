import DuetEager
import DuetRuntime
import Testing

/// What is made of several operations is computed in float32 where elements have 16 bits, and rounded once. Expected
/// values are PyTorch's.
@Suite struct HalfFloatTests {
  private func gradient(_ x: [Double], _ f: (Tensor) -> Tensor) -> (value: Tensor, grad: Tensor) {
    let x = Tensor(x, dtype: .float16, requiresGrad: true)
    let value = f(x)
    value.sum().backward()
    return (value.detached(), x.grad!)
  }

  @Test func normsNeitherOverflowNorVanish() {
    var (value, grad) = gradient([300, 400]) { $0.norm() }
    expect(value, [], .float16, [500])
    expect(grad, [2], .float16, [0.60009765625, 0.7998046875])
    (value, grad) = gradient([1e-4, 1e-4]) { $0.norm() }
    expect(value, [], .float16, [0.00014150142669677734])
    expect(grad, [2], .float16, [0.70703125, 0.70703125])
    let rows = Tensor([[300.0, 400.0], [3.0, 4.0]], dtype: .float16).norm(axis: 1)
    expect(rows, [2], .float16, [500, 5])
  }

  @Test func deviationsNeitherOverflowNorVanish() {
    let x = Tensor([300.0] + [Double](repeating: 0, count: 9), dtype: .float16)
    expect(x.variance(), [], .float16, [8100])
    let (value, grad) = gradient([300, -400]) { $0.std() }
    expect(value, [], .float16, [350])
    expect(grad, [2], .float16, [0.5, -0.5])
    expect(Tensor([1e-4, 3e-4], dtype: .float16).std(), [], .float16, [9.995698928833008e-05])
  }

  @Test func quotientsHaveTheirSlope() {
    let (value, grad) = gradient([300, 400]) { ($0 / $0.sum()).square() }
    expect(value, [2], .float16, [0.18359375, 0.326416015625])
    expect(grad, [2], .float16, [-0.000232696533203125, 0.00017547607421875], tolerance: 1e-7)
    let divisor = Tensor(Float(1e25)).requiringGrad()
    (Tensor(Float(1e25)) / divisor).backward()
    #expect(divisor.grad!.item(Float.self) == -1e-25)
  }

  @Test func activationsHaveTheirSlopes() {
    let (value, grad) = gradient([300, -300, 5]) { gelu($0, approximate: .tanh) }
    expect(value, [3], .float16, [300, 0, 5])
    expect(grad, [3], .float16, [1, 0, 1])
    // Second derivatives, beside float64's.
    func curvature(_ dtype: DType) -> [Double] {
      let x = Tensor([3.5, 4, 4.5, 5], dtype: dtype, requiresGrad: true)
      let slope = gradients(of: [mish(x).sum()], by: [x], createGraph: true)[0]
      return gradients(of: [slope.sum()], by: [x])[0].asArray(Double.self)
    }
    for (a, b) in zip(curvature(.float16), curvature(.float64)) { #expect(abs(a - b) < 1e-4) }
  }

  @Test(arguments: [DType.float16, .bfloat16]) func boundsAreRoundedLikeElements(_ dtype: DType) {
    for bound in [0.1, 0.7, 1.3] {
      let x = Tensor([bound, -bound], dtype: dtype, requiresGrad: true)
      let clipped = clip(x, min: -bound, max: bound)
      expect(clipped.detached(), equals: x.detached())
      clipped.sum().backward()
      expect(x.grad!, [2], dtype, [1, 1])
    }
  }
}
