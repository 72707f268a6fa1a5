import DuetRuntime

/// How a graph is compiled. Results have the same bits whatever the options.
public struct CompileOptions: Sendable {
  /// Whether elementwise operations are joined into tile programs.
  public var fuse: Bool
  /// Whether the graph is rewritten before it is lowered.
  public var optimize: Bool
  /// Outputs that the caller would like to have written into the buffer of an input: updated parameters.
  /// `Plan.shareableOutputs` says for which that is safe.
  public var mayShare: [(output: Int, input: Int)]
  /// Whether the plan is a part of another one, which may run it many times.
  var isForRegion = false

  /// By default the graph is rewritten and fused, and no output may lie in an input's buffer.
  public init(
    fuse: Bool = true, optimize: Bool = true, mayShare: [(output: Int, input: Int)] = []
  ) {
    self.fuse = fuse
    self.optimize = optimize
    self.mayShare = mayShare
  }
}

/// A plan and what it was made from.
public struct CompiledGraph: Sendable {
  /// The graph after all passes.
  public let optimized: Graph
  /// The steps of `optimized`, with their memory: what runs.
  public let plan: Plan
  /// What each pass did, as text.
  public let report: String
}

/// Optimises a graph and lowers it to a plan.
/// - Throws: `OpError` if a constant part of the graph has no value: an index out of range.
public func compile(_ graph: Graph, _ options: CompileOptions = CompileOptions()) throws(OpError)
  -> CompiledGraph
{
  var count = graph.operationCount
  var lines = ["recorded: \(count) operations"]
  var optimized = graph
  if options.optimize {
    for pass in Pass.standard {
      optimized = try pass.run(optimized)
      let after = optimized.operationCount
      if after != count { lines.append("\(pass.name): \(count) → \(after) operations") }
      count = after
    }
  }
  assert(optimized.isValid)
  let program = LoweredProgram(optimized, options)
  let fusion = program.fusion
  if options.fuse {
    let members = fusion.groups.reduce(0) { $0 + $1.count }
    lines.append("fusion: \(members) operations in \(fusion.groups.count) groups")
  }
  let plan = PlanEncoder(program.lowering, program.memory)
    .finish(shareable: program.shareableOutputs(options.mayShare), late: program.lateOutputs)
  lines.append(
    "plan: \(plan.stepCount) steps, arena \(plan.arenaByteCount) bytes "
      + "(\(plan.mostLiveByteCount) live at most, \(plan.byteCountBeforeReuse) before reuse)")
  return CompiledGraph(optimized: optimized, plan: plan, report: lines.joined(separator: "\n"))
}

/// A graph as steps with memory, before it is encoded.
package struct LoweredProgram {
  package let fusion: FusionPlan
  package let lowering: Lowering
  package let memory: MemoryPlan

  package init(_ graph: Graph, _ options: CompileOptions) {
    let locations = graph.locations()
    fusion = options.fuse ? FusionPlan(graph, locations) : FusionPlan()
    lowering = Lowering(graph, locations, fusion, options)
    memory = MemoryPlan(lowering.steps, lowering.buffers)
  }

  /// The outputs that may be written into the buffer of the input they are paired with: all steps that read
  /// the input come before the first that writes the output, or are that step and allow it. Steps that can
  /// fail come before, too.
  package func shareableOutputs(_ pairs: [(output: Int, input: Int)]) -> Set<Int> {
    var result: Set<Int> = []
    if pairs.isEmpty { return result }
    var inputs: Set<Int> = []
    let uses = ArgumentUses(lowering)
    for (output, input) in pairs
    where uses.mayShare(output, input) && !result.contains(output) && inputs.insert(input).inserted
    {
      result.insert(output)
    }
    return result
  }

  /// The outputs that are written by steps behind all that can fail.
  package var lateOutputs: Set<Int> { ArgumentUses(lowering).lateOutputs }
}

/// Where the steps read inputs and write outputs.
private struct ArgumentUses {
  private let lowering: Lowering
  /// For every output the first step that writes it, and its place among that step's outputs.
  private var writers: [Int: (step: Int, index: Int)] = [:]
  /// For every input its buffer and the last step that reads it.
  private var readers: [Int: (buffer: Int, step: Int)] = [:]
  private var lastFallible = -1

  init(_ lowering: Lowering) {
    self.lowering = lowering
    for (s, step) in lowering.steps.enumerated() {
      for (index, operand) in step.outputs.enumerated() {
        if case .output(let j) = lowering.buffers[operand.buffer].kind, writers[j] == nil {
          writers[j] = (s, index)
        }
      }
      for operand in step.inputs {
        if case .input(let i) = lowering.buffers[operand.buffer].kind {
          readers[i] = (operand.buffer, s)
        }
      }
      if step.work.canFail { lastFallible = s }
    }
  }

  var lateOutputs: Set<Int> {
    Set(writers.filter { $0.value.step > lastFallible }.map(\.key))
  }

  func mayShare(_ output: Int, _ input: Int) -> Bool {
    let graph = lowering.graph
    guard graph.outputs.indices.contains(output), graph.inputs.indices.contains(input),
      graph.type(of: graph.outputs[output]) == graph.type(of: graph.inputs[input])
    else { return false }
    // An output without a writer has no bytes.
    guard let writer = writers[output] else { return true }
    guard writer.step > lastFallible else { return false }
    guard let reader = readers[input], reader.step >= writer.step else { return true }
    return reader.step == writer.step
      && lowering.steps[writer.step].mayOverwrite(reader.buffer, with: writer.index)
  }
}

extension Graph {
  fileprivate var isValid: Bool { (try? verify()) != nil }
}
