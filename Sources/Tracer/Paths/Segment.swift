// Unsafe: keeps plain data in raw memory, constant after init and freed with its owner.

import DuetCompiler
import DuetEager
import DuetRuntime
import Foundation
import Synchronization

/// The part of a recorded path between two values that the program looked at. What follows depends on the second:
/// the segments of all recorded paths are a tree.
///
/// Values are numbered as in the recorded graph. Paths that begin alike number alike.
final class Segment: @unchecked Sendable {
  // Sendable: constant after init, raw memory included, but for counters and the table of cells, which see to themselves.

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

  /// An argument that is an input.
  struct Argument {
    let value: Int
    let argument: Int
  }

  /// A branch as plain data.
  private struct Way {
    let key: UInt64
    let next: Unmanaged<Segment>
    let uses: Unmanaged<Counter>
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
  /// What it does besides for the sake of its errors, in ascending order.
  let checks: [Int]
  let program: SegmentProgram
  let lookedAt: Guard?
  let lookedAtValue: Int?
  let branches: [Branch]
  /// Arguments among the inputs.
  let arguments: UnsafeMutableBufferPointer<Argument>
  let keptValues: UnsafeMutableBufferPointer<Kept>
  let cells: CellTable
  let readsCells: Bool
  /// The ways on, if the value is of at most eight bytes.
  private let ways: UnsafeMutableBufferPointer<Way>
  private let keySize: Int
  /// Where a path ends that has nothing more to look at.
  let end: PathEnd?

  init(
    nodes: [Graph.Node], range: Range<Int>, inputs: [Input], reads: [CellRead], kept: [Kept],
    checks: [Int], program: SegmentProgram? = nil, lookedAt: Guard?, branches: [Branch],
    end: PathEnd?
  ) {
    self.nodes = nodes
    self.range = range
    self.inputs = inputs
    self.reads = reads
    self.kept = kept
    self.checks = checks
    self.program =
      program
      ?? SegmentProgram(nodes: nodes, range: range, kept: kept.map(\.value), checks: checks)
    self.lookedAt = lookedAt
    lookedAtValue = lookedAt?.value
    self.branches = branches
    self.end = end
    arguments = .plain(
      inputs.compactMap { input in
        if case .argument(let index) = input.source {
          Argument(value: input.value, argument: index)
        } else {
          nil
        }
      })
    keptValues = .plain(kept)
    readsCells = !reads.isEmpty
    cells = CellTable(
      onlyRead: reads.map {
        CellTable.Read($0.cell, type: $0.type, requiresGrad: $0.requiresGrad, input: $0.value)
      },
      readAndWritten: [], written: [])
    let byteCount = lookedAt?.type.byteCount ?? 0
    keySize = [1, 2, 4, 8].contains(byteCount) ? byteCount : 0
    ways = .plain(
      keySize == 0
        ? []
        : branches.map { branch in
          Way(
            key: branch.bytes.withUnsafeBytes(Self.key), next: .passUnretained(branch.next),
            uses: .passUnretained(branch.uses))
        })
  }

  deinit {
    arguments.deallocate()
    keptValues.deallocate()
    ways.deallocate()
  }

  /// Up to eight bytes as a number.
  private static func key(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
    switch bytes.count {
    case 1: UInt64(bytes.load(as: UInt8.self))
    case 2: UInt64(bytes.loadUnaligned(as: UInt16.self))
    case 4: UInt64(bytes.loadUnaligned(as: UInt32.self))
    default: bytes.loadUnaligned(as: UInt64.self)
    }
  }

  /// The way on for what the value is now, counted; nil if no call has found it so.
  @inline(__always)
  func next(_ address: UnsafeMutableRawPointer) -> Unmanaged<Segment>? {
    if keySize == 0 { return nextOfMany(address) }
    let key = Self.key(UnsafeRawBufferPointer(start: address, count: keySize))
    for i in ways.indices where ways[i].key == key {
      ways[i].uses._withUnsafeGuaranteedRef { $0.add() }
      return ways[i].next
    }
    return nil
  }

  @inline(never)
  private func nextOfMany(_ address: UnsafeMutableRawPointer) -> Unmanaged<Segment>? {
    let branch = branches.first { branch in
      branch.bytes.withUnsafeBytes {
        $0.isEmpty || memcmp($0.baseAddress!, address, $0.count) == 0
      }
    }
    branch?.uses.add()
    return branch.map { .passUnretained($0.next) }
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
    let allChecks = Set(checks + path.checks).sorted()
    return .tree(
      Segment(
        nodes: nodes, range: range, inputs: inputs, reads: reads, kept: all, checks: allChecks,
        program: all.count == kept.count && allChecks == checks ? program : nil,
        lookedAt: lookedAt, branches: branches, end: nil))
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
