import DuetCompiler
import DuetEager
import DuetRuntime

/// A type some of whose sizes depend on the unknown ones.
struct SizedType: Sendable {
  let dtype: DType
  let shape: [SizeFormula]

  func callAsFunction(_ sizes: [Int]) -> TensorType {
    TensorType(dtype, Shape(shape.map { $0(sizes) }))
  }
}

/// An operation some of whose numbers depend on the unknown sizes.
enum SizedOperation: Sendable {
  case plain(Op, [SizeFormula], NumberFormula?)
  case region(SizedRegion)
  /// The state after the draw that another node makes.
  case advance(draw: Int)

  /// The operation for these sizes.
  /// - Parameter nodes: Those around it.
  func callAsFunction(_ sizes: [Int], in nodes: [SizedNode]) throws(OpError) -> Op {
    switch self {
    case .plain(let op, let formulas, let element):
      var rest = formulas[...]
      let op = op.mappingSizes { _ in rest.removeFirst()(sizes) }
      if let element, case .fill(let type, _) = op { return .fill(type, element(sizes)) }
      return op
    case .region(let region): return .region(try region.region(at: sizes))
    case .advance(let draw):
      guard case .operation(let operation, _) = nodes[draw],
        case .random(let distribution, let type) = try operation(sizes, in: nodes)
      else { preconditionFailure("a state is advanced that nothing was drawn from") }
      return .advanceRandom(blocks: distribution.blocks(for: type))
    }
  }
}

/// A node of a graph for any sizes.
enum SizedNode: Sendable {
  case input(Int, name: String, SizedType)
  case constant(ConstantArray)
  case number(NumberFormula, TensorType)
  case operation(SizedOperation, [Int])

  /// Whether a recorded node is the one for these sizes.
  func fits(_ recorded: Graph.Node, _ sizes: [Int], in nodes: [SizedNode]) -> Bool {
    switch self {
    case .input: return true
    case .constant(let constant):
      guard let array = recorded.constant else { return false }
      return array.type == constant.type && Tensor(array).bytes == Tensor(constant).bytes
    case .number(let formula, let type):
      guard let array = recorded.constant, array.type == type else { return false }
      return array.elements == [formula(sizes)]
    case .operation(let operation, _):
      return (try? operation(sizes, in: nodes)) == recorded.operation
    }
  }
}

/// Finds out how the numbers of a program depend on its unknown sizes, from recordings with several of them.
final class SizeFollower {
  /// What cannot be followed.
  struct Objection: Error {
    let what: String

    init(_ what: String) { self.what = what }
  }

  private let points: [[Int]]
  /// All graphs of the program, as they were recorded with each of the points.
  private let graphs: [[[Graph.Node]]]
  /// The numbers of elements, and of parts along an axis, of all that the program computes.
  private lazy var counts = countsOfAll()

  /// - Parameter recordings: The nodes of recordings that are alike, with each of the points.
  init(_ recordings: [[Graph.Node]], at points: [[Int]]) {
    self.points = points
    var graphs = [recordings]
    var next = 0
    while next < graphs.count {
      for i in graphs[next][0].indices {
        let regions = graphs[next].compactMap { $0[i].region }
        for g in regions.first?.graphs.indices ?? 0..<0 {
          graphs.append(regions.map { $0.graphs[g].nodes })
        }
      }
      next += 1
    }
    self.graphs = graphs
  }

  /// Sizes that occur in the program whatever the unknown ones are.
  var knownSizes: Set<Int> {
    var known: Set<Int> = []
    for recordings in graphs {
      for (i, node) in recordings[0].enumerated() {
        for (axis, size) in node.type.shape.enumerated()
        where recordings.allSatisfy({ $0[i].type.shape[axis] == size }) { known.insert(size) }
      }
    }
    return known
  }

  private func countsOfAll() -> Set<SizeFormula> {
    var seen: Set<[Int]> = []
    var result: Set<SizeFormula> = []
    func add(_ values: [Int]) {
      if seen.insert(values).inserted, let formula = SizeFormula(values, at: points) {
        result.insert(formula)
      }
    }
    for recordings in graphs {
      for i in recordings[0].indices {
        let shapes = recordings.map { $0[i].type.shape }
        add(shapes.map(\.elementCount))
        for axis in 0..<shapes[0].rank {
          add(shapes.map { $0[axis] })
          add(shapes.map { $0.elementCount / max($0[axis], 1) })
        }
      }
    }
    return result
  }

  /// The formula of a whole number.
  func formula(_ values: [Int], _ what: @autoclosure () -> String) throws(Objection) -> SizeFormula
  {
    guard let formula = SizeFormula(values, at: points) else {
      throw Objection("\(what()) depends on it in a way that cannot be followed")
    }
    return formula
  }

  private func number(_ elements: [Element], _ dtype: DType) throws(Objection) -> NumberFormula {
    guard let formula = NumberFormula(elements, dtype, at: points, counts: counts) else {
      throw Objection("a number depends on it in a way that cannot be followed")
    }
    return formula
  }

  /// A node of graphs that are alike, for any sizes.
  func node(_ i: Int, in recordings: [[Graph.Node]]) throws(Objection) -> SizedNode {
    let all = recordings.map { $0[i] }
    switch all[0].kind {
    case .input(let index, let name):
      var shape: [SizeFormula] = []
      for axis in 0..<all[0].type.shape.rank {
        shape.append(try formula(all.map { $0.type.shape[axis] }, "an argument's shape"))
      }
      return .input(index, name: name, SizedType(dtype: all[0].type.dtype, shape: shape))
    case .constant(let array):
      let arrays = all.map { $0.constant! }
      let bytes = Tensor(array).bytes
      if arrays.allSatisfy({ $0.type == array.type && Tensor($0).bytes == bytes }) {
        return .constant(array)
      }
      guard array.type.shape.elementCount == 1, arrays.allSatisfy({ $0.type == array.type })
      else { throw Objection("a tensor from outside depends on it") }
      return .number(try number(arrays.map { $0.elements[0] }, array.type.dtype), array.type)
    case .operation(let op, let operands):
      return .operation(try operation(op, i, in: recordings), operands.map(\.index))
    }
  }

  private func operation(
    _ op: Op, _ i: Int, in recordings: [[Graph.Node]]
  ) throws(Objection) -> SizedOperation {
    if case .advanceRandom = op {
      guard let draw = draw(before: i, in: recordings) else {
        throw Objection("how many random numbers are drawn cannot be followed")
      }
      return .advance(draw: draw)
    }
    if case .region = op { return .region(try SizedRegion(recordings.map { $0[i].region! }, self)) }
    let all = recordings.map { $0[i].operation! }
    let sizes = all.map(\.sizes)
    var formulas: [SizeFormula] = []
    for place in sizes[0].indices {
      formulas.append(try formula(sizes.map { $0[place] }, op.name))
    }
    var element: NumberFormula?
    let elements = all.compactMap {
      if case .fill(_, let element) = $0 { element } else { nil }
    }
    if let same = elements.first, !elements.allSatisfy({ $0 == same }) {
      element = try number(elements, recordings[0][i].type.dtype)
    }
    return .plain(op, formulas, element)
  }

  /// The draw whose numbers an `advanceRandom` counts, the same in all recordings.
  private func draw(before node: Int, in recordings: [[Graph.Node]]) -> Int? {
    let operands = recordings[0][node].operands
    guard
      let draw = recordings[0][..<node].lastIndex(where: {
        if case .random = $0.operation { $0.operands == operands } else { false }
      })
    else { return nil }
    let fits = recordings.allSatisfy { nodes in
      guard case .random(let distribution, let type) = nodes[draw].operation,
        case .advanceRandom(let blocks) = nodes[node].operation
      else { return false }
      return blocks == distribution.blocks(for: type)
    }
    return fits ? draw : nil
  }
}

extension Graph.Node {
  /// The branch or loop, if the node is one.
  var region: GraphRegion? {
    if case .region(let region as GraphRegion) = operation { region } else { nil }
  }
}
