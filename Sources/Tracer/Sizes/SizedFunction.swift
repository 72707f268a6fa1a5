import DuetCompiler
import DuetEager
import DuetRuntime

/// A function lowered for arguments of unknown sizes.
///
/// The closure is recorded from types with several numbers in the place of every unknown size, large ones with
/// nothing in common first. What these recordings have in common is the program for all sizes. Then come small
/// sizes, and those that occur in the program anyway, where broadcasting and the like may make it another one: such
/// sizes have programs of their own, or none here.
final class SizedFunction: @unchecked Sendable {
  // Sendable: constant after init but for the recorders of `exceptions`, which are for the holder of the traced function's
  // lock, as `trace` is.

  /// Records the closure with these sizes.
  typealias Probing = (_ sizes: [Int], _ notesCallSites: Bool) throws -> SizeProbe

  let symbols: SizeSymbols
  let program: SizedProgram
  let isGradEnabled = DuetEager.isGradEnabled
  /// Programs for single sizes of a function that has one unknown size.
  private(set) var exceptions: [[Int]: SizeProbe] = [:]
  /// For every unknown size those for which the program is another one.
  private(set) var excluded: [Set<Int>]
  /// Unknown sizes that must not be equal.
  private(set) var differing: Set<[Int]> = []
  private(set) var excludesOnes = false

  static let mostUnknownSizes = 3
  private static let largeSizes = [
    1009, 514, 2053, 1544, 3083, 772, 2570, 617, 4099, 1286, 1801, 905, 2314, 3339, 1157, 707,
    1930, 2827, 809, 3597, 1415, 2442, 551, 3850,
  ]
  private static let smallSizes = [1, 2, 3, 4, 5, 8, 16]

  /// The sizes of the first recording.
  static func firstSizes(_ count: Int) -> [Int] { point(0, count) }

  /// Sizes to record with: enough for the formulas of so many unknown ones, and two more.
  static func points(_ count: Int) -> [[Int]] {
    (0..<(SizeFormula.products(of: count).count + 2)).map { point($0, count) }
  }

  private static func point(_ index: Int, _ count: Int) -> [Int] {
    (0..<count).map { largeSizes[(index + 7 * $0) % largeSizes.count] }
  }

  /// - Throws: `TensorError` where the closure does something else for other sizes; what `probe` throws.
  init(_ symbols: SizeSymbols, _ probe: Probing) throws {
    self.symbols = symbols
    let count = symbols.count
    excluded = Array(repeating: [], count: count)
    let points = Self.points(count)
    let probes = try points.map { try probe($0, false) }
    if let reason = probes.lazy.compactMap(\.recorder.reasonToDiffer).first {
      throw TensorError(
        OpError("lower", "\(reason), so that calls would have to run the closure"), at: nil)
    }
    do throws(SizeDependence) {
      program = try SizedProgram(probes)
    } catch {
      throw try Self.error(error, probes, probe)
    }
    func fits(_ sizes: [Int]) -> (Bool, SizeProbe?) {
      guard let special = try? probe(sizes, false), special.recorder.reasonToDiffer == nil else {
        return (false, nil)
      }
      return (program.fits(special, like: probes[0]), special)
    }
    let special = Set(Self.smallSizes).union(program.knownSizes.filter { 1...8192 ~= $0 })
    for place in 0..<count {
      for size in special {
        var sizes = points[0]
        sizes[place] = size
        let (isSame, recorded) = fits(sizes)
        if isSame { continue }
        if count == 1, let recorded {
          exceptions[sizes] = recorded
        } else {
          excluded[place].insert(size)
        }
      }
      for other in 0..<place {
        var sizes = points[0]
        sizes[place] = sizes[other]
        if !fits(sizes).0 { differing.insert([other, place]) }
      }
    }
    if count > 1 { excludesOnes = !fits(Array(repeating: 1, count: count)).0 }
  }

  /// Names the line where recordings go apart.
  private static func error(
    _ dependence: SizeDependence, _ probes: [SizeProbe], _ probe: Probing
  ) throws -> TensorError {
    var site: CallSite?
    if let node = dependence.node {
      // Call sites take time, so they are only noted now.
      let longest = probes.max { $0.nodes.count < $1.nodes.count }!
      let shown = node < probes[0].nodes.count ? probes[0] : longest
      site = try probe(shown.sizes, true).recorder.callSites[ValueID(node)]
    }
    return TensorError(
      OpError(
        "lower",
        "the closure used the number of an unknown size: \(dependence.what); give that size in the TensorSpec, or "
          + "use shapes without the number (reshaped with -1, mean, operations on whole axes)"),
      at: site)
  }

  /// The unknown sizes of a call with these arguments, if the program is theirs.
  func sizes(of visitor: borrowing TensorVisitor) -> [Int]? {
    guard visitor.structure.isEmpty, isGradEnabled == DuetEager.isGradEnabled,
      let sizes = symbols.sizes(of: visitor.tensors), !sizes.contains(0)
    else { return nil }
    for (place, size) in sizes.enumerated() {
      if excluded[place].contains(size) { return nil }
      for other in 0..<place
      where sizes[other] == size && differing.contains([other, place]) { return nil }
    }
    if excludesOnes && sizes.allSatisfy({ $0 == 1 }) { return nil }
    return sizes
  }

  /// What a call with these sizes replays, for the holder of the traced function's lock. Nil if the state has another
  /// form than it had.
  /// - Throws: `OpError` if operations do not take such sizes.
  func trace(at sizes: [Int], keepsTranscript: Bool) throws(OpError) -> Trace? {
    let types = symbols.types(sizes)
    let recorder: GraphRecorder
    let arguments: [Tensor]
    let results: [Tensor]
    if let probe = exceptions[sizes] {
      (recorder, arguments, results) = (probe.recorder, probe.arguments, probe.results)
    } else {
      guard let recorded = try program.recorded(at: sizes, types) else { return nil }
      (recorder, arguments, results) = recorded
    }
    recorder.keepsTranscript = keepsTranscript
    return try Trace(
      recorder, signature: Signature(types: types, isGradEnabled: isGradEnabled),
      paths: types.indices.map { "argument \($0)" },
      reason: "lowered for \(symbols.description)", arguments: arguments, results: results,
      form: exceptions[sizes]?.form ?? program.form)
  }
}
