import DuetCompiler
import DuetEager
import DuetRuntime
import Synchronization

/// The part of a recorded path between two values that the program looked at. What follows depends on the second:
/// the segments of all recorded paths are a tree.
///
/// Values are numbered as in the recorded graph. Paths that begin alike number alike.
final class Segment: Sendable {
  /// An input of the path that the program first uses here.
  struct Input: Sendable {
    let value: Int
    let source: GraphRecorder.InputSource
  }

  /// A cell that the program first reads here.
  struct CellRead: Sendable {
    let cell: StateCell
    /// What its content has to be; nil: there must be none.
    let type: TensorType?
    let requiresGrad: Bool
    /// The value that the content is.
    let value: Int?
  }

  struct Kept: Sendable {
    let value: Int
    /// Whether it is among the results, or goes into a cell, at the end of some path.
    var isForEnd: Bool
  }

  /// A value that the program looks at where the segment ends.
  struct Guard: Sendable {
    let value: Int
    let type: TensorType
    let operation: String
    let callSite: CallSite
  }

  /// The way on for one content of the value.
  struct Branch: Sendable {
    let bytes: [UInt8]
    let next: Segment
    /// How often calls went this way, the recording one included.
    let uses: Counter
  }

  /// The recorded graph up to here.
  let nodes: [Graph.Node]
  let range: Range<Int>
  let inputs: [Input]
  let reads: [CellRead]
  /// What the segment computes for those that follow, for its guard and for the ends, in ascending order.
  let kept: [Kept]
  let program: SegmentProgram
  let lookedAt: Guard?
  let branches: [Branch]
  /// Where a path ends that has nothing more to look at.
  let end: PathEnd?

  init(
    nodes: [Graph.Node], range: Range<Int>, inputs: [Input], reads: [CellRead], kept: [Kept],
    program: SegmentProgram? = nil, lookedAt: Guard?, branches: [Branch], end: PathEnd?
  ) {
    self.nodes = nodes
    self.range = range
    self.inputs = inputs
    self.reads = reads
    self.kept = kept
    self.program = program ?? SegmentProgram(nodes: nodes, range: range, kept: kept.map(\.value))
    self.lookedAt = lookedAt
    self.branches = branches
    self.end = end
  }

  // MARK: Joining paths

  enum Joined {
    case tree(Segment)
    /// The state has another form: dtype, shape, or whether it is there.
    case otherState
    /// The program did something else although it had seen the same.
    case otherProgram
  }

  /// This tree and a path that begins like it.
  func joined(with path: Segment) -> Joined {
    guard reads.elementsEqual(path.reads, by: { $0.hasForm(of: $1) }) else {
      let isSameCells = reads.elementsEqual(path.reads) { $0.cell === $1.cell }
      return isSameCells ? .otherState : .otherProgram
    }
    guard range == path.range, hasNodes(of: path),
      lookedAt?.value == path.lookedAt?.value
    else { return .otherProgram }
    guard let branch = path.branches.first else { return .tree(path) }
    var branches = branches
    if let known = branches.firstIndex(where: { $0.bytes == branch.bytes }) {
      switch branches[known].next.joined(with: branch.next) {
      case .tree(let next):
        branches[known] = Branch(bytes: branch.bytes, next: next, uses: branches[known].uses)
        branches[known].uses.add()
      case let other: return other
      }
    } else {
      branches.append(branch)
    }
    let all = kept(with: path)
    return .tree(
      Segment(
        nodes: nodes, range: range, inputs: inputs, reads: reads, kept: all,
        program: all.count == kept.count ? program : nil, lookedAt: lookedAt, branches: branches,
        end: nil))
  }

  private func kept(with path: Segment) -> [Kept] {
    var isForEnd: [Int: Bool] = [:]
    for item in kept + path.kept {
      isForEnd[item.value, default: false] = isForEnd[item.value] ?? false || item.isForEnd
    }
    return isForEnd.sorted { $0.key < $1.key }.map { Kept(value: $0.key, isForEnd: $0.value) }
  }

  private func hasNodes(of path: Segment) -> Bool {
    range.allSatisfy { nodes[$0].isSame(as: path.nodes[$0]) }
      && inputs.elementsEqual(path.inputs) {
        $0.value == $1.value && $0.source.isSame(as: $1.source)
      }
  }
}

/// Counts from any thread.
final class Counter: Sendable {
  private let count: Atomic<Int>

  init(_ start: Int = 0) { count = Atomic(start) }

  func add() { count.add(1, ordering: .relaxed) }
  var value: Int { count.load(ordering: .relaxed) }
}

extension Segment.CellRead {
  fileprivate func hasForm(of other: Segment.CellRead) -> Bool {
    cell === other.cell && type == other.type && requiresGrad == other.requiresGrad
      && value == other.value
  }
}

extension GraphRecorder.InputSource {
  fileprivate func isSame(as other: GraphRecorder.InputSource) -> Bool {
    switch (self, other) {
    case (.argument(let a), .argument(let b)): a == b
    case (.cell(let a), .cell(let b)): a === b
    default: false
    }
  }
}

extension Graph.Node {
  fileprivate func isSame(as other: Graph.Node) -> Bool {
    guard type == other.type else { return false }
    switch (kind, other.kind) {
    case (.input(let a, _), .input(let b, _)): return a == b
    case (.constant(let a), .constant(let b)):
      return a.isSameArray(as: b) || Tensor(a).bytes == Tensor(b).bytes
    case (.operation(let a, let x), .operation(let b, let y)): return a == b && x == y
    default: return false
    }
  }
}

extension ConstantArray {
  fileprivate func isSameArray(as other: ConstantArray) -> Bool {
    storage === other.storage && byteOffset == other.byteOffset && layout == other.layout
  }
}
