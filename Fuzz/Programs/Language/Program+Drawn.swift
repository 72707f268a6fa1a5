import Duet

extension Program {
  /// The program of that number among those of a seed.
  public static func drawn(seed: Int, number: Int) -> Program {
    var drawer = Drawer(
      random: SplitMix64(seed &* 1_000_003 &+ number), program: Program(seed: seed, number: number))
    drawer.draw()
    return drawer.program
  }

  /// The values of arguments are numbered from here; statements from 0.
  static let firstArgument = 1000
  /// The parameters of nested functions.
  static let firstParameter = 2000
  /// What control flow inside the graph gives its closures beside the value of the statement's own number: two
  /// values each.
  static func inner(_ statement: Int) -> [Int] { [3000 + 2 * statement, 3001 + 2 * statement] }

  private struct Drawer {
    var random: SplitMix64
    var program: Program
    private var nextID = 0
    private var isInFunction = false
    private var isInRegion = false
    /// Whether it looks at no values.
    private var withoutLooks = false

    init(random: SplitMix64, program: Program) {
      self.random = random
      self.program = program
    }

    mutating func draw() {
      program.isStateful = random.chance(0.55)
      program.isAccumulating = !program.isStateful && random.chance(0.15)
      program.detachesResults = random.chance(0.8)
      program.hasOpenRegions = random.chance(0.4)
      program.mayThrow = random.chance(0.12)
      program.form = random.pick([
        .trees, .trees, .oneTensor, .twoTensors, .threeTensors, .arrayAndStatic, .effects,
      ])
      // What the two modes that build a program once ask for.
      let isBuilt = random.chance(0.2)
      program.isSized = isBuilt && random.chance(0.6)
      withoutLooks = isBuilt
      if isBuilt {
        program.form = random.pick([.oneTensor, .twoTensors, .threeTensors])
        program.isAccumulating = false
        program.detachesResults = true
        program.mayThrow = false
      }
      if program.form == .effects && !program.isStateful { program.form = .twoTensors }
      let isLarge = random.chance(0.03) && !program.isSized
      // A program that is cut by the number of elements is another one for each size.
      program.sizeLimit = isLarge ? 150_000 : program.isSized ? 1 << 40 : 2000
      drawArguments(isLarge)
      drawCalls(isLarge)
      isInFunction = true
      for _ in 0..<random.pick([0, 0, 1, 1, 2]) {
        program.functions.append(
          block(
            random.int(1...5), [Program.firstParameter, Program.firstParameter + 1], depth: 1))
      }
      isInFunction = false
      let count =
        isLarge || program.isSized
        ? random.int(2...6) : random.chance(0.7) ? random.int(2...12) : random.int(8...25)
      let known = program.arguments.indices.map { Program.firstArgument + $0 }
      program.body = block(count, known, depth: 0)
      if program.isAccumulating {
        for _ in 0..<random.int(1...2) {
          program.body.insert(
            statement(.accumulate, known, depth: 0), at: random.int(0...program.body.count))
        }
      }
      if program.mayThrow {
        program.body.insert(
          statement(.refusal, known, depth: 0), at: random.int(0...program.body.count))
      }
      // Values that keep changing make a function give up replaying.
      if program.calls.count == 14 && !withoutLooks {
        program.body.append(statement(.number, known, depth: 0))
      }
      let values = program.body.map(\.id) + known
      program.results = (0..<random.int(2...3)).map { _ in random.pick(values) }
      if let last = program.body.last { program.results.append(last.id) }
      if program.form != .effects && program.form != .arrayAndStatic && !withoutLooks
        && random.chance(0.04)
      {
        // A mistake in what nobody uses is none in a plan, where it is left out.
        let mistake = statement(
          random.pick([.outOfRange, .itemOfMany, .mismatch]), known, depth: 0)
        program.body.append(mistake)
        program.results[0] = mistake.id
      }
    }

    // MARK: Arguments and calls

    private mutating func drawArguments(_ isLarge: Bool) {
      let count =
        switch program.form {
        case .oneTensor: 1
        case .twoTensors, .effects: 2
        case .threeTensors: 3
        case .arrayAndStatic: random.int(1...3)
        case .trees: random.int(3...5)
        }
      let placement: Placement = random.chance(0.3) ? .strided : .contiguous
      let hasLeaves = random.chance(0.35) && !program.isAccumulating && !withoutLooks
      for i in 0..<count {
        let dtype: DType =
          random.chance(i == 0 ? 0.8 : 0.55)
          ? .float32
          : random.pick([
            .float64, .float64, .float16, .bfloat16, .int32, .int64, .int16, .int8, .uint8, .bool,
          ])
        let axes =
          program.isSized
          ? random.pick(
            i == 0 ? [[0, 1], [0, 1], [0], [0, 2, 1]] : [[0, 1], [0], [1], [3, 1], []])
          : isLarge
            ? random.pick([[0, 1], [0, 1], [1], [0, 4]])
            : random.pick([
              [], [0], [1], [0, 1], [0, 1], [4, 1], [0, 4], [2, 0, 1], [1, 2], [2, 4, 1],
            ])
        program.arguments.append(
          Argument(
            dtype: dtype, axes: axes, values: random.chance(0.1) ? .special : .ordinary,
            placement: random.chance(0.7) ? .contiguous : placement,
            requiresGrad: hasLeaves && dtype.isFloatingPoint && random.chance(0.6)))
      }
    }

    private mutating func size() -> Int {
      random.chance(0.03) && !program.isSized
        ? 0 : random.pick([1, 2, 3, 3, 4, 5, 7, 8, 9, 15, 16, 17, 33])
    }

    private mutating func sizes(_ isLarge: Bool) -> [Int] {
      // The last one is for axes that are repeated.
      if isLarge { return [random.int(200...330), random.int(201...350), 2, 3, 1] }
      return [size(), size(), random.int(1...3), size(), 1]
    }

    private mutating func drawCalls(_ isLarge: Bool) {
      let first = sizes(isLarge)
      let other = random.chance(0.3) ? sizes(isLarge) : first
      let changesMode = random.chance(0.3)
      let changesOptional = random.chance(0.3)
      let changesNoGrad = random.chance(0.1)
      let count = isLarge ? 3 : random.chance(0.05) && !withoutLooks ? 14 : random.int(4...6)
      let kinds = random.pick([1, 2, 3, 3, 4, 5])
      for i in 0..<count {
        var sizes = random.chance(0.3) ? other : first
        if program.isSized { sizes = [random.pick([19, 23, 29, 43, 43, 1, 2, 5])] + first[1...] }
        program.calls.append(
          Call(
            data: count == 14 ? i : random.int(below: kinds),
            sizes: sizes,
            mode: changesMode ? random.int(0...2) : 0,
            hasOptional: changesOptional ? random.chance(0.5) : true,
            isInsideNoGrad: changesNoGrad && random.chance(0.3)))
      }
    }

    // MARK: Statements

    private mutating func block(_ count: Int, _ known: [Int], depth: Int) -> Block {
      var known = known
      return (0..<count).map { _ in
        let statement = statement(kind(depth), known, depth: depth)
        known.append(statement.id)
        return statement
      }
    }

    private mutating func statement(_ kind: Kind, _ known: [Int], depth: Int) -> Statement {
      let id = nextID
      nextID += 1
      // What was made last is used more often than what has been there for long.
      let operands = (0..<3).map { _ in
        random.chance(0.5)
          ? known[known.count - 1 - random.int(below: min(3, known.count))]
          : random.pick(known)
      }
      var statement = Statement(
        id: id, kind: kind, operands: operands, choices: random.next())
      let wasInRegion = isInRegion
      isInRegion = isInRegion || kind.isRegion
      defer { isInRegion = wasInRegion }
      let inner = kind.isRegion ? Program.inner(id) : []
      statement.blocks = (0..<kind.blockCount).map { _ in
        block(random.int(depth == 0 ? 1...4 : 0...2), known + inner + [id], depth: depth + 1)
      }
      return statement
    }

    private mutating func kind(_ depth: Int) -> Kind {
      let candidates = Kind.allCases.filter { kind in
        if kind.blockCount > 0 && depth > 2 || isInRegion && !kind.fitsRegions { return false }
        if withoutLooks && kind.needsValues || program.isSized && !kind.fitsAnySize { return false }
        switch kind {
        case .call: return !program.functions.isEmpty
        // Nested functions end at their end, and have tensors as arguments.
        case .earlyReturn, .staticValue, .optional: return !isInFunction
        default: return true
        }
      }
      func weight(_ kind: Kind) -> Double {
        program.isStateful ? kind.weight.stateful : kind.weight.stateless
      }
      let total = candidates.reduce(0) { $0 + weight($1) }
      var place = random.unit() * total
      for kind in candidates {
        place -= weight(kind)
        if place < 0 { return kind }
      }
      return .binary
    }
  }
}
