import Duet
import DuetTestSupport

/// One operation with inputs that fit it.
struct OpCase: CustomStringConvertible {
  let op: Op
  let inputs: [Tensor]

  var description: String {
    "\(op) of "
      + inputs.map { "\($0.type) with strides \($0.body.layout.strides)" }.joined(separator: ", ")
  }

  /// The same operation on other elements of the same types; integers that are indices or states stay.
  func withOtherElements(_ random: inout SplitMix64, keeping fixed: Set<Int>) -> OpCase {
    OpCase(
      op: op,
      inputs: inputs.enumerated().map { i, input in
        fixed.contains(i) ? input : random.tensor(input.dtype, input.shape, .special, .strided)
      })
  }
}

/// Draws operations and inputs.
struct CaseGenerator {
  enum Size {
    case small
    /// Enough elements for several threads.
    case large
  }

  var random: SplitMix64
  let size: Size
  let values: Values
  let placement: Placement

  init(seed: Int, _ size: Size = .small, values: Values = .special, placement: Placement = .strided)
  {
    random = SplitMix64(seed)
    self.size = size
    self.values = values
    self.placement = placement
  }

  private mutating func tensor(_ dtype: DType, _ shape: [Int]) -> Tensor {
    random.tensor(dtype, shape, values, placement)
  }

  /// A shape for operations whose work is one step per element.
  private mutating func shape(rank: ClosedRange<Int> = 0...4) -> [Int] {
    switch size {
    case .small: return random.shape(rank: rank, atMost: 3000)
    case .large:
      let choices = [
        [150_001], [257, 401], [3, 33_000], [40_000, 3], [17, 31, 190], [5, 7, 61, 53],
      ]
      return random.pick(choices.filter { rank.contains($0.count) })
    }
  }

  mutating func operand(_ dtype: DType, _ shape: [Int]) -> Tensor { tensor(dtype, shape) }
  mutating func anyShape(rank: ClosedRange<Int>) -> [Int] { shape(rank: rank) }

  private mutating func axis(_ shape: [Int]) -> Int { random.int(below: shape.count) }

  private mutating func window(_ limit: Int) -> (
    kernel: Int, stride: Int, padding: Int, dilation: Int
  ) {
    let kernel = random.int(1...min(5, limit))
    let dilation = kernel > 1 && (kernel - 1) * 2 < limit ? random.int(1...2) : 1
    return (kernel, random.int(1...3), random.int(0...(kernel / 2)), dilation)
  }

  /// Indices into an axis of that size; some count from the end.
  private mutating func indices(_ shape: [Int], below size: Int) -> Tensor {
    let dtype: DType = random.chance(0.5) ? .int64 : .int32
    let count = shape.reduce(1, *)
    let values = (0..<count).map { _ in random.int(-size...(size - 1)) }
    return Tensor(values, shape).asType(dtype)
  }

  private mutating func slice(of shape: [Int]) -> Slice {
    var slice = Slice(all: Shape(shape))
    for axis in shape.indices where shape[axis] > 0 {
      let step = random.pick([1, 1, 2, 3, -1, -2])
      let first = random.int(below: shape[axis])
      let room = step > 0 ? (shape[axis] - 1 - first) / step : first / -step
      slice.starts[axis] = first
      slice.steps[axis] = step
      slice.sizes[axis] = random.chance(0.05) ? 0 : 1 + random.int(0...room)
      if size == .large {
        slice.steps[axis] = step > 0 ? 1 : -1
        slice.starts[axis] = step > 0 ? 0 : shape[axis] - 1
        slice.sizes[axis] = shape[axis] - (shape[axis] > 8 ? 1 : 0)
      }
    }
    return slice
  }

  private mutating func poolingInput() -> [Int] {
    size == .small
      ? [random.int(0...3), random.int(1...4), random.int(1...17), random.int(1...19)]
      : [4, 16, 40, 41]
  }

  private mutating func pooling(_ input: [Int]) -> Pooling {
    let (h, w) = (window(input[2]), window(input[3]))
    return Pooling(
      kernelSize: Extent(h.kernel, w.kernel), stride: Extent(h.stride, w.stride),
      padding: Extent(h.padding, w.padding), dilation: Extent(h.dilation, w.dilation),
      countsPadding: random.chance(0.5))
  }

  private func outputShape(_ op: Op, _ dtype: DType, _ shapes: [Int]...) throws -> [Int] {
    Array(try op.resultType(for: shapes.map { TensorType(dtype, Shape($0)) }).shape)
  }

  private mutating func convolution() -> (Convolution, input: [Int], weight: [Int]) {
    if random.chance(0.4) { return tiledConvolution() }
    let groups = random.pick([1, 1, 2, 3])
    let perGroup = size == .small ? random.int(1...4) : 8
    let out = groups * (size == .small ? random.int(1...5) : 8)
    let (height, width) = size == .small ? (random.int(1...14), random.int(1...18)) : (28, 29)
    let (h, w) = (window(height), window(width))
    let convolution = Convolution(
      stride: Extent(h.stride, w.stride), padding: Extent(h.padding, w.padding),
      dilation: Extent(h.dilation, w.dilation), groups: groups)
    let batch = size == .small ? random.int(0...3) : 4
    return (
      convolution, [batch, groups * perGroup, height, width], [out, perGroup, h.kernel, w.kernel]
    )
  }

  /// 3 x 3 with enough channels to be computed in tiles (`duet_contraction.h`), by chance just not.
  private mutating func tiledConvolution() -> (Convolution, input: [Int], weight: [Int]) {
    let groups = random.pick([1, 1, 1, 2])
    let (input, output) = (random.int(15...35), random.int(15...50))
    let padding = Extent(random.int(0...3), random.int(0...3))
    // With more columns of tiles than a block takes, by chance.
    let height = size == .small ? random.int(3...9) : random.int(20...40)
    let width = size == .small ? random.int(3...11) : random.pick([29, 30, 131, 260])
    let batch = size == .small ? random.int(0...2) : 2
    return (
      Convolution(stride: Extent(1, 1), padding: padding, dilation: Extent(1, 1), groups: groups),
      [batch, groups * input, height, width], [groups * output, input, 3, 3]
    )
  }

  private mutating func matmulShapes() -> ([Int], [Int]) {
    if size == .large {
      return random.pick([
        ([130, 300], [300, 257]), ([6, 65, 70], [6, 70, 90]), ([1, 2000], [2000, 300]),
        ([700, 500], [500, 1]), ([64, 784], [784, 128]), ([3, 1, 50, 64], [4, 64, 70]),
      ])
    }
    func dimension() -> Int {
      random.chance(0.05) ? 0 : random.pick([1, 1, 2, 3, 5, 8, 15, 16, 17, 31, 33, 48, 65])
    }
    let (m, k, n) = (dimension(), dimension(), dimension())
    let batch = random.chance(0.5) ? [] : random.shape(rank: 1...2, atMost: 6)
    let left = random.broadcastable(with: batch)
    return (batch + [m, k], left + [k, n])
  }

  /// Input, weight and bias of a linear layer.
  private mutating func linearShapes() -> [[Int]] {
    if size == .large {
      return random.pick([
        [[1, 784], [256, 784], [256]], [[4096], [500, 4096]], [[128, 300], [257, 300], [257]],
        [[7, 1, 2000], [300, 2000], [300]], [[5, 100, 64], [192, 64], [192]],
        [[300, 700], [1, 700], [1]], [[400, 300], [400, 300], [400]],
      ])
    }
    func dimension() -> Int {
      random.chance(0.05) ? 0 : random.pick([1, 1, 2, 3, 5, 8, 15, 16, 17, 31, 33, 48, 65])
    }
    let (n, k) = (dimension(), dimension())
    let leading = random.chance(0.5) ? [dimension()] : random.shape(rank: 0...3, atMost: 6)
    return [leading + [k], [n, k]] + (random.chance(0.7) ? [[n]] : [])
  }

  private mutating func randomState() -> Tensor {
    Tensor(
      [Int(truncatingIfNeeded: random.next()), random.pick([0, 1, 5, (1 << 32) - 3, 1 << 40])], [2])
  }

  /// A case of the subject, on that dtype.
  mutating func next(_ subject: Subject, _ dtype: DType) throws -> OpCase {
    func one(_ op: Op, _ shape: [Int]) -> OpCase { OpCase(op: op, inputs: [tensor(dtype, shape)]) }
    switch subject {
    case .unary(let op): return one(.unary(op), shape())
    case .binary(let op):
      let (a, b) = broadcastPair()
      return OpCase(op: .binary(op), inputs: [tensor(dtype, a), tensor(dtype, b)])
    case .compare(let op):
      let (a, b) = broadcastPair()
      return OpCase(op: .compare(op), inputs: [tensor(dtype, a), tensor(dtype, b)])
    case .select:
      let full = shape()
      let condition = tensor(.bool, random.broadcastable(with: full))
      return OpCase(
        op: .select,
        inputs: [condition, tensor(dtype, full), tensor(dtype, random.broadcastable(with: full))])
    case .cast(let target): return one(.cast(target), shape())
    case .fill:
      let type = TensorType(dtype, Shape(shape()))
      return OpCase(op: .fill(type, random.element(dtype, values)), inputs: [])
    case .iota:
      let start = Double(random.int(0...100))
      let step = dtype.isFloatingPoint ? random.unit() * 4 - 2 : Double(random.int(1...5))
      let count = size == .small ? random.pick([0, 1, 15, 16, 17, 1025]) : 150_001
      return OpCase(op: .iota(dtype, count: count, start: start, step: step), inputs: [])
    case .reduce(let op):
      // Only sums and the like have a value for no elements.
      let shape = shape().map { op == .sum || op == .product || op == .mean ? $0 : max(1, $0) }
      let axes = AxisSet(shape.indices.filter { _ in random.chance(0.6) })
      return one(.reduce(op, axes: axes, keepDims: random.chance(0.5)), shape)
    case .softmax:
      let shape = shape(rank: 1...4)
      return one(.softmax(axis: axis(shape)), shape)
    case .logSoftmax:
      let shape = shape(rank: 1...4)
      return one(.logSoftmax(axis: axis(shape)), shape)
    case .softmaxGradient, .logSoftmaxGradient:
      let shape = shape(rank: 1...4)
      let axis = axis(shape)
      return OpCase(
        op: subject == .softmaxGradient
          ? .softmaxGradient(axis: axis) : .logSoftmaxGradient(axis: axis),
        inputs: [tensor(dtype, shape), tensor(dtype, shape)])
    case .cumulative(let op):
      let shape = shape(rank: 1...4)
      return one(.cumulative(op, axis: axis(shape)), shape)
    case .argSort:
      let shape = shape(rank: 1...4)
      return one(.argSort(axis: axis(shape), descending: random.chance(0.5)), shape)
    case .argTopK:
      let shape = shape(rank: 1...4)
      let axis = axis(shape)
      return one(.argTopK(axis: axis, count: random.int(0...shape[axis])), shape)
    case .layerNorm, .layerNormInputGradient, .layerNormParameterGradient, .rmsNorm,
      .rmsNormInputGradient, .rmsNormParameterGradient:
      return rowNorm(subject, dtype)
    case .channelMoments, .channelNorm, .channelNormParameterGradient, .channelNormInputGradient:
      return channelNorm(subject, dtype)
    case .crossEntropy, .crossEntropyGradient: return crossEntropy(subject, dtype)
    case .matmul:
      let (a, b) = matmulShapes()
      return OpCase(op: .matmul, inputs: [tensor(dtype, a), tensor(dtype, b)])
    case .wideMatmul:
      let (a, b) = matmulShapes()
      return OpCase(
        op: .wideMatmul(dtype.productSums!), inputs: [tensor(dtype, a), tensor(dtype, b)])
    case .linear:
      return OpCase(op: .linear, inputs: linearShapes().map { tensor(dtype, $0) })
    case .conv2d:
      let (convolution, input, weight) = convolution()
      return OpCase(
        op: .conv2d(convolution), inputs: [tensor(dtype, input), tensor(dtype, weight)])
    case .conv2dInputGradient:
      let (convolution, input, weight) = convolution()
      let output = try outputShape(.conv2d(convolution), dtype, input, weight)
      return OpCase(
        op: .conv2dInputGradient(convolution, inputSize: Extent(input[2], input[3])),
        inputs: [tensor(dtype, output), tensor(dtype, weight)])
    case .conv2dWeightGradient:
      let (convolution, input, weight) = convolution()
      let output = try outputShape(.conv2d(convolution), dtype, input, weight)
      return OpCase(
        op: .conv2dWeightGradient(convolution, kernelSize: Extent(weight[2], weight[3])),
        inputs: [tensor(dtype, input), tensor(dtype, output)])
    case .maxPool2d:
      let shape = poolingInput()
      return one(.maxPool2d(pooling(shape)), shape)
    case .maxPool2dSelect:
      let shape = poolingInput()
      return OpCase(
        op: .maxPool2dSelect(pooling(shape)), inputs: [tensor(dtype, shape), tensor(dtype, shape)])
    case .maxPool2dGradient:
      let shape = poolingInput()
      let pooling = pooling(shape)
      let output = try outputShape(.maxPool2d(pooling), dtype, shape)
      return OpCase(
        op: .maxPool2dGradient(pooling), inputs: [tensor(dtype, shape), tensor(dtype, output)])
    case .averagePool2d:
      let shape = poolingInput()
      return one(.averagePool2d(pooling(shape)), shape)
    case .averagePool2dGradient:
      let shape = poolingInput()
      let pooling = pooling(shape)
      let output = try outputShape(.averagePool2d(pooling), dtype, shape)
      return one(.averagePool2dGradient(pooling, inputSize: Extent(shape[2], shape[3])), output)
    case .reshape:
      let shape = shape()
      return one(.reshape(Shape(regrouped(shape))), shape)
    case .transpose:
      let shape = shape()
      return one(.transpose(Shape(shape.indices.shuffled(using: &random))), shape)
    case .broadcast:
      let full = shape()
      return one(.broadcast(Shape(full)), random.broadcastable(with: full))
    case .slice:
      let shape = shape()
      return one(.slice(slice(of: shape)), shape)
    case .copy: return one(.copy, shape())
    case .barrier: return one(.barrier, shape())
    case .concatenate:
      let shape = shape(rank: 1...4)
      let axis = axis(shape)
      let inputs = (0..<random.int(1...4)).map { _ in
        var part = shape
        part[axis] = random.int(0...max(1, shape[axis]))
        return tensor(dtype, part)
      }
      return OpCase(op: .concatenate(axis: axis), inputs: inputs)
    case .updateSlice:
      let shape = shape()
      let slice = slice(of: shape)
      return OpCase(
        op: .updateSlice(slice), inputs: [tensor(dtype, shape), tensor(dtype, Array(slice.sizes))])
    case .take:
      let shape = shape(rank: 1...3).map { max(1, $0) }
      let axis = axis(shape)
      let count = size == .small ? random.shape(rank: 0...2, atMost: 20) : [shape[axis]]
      return OpCase(
        op: .take(axis: axis), inputs: [tensor(dtype, shape), indices(count, below: shape[axis])])
    case .takeAlong:
      let shape = shape(rank: 1...3).map { max(1, $0) }
      let axis = axis(shape)
      var along = shape
      along[axis] = size == .small ? random.int(0...9) : shape[axis]
      return OpCase(
        op: .takeAlong(axis: axis),
        inputs: [tensor(dtype, shape), indices(along, below: shape[axis])])
    case .scatterAdd, .scatterSet:
      let shape = shape(rank: 1...3).map { max(1, $0) }
      let axis = axis(shape)
      let count = size == .small ? random.int(0...20) : shape[axis]
      var updates = shape
      updates[axis] = count
      return OpCase(
        op: subject == .scatterAdd ? .scatterAdd(axis: axis) : .scatterSet(axis: axis),
        inputs: [
          tensor(dtype, shape), indices([count], below: shape[axis]), tensor(dtype, updates),
        ])
    case .scatterAddAlong:
      let shape = shape(rank: 1...3).map { max(1, $0) }
      let axis = axis(shape)
      var along = shape
      along[axis] = size == .small ? random.int(0...9) : shape[axis]
      return OpCase(
        op: .scatterAddAlong(axis: axis),
        inputs: [tensor(dtype, shape), indices(along, below: shape[axis]), tensor(dtype, along)])
    case .randomUniform:
      return OpCase(
        op: .random(.uniform, TensorType(dtype, Shape(shape()))), inputs: [randomState()])
    case .randomNormal:
      return OpCase(
        op: .random(.normal, TensorType(dtype, Shape(shape()))), inputs: [randomState()])
    case .randomInteger:
      let low = dtype == .uint8 ? 0 : random.int(-100...10)
      let range = Distribution.integer(low: low, high: random.int(11...100))
      return OpCase(op: .random(range, TensorType(dtype, Shape(shape()))), inputs: [randomState()])
    case .randomPermutation:
      let count = size == .small ? random.int(0...300) : 40_000
      return OpCase(op: .random(.permutation, TensorType(.int64, [count])), inputs: [randomState()])
    case .advanceRandom:
      return OpCase(op: .advanceRandom(blocks: random.int(0...1000)), inputs: [randomState()])
    case .controlFlow:
      preconditionFailure("a region is more than its inputs")
    }
  }

  private mutating func broadcastPair() -> ([Int], [Int]) {
    let full = shape()
    let other = random.broadcastable(with: full)
    return random.chance(0.5) ? (full, other) : (other, full)
  }

  /// Another shape of as many elements.
  private mutating func regrouped(_ shape: [Int]) -> [Int] {
    var factors: [Int] = []
    for size in shape where size != 1 {
      let divisor = [2, 3, 4, 5].first { size > $0 && size % $0 == 0 && random.chance(0.5) }
      factors += divisor.map { [$0, size / $0] } ?? [size]
    }
    while factors.count > 1 && (factors.count > 6 || random.chance(0.4)) {
      let i = random.int(below: factors.count - 1)
      factors.replaceSubrange(i...(i + 1), with: [factors[i] * factors[i + 1]])
    }
    if random.chance(0.3) { factors.insert(1, at: random.int(0...factors.count)) }
    return factors
  }
}

extension Subject {
  /// The inputs whose elements are not free: indices and random states.
  var fixedInputs: Set<Int> {
    switch self {
    case .take, .takeAlong, .scatterAdd, .scatterAddAlong, .scatterSet, .crossEntropy,
      .crossEntropyGradient:
      [1]
    case .randomUniform, .randomNormal, .randomInteger, .randomPermutation, .advanceRandom: [0]
    default: []
    }
  }
}
