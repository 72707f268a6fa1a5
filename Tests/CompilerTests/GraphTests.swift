import DuetCompiler
import DuetRuntime
import Testing

@Suite struct GraphTests {
  @Test("every operation's text, with all attributes, reads back")
  func everyOperationRoundTrips() throws {
    let convolution =
      "stride: [2, 1], padding: [1, 0], dilation: [1, 2], groups: 1"
    let pooling =
      "kernelSize: [2, 3], stride: [2, 1], padding: [1, 0], dilation: [1, 1], countsPadding: false"
    var lines = [
      "which(%5, %0, %0) : float32[2, 3]",
      "cast(%0, to: bfloat16) : bfloat16[2, 3]",
      "fill(value: -0.0) : float64[2, 0]",
      "fill(value: 0x7fc00001) : float32[]",
      "fill(value: -9223372036854775808) : int64[3]",
      "fill(value: true) : bool[1]",
      "iota(start: -0.0, step: 0.1) : float32[4]",
      "softmax(%0, axis: 1) : float32[2, 3]",
      "logSoftmax(%0, axis: 0) : float32[2, 3]",
      "cumulativeSum(%0, axis: 0) : float32[2, 3]",
      "softmaxGradient(%0, %0, axis: 1) : float32[2, 3]",
      "logSoftmaxGradient(%0, %0, axis: 0) : float32[2, 3]",
      "cumulativeProduct(%0, axis: 1) : float32[2, 3]",
      "cumulativeMax(%0, axis: 0) : float32[2, 3]",
      "cumulativeMin(%0, axis: 1) : float32[2, 3]",
      "argTopK(%0, axis: 1, count: 2) : int64[2, 2]",
      "argSort(%0, axis: 1, descending: true) : int64[2, 3]",
      "matmul(%0, %1) : float32[2, 4]",
      "conv2d(%2, %3, \(convolution)) : float32[1, 4, 4, 2]",
      "maxPool2d(%2, \(pooling)) : float32[1, 2, 4, 4]",
      "averagePool2d(%2, \(pooling)) : float32[1, 2, 4, 4]",
      "maxPool2dSelect(%2, %2, \(pooling)) : float32[1, 2, 4, 4]",
      "maxPool2dGradient(%2, %6, \(pooling)) : float32[1, 2, 6, 6]",
      "averagePool2dGradient(%6, \(pooling), inputSize: [6, 6]) : float32[1, 2, 6, 6]",
      "conv2dInputGradient(%7, %3, \(convolution), inputSize: [6, 6]) : float32[1, 2, 6, 6]",
      "conv2dWeightGradient(%2, %7, \(convolution), kernelSize: [2, 3]) : float32[4, 2, 2, 3]",
      "layerNorm(%0, %0, %0, axes: 2, eps: 0.001) : float32[2, 3]",
      "layerNormInputGradient(%0, %0, %0, axes: 2, eps: 0.25) : float32[2, 3]",
      "layerNormParameterGradient(%0, %0, axes: 1, eps: 0.25) : float32[2, 3]",
      "rmsNorm(%0, %0, axes: 2, eps: 0.25) : float32[2, 3]",
      "rmsNormInputGradient(%0, %0, %0, axes: 2, eps: 0.25) : float32[2, 3]",
      "rmsNormParameterGradient(%0, %0, axes: 1, eps: 0.25) : float32[1, 3]",
      "channelMoments(%0) : float32[2, 3]",
      "batchNormParameterGradient(%0, %0, %0, eps: 0.25, ownMoments: true) : float32[2, 3]",
      "crossEntropy(%0, %4, reduction: 1, weights: false, smoothing: 0.5, ignored: [-100]) "
        + ": float32[]",
      "nllLoss(%0, %4, reduction: 0, weights: false, smoothing: 0.0, ignored: []) : float32[2]",
      "transpose(%0, permutation: [1, 0]) : float32[3, 2]",
      "broadcast(%0, shape: [4, 2, 3]) : float32[4, 2, 3]",
      "slice(%0, starts: [1, 2], sizes: [1, 2], steps: [1, -2]) : float32[1, 2]",
      "copy(%0) : float32[2, 3]",
      "concatenate(%0, %0, axis: 1) : float32[2, 6]",
      "updateSlice(%0, %0, starts: [0, 0], sizes: [2, 3], steps: [1, 1]) : float32[2, 3]",
      "take(%0, %4, axis: 1) : float32[2, 2]",
      "takeAlong(%0, %8, axis: 1) : float32[2, 1]",
      "scatterAdd(%0, %4, %9, axis: 1) : float32[2, 3]",
      "scatterAddAlong(%0, %8, %10, axis: 1) : float32[2, 3]",
      "scatterSet(%0, %4, %9, axis: 1) : float32[2, 3]",
      "randomUniform(%4) : float32[5]",
      "randomNormal(%4) : float64[2, 2]",
      "randomInteger(%4, low: -3, high: 7) : int32[5]",
      "randomPermutation(%4) : int64[5]",
      "advanceRandom(%4, blocks: 12) : int64[2]",
      "logicalNot(%5) : bool[2, 3]",
      "isNaN(%0) : bool[2, 3]",
      "bitwiseAnd(%4, %4) : int64[2]",
      "shiftLeft(%4, %4) : int64[2]",
      "sum(%0, axes: [0, 1], keepDims: true) : float32[1, 1]",
      "argMax(%0, axes: [1], keepDims: false) : int64[2]",
      "all(%5, axes: [0], keepDims: false) : bool[3]",
    ]
    let names = UnaryOp.allCases.filter { $0.rawValue < UnaryOp.logicalNot.rawValue }
    lines += names.map { "\($0)(%0) : float32[2, 3]" }
    lines += BinaryOp.allCases.prefix(12).map { "\($0)(%0, %0) : float32[2, 3]" }
    lines += ComparisonOp.allCases.map { "\($0)(%0, %0) : bool[2, 3]" }
    let text =
      """
      graph (a: float32[2, 3], b: float32[3, 4], x: float32[1, 2, 6, 6], w: float32[4, 2, 2, 3], \
      i: int64[2], m: bool[2, 3], p: float32[1, 2, 4, 4], c: float32[1, 4, 4, 2], j: int64[2, 1], \
      u: float32[2, 2], v: float32[2, 1]) -> (first: %11) {
      """
      + lines.enumerated().map { "\n  %\($0 + 11) = \($1)" }.joined() + "\n}"
    let graph = try Graph(parsing: text)
    #expect(graph.description == text)
    #expect(graph.operationCount == lines.count)
  }

  @Test("constants of every dtype print exactly", arguments: DType.allCases)
  func constantsRoundTrip(dtype: DType) throws {
    var random = SplitMix64(7)
    var builder = GraphBuilder()
    let small = builder.addConstant(random.array(TensorType(dtype, [4, 4])))
    let large = builder.addConstant(random.array(TensorType(dtype, [5, 4])))
    let graph = builder.finish(
      outputs: [small, large], outputNames: ["a", "a name with \"quotes\""])
    #expect(throws: GraphError.self) { try Graph(parsing: graph.description) }
    let parsed = try Graph(parsing: graph.description, constants: graph.namedConstants)
    #expect(parsed.description == graph.description)
    expectSameBits(try parsed.interpreted([]), try graph.interpreted([]), graph.description)
  }

  @Test("arguments found late keep their values but are printed first")
  func lateArguments() throws {
    var builder = GraphBuilder()
    let x = builder.addInput(TensorType("float32[2]"), name: "x")
    let y = try builder.add(.unary(.exp), [x])
    let w = builder.addInput(TensorType("float32[2]"), name: "layer.weight")
    let z = try builder.add(.binary(.multiply), [y, w])
    let graph = builder.finish(outputs: [z], outputNames: ["z"])
    try graph.verify()
    #expect(
      graph.description == """
        graph (x: float32[2], layer.weight: float32[2]) -> (z: %3) {
          %2 = exp(%0) : float32[2]
          %3 = multiply(%2, %1) : float32[2]
        }
        """)
    #expect(builder.label(of: z) == "multiply:3")
  }

  @Test("the verifier rejects broken graphs")
  func verifierRejects() {
    let type = TensorType("float32[2]")
    let input = Graph.Node(kind: .input(index: 0, name: "x"), type: type)
    func node(_ op: Op, _ operands: [Int], _ type: TensorType) -> Graph.Node {
      Graph.Node(kind: .operation(op, operands.map { ValueID($0) }), type: type)
    }
    func error(_ nodes: [Graph.Node], inputs: [Int] = [0], outputs: [Int] = [1]) -> String? {
      let graph = Graph(
        nodes: nodes, inputs: inputs.map { ValueID($0) }, outputs: outputs.map { ValueID($0) },
        outputNames: outputs.map { _ in "" })
      do throws(GraphError) {
        try graph.verify()
        return nil
      } catch {
        return error.description
      }
    }
    #expect(error([input, node(.unary(.exp), [0], type)]) == nil)
    #expect(
      error([input, node(.unary(.exp), [1], type)]) == "node 1: exp uses value 1, which comes later"
    )
    #expect(
      error([input, node(.unary(.exp), [0], TensorType("float32[3]"))])
        == "node 1: exp gives float32[2] but is said to be float32[3]")
    #expect(
      error([input, node(.binary(.add), [0], type)])?.contains("takes 2 inputs, not 1") == true)
    #expect(
      error([input, node(.unary(.exp), [0], type)], outputs: [2]) == "output 2 does not exist")
    #expect(error([input, node(.unary(.exp), [0], type)], inputs: []) != nil)
    #expect(error([input, input, node(.unary(.exp), [0], type)]) != nil)
  }

  @Test(
    "the parser says what is wrong and where",
    arguments: [
      ("graph (x: float32[2]) -> (%1) {\n %1 = expo(%0) : float32[2]\n}", "line 2"),
      ("graph (x: float32[2]) -> (%1) {\n\n %1 = exp(%2) : float32[2]\n}", "line 3"),
      ("graph (x: float33[2]) -> () {}", "float33 is not a dtype"),
      ("graph (x: float32[2]) -> (%3) {}", "%3 is not defined"),
      ("graph (x: float32[-2]) -> () {}", "-2 is not a size"),
      ("graph (x: float32[2]) -> () { %1 = softmax(%0) : float32[2] }", "needs the attribute axis"),
      ("graph (x: float32[2]) -> () { %1 = exp(%0) : float32[3] }", "gives float32[2]"),
      ("graph (x: float32[2]) -> () { %0 = exp(%0) : float32[2] }", "defined twice"),
      ("graph () -> () { %0 = constant float32[2] [1.0] }", "1 elements do not make"),
      ("graph (", "expected"), ("", "expected"),
    ])
  func parserExplains(text: String, reason: String) {
    do throws(GraphError) {
      _ = try Graph(parsing: text)
      Issue.record("the text was accepted")
    } catch {
      #expect(error.description.contains(reason))
    }
  }

  @Test("drawings name every value")
  func drawings() throws {
    let graph = try Graph(
      parsing: """
        graph (x: float32[2], "a<b": float32[2]) -> (sum: %2) {
          %2 = add(%0, %1) : float32[2]
        }
        """)
    #expect(graph.dot.contains("n0 -> n2;") && graph.dot.contains("label=\"%2 add\\nfloat32[2]\""))
    #expect(graph.html.contains("a&lt;b") && !graph.html.contains("a<b"))
    #expect(!graph.html.contains("http"))
  }
}
