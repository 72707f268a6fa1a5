import Duet
import DuetTestSupport
import Testing

@Suite struct AttentionTests {
  typealias Make = @Sendable (DType) -> ModuleCase.Subject

  private static func encoderLayer(
    _ dtype: DType, batchFirst: Bool = false, normFirst: Bool = false, bias: Bool = true
  ) -> TransformerEncoderLayer {
    TransformerEncoderLayer(
      4, 2, feedForward: 6, dropout: 0, activation: normFirst ? .gelu : .relu,
      batchFirst: batchFirst, normFirst: normFirst, bias: bias, dtype: dtype)
  }

  private static func decoderLayer(
    _ dtype: DType, batchFirst: Bool = false, normFirst: Bool = false, bias: Bool = true
  ) -> TransformerDecoderLayer {
    TransformerDecoderLayer(
      4, 2, feedForward: 6, dropout: 0, activation: normFirst ? .gelu : .relu,
      batchFirst: batchFirst, normFirst: normFirst, bias: bias, dtype: dtype)
  }

  private static func attention(
    _ attention: MultiheadAttention, _ call: @escaping ([Tensor]) -> (Tensor, Tensor?)
  ) -> ModuleCase.Subject {
    .init(attention) { x in
      let (output, weights) = call(x)
      return [output, weights!]
    }
  }

  static let subjects: [String: Make] = [
    "sdpa": { _ in .init { [scaledDotProductAttention($0[0], $0[1], $0[2])] } },
    "sdpa_scale": { _ in .init { [scaledDotProductAttention($0[0], $0[1], $0[2], scale: 0.25)] } },
    "sdpa_causal": { _ in
      .init { [scaledDotProductAttention($0[0], $0[1], $0[2], isCausal: true)] }
    },
    "sdpa_mask": { _ in .init { [scaledDotProductAttention($0[0], $0[1], $0[2], mask: $0[3])] } },
    "sdpa_blind": { _ in .init { [scaledDotProductAttention($0[0], $0[1], $0[2], mask: $0[3])] } },
    "sdpa_added": { _ in
      // The mask is one of the leaves.
      .init { [scaledDotProductAttention($0[0], $0[1], $0[2], mask: $0[3])] }
    },
    "mha": { dtype in
      let layer = MultiheadAttention(4, 2, dtype: dtype)
      return attention(layer) { layer($0[0], $0[1], $0[2]) }
    },
    "mha_self": { dtype in
      let layer = MultiheadAttention(4, 2, batchFirst: true, dtype: dtype)
      return attention(layer) { layer($0[0], $0[0], $0[0], averageWeights: false) }
    },
    "mha_masks": { dtype in
      let layer = MultiheadAttention(4, 2, batchFirst: true, dtype: dtype)
      return attention(layer) {
        layer($0[0], $0[1], $0[1], keyPaddingMask: $0[2], attentionMask: $0[3])
      }
    },
    "mha_sizes": { dtype in
      let layer = MultiheadAttention(4, 2, bias: false, kdim: 3, vdim: 5, dtype: dtype)
      return attention(layer) { layer($0[0], $0[1], $0[2]) }
    },
    "mha_sizes_bias": { dtype in
      let layer = MultiheadAttention(4, 2, kdim: 3, dtype: dtype)
      return attention(layer) { layer($0[0], $0[1], $0[2], attentionMask: $0[3]) }
    },
    "encoder_layer": { .init(encoderLayer($0)) },
    "encoder_layer_first": { .init(encoderLayer($0, batchFirst: true, normFirst: true)) },
    "encoder_layer_plain": { .init(encoderLayer($0, bias: false)) },
    "decoder_layer": { dtype in
      let layer = decoderLayer(dtype)
      return .init(layer) { [layer($0[0], $0[1])] }
    },
    "decoder_layer_first": { dtype in
      let layer = decoderLayer(dtype, batchFirst: true, normFirst: true)
      return .init(layer) { [layer($0[0], $0[1])] }
    },
    "decoder_layer_plain": { dtype in
      let layer = decoderLayer(dtype, bias: false)
      return .init(layer) { [layer($0[0], $0[1])] }
    },
    "encoder": { dtype in
      let encoder = TransformerEncoder(2, norm: LayerNorm(4, dtype: dtype)) { encoderLayer(dtype) }
      return .init(encoder) { [encoder($0[0], mask: nil, isCausal: true)] }
    },
    "decoder": { dtype in
      let decoder = TransformerDecoder(2) { decoderLayer(dtype) }
      return .init(decoder) { [decoder($0[0], $0[1], isCausal: true)] }
    },
  ]

  @Test("A layer and its gradients are PyTorch's", arguments: subjects.keys.sorted())
  func agrees(_ name: String) throws {
    try ModuleCase.check(name) { Self.subjects[name]!($0) }
  }

  @Test func projectionsBeginAsPyTorchs() {
    Random.seed(4)
    let layer = MultiheadAttention(64, 4)
    let bound = (6.0 / (192 + 64)).squareRoot()
    let largest = layer.inProjWeight!.value.abs().max().item(Double.self)
    #expect(largest <= bound + 1e-7 && largest > 0.95 * bound)
    #expect(layer.inProjBias!.value.abs().max().item(Double.self) == 0)
    #expect(layer.outProj.bias!.value.abs().max().item(Double.self) == 0)
    #expect(layer.outProj.weight.value.abs().max().item(Double.self) <= 0.125 + 1e-7)
  }

  @Test func masksOfEachHeadAndNumbersOfBothKinds() {
    let g = Generator(seed: 5)
    let layer = MultiheadAttention(4, 2, batchFirst: true)
    let x = Random.normal([3, 5, 4], generator: g)
    let mask = Random.bernoulli(0.3, [5, 5], generator: g)
    let padding = Random.bernoulli(0.3, [3, 5], generator: g)
    let expected = layer(x, x, x, keyPaddingMask: padding, attentionMask: mask)
    let each = tiled(mask.expandedDimensions(axis: 0), [6, 1, 1])
    func numbers(_ mask: Tensor) -> Tensor { which(mask, -Double.infinity, zeros([])) }
    for (attentionMask, keyPaddingMask) in [
      (each, padding), (numbers(mask), padding), (mask, numbers(padding)),
      (numbers(each), numbers(padding)),
    ] {
      let found = layer(x, x, x, keyPaddingMask: keyPaddingMask, attentionMask: attentionMask)
      expectSame([found.output, found.weights!], [expected.output, expected.weights!])
    }
    #expect(layer(x, x, x, needWeights: false).weights == nil)
  }

  @Test func queriesThatSeeNothingGiveZeros() {
    let infinity = -Double.infinity
    let g = Generator(seed: 2)
    let q = Random.normal([3, 4], generator: g)
    let v = Random.normal([3, 4], generator: g).requiringGrad()
    let forms: [(Tensor, Tensor)] = [
      (Tensor([infinity, 0, 0]), Tensor([false, true, true])),
      (
        Tensor([[0, 0, 0], [0, 0, 0], [infinity, infinity, infinity]]),
        Tensor([[true, true, true], [true, true, true], [false, false, false]])
      ),
    ]
    for (numbers, bools) in forms {
      for isCausal in [false, true] {
        let found = scaledDotProductAttention(q, q, v, mask: numbers, isCausal: isCausal)
        let expected = scaledDotProductAttention(q, q, v, mask: bools, isCausal: isCausal)
        expectSame(found.detached(), expected.detached())
        #expect(found.isFinite().all().item())
        v.grad = nil
        found.sum().backward()
        #expect(v.grad!.isFinite().all().item())
      }
    }
    let causal = scaledDotProductAttention(q, q, v, mask: forms[0].0, isCausal: true)
    #expect(causal[0].asArray(Float.self) == [0, 0, 0, 0])

    let layer = MultiheadAttention(4, 2, batchFirst: true)
    let x = Random.normal([1, 3, 4], generator: g)
    let (output, weights) = layer(
      x, x, x, keyPaddingMask: Tensor([[infinity, 0, 0]]), isCausal: true)
    #expect(output.isFinite().all().item() && weights!.isFinite().all().item())

    // -1e9 is infinite in float16.
    let half = q.asType(.float16)
    let mask = full([3, 3], -1e9, dtype: .float32)
    let none = scaledDotProductAttention(half, half, half, mask: mask)
    #expect(none.asArray(Float.self).allSatisfy { $0 == 0 })
  }

  /// Long causal attention is done some rows at a time, with the bits of the whole.
  @Test(
    "causal attention is that with a mask of the same form", arguments: [DType.float32, .float16])
  func causalMasks(_ dtype: DType) throws {
    let g = Generator(seed: 5)
    func normal(_ shape: [Int]) -> Tensor { Random.normal(shape, generator: g).asType(dtype) }
    let forms: [(q: [Int], k: [Int], v: [Int], masks: [[Int]])] = [
      ([130, 8], [130, 8], [130, 5], [[], [130], [1], [130, 1], [130, 130]]),
      ([2, 3, 129, 6], [3, 129, 6], [2, 1, 129, 6], [[129], [3, 1, 129], [2, 1, 129, 129]]),
      ([2, 200, 4], [2, 90, 4], [2, 90, 4], [[200, 90], [200, 1]]),
      ([190, 4], [300, 4], [300, 4], [[1, 300]]),
      ([1_100, 3], [1_100, 3], [1_100, 3], []),
      ([150, 3], [1, 3], [1, 3], [[150, 1]]),
      ([150, 3], [0, 3], [0, 3], [[150, 0]]),
    ]
    for form in forms {
      let (q, k, v) = (normal(form.q), normal(form.k), normal(form.v))
      let causal = tri(q.dim(-2), k.dim(-2), dtype: .bool)
      let masks: [Tensor?] = [nil] + form.masks.map { Random.bernoulli(0.7, $0, generator: g) .> 0 }
      for mask in masks {
        let whole = scaledDotProductAttention(
          q, k, v, mask: mask.map { logicalAnd($0, causal) } ?? causal)
        func attended(_ q: Tensor, _ k: Tensor, _ v: Tensor) -> Tensor {
          scaledDotProductAttention(q, k, v, mask: mask, isCausal: true)
        }
        let what = "\(form.q), \(form.k), mask \(mask?.shape ?? [])"
        expectSame(attended(q, k, v), whole, what)
        expectSame(traced(attended)(q, k, v), whole, what)
        guard let mask else { continue }
        let summand = which(mask, zeros([]), -Double.infinity)
        expectSame(
          scaledDotProductAttention(q, k, v, mask: summand, isCausal: true), whole, what)
      }
    }
  }

  @Test func gradientsOfLongCausalAttentionAreThoseOfTheWhole() {
    let g = Generator(seed: 6)
    let inputs = (0..<3).map { _ in
      Random.normal([2, 150, 8], dtype: .float64, generator: g).requiringGrad()
    }
    func found(_ f: (Tensor, Tensor, Tensor) -> Tensor) -> [Tensor] {
      gradients(of: [f(inputs[0], inputs[1], inputs[2]).square().sum()], by: inputs)
    }
    let parts = found { scaledDotProductAttention($0, $1, $2, isCausal: true) }
    let whole = found {
      scaledDotProductAttention($0, $1, $2, mask: tri(150, 150, dtype: .bool))
    }
    for (a, b) in zip(parts, whole) { #expect(allClose(a, b, rtol: 1e-9, atol: 1e-12).item()) }
  }

  @Test func causalAttentionTakesAnyLength() throws {
    let f = traced { (x: Tensor) in scaledDotProductAttention(x, x, x, isCausal: true) }
    try f.lower(TensorSpec([nil, 4]))
    for length in [1, 7, 64, 65, 129, 1_009] {
      let x = Random.normal([length, 4], generator: Generator(seed: length))
      expectSame(f(x), scaledDotProductAttention(x, x, x, isCausal: true))
    }
    #expect(f.traceCount == 1)
  }

  @Test func dropoutIsOfWeightsInTraining() {
    let layer = MultiheadAttention(8, 2, dropout: 0.5, batchFirst: true)
    let x = Random.normal([2, 6, 8], generator: Generator(seed: 1))
    func result() -> [Float] { layer(x, x, x).output.asArray(Float.self) }
    #expect(result() != result())
    layer.eval()
    #expect(result() == result())
  }

  @Test("rotations keep lengths and depend on distances alone", arguments: [false, true])
  func rotations(_ traditional: Bool) {
    let rope = RoPE(dimensions: 6, traditional: traditional)
    let g = Generator(seed: 2)
    let (q, k) = (
      Random.normal([1, 8], dtype: .float64, generator: g),
      Random.normal([1, 8], dtype: .float64, generator: g)
    )
    let turned = rope(tiled(q, [4, 1]), offset: 3)
    expectClose(turned.square().sum(axis: -1), tiled(q.square().sum(axis: -1), [4]), "lengths")
    expectSame(turned[0..., 6..<8], tiled(q, [4, 1])[0..., 6..<8], "features behind")
    func product(_ a: Int, _ b: Int) -> Double {
      (rope(q, offset: a) * rope(k, offset: b)).sum().item()
    }
    #expect(abs(product(7, 4) - product(103, 100)) < 1e-12)
    #expect(abs(product(7, 4) - product(8, 4)) > 1e-6)
    expectSame(rope(q), q, "place 0")
    // The first pair of place 1 turns by one radian, the second by 10000^(-1/3).
    let first = rope(q, offset: 1).asArray(Double.self)
    let x = q.asArray(Double.self)
    let pairs = traditional ? [(0, 1), (2, 3)] : [(0, 3), (1, 4)]
    for ((a, b), angle) in zip(pairs, [1, 0.046415888336127795]) {
      let turned =
        Tensor([x[a], x[b]]) * Tensor(angle).cos() + Tensor([-x[b], x[a]]) * Tensor(angle).sin()
      expectClose(Tensor([first[a], first[b]]), turned, "pair", tolerance: 1e-12)
    }
    for dtype in [DType.float16, .bfloat16] {
      let wide = rope(q.asType(dtype).asType(.float32), offset: 9)
      expectSame(rope(q.asType(dtype), offset: 9), wide.asType(dtype))
    }
  }

  @Test func positionsAreEncodedBySinesAndCosines() {
    let encoding = SinusoidalPositionalEncoding(dimensions: 4, minFrequency: 0.01, scale: 1)
    let y = encoding(Tensor([0, 3]))
    let x = [1.0, 0.01].map { $0 * 3 }
    let sines = Tensor(x).sin().asArray(Double.self)
    let cosines = Tensor(x).cos().asArray(Double.self)
    expectClose(y, Tensor([0, 0, 1, 1] + sines + cosines, [2, 4], dtype: .float32), "encoding")
    let other = SinusoidalPositionalEncoding(
      dimensions: 4, minFrequency: 0.01, cosFirst: true, fullTurns: true)
    let root = 0.5.squareRoot()
    expectClose(
      other(Tensor([0.0, 1.0])[0]), Tensor([root, root, 0, 0], [4], dtype: .float32), "scaled")
  }

  @Test func mistakesAreNamed() {
    func expect(_ parts: String..., from body: () -> Void) {
      let found = mistake(body)
      for part in parts { #expect(found.contains(part), "\(found)") }
    }
    let layer = MultiheadAttention(4, 2)
    let x = ones([3, 2, 4])
    expect("MultiheadAttention", "3 heads") { _ = MultiheadAttention(4, 3) }
    expect("MultiheadAttention", "0 heads") { _ = MultiheadAttention(4, 0)(x, x, x) }
    expect("not a shape") { _ = MultiheadAttention(.max, 1) }
    expect("RoPE", "-2") { _ = RoPE(dimensions: -2)(x) }
    expect("RoPE", "offset") { _ = RoPE(dimensions: 4)(x, offset: .max) }
    expect("MultiheadAttention", "[3, 2, 5]") { _ = layer(ones([3, 2, 5]), x, x) }
    expect("MultiheadAttention", "[3, 1, 4]") { _ = layer(ones([3, 1, 4]), x, x) }
    expect("MultiheadAttention", "attentionMask", "[3, 3]", "[4, 3, 3]") {
      _ = layer(x, x, x, attentionMask: zeros([2, 3], dtype: .bool))
    }
    expect("MultiheadAttention", "keyPaddingMask", "[2, 3]") {
      _ = layer(x, x, x, keyPaddingMask: zeros([3, 2], dtype: .bool))
    }
    expect("scaledDotProductAttention", "[2, 3]", "[2, 4]") {
      _ = scaledDotProductAttention(ones([2, 3]), ones([2, 4]), ones([2, 4]))
    }
    expect("scaledDotProductAttention", "mask", "bool[5]", "[2, 4]") {
      _ = scaledDotProductAttention(
        ones([2, 3]), ones([4, 3]), ones([4, 3]), mask: zeros([5], dtype: .bool))
    }
    expect("scaledDotProductAttention", "mask", "bool[5]", "[2, 180, 90]") {
      _ = scaledDotProductAttention(
        ones([2, 180, 3]), ones([90, 3]), ones([90, 3]), mask: zeros([5], dtype: .bool),
        isCausal: true)
    }
    expect("scaledDotProductAttention", "dropout") {
      _ = scaledDotProductAttention(ones([2, 3]), ones([4, 3]), ones([4, 3]), dropout: 2)
    }
    expect("RoPE", "6", "[2, 4]") { _ = RoPE(dimensions: 6)(ones([2, 4])) }
    expect("RoPE", "even") { _ = RoPE(dimensions: 3) }
    expect("SinusoidalPositionalEncoding", "even") {
      _ = SinusoidalPositionalEncoding(dimensions: 3)
    }
  }
}
