import DuetCompiler
import DuetRuntime

/// Random programs that type-check, with the arrays to run them on.
struct GraphGenerator {
  private var random: SplitMix64
  private var builder = GraphBuilder()
  private var values: [ValueID] = []
  private(set) var inputs: [ConstantArray] = []

  private static let shapes: [Shape] = [
    [], [1], [0], [7], [3, 5], [1, 5], [3, 1], [2, 3, 4], [4, 1, 3], [40, 33], [33], [5, 1030],
    [1030],
    [3, 0, 2], [2, 3, 6, 5], [2, 3, 1, 1], [700, 3], [6, 9, 49], [9, 1], [1, 9, 1], [64, 64],
    [2, 2100],
    [64], [4, 16], [2, 3, 32], [3, 128],
  ]

  init(seed: Int) { random = SplitMix64(seed) }

  mutating func graph(operations: Int) -> Graph {
    let dtype = random.pick(DType.allCases)
    let shape = random.pick(Self.shapes)
    for i in 0..<random.int(2...5) {
      // Most arguments can take part with each other.
      let type = TensorType(
        random.chance(70) ? dtype : random.pick(DType.allCases),
        random.chance(60) ? shape : random.chance(50) ? part(of: shape) : random.pick(Self.shapes))
      values.append(builder.addInput(type, name: "x\(i)"))
      inputs.append(random.array(type))
    }
    if random.chance(30) {
      let type = TensorType(dtype, part(of: shape))
      values.append(builder.addConstant(random.array(type)))
    }
    var made = 0
    var tries = 0
    while made < operations && tries < operations * 20 {
      tries += 1
      let (op, operands) = random.chance(65) ? elementwise() : other()
      guard let op, isAffordable(op, operands) else { continue }
      if let id = try? builder.add(op, operands) {
        values.append(id)
        made += 1
      }
    }
    var outputs: [ValueID] = [values.last!]
    for _ in 0..<random.int(0...4) { outputs.append(random.pick(values)) }
    return builder.finish(outputs: outputs, outputNames: outputs.indices.map { "y\($0)" })
  }

  private mutating func part(of shape: Shape) -> Shape {
    var result = Shape(shape.dropFirst(random.int(0...shape.rank)))
    for axis in 0..<result.rank where random.chance(30) && result[axis] > 0 { result[axis] = 1 }
    return result
  }

  private mutating func value() -> ValueID {
    // Recent values more often, so that chains grow.
    random.chance(60) ? random.pick(Array(values.suffix(4))) : random.pick(values)
  }

  private mutating func value(like id: ValueID) -> ValueID {
    let dtype = builder.type(of: id).dtype
    for _ in 0..<8 {
      let other = value()
      if builder.type(of: other).dtype == dtype { return other }
    }
    return id
  }

  private func isAffordable(_ op: Op, _ operands: [ValueID]) -> Bool {
    guard let type = try? op.resultType(for: operands.map { builder.type(of: $0) }),
      type.shape.elementCount <= 20_000
    else { return false }
    if let key = LoopKey(op, operands.map { builder.type(of: $0).dtype }) { return key.loop != nil }
    return true
  }

  private mutating func elementwise() -> (Op?, [ValueID]) {
    let a = value()
    switch random.int(0...9) {
    case 0...2: return (.unary(random.pick(UnaryOp.allCases)), [a])
    case 3...6: return (.binary(random.pick(BinaryOp.allCases)), [a, value(like: a)])
    case 7: return (.compare(random.pick(ComparisonOp.allCases)), [a, value(like: a)])
    case 8:
      guard let condition = values.last(where: { builder.type(of: $0).dtype == .bool }) else {
        return (.compare(.less), [a, value(like: a)])
      }
      return (.select, [condition, a, value(like: a)])
    default: return (.cast(random.pick(DType.allCases)), [a])
    }
  }

  private mutating func slice(of shape: Shape) -> Slice {
    var slice = Slice(all: shape)
    for axis in 0..<shape.rank where shape[axis] > 0 {
      let start = random.int(0...(shape[axis] - 1))
      let step = random.pick([1, 1, 2, -1, -2])
      let room = step > 0 ? shape[axis] - 1 - start : start
      slice.starts[axis] = start
      slice.steps[axis] = step
      slice.sizes[axis] = random.chance(5) ? 0 : random.int(1...(room / abs(step) + 1))
    }
    return slice
  }

  private mutating func movement(_ a: ValueID, _ shape: Shape) -> (Op?, [ValueID]) {
    switch random.int(0...5) {
    case 0: return (.transpose(Shape(Array(0..<shape.rank).shuffled(using: &random))), [a])
    case 1:
      let count = shape.elementCount
      let choices: [Shape] = [[count], [1, count], [count, 1], Shape(shape.reversed())]
      let halves: Shape = count % 2 == 0 ? [2, count / 2] : [count]
      return (.reshape(random.pick(choices + [halves])), [a])
    case 2:
      var target = shape
      for axis in 0..<shape.rank where shape[axis] == 1 { target[axis] = random.int(1...4) }
      if shape.rank < 4 && random.chance(50) { target = target.inserting(random.int(1...3), at: 0) }
      return (.broadcast(target), [a])
    case 3: return (.slice(slice(of: shape)), [a])
    case 4: return (a.index.isMultiple(of: 2) ? .copy : .barrier, [a])
    default:
      let slice = slice(of: shape)
      let part = try? builder.add(.slice(slice), [value(like: a)])
      guard let part else { return (nil, []) }
      return (.updateSlice(slice), [a, part])
    }
  }

  private mutating func indices(_ shape: Shape, below limit: Int) -> ValueID {
    let elements = (0..<shape.elementCount).map { _ in
      Element(integer: random.int(-limit...(limit - 1)), .int64)
    }
    return builder.addConstant(ConstantArray(elements, TensorType(.int64, shape)))
  }

  /// Parts that are computed side by side.
  private mutating func columns(of a: ValueID, _ shape: Shape) -> (Op?, [ValueID]) {
    guard shape.rank > 1 else { return (nil, []) }
    let parts = (0..<random.int(2...4)).map { _ in
      let fresh = try? builder.add(.binary(.maximum), [a, value(like: a)])
      return fresh.flatMap { builder.type(of: $0).shape == shape ? $0 : nil } ?? a
    }
    return (.concatenate(axis: random.int(1...(shape.rank - 1))), parts)
  }

  /// A result that is used in halves.
  private mutating func halves(of a: ValueID, _ shape: Shape) -> (Op?, [ValueID]) {
    guard let axis = (0..<shape.rank).filter({ shape[$0] > 1 && shape[$0] % 2 == 0 }).last,
      let whole = try? builder.add(.binary(.maximum), [a, value(like: a)]),
      builder.type(of: whole).shape == shape
    else { return (nil, []) }
    var slice = Slice(all: shape)
    slice.sizes[axis] /= 2
    guard let first = try? builder.add(.slice(slice), [whole]) else { return (nil, []) }
    slice.starts[axis] += slice.sizes[axis]
    guard let second = try? builder.add(.slice(slice), [whole]) else { return (nil, []) }
    return (.binary(.minimum), [first, second])
  }

  /// A reduction that a group may end with.
  private mutating func reducedRows(of a: ValueID, _ shape: Shape) -> (Op?, [ValueID]) {
    let withLongRows = values.filter {
      let type = builder.type(of: $0)
      return type.dtype.isFloatingPoint && type.shape.elementCount >= 64
    }
    let a = withLongRows.isEmpty ? a : random.pick(withLongRows)
    guard builder.type(of: a).shape.rank > 0,
      let fresh = try? builder.add(.binary(.add), [a, value(like: a)])
    else {
      return (nil, [])
    }
    if random.chance(50) { values.append(fresh) }
    let rank = builder.type(of: fresh).shape.rank
    let axes = AxisSet(random.int(0...(rank - 1))..<rank)
    let op = random.pick([ReductionOp.sum, .mean, .product, .max, .min])
    return (.reduce(op, axes: axes, keepDims: random.chance(50)), [fresh])
  }

  private mutating func other() -> (Op?, [ValueID]) {
    let a = value()
    let type = builder.type(of: a)
    let shape = type.shape
    let axis = shape.rank == 0 ? 0 : random.int(0...(shape.rank - 1))
    switch random.int(0...16) {
    case 16: return reducedRows(of: a, shape)
    case 0...4: return movement(a, shape)
    case 14: return columns(of: a, shape)
    case 15: return halves(of: a, shape)
    case 5:
      let axes = AxisSet((0..<shape.rank).filter { _ in random.chance(50) })
      return (
        .reduce(random.pick(ReductionOp.allCases), axes: axes, keepDims: random.chance(50)), [a]
      )
    case 6: return (random.chance(50) ? .softmax(axis: axis) : .logSoftmax(axis: axis), [a])
    case 7:
      return random.chance(50)
        ? (.cumulative(random.pick(CumulativeOp.allCases), axis: axis), [a])
        : random.chance(50)
          ? (.argSort(axis: axis, descending: random.chance(50)), [a])
          : (
            random.chance(50) ? .softmaxGradient(axis: axis) : .logSoftmaxGradient(axis: axis),
            [a, value(like: a)]
          )
    case 8: return (.matmul, [a, value(like: a)])
    case 9:
      if random.chance(40) || shape.rank > 5 {
        return (.concatenate(axis: axis), [a, value(like: a), a])
      }
      // Parts that are computed for a place of their own, which whole cache lines can be.
      let ofWholeLines = values.filter {
        let byteCount = builder.type(of: $0).byteCount
        return byteCount > 0 && byteCount % 64 == 0
      }
      let a = random.chance(70) && !ofWholeLines.isEmpty ? random.pick(ofWholeLines) : a
      let shape = builder.type(of: a).shape
      guard shape.rank <= 5 else { return (nil, []) }
      let rows = (0..<random.int(2...4)).map { _ -> ValueID in
        let fresh = random.chance(70) ? try? builder.add(.binary(.add), [a, value(like: a)]) : a
        let part = fresh.flatMap { builder.type(of: $0).shape == shape ? $0 : nil } ?? a
        values.append(part)
        return (try? builder.add(.reshape(shape.inserting(1, at: 0)), [part])) ?? part
      }
      return (.concatenate(axis: 0), rows)
    case 10:
      let target = TensorType(type.dtype, random.chance(50) ? [] : shape)
      return (.fill(target, random.array(TensorType(type.dtype, [])).elements[0]), [])
    case 11:
      guard shape.rank > 0, shape[axis] > 0 else { return (nil, []) }
      if random.chance(50) { return (.take(axis: axis), [a, indices([3], below: shape[axis])]) }
      var along = shape
      along[axis] = 2
      return (.takeAlong(axis: axis), [a, indices(along, below: shape[axis])])
    case 12:
      guard shape.rank > 0, shape[axis] > 0 else { return (nil, []) }
      var updates = shape
      updates[axis] = 3
      let fill = Op.fill(TensorType(type.dtype, updates), Element(integer: 1, type.dtype))
      guard let values = try? builder.add(fill, []) else { return (nil, []) }
      let places = indices([3], below: shape[axis])
      return (
        random.chance(50) ? .scatterAdd(axis: axis) : .scatterSet(axis: axis), [a, places, values]
      )
    default:
      let state = builder.addConstant(
        ConstantArray(
          [Element(integer: 5, .int64), Element(integer: 9, .int64)], TensorType(.int64, [2])))
      let target = TensorType(type.dtype.isFloatingPoint ? type.dtype : .float32, shape)
      return (.random(random.pick([.uniform, .normal]), target), [state])
    }
  }
}
