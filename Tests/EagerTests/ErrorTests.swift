import DuetEager
import DuetRuntime
import Testing

/// Code that cannot be right, and what is said about it.
struct Mistake: CustomTestStringConvertible, Sendable {
  let message: String
  let body: @Sendable () -> Void

  init(_ message: String, _ body: @escaping @Sendable () -> Void) {
    self.message = message
    self.body = body
  }

  var testDescription: String { message }
}

@Suite struct ErrorTests {
  @Test func theMessageNamesOperationShapesAndPlace() throws {
    let line: Int
    do {
      line = #line + 1
      try checked { matmul(zeros([2, 3]), zeros([4, 5])) }
      Issue.record("no error")
    } catch let error as TensorError {
      #expect(error.operation == "matmul")
      #expect(error.reason == "inner dimensions differ: [2, 3] × [4, 5] (3 ≠ 4)")
      #if canImport(Runtime)
        let location = try #require(error.location)
        #expect(location.file == "ErrorTests.swift")
        #expect(abs(location.line - line) <= 1)
      #endif
    }
  }

  @Test(arguments: [
    Mistake("add: shapes [2] and [3] do not broadcast") { _ = zeros([2]) + zeros([3]) },
    Mistake("matmul: inner dimensions differ: [3] × [4] (3 ≠ 4)") {
      _ = matmul(zeros([3]), zeros([4]))
    },
    Mistake(
      "multiply: a result of shape [8589934592, 8589934592] has more elements than any memory"
    ) {
      let column = ones([1, 1]).broadcast(to: [1 << 33, 1])
      _ = column * column.transposed()
    },
    Mistake(
      "matmul: a result of shape [8589934592, 8589934592] has more elements than any memory"
    ) {
      let column = ones([1, 1]).broadcast(to: [1 << 33, 1])
      _ = matmul(column, column.transposed())
    },
    Mistake(
      "broadcast: [4611686018427387904, 4] is not a shape: at most 8 axes, sizes from 0 up that fit in memory"
    ) {
      _ = ones([1, 1]).broadcast(to: [1 << 62, 4])
    },
    Mistake(
      "negate: out of memory: the result float64[35184372088832] takes 281474976710656 bytes"
    ) { _ = -ones([1], dtype: .float64).broadcast(to: [1 << 45]) },
    Mistake(
      "conv2d: stride 9223372036854775807×1, dilation 1×1, padding 0×0 and groups 1 must be at most 16777216"
    ) {
      _ = conv2d(ones([1, 1, 4, 4]), ones([1, 1, 3, 3]), stride: [Int.max, 1])
    },
    Mistake(
      "conv2d: stride 1×1, dilation 1×1, padding 8589934592×0 and groups 1 must be at most 16777216"
    ) {
      _ = conv2d(ones([1, 1, 4, 4]), ones([1, 1, 3, 3]), padding: [1 << 33, 0])
    },
    Mistake(
      "maxPool2d: kernel 2×2, stride 9223372036854775807×1 and dilation 1×1 must be at most 16777216"
    ) {
      _ = maxPool2d(ones([1, 1, 4, 4]), kernelSize: 2, stride: [Int.max, 1])
    },
    Mistake("matmul: needs at least one axis each: [] × [4]") { _ = matmul(zeros([]), zeros([4])) },
    Mistake(
      "linear: the input's last axis and the weight's differ: [2, 3] and [5, 4] (3 ≠ 4)"
    ) { _ = linear(zeros([2, 3]), zeros([5, 4])) },
    Mistake("linear: a weight [out, in], not [3]") { _ = linear(zeros([2, 3]), zeros([3])) },
    Mistake("linear: an input [..., in], not []") { _ = linear(zeros([]), zeros([2, 3])) },
    Mistake("linear: bias has shape [4], expected [5]") {
      _ = linear(zeros([2, 3]), zeros([5, 3]), zeros([4]))
    },
    Mistake("wideMatmul: sums of int8 products are kept in int32, not float32") {
      let a = zeros([2, 2], dtype: .int8)
      _ = matmul(a, a, dtype: .float32)
    },
    Mistake("wideMatmul: sums of float32 products are kept in no wider dtype, not float64") {
      _ = matmul(zeros([2, 2]), zeros([2, 2]), dtype: .float64)
    },
    Mistake("reshaped: [6] has 6 elements, which do not fit [4, -1]") {
      _ = zeros([6]).reshaped(4, -1)
    },
    Mistake("sum: axis 2 is out of range for shape [2, 3]") { _ = zeros([2, 3]).sum(axis: 2) },
    Mistake("sum: axis 1 is named twice in [1, -1]") { _ = zeros([2, 3]).sum(axes: [1, -1]) },
    Mistake(
      "mean: needs a floating-point tensor, not int64; cast it first"
    ) { _ = Tensor([1, 2]).mean() },
    Mistake("squeezed: axis 0 of shape [2] has 2 elements, not one") {
      _ = zeros([2]).squeezed(axis: 0)
    },
    Mistake("transposed: [0] does not name all axes of shape [2, 3]") {
      _ = zeros([2, 3]).transposed(0)
    },
    Mistake("broadcast: [2] does not broadcast to [3]") { _ = zeros([2]).broadcast(to: [3]) },
    Mistake(
      "concatenated: [2, 2] and [2, 3] differ in more than axis 0"
    ) { _ = concatenated([zeros([2, 2]), zeros([2, 3])]) },
    Mistake("stacked: the shapes differ: [2] and [3]") { _ = stacked([zeros([2]), zeros([3])]) },
    Mistake("concatenated: no tensors") { _ = concatenated([]) },
    Mistake("split: axis 0 of shape [5] does not divide into 2 parts") {
      _ = zeros([5]).split(parts: 2)
    },
    Mistake("einsum: the sizes of j differ: 3 and 4") {
      _ = einsum("ij,jk", zeros([2, 3]), zeros([4, 2]))
    },
    Mistake(
      "einsum: \"ij,jk\" has 2 operands, 1 were given"
    ) { _ = einsum("ij,jk", zeros([2, 3])) },
    Mistake("topK: axis 0 of shape [2] does not have 3 elements") { _ = zeros([2]).topK(3) },
    Mistake("Random.randInt: the range 3..<3 is empty") { _ = Random.randInt(3..<3) },
    Mistake(
      "conv2d: the bias has shape [2], expected [1]"
    ) { _ = conv2d(zeros([1, 1, 3, 3]), zeros([1, 1, 2, 2]), bias: zeros([2])) },
    Mistake("conv1d: needs an input [N, C, L], not [3, 8]") {
      _ = conv1d(zeros([3, 8]), zeros([4, 3, 2]))
    },
    Mistake("convTransposed1d: needs a weight of three axes, not [3, 4]") {
      _ = convTransposed1d(zeros([1, 3, 8]), zeros([3, 4]))
    },
    Mistake(
      "convTransposed2d: input [1, 3, 8, 8] has 3 channels, weight [4, 3, 2, 2] with 1 groups takes 4"
    ) { _ = convTransposed2d(zeros([1, 3, 8, 8]), zeros([4, 3, 2, 2])) },
    Mistake(
      "convTransposed2d: outputPadding 2×0 must be less than the stride 2×2 or the dilation 1×1"
    ) {
      _ = convTransposed2d(
        zeros([1, 3, 8, 8]), zeros([3, 4, 2, 2]), stride: 2, outputPadding: [2, 0])
    },
    Mistake(
      "convTransposed2d: nothing is left of the result of an input 1×8 and a kernel 2×2 with padding 1×1"
    ) { _ = convTransposed2d(zeros([1, 3, 1, 8]), zeros([3, 4, 2, 2]), padding: [1, 1]) },
    Mistake(
      "convTransposed2d: stride 16777217×1, dilation 1×1, padding 0×0 and groups 1 must be at most 16777216"
    ) {
      _ = convTransposed2d(
        zeros([1, 3, 8, 8]), zeros([3, 4, 2, 2]), stride: [16_777_217, 1])
    },
    Mistake(
      "maxPool2d: kernelSize must be one number or two, not [1, 2, 3]"
    ) { _ = maxPool2d(zeros([1, 1, 4, 4]), kernelSize: [1, 2, 3]) },
    Mistake("max: no elements to choose from in shape [0]") { _ = zeros([0]).max() },
    Mistake("exp: needs a floating-point tensor, not int64") { _ = exp(Tensor([1])) },
    Mistake("gradients: there are 1 cotangents for 2 outputs") {
      let x = ones([]).requiringGrad()
      _ = gradients(of: [x * 2, x * 3], by: [x], cotangents: [ones([])])
    },
    Mistake("gradients: there are 2 cotangents for 1 outputs") {
      let x = ones([]).requiringGrad()
      _ = gradients(of: [x * 2], by: [x], cotangents: [ones([]), ones([])])
    },
    Mistake("backward: the gradient float32[3] does not match the tensor float32[2]") {
      let x = ones([2]).requiringGrad()
      _ = gradients(of: [ones([2])], by: [x], cotangents: [ones([3])])
    },
    Mistake("dim: axis 2 is out of range for shape [2, 3]") { _ = zeros([2, 3]).dim(2) },
    Mistake("dim: axis -3 is out of range for shape [2, 3]") { _ = zeros([2, 3]).dim(-3) },
    Mistake("setThreadCount: needs at least one thread, not 0") { setThreadCount(0) },
    Mistake("Random.bernoulli: 2.0 is not a probability") { _ = Random.bernoulli(2, [2]) },
    Mistake("Random.categorical: there are no classes in float32[0]") {
      _ = Random.categorical(zeros([0]))
    },
  ])
  func messages(_ mistake: Mistake) {
    #expect(message(mistake.body) == mistake.message)
  }

  @Test func aWrongCotangentGivesNoGradients() {
    let x = ones([2]).requiringGrad()
    _ = message {
      let found = gradients(of: [x * 2], by: [x], cotangents: [ones([3])])
      #expect(found.count == 1 && found[0].isFailed)
    }
  }

  @Test func theFirstMistakeIsTheOneThrown() {
    #expect(
      message {
        let failed = zeros([2]) + zeros([3])
        _ = failed.sum(axis: 7).reshaped(3)
        _ = zeros([1]).reshaped(2)
      } == "add: shapes [2] and [3] do not broadcast")
  }

  @Test func failedTensorsPassThroughEverything() {
    _ = message {
      let bad = zeros([2]) + zeros([3])
      let good = zeros([2, 2])
      var results = [
        bad.T, bad.reshaped(3), bad[0], bad[0..., 1], good[bad], bad.sum(axis: 3), bad.max(axis: 1),
        bad.variance(axis: 2), bad.std(), bad.norm(axis: 1), bad.logSumExp(axis: 3),
        bad.softmax(), bad.sort(), bad.cumsum(axis: 2), bad.topK(3).values, bad.split(parts: 2)[1],
        matmul(bad, good), einsum("ij->", bad), concatenated([good, bad]), stacked([bad]),
        which(bad, 1, 0), clip(bad, min: 0), bad.padded(widths: [(1, 1)]), bad.tiled([2]),
        bad.repeated(count: 2), bad.flipped(), bad.rolled(1, axis: 3), bad.squeezed(axis: 1),
        bad.expandedDimensions(axis: 5), bad.flattened(start: 2), bad.movedAxis(from: 1, to: 2),
        take(good, bad, axis: 0), takeAlong(bad, good, axis: 4), scatterAdd(good, bad, bad),
        oneHot(bad, 3), conv2d(bad, good), conv1d(bad, good), convTransposed2d(bad, good),
        convTransposed1d(good, bad), maxPool2d(bad, kernelSize: 2), bad.diagonal(),
        tril(bad), diag(bad), outer(bad, good), meshgrid(bad)[0], bad.broadcast(to: [3]),
      ]
      var target = bad
      target[0, 1] = good
      results.append(target)
      for (i, result) in results.enumerated() { #expect(result.isFailed, "result \(i)") }
      var kept = good
      kept[0] = bad
      #expect(!kept.isFailed)
      #expect(bad.item(Int.self) == 0)
      #expect("\(bad)" == "Tensor(failed)")
    }
  }

  @Test(arguments: [
    Mistake("zeros: [-1] is not a shape") { _ = zeros([-1]) },
    Mistake("ones: [4611686018427387904] is not a shape") { _ = ones([1 << 62]) },
    Mistake("repeated: [9223372036854775807] is not a shape") {
      _ = ones([3]).repeated(count: .max)
    },
    Mistake("tiled: [9223372036854775807] is not a shape") { _ = ones([3]).tiled([.max]) },
    Mistake("padded: impossible widths") { _ = ones([3]).padded(widths: [(.max, .max)]) },
    Mistake("arange: 0.0 to ") { _ = arange(0.0, .greatestFiniteMagnitude) },
    Mistake("diag: [") { _ = diag(ones([3]), k: .min) },
    Mistake("split: axis 0") { _ = ones([3]).split(parts: .max) },
    Mistake("expandedDimensions: shape [1, 1, 1, 1, 1, 1, 1, 1] has no room") {
      _ = zeros([1, 1, 1, 1, 1, 1, 1, 1]).expandedDimensions(axis: 0)
    },
    Mistake("Random.randInt: int8 does not hold") {
      _ = Random.randInt(0..<1000, [3], dtype: .int8)
    },
  ]) func hugeAndImpossibleSizesAreErrors(_ mistake: Mistake) {
    do {
      try checked(mistake.body)
      Issue.record("no error")
    } catch {
      #expect("\(error)".hasPrefix(mistake.message))
    }
  }

  @Test func extremeNumbersAreNoTrouble() {
    #expect(arange(0.0, -1e300).size == 0)
    #expect(arange(Int.min, Int.min + 2).asArray(Int.self) == [.min, .min + 1])
    #expect(arange(3).rolled(.min).asArray(Int.self) == [2, 0, 1])
    let last = Int.max
    #expect(arange(3)[1...last].asArray(Int.self) == [1, 2])
    #expect(arange(3)[...last].asArray(Int.self) == [0, 1, 2])
    #expect(eye(2, k: .max).sum().item() == 0)
    #expect(tri(2, k: .max).sum().item() == 4)
    #expect(ones([2, 2]).triu(k: .min).sum().item() == 4)
    #expect(ones([2, 2]).triu(k: .max).sum().item() == 0)
    #expect(ones([2, 2]).diagonal(offset: .min).size == 0)
  }
}
