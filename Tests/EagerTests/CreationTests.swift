import DuetEager
import DuetRuntime
import Testing

@Suite struct CreationTests {
  @Test func literalsChooseTheirDType() {
    expect(Tensor([1.0, 2.0, 3.0]), [3], .float32, [1, 2, 3])
    expect(Tensor([1, 2, 3]), [3], .int64, [1, 2, 3])
    expect(Tensor([1, 2.5]), [2], .float32, [1, 2.5])
    expect(Tensor([true, false]), [2], .bool, [1, 0])
    expect(Tensor(5.0), [], .float32, [5])
    expect(Tensor(3), [], .int64, [3])
    expect(Tensor(true), [], .bool, [1])
    expect(Tensor([-.infinity, .nan, -1.5]), [3], .float32, [-.infinity, .nan, -1.5])
    expect(Tensor([]), [0], .float32, [])
  }

  @Test func variablesKeepTheirType() {
    let doubles = [1.0, 2.0]
    let floats: [Float] = [1, 2]
    let bytes: [UInt8] = [1, 255]
    let x = 2.5
    expect(Tensor(doubles), [2], .float64, [1, 2])
    expect(Tensor(floats), [2], .float32, [1, 2])
    expect(Tensor(bytes), [2], .uint8, [1, 255])
    expect(Tensor(x), [], .float64, [2.5])
    expect(Tensor([x, x]), [2], .float64, [2.5, 2.5])
    expect(Tensor([doubles, doubles]), [2, 2], .float64, [1, 2, 1, 2])
    expect(Tensor([[doubles], [doubles]]), [2, 1, 2], .float64, [1, 2, 1, 2])
    expect(Tensor(doubles, [2, 1], dtype: .float16), [2, 1], .float16, [1, 2])
  }

  @Test func nestedLiteralsHaveShapes() {
    expect(Tensor([[1.0, 2.0], [3.0, 4.0]]), [2, 2], .float32, [1, 2, 3, 4])
    expect(Tensor([[[1], [2]], [[3], [4]]]), [2, 2, 1], .int64, [1, 2, 3, 4])
    expect(Tensor([1, 2, 3, 4, 5, 6], [2, 3]), [2, 3], .int64, [1, 2, 3, 4, 5, 6])
    expect(Tensor([1, 2], dtype: .bfloat16), [2], .bfloat16, [1, 2])
  }

  @Test func raggedAndMixedArraysAreErrors() {
    #expect(
      message { _ = Tensor([[1, 2], [3]]) }
        == "Tensor: the arrays at level 1 have different sizes: 2 and 1")
    let rows = [[1.0, 2.0], [3.0]]
    #expect(
      message { _ = Tensor(rows) } == "Tensor: the arrays at level 1 have different sizes: 2 and 1")
    #expect(message { _ = Tensor([1, true]) } == "Tensor: numbers and booleans are mixed")
    #expect(
      message { _ = Tensor([1, [2]]) } == "Tensor: numbers and arrays are mixed at one level")
    #expect(
      message { _ = Tensor([1, 2, 3], [2, 2]) } == "Tensor: 3 elements do not fit the shape [2, 2]")
    #expect(
      message { _ = zeros([2, -1]) }
        == "zeros: [2, -1] is not a shape: at most 8 axes, sizes from 0 up that fit in memory")
  }

  @Test func filledTensors() {
    expect(zeros([2, 3]), [2, 3], .float32, Array(repeating: 0, count: 6))
    expect(ones([2], dtype: .float64), [2], .float64, [1, 1])
    expect(full([2], 7.0), [2], .float32, [7, 7])
    expect(full([2], 7), [2], .int64, [7, 7])
    expect(full(like: zeros([2], dtype: .int8), 3), [2], .int8, [3, 3])
  }

  @Test func ranges() {
    expect(arange(4), [4], .int64, [0, 1, 2, 3])
    expect(arange(2, 8, step: 3), [2], .int64, [2, 5])
    expect(arange(5, 0, step: -2), [3], .int64, [5, 3, 1])
    expect(arange(3, 3), [0], .int64, [])
    expect(arange(0, 1, step: 0.25), [4], .float32, [0, 0.25, 0.5, 0.75])
    expect(linspace(0, 1, count: 5), [5], .float32, [0, 0.25, 0.5, 0.75, 1])
    expect(linspace(3, 4, count: 1), [1], .float32, [3])
  }

  @Test func matrices() {
    expect(eye(2, 3), [2, 3], .float32, [1, 0, 0, 0, 1, 0])
    expect(eye(2, k: 1), [2, 2], .float32, [0, 1, 0, 0])
    expect(tri(2, 3), [2, 3], .float32, [1, 0, 0, 1, 1, 0])
    let m = Tensor([[1, 2], [3, 4]])
    expect(tril(m), [2, 2], .int64, [1, 0, 3, 4])
    expect(triu(m), [2, 2], .int64, [1, 2, 0, 4])
    expect(diag(m), [2], .int64, [1, 4])
    expect(m.diagonal(offset: 1), [1], .int64, [2])
    expect(diag(Tensor([1, 2]), k: -1), [3, 3], .int64, [0, 0, 0, 1, 0, 0, 0, 2, 0])
    let grid = meshgrid(Tensor([1, 2]), Tensor([3, 4, 5]))
    expect(grid[0], [2, 3], .int64, [1, 1, 1, 2, 2, 2])
    expect(grid[1], [2, 3], .int64, [3, 4, 5, 3, 4, 5])
  }

  @Test func readingConverts() {
    #expect(Tensor(5.0).item(Float.self) == 5)
    let value: Int = Tensor(5.7).item()
    #expect(value == 5)
    #expect((Tensor(5.0) .> 3).item())
    #expect(Tensor([1.5, 2.5]).asArray(Double.self) == [1.5, 2.5])
    #expect(Tensor([[1, 2], [3, 4]]).T.asArray(Int32.self) == [1, 3, 2, 4])
    #expect(
      message { _ = Tensor([1, 2]).item(Int.self) }
        == "item: a tensor of shape [2] has 2 elements, not one")
  }
}
