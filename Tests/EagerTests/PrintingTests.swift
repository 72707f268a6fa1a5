import DuetEager
import DuetRuntime
import Testing

@Suite struct PrintingTests {
  @Test func columnsAreAligned() {
    #expect("\(Tensor([1.0, 2.0]))" == "[1.0, 2.0]")
    #expect("\(Tensor([[1.0, 2.0], [3.0, 4.0]]))" == "[[1.0, 2.0],\n [3.0, 4.0]]")
    #expect("\(Tensor([1.5, 2.25, -3]))" == "[ 1.50,  2.25, -3.00]")
    #expect("\(Tensor([1, -20, 300]))" == "[  1, -20, 300]")
    #expect("\(Tensor([true, false]))" == "[ true, false]")
    #expect("\(Tensor([0.1, .nan, -.infinity]))" == "[ 0.1,  nan, -inf]")
    #expect("\(arange(8).reshaped(2, 2, 2))" == "[[[0, 1],\n  [2, 3]],\n\n [[4, 5],\n  [6, 7]]]")
  }

  @Test func scalarsAndEmptyTensors() {
    #expect("\(Tensor(5.0))" == "5.0")
    #expect("\(Tensor(-3))" == "-3")
    #expect("\(Tensor([]))" == "[]")
    #expect("\(zeros([2, 0]))" == "[], shape: [2, 0]")
  }

  @Test func smallAndLargeNumbersTakePowersOfTen() {
    #expect("\(Tensor([1e-6, 1.0]))" == "[1.0e-06, 1.0e+00]")
    #expect("\(Tensor([1.0 / 3]))".contains("0.3333"))
    #expect("\(Tensor([1e10]))" == "[1.0e+10]")
  }

  @Test func theMiddleOfLargeTensorsIsLeftOut() {
    #expect("\(arange(1001))" == "[   0,    1,    2, ...,  998,  999, 1000]")
    let lines = "\(zeros([100, 100]))".split(separator: "\n")
    #expect(lines.count == 7)
    #expect(lines[0] == "[[0.0, 0.0, 0.0, ..., 0.0, 0.0, 0.0],")
    #expect(lines[3] == " ...,")
  }

  @Test func longRowsWrap() {
    for line in "\(arange(1000))".split(separator: "\n") { #expect(line.count <= 76) }
  }
}
