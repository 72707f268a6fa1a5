// Unsafe: passes addresses of tensors' elements to a plan, while the tensors are held.

import DuetCompiler
import DuetEager
import DuetRuntime

/// Puts a region into what is being recorded, and gives its results; where they can be computed they are.
func emit(_ region: GraphRegion, _ inputs: [Tensor]) -> [Tensor] {
  let recorder = ThreadContext.recorder
  if recorder == nil && ThreadContext.isDeferred {
    return noGrad {
      let all = apply(.region(region), inputs)
      return region.outputTypes.enumerated().map { apply(.regionResult(index: $0, $1), all) }
    }
  }
  let isSymbolic = recorder?.isSymbolic ?? false || inputs.contains { !$0.hasElements }
  let results: [Tensor]
  if isSymbolic {
    results = region.outputTypes.map { Tensor(TensorBody(withoutElements: $0)) }
  } else {
    do throws(OpError) { results = try computed(region, inputs) } catch {
      let failed = fail(error)
      return region.outputTypes.map { _ in failed }
    }
  }
  if let recorder {
    let all = Tensor(TensorBody(withoutElements: Region.type))
    recorder.record(.region(region), inputs, all)
    for (i, result) in results.enumerated() {
      recorder.record(.regionResult(index: i, result.type), [all], result)
    }
  }
  return results
}

/// Runs a region by itself.
func computed(_ region: GraphRegion, _ inputs: [Tensor]) throws(OpError) -> [Tensor] {
  let plan = try region.plan()
  let inputs = ThreadContext.withRecorder(nil) {
    noGrad { inputs.map { $0.body.isContiguous ? $0 : apply(.copy, $0) } }
  }
  let results = region.outputTypes.map { TensorBody(allocating: $0) }
  let addresses = inputs.map(\.body.pointer)
  let targets = results.map(\.pointer)
  // One more than there are, so that there is an address of none.
  let ends = [UnsafeMutableRawPointer(bitPattern: 64)!]
  try (addresses + ends).withUnsafeBufferPointer { addresses throws(OpError) in
    try (targets + ends).withUnsafeBufferPointer { targets throws(OpError) in
      try plan.run(inputs: addresses.baseAddress!, outputs: targets.baseAddress!)
    }
  }
  withExtendedLifetime((inputs, results)) {}
  return results.map { Tensor($0) }
}

/// Whether operations are being recorded, so that branches and loops become regions.
var recordsRegions: Bool { ThreadContext.recorder?.recordsRegions ?? false }

/// What one of several recorded closures of a region uses from outside: each tensor and each state cell once.
struct RegionCaptures {
  struct Entry {
    let tensor: Tensor
    let name: String
    let cell: StateCell?
    /// The graph's values for it, by recorder.
    var values: [Int: ValueID]
  }

  private(set) var entries: [Entry] = []

  /// - Parameter carried: State that is not captured, because it changes.
  init(_ recorders: [RegionRecorder], except carried: [StateCell] = []) {
    for (r, recorder) in recorders.enumerated() {
      for capture in recorder.captures {
        if let known = entries.firstIndex(where: {
          $0.cell == nil && $0.tensor.body === capture.tensor.body
        }) {
          entries[known].values[r] = capture.value
        } else {
          entries.append(
            Entry(
              tensor: capture.tensor, name: capture.name, cell: nil, values: [r: capture.value]))
        }
      }
      for use in recorder.cells {
        guard let initial = use.initial, let value = use.value,
          !carried.contains(where: { $0 === use.cell })
        else { continue }
        if let known = entries.firstIndex(where: { $0.cell === use.cell }) {
          entries[known].values[r] = value
        } else {
          entries.append(
            Entry(tensor: initial, name: use.cell.name, cell: use.cell, values: [r: value]))
        }
      }
    }
  }

  var tensors: [Tensor] { entries.map(\.tensor) }

  /// The arguments for the graph of one of the recorders.
  func arguments(_ recorder: Int) -> [Graph.Argument] {
    entries.map { Graph.Argument($0.tensor.type, name: $0.name, value: $0.values[recorder]) }
  }
}

extension RegionRecorder {
  /// The graph from such arguments to these values.
  func graph(from arguments: [Graph.Argument], to outputs: [ValueID], names: [String] = []) -> Graph
  {
    builder.finish(outputs: []).part(from: arguments, to: outputs, names: names)
  }
}

/// State that a region writes: its content before, and what is left in it.
struct RegionState {
  let cell: StateCell
  let initial: Tensor
  /// The place in the autograd graph that the content has: a variable's own.
  let autograd: AutogradMeta?

  /// Why the region cannot write the cell, in words; nil: it can.
  static func objection(_ uses: [RegionRecorder.CellUse], isLoop: Bool) -> String? {
    for use in uses where use.isChanged {
      guard let initial = use.initial, let current = use.current else {
        return
          "\(use.cell.name) \(use.initial == nil ? "holds nothing before" : "holds nothing after") the region, "
          + "and something \(use.initial == nil ? "after" : "before") it; a region has one form for all values"
      }
      if current.type != initial.type {
        return "\(use.cell.name) is \(current.type) after the region and \(initial.type) before it"
      }
      if isLoop && use.wasLookedAt {
        return
          "the body reads the value of \(use.cell.name) by item() or the like, and changes it; it is recorded once "
          + "for all iterations"
      }
    }
    return nil
  }

  init(_ use: RegionRecorder.CellUse) {
    cell = use.cell
    initial = use.initial!
    autograd = use.current?.autograd.flatMap { $0.function == nil ? $0 : nil }
  }

  /// Leaves a region's result in the cell.
  func write(_ result: Tensor) {
    guard let autograd else { return cell.write(result) }
    let content = Tensor(result.body.attached(to: autograd))
    ThreadContext.recorder?.recordAlias(content, of: result)
    cell.write(content)
  }
}
