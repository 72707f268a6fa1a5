import DuetEager
import DuetRuntime
import Testing

struct ProductTests {
  private func sample(_ shape: [Int], _ dtype: DType, seed: Int) -> Tensor {
    let count = shape.reduce(1, *)
    let values = (0..<count).map { Double(($0 &* 37 &+ seed &* 11) % 23 - 11) / 4 }
    return Tensor(values, shape).asType(dtype)
  }

  private func expectSame(_ a: Tensor, _ b: Tensor) {
    #expect(a.shape == b.shape)
    #expect(a.dtype == b.dtype)
    #expect(a.asType(.float64).asArray(Double.self) == b.asType(.float64).asArray(Double.self))
  }

  /// A linear layer is the product of all rows, and then the sum, each rounded in the dtype.
  @Test(arguments: [DType.float32, .float64, .float16, .bfloat16, .int32, .int8])
  func linearIsProductAndSum(dtype: DType) {
    for leading in [[], [1], [7], [2, 3], [4, 1], [0], [3, 0, 2]] {
      for (k, n) in [(1, 1), (5, 3), (33, 17), (0, 2), (4, 0)] {
        let rows = leading.reduce(1, *)
        let x = sample(leading + [k], dtype, seed: 1)
        let weight = sample([n, k], dtype, seed: 2)
        let bias = sample([n], dtype, seed: 3)
        let product = matmul(x.reshaped([rows, k]), weight.T)
        expectSame(linear(x, weight), product.reshaped(leading + [n]))
        expectSame(linear(x, weight, bias), (product + bias).reshaped(leading + [n]))
      }
    }
  }

  @Test func linearTakesViews() {
    let x = sample([6, 5, 4], .float32, seed: 1)
    let weight = sample([4, 6], .float32, seed: 2)
    let bias = sample([4, 2], .float32, seed: 3)
    let moved = x.transposed(1, 2, 0)  // rows that do not lie one behind the other
    let copied = Tensor(moved.asArray(Float.self), [5, 4, 6])
    let plain = Tensor(bias[0..., 1].asArray(Float.self))
    expectSame(linear(moved, weight, bias[0..., 1]), linear(copied, weight, plain))
    expectSame(
      linear(copied[0..., (0..<4).by(-1)], weight.T.T), linear(copied, weight)[0..., (0..<4).by(-1)]
    )
  }

  @Test(arguments: [DType.int8, .uint8, .int16, .float16, .bfloat16])
  func wideSumsAreThoseOfCastInputs(dtype: DType) {
    let sums = dtype.productSums!
    for (m, k, n) in [(1, 9, 5), (3, 40, 1), (17, 65, 33), (2, 0, 3)] {
      let a = sample([2, m, k], dtype, seed: 4)
      let b = sample([k, n], dtype, seed: 5)
      expectSame(matmul(a, b, dtype: sums), matmul(a.asType(sums), b.asType(sums)))
    }
  }

  @Test func narrowIntegersDoNotOverflow() {
    let a = full([2, 1000], -128, dtype: .int8)
    let product = matmul(a, a.T, dtype: .int32)
    #expect(product.dtype == .int32)
    #expect(product.asArray(Int32.self) == [Int32](repeating: 16_384_000, count: 4))
    expectSame(matmul(a.asType(.int32), a.T.asType(.int32), dtype: .int32), product)
  }

  @Test func wideSumsHaveGradients() {
    let a = Tensor([[1.0, 2.0]]).asType(.bfloat16).requiringGrad()
    let b = Tensor([[3.0], [4.0]]).asType(.bfloat16).requiringGrad()
    matmul(a, b, dtype: .float32).sum().backward()
    #expect(a.grad!.dtype == .bfloat16)
    #expect(a.grad!.asType(.float32).asArray(Float.self) == [3, 4])
    #expect(b.grad!.asType(.float32).asArray(Float.self) == [1, 2])
  }
}
