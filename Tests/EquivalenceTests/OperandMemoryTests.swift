import Duet
import DuetTestSupport
import Testing

/// An eager operation that has the only reference to an operand leaves its result there; nobody can see it.
@Suite struct OperandMemoryTests {
  private static func address(_ x: borrowing Tensor) -> UnsafeMutableRawPointer { x.body.pointer }

  /// The result of an operation that is handed the only reference to `x`, and whether it lies where `x` was.
  private func handedOver(
    _ x: consuming Tensor, _ operation: (consuming Tensor) -> Tensor
  ) -> (result: Tensor, isInPlace: Bool) {
    let before = Self.address(x)
    let result = operation(consume x)
    let isInPlace = Self.address(result) == before
    return (result, isInPlace)
  }

  private static func fresh(_ shape: [Int] = [3, 5], seed: Int = 1) -> Tensor {
    var random = SplitMix64(seed)
    return random.tensor(.float32, shape)
  }

  struct Item: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let run: @Sendable (consuming Tensor) -> Tensor
    init(_ name: String, _ run: @escaping @Sendable (consuming Tensor) -> Tensor) {
      (testDescription, self.run) = (name, run)
    }
  }

  static let row = fresh([5], seed: 2)
  static let matrix = fresh([3, 5], seed: 3)
  static let items = [
    Item("x + y") { $0 + matrix },
    Item("y - x") { matrix - $0 },
    Item("x + row") { $0 + row },
    Item("row / x") { row / $0 },
    Item("x * 2") { $0 * 2 },
    Item("2 - x") { 2 - $0 },
    Item("x * scalar") { $0 * Tensor(Float(3)) },
    Item("scalar - x") { Tensor(Float(3)) - $0 },
    Item("x + transposed") { $0 + fresh([5, 3], seed: 4).T },
    Item("-x") { -$0 },
    Item("x.tanh()") { $0.tanh() },
    Item("exp(x)") { exp($0) },
    Item("gelu(x)") { gelu($0, approximate: .tanh) },
    Item("maximum(x, 0)") { maximum($0, 0) },
    Item("x.scatterAdd") { $0.scatterAdd(Tensor([0, 2]), fresh([2, 5], seed: 6)) },
    Item("x.scatterSet") { scatterSet($0, Tensor([1, -1]), fresh([2, 5], seed: 6)) },
    Item("x.scatterAddAlong") {
      $0.scatterAddAlong(zeros([3, 5], dtype: .int64), matrix, axis: 1)
    },
    Item("clip(x)") { clip($0, min: -0.5, max: 0.5) },
    Item("x ** 2") { $0 ** 2 },
    Item("which(mask, x, 0)") { which(matrix .> 0, $0, 0) },
    Item("which(mask, row, x)") { which(row .> 0, row, $0) },
    Item("x += y") {
      var sum = $0
      sum += matrix
      return sum
    },
  ]

  @Test("an operand that nobody else has becomes the result", arguments: items)
  func takesMemory(_ item: Item) {
    let kept = Self.fresh()
    let expected = Bits(item.run(copy kept))
    #expect(Bits(kept).difference(from: Bits(Self.fresh())) == nil, "the operand has changed")
    let (result, isInPlace) = handedOver(Self.fresh(), item.run)
    #expect(Bits(result).difference(from: expected) == nil)
    #expect(isInPlace)
  }

  @Test("large operands are taken over as well")
  func large() {
    let (shape, row) = ([300, 400], Self.fresh([400], seed: 5))
    let kept = Self.fresh(shape)
    let expected = [kept + row, 2 * kept, kept.tanh(), kept * kept].map { Bits($0) }
    let results = [
      handedOver(Self.fresh(shape)) { $0 + row }, handedOver(Self.fresh(shape)) { 2 * $0 },
      handedOver(Self.fresh(shape)) { $0.tanh() },
      handedOver(Self.fresh(shape)) { $0 * kept },
    ]
    for (expected, result) in zip(expected, results) {
      #expect(Bits(result.result).difference(from: expected) == nil)
      #expect(result.isInPlace)
    }
  }

  @Test(
    "scattering gives the same bits in place",
    arguments: [DType.float32, .float16, .bfloat16, .int64, .bool])
  func scatters(_ dtype: DType) {
    for (rows, columns, count) in [(3, 5, 2), (900, 70, 800), (4, 0, 2), (70_000, 1, 90_000)] {
      let base = Self.fresh([rows, columns]).asType(dtype)
      let places = Random.randInt(-rows..<rows, [count])
      let strided = Self.fresh([columns, count], seed: 9).asType(dtype).T
      for set in [false, true] where set || dtype != .bool {
        let change = { (x: consuming Tensor) in
          set ? x.scatterSet(places, strided) : x.scatterAdd(places, strided)
        }
        let expected = Bits(change(copy base))
        #expect(
          Bits(base).difference(from: Bits(Self.fresh([rows, columns]).asType(dtype))) == nil)
        let (result, isInPlace) = handedOver(Self.fresh([rows, columns]).asType(dtype), change)
        #expect(Bits(result).difference(from: expected) == nil)
        #expect(isInPlace || columns == 0)
      }
    }
    #expect(throws: TensorError.self) {
      try checked { zeros([3, 5]).scatterAdd(Tensor([0, 3]), ones([2, 5])) }
    }
  }

  @Test("memory that somebody else can see is left alone")
  func leavesAlone() throws {
    let matrix = Self.matrix
    // Another tensor, a view, a variable, the autograd graph, a traced function's constant.
    let x = Self.fresh()
    #expect(!handedOver(copy x) { $0 + matrix }.isInPlace)
    #expect(!handedOver(copy x) { $0.scatterAdd(Tensor([0, 2]), matrix[0..<2]) }.isInPlace)
    #expect(!handedOver(copy x) { $0.scatterSet(Tensor([0, 2]), matrix[0..<2]) }.isInPlace)
    let watched = x.requiringGrad()
    #expect(
      !handedOver(Self.fresh()) { $0.scatterAdd(Tensor([0, 2]), watched[0..<2]) }.isInPlace)
    let whole = Self.fresh([6, 5])
    #expect(!handedOver(whole[0..<3]) { $0 + matrix }.isInPlace)
    #expect(!handedOver(x.reshaped(5, 3)) { $0 * 2 }.isInPlace)
    let variable = Variable(x)
    #expect(!handedOver(variable.value) { $0 * 2 }.isInPlace)
    #expect(Bits(variable.value) == Bits(Self.fresh()))
    let (y, dy) = valueAndGrad { (x: Tensor) in
      let y = x * 2
      return (y * y).sum()
    }(x)
    #expect(Bits(y) == Bits((x * 2 * (x * 2)).sum()))
    #expect(allClose(dy, x * 8).item())
    let f = traced { (y: Tensor) in y + x * 2 }
    #expect(Bits(f(matrix)) == Bits(f(matrix)))
    #expect(Bits(x) == Bits(Self.fresh()))
  }

  @Test("what is differentiable is taken over only where nothing is recorded, and not attached")
  func gradients() throws {
    let isInPlace = noGrad { handedOver(Self.fresh()) { $0 * 2 }.isInPlace }
    #expect(isInPlace)
    #expect(try checked { handedOver(Self.fresh()) { $0 * 2 }.isInPlace })
    #expect(!handedOver(Self.fresh().requiringGrad()) { $0 * 2 }.isInPlace)
    #expect(!handedOver(Self.fresh().requiringGrad() * 3) { $0 * 2 }.isInPlace)
    let (plain, isTaken) = noGrad { handedOver(Self.fresh().requiringGrad()) { $0 * 2 } }
    #expect(!isTaken && !plain.requiresGrad)
    #expect(Bits(plain) == Bits(Self.fresh() * 2))
  }

  @Test("results of another size, dtype or shape get memory of their own")
  func others() {
    let row = Self.row
    // A small part of a large storage would keep all of it.
    #expect(!handedOver(Self.fresh([64, 64])[3]) { $0 * 2 }.isInPlace)
    #expect(!handedOver(copy row) { $0 + Self.fresh() }.isInPlace)
    #expect(handedOver(Self.fresh([5, 3]).T) { $0 * 2 }.result.shape == [3, 5])
    let whole = arange(6).asType(.int32)
    #expect((whole * 0.5).dtype == .float32)
    #expect((arange(6).asType(.int32) * 0.5).dtype == .float32)
    #expect((arange(6).asType(.float32) .> 2).dtype == .bool)
  }

  @Test("a mistake leaves the operand as it was")
  func mistakes() {
    let x = Self.fresh()
    #expect(throws: TensorError.self) { try checked { (x * 2) + Self.fresh([4]) } }
    #expect(throws: TensorError.self) { try checked { arange(4).asType(.int32).exp() } }
    #expect(Bits(x) == Bits(Self.fresh()))
  }

  // MARK: Random programs

  /// One instruction of a machine that keeps its values on a stack.
  private enum Step {
    case push(Tensor)
    case duplicate(Int)
    case unary(Int)
    case binary(Int)
    case number(Int, Float, isFirst: Bool)
    case select
    case view(Int)
  }

  private func program(_ random: inout SplitMix64, _ dtype: DType, _ shape: [Int]) -> [Step] {
    var steps: [Step] = []
    var depth = 0
    func push() {
      let part = random.chance(0.5) ? shape : random.broadcastable(with: shape)
      steps.append(
        .push(random.tensor(dtype, part, .ordinary, random.chance(0.3) ? .strided : .contiguous)))
      depth += 1
    }
    push()
    for _ in 0..<random.int(4...24) {
      switch random.int(below: 8) {
      case 0: push()
      case 1:
        steps.append(.duplicate(random.int(below: depth)))
        depth += 1
      case 2: steps.append(.unary(random.int(below: 5)))
      case 3:
        steps.append(
          .number(
            random.int(below: 4), Float(random.int(1...5)), isFirst: random.chance(0.5)))
      case 4: steps.append(.view(random.int(below: 3)))
      case 5 where depth >= 3:
        steps.append(.select)
        depth -= 2
      default:
        if depth < 2 { push() }
        steps.append(.binary(random.int(below: 5)))
        depth -= 1
      }
    }
    return steps
  }

  /// - Parameters:
  ///   - keeping: Whether every value is kept until the end, so that none can be taken over.
  ///   - taken: How many results lie where an operand was.
  private func run(_ steps: [Step], keeping: Bool, _ taken: inout Int) -> [Bits] {
    var stack: [Tensor] = []
    var kept: [Tensor] = []
    for step in steps {
      var before: [UnsafeMutableRawPointer] = []
      func pop() -> Tensor {
        let x = stack.removeLast()
        if keeping { kept.append(x) }
        before.append(Self.address(x))
        return x
      }
      let result: Tensor
      switch step {
      case .push(let x):
        // A value of the program's own would be shared.
        result = contiguousOrView(x)
      case .duplicate(let place): result = stack[place]
      case .unary(let choice):
        let x = pop()
        result =
          switch choice {
          case 0: -(consume x)
          case 1: (consume x).square()
          case 2: abs(consume x)
          case 3: relu(consume x)
          default: (consume x).sign()
          }
      case .number(let choice, let number, let isFirst):
        let x = pop()
        result =
          switch choice {
          case 0: isFirst ? number + (consume x) : (consume x) + number
          case 1: isFirst ? number * (consume x) : (consume x) * number
          case 2: isFirst ? number - (consume x) : (consume x) - number
          default: isFirst ? maximum(number, consume x) : minimum(consume x, number)
          }
      case .binary(let choice):
        let (y, x) = (pop(), pop())
        result =
          switch choice {
          case 0: (consume x) + (consume y)
          case 1: (consume x) - (consume y)
          case 2: (consume x) * (consume y)
          case 3: maximum(consume x, consume y)
          default: which(x .> 1, consume y, x)
          }
      case .select:
        let (z, y, x) = (pop(), pop(), pop())
        result = which(x .> 0, consume y, consume z)
      case .view(let choice):
        let x = pop()
        result =
          switch choice {
          case 0: x.ndim > 1 ? x.T : x
          case 1: x.reshaped(x.shape + [1]).reshaped(x.shape)
          default: x.reshaped([1] + x.shape).squeezed(axis: 0)
          }
        before = []
      }
      if before.contains(Self.address(result)) { taken += 1 }
      stack.append(result)
    }
    return stack.map { Bits($0) }
  }

  /// The same elements in memory that nobody else has, or a view of such memory.
  private func contiguousOrView(_ x: Tensor) -> Tensor {
    let copy = contiguousCopy(x)
    return x.body.isContiguous ? copy : copy.T.reshaped(x.shape)
  }

  @Test("random programs give the bits that they give where every value is kept")
  func randomPrograms() {
    var taken = (kept: 0, free: 0)
    for seed in 0..<400 {
      var random = SplitMix64(seed)
      let dtype = random.pick([DType.float32, .float64, .int32, .float16, .bfloat16, .int64])
      let isLarge = random.chance(0.05)
      // Square, so that transposing keeps shapes that go together.
      let n = isLarge ? random.int(257...300) : random.pick([0, 1, 2, 3, 8, 17, 33])
      let steps = program(&random, dtype, [n, n])
      let expected = run(steps, keeping: true, &taken.kept)
      let found = run(steps, keeping: false, &taken.free)
      for (a, b) in zip(found, expected) {
        let difference = a.difference(from: b)
        #expect(difference == nil, "seed \(seed): \(difference ?? "")")
      }
    }
    #expect(taken.kept == 0 && taken.free > 500, "\(taken)")
  }
}
