import Duet
import DuetTestSupport
import Testing

/// Layers in deferred mode, and lowered for sizes that are not known.
@Suite struct LayerModeTests {
  struct Subject: Sendable {
    var spec: [Int?]
    var sizes: [[Int]]
    var layer: @Sendable () -> (Tensor) -> Tensor
  }

  static let subjects: [String: Subject] = [
    "group norm": Subject(spec: [nil, 4, 5], sizes: [[2, 4, 5], [7, 4, 5]]) {
      let layer = GroupNorm(2, 4)
      return { layer($0) }
    },
    "instance norm": Subject(spec: [nil, 4, 5], sizes: [[2, 4, 5], [7, 4, 5]]) {
      let layer = InstanceNorm1d(4, affine: true)
      return { layer($0) }
    },
    "pooling": Subject(spec: [nil, 2, 7, 5], sizes: [[2, 2, 7, 5], [3, 2, 7, 5]]) {
      { adaptiveMaxPool2d(adaptiveAvgPool2d($0, outputSize: [3, 4]), outputSize: 2) }
    },
    "resizing": Subject(spec: [nil, 2, 7, 5], sizes: [[2, 2, 7, 5], [3, 2, 7, 5]]) {
      { interpolate($0, scaleFactor: 2, mode: .linear()) }
    },
    "a recurrent network": Subject(spec: [nil, 3, 4], sizes: [[2, 3, 4], [7, 3, 4]]) {
      let layer = LSTM(4, 6, batchFirst: true, bidirectional: true)
      return { layer($0).output }
    },
    "attention": Subject(spec: [2, nil, 8], sizes: [[2, 5, 8], [2, 9, 8]]) {
      let layer = MultiheadAttention(8, 2, batchFirst: true)
      return { layer($0, $0, $0, needWeights: false, isCausal: true).output }
    },
    "a transformer": Subject(spec: [nil, 5, 8], sizes: [[2, 5, 8], [3, 5, 8]]) {
      let layer = TransformerEncoderLayer(8, 2, feedForward: 16, batchFirst: true).eval()
      return { layer($0) }
    },
    "rotations": Subject(spec: [2, nil, 8], sizes: [[2, 5, 8], [2, 9, 8]]) {
      let layer = RoPE(dimensions: 8)
      return { layer($0) }
    },
  ]

  @Test("one trace and deferred mode give the eager bits", arguments: subjects.keys.sorted())
  func modes(_ name: String) throws {
    let subject = Self.subjects[name]!
    let layer = subject.layer()
    let function = traced { (x: Tensor) in noGrad { layer(x) } }
    try function.lower(TensorSpec(subject.spec, .float32))
    for (i, size) in subject.sizes.enumerated() {
      let x = Random.normal(size, generator: Generator(seed: i))
      let expected = noGrad { layer(x) }
      expectSame(function(x), expected, "\(size), traced")
      let deferred = withExecution(.deferred) { noGrad { layer(x) } }
      expectSame(deferred, expected, "\(size), deferred")
    }
    #expect(function.traceCount == 1)
  }
}
