import Duet
import DuetTestSupport

/// A program drawn from a seed: what it does depends on the seed and on dtypes and shapes, never on values, so
/// that it can be run again and traced.
struct RandomProgram {
  let seed: Int

  /// The state that a program reads and writes.
  struct State {
    let generator: Generator
    let counters: [Variable]
    let weights: [Parameter]

    init(seed: Int) {
      var random = SplitMix64(seed &+ 7_000)
      generator = Generator(seed: seed)
      counters = [
        Variable(random.tensor(.float32, [3, 4]), name: "average"),
        Variable(random.tensor(.int64, [5]), name: "count"),
      ]
      weights = [
        Parameter(random.tensor(.float32, [4, 6]), name: "weight"),
        Parameter(random.tensor(.float32, [6]), name: "bias"),
      ]
    }

    /// Everything that a program can change.
    var contents: [Tensor] {
      counters.map(\.value) + weights.map { $0.value.detached() }
        + weights.map { $0.grad ?? zeros([]) } + [Random.normal([2], generator: generator)]
    }
  }

  /// New elements for the arguments, always of the same types.
  static func arguments(seed: Int, call: Int) -> [Tensor] {
    var types = SplitMix64(seed &+ 1_000)
    var values = SplitMix64(seed &* 31 &+ call &+ 2_000)
    return [
      DType.float32, .float32, types.pick([.float64, .float16, .bfloat16, .int32, .uint8]), .int64,
    ].map {
      values.tensor(
        $0, types.shape(rank: 0...3, atMost: 600), .ordinary, call % 2 == 0 ? .contiguous : .strided
      )
    }
  }

  func run(_ arguments: [Tensor], _ state: State) -> [Tensor] {
    var run = Run(random: SplitMix64(seed), pool: arguments, state: state)
    for _ in 0..<20 { run.step() }
    let results = (0..<4).map { _ in run.random.pick(run.pool) }
    return (results + [run.pool[run.pool.count - 1]]).map { $0.detached() }
  }

  private struct Run {
    var random: SplitMix64
    var pool: [Tensor]
    let state: State

    private var floats: [Tensor] { pool.filter(\.dtype.isFloatingPoint) }

    private mutating func float() -> Tensor { random.pick(floats) }

    private mutating func axis(_ x: Tensor) -> Int { random.int(below: x.ndim) }

    private mutating func withAxis(_ x: Tensor) -> Tensor { x.ndim == 0 ? x.reshaped(1) : x }

    private mutating func keep(_ x: Tensor) {
      // Sizes stay small, whatever joins and products do.
      pool.append(x.size <= 4000 ? x : x.flattened()[0..<1000])
    }

    mutating func step() {
      switch random.int(below: 17) {
      case 0, 1: keep(unary(float()))
      case 2, 3, 4: keep(binary())
      case 5: keep(reduction(random.pick(pool)))
      case 6: keep(alongAxis(withAxis(float())))
      case 7, 8: keep(movement(withAxis(random.pick(pool))))
      case 9: keep(product())
      case 10: keep(indexing(withAxis(random.pick(pool))))
      case 11: keep(draw())
      case 12: keep(random.pick(pool).asType(random.pick(DType.allCases.filter { $0 != .bool })))
      case 13: keep(choice())
      case 14: updateCounters()
      case 15: differentiate()
      default: keep(mixed())
      }
    }

    private mutating func unary(_ x: Tensor) -> Tensor {
      switch random.int(below: 14) {
      case 0: x.tanh()
      case 1: x.exp()
      case 2: x.abs().sqrt()
      case 3: x.sigmoid()
      case 4: relu(x)
      case 5: gelu(x)
      case 6: x.square()
      case 7: -x
      case 8: x.log1p()
      case 9: x.sin() * x.cos()
      case 10: softplus(x)
      case 11: x.floor()
      case 12: x.isNaN().asType(x.dtype)
      default: silu(x)
      }
    }

    /// An operand that broadcasts with x.
    private mutating func partner(of x: Tensor) -> Tensor {
      let shape = Shape(x.shape)
      let fitting = pool.filter {
        Shape.broadcast($0.body.layout.shape, shape) != nil && $0.dtype != .bool
      }
      if let found = fitting.randomElement(using: &random) { return found }
      return float().mean()
    }

    private mutating func binary() -> Tensor {
      let a = float()
      let b = partner(of: a)
      switch random.int(below: 9) {
      case 0: return a + b
      case 1: return a - b
      case 2: return a * b
      case 3: return a / b
      case 4: return maximum(a, b)
      case 5: return minimum(a, b * 0.5)
      case 6: return a * 2 + 1
      case 7: return 1 - a
      default: return (a .< b).asType(.float32)
      }
    }

    private mutating func mixed() -> Tensor {
      let a = float()
      return ((a * 0.5).tanh() + partner(of: a).abs()) * 1.5 - a
    }

    private mutating func choice() -> Tensor {
      let a = float()
      return which(a .> 0.25, a, partner(of: a))
    }

    private mutating func reduction(_ x: Tensor) -> Tensor {
      let axes = (0..<x.ndim).filter { _ in random.chance(0.5) }
      let keepDims = random.chance(0.5)
      let isEmpty = x.size == 0
      switch random.int(below: isEmpty ? 2 : 6) {
      case 0: return x.sum(axes: axes, keepDims: keepDims)
      case 1: return x.asType(.float32).mean(axes: axes, keepDims: keepDims)
      case 2: return x.max(axes: axes, keepDims: keepDims)
      case 3: return x.min(axes: axes, keepDims: keepDims)
      case 4: return x.argMax()
      default: return x.asType(.float32).variance(axes: axes, keepDims: keepDims)
      }
    }

    private mutating func alongAxis(_ x: Tensor) -> Tensor {
      let axis = axis(x)
      switch random.int(below: 5) {
      case 0: return x.softmax(axis: axis)
      case 1: return x.logSoftmax(axis: axis)
      case 2: return x.cumsum(axis: axis)
      case 3: return sort(x, axis: axis, descending: random.chance(0.5))
      default: return x - (x.dim(axis) == 0 ? zeros([]) : x.max(axis: axis, keepDims: true))
      }
    }

    private mutating func movement(_ x: Tensor) -> Tensor {
      let axis = axis(x)
      switch random.int(below: 9) {
      case 0: return x.transposed()
      case 1: return x.flattened()
      case 2: return x.flipped(axis: axis)
      case 3: return x.expandedDimensions(axis: axis).squeezed(axis: axis)
      case 4: return concatenated([x, x.flipped(axis: axis)], axis: axis)
      case 5: return stacked([x, x], axis: axis)
      case 6: return x.dim(axis) > 1 ? x.movedAxis(from: axis, to: 0)[1...] : x
      case 7: return padded(x, widths: (0..<x.ndim).map { $0 == axis ? (1, 2) : (0, 0) })
      default: return rolled(x, 1, axis: axis)
      }
    }

    private mutating func product() -> Tensor {
      let x = float().flattened()
      let columns = random.pick([1, 3, 8, 17])
      let rows = x.size / columns
      let matrix = x[0..<(rows * columns)].reshaped(rows, columns)
      switch random.int(below: 3) {
      case 0: return matmul(matrix, matrix.T)[0..<min(rows, 20), 0..<min(rows, 20)]
      case 1: return matmul(matrix.T, matrix)
      default:
        return matmul(
          matrix, Random.normal([columns, 5], generator: state.generator).asType(x.dtype))
      }
    }

    private mutating func indexing(_ x: Tensor) -> Tensor {
      let axis = axis(x)
      let count = x.dim(axis)
      guard x.size > 0 else { return x }
      let indices = Random.randInt(-count..<count, [4], generator: state.generator)
      switch random.int(below: 4) {
      case 0: return x.take(indices, axis: axis)
      case 1: return x.takeAlong(argSort(x, axis: axis), axis: axis)
      case 2:
        let base = x.dtype == .bool ? x.asType(.int64) : x
        return base.scatterAdd(indices, base.take(indices, axis: axis), axis: axis)
      default:
        var copy = x.contiguous()
        copy[random.int(below: x.dim(0))] = x[0]
        return copy
      }
    }

    private mutating func draw() -> Tensor {
      let shape = random.shape(rank: 0...2, atMost: 200)
      switch random.int(below: 3) {
      case 0: return Random.normal(shape, generator: state.generator)
      case 1: return Random.uniform(low: -1, high: 2, shape, generator: state.generator)
      default: return Random.permutation(random.int(1...20), generator: state.generator)
      }
    }

    private mutating func updateCounters() {
      let (average, count) = (state.counters[0], state.counters[1])
      let before = average.value
      average.value = before * 0.9 + float().asType(.float32).mean() * 0.1
      keep(before + 1)
      if random.chance(0.5) { count.value = count.value + 1 }
      keep(count.value)
    }

    /// A step of gradient descent on the weights, or gradients left to add up.
    private mutating func differentiate() {
      let x = float().asType(.float32).flattened()
      let rows = x.size / 4
      let input = x[0..<(rows * 4)].reshaped(rows, 4)
      let (weight, bias) = (state.weights[0], state.weights[1])
      let output = (matmul(input, weight.value) + bias.value).tanh()
      let loss = output.square().sum()
      loss.backward()
      guard random.chance(0.7), let dw = weight.grad, let db = bias.grad else { return }
      noGrad {
        weight.value = weight.value - dw * 0.01
        bias.value = bias.value - db * 0.01
      }
      weight.grad = nil
      bias.grad = nil
      keep(loss.detached())
    }
  }
}
