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
  public let plan: Plan
  /// What each pass did, as text.
  public let report: String
}

/// Optimises a graph and lowers it to a plan.
/// - Throws: `OpError` if a constant part of the graph has no value: an index out of range.
public func compile(_ graph: Graph, _ options: CompileOptions = CompileOptions()) throws(OpError)
  -> CompiledGraph
{
  var lines = ["recorded: \(graph.operationCount) operations"]
  var optimized = graph
  if options.optimize {
    for pass in Pass.standard {
      let before = optimized.operationCount
      optimized = try pass.run(optimized)
      if optimized.operationCount != before {
        lines.append("\(pass.name): \(before) → \(optimized.operationCount) operations")
      }
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
    .finish(shareable: program.shareableOutputs(options.mayShare))
  lines.append(
    "plan: \(plan.stepCount) steps, arena \(plan.arenaByteCount) bytes "
      + "(\(plan.byteCountBeforeReuse) before reuse)")
  return CompiledGraph(optimized: optimized, plan: plan, report: lines.joined(separator: "\n"))
}

/// A graph as steps with memory, before it is encoded.
package struct LoweredProgram {
  package let fusion: FusionPlan
  package let lowering: Lowering
  package let memory: MemoryPlan

  package init(_ graph: Graph, _ options: CompileOptions) {
    fusion = options.fuse ? FusionPlan(graph) : FusionPlan()
    lowering = Lowering(graph, fusion, options.mayShare)
    memory = MemoryPlan(lowering.steps, lowering.buffers)
  }

  /// The outputs that may be written into the buffer of the input they are paired with: all steps that read
  /// the input come before the first that writes the output, or are that step and allow it.
  package func shareableOutputs(_ pairs: [(output: Int, input: Int)]) -> Set<Int> {
    var result: Set<Int> = []
    var inputs: Set<Int> = []
    for (output, input) in pairs
    where isShareable(output, input) && !result.contains(output) && inputs.insert(input).inserted {
      result.insert(output)
    }
    return result
  }

  private func isShareable(_ output: Int, _ input: Int) -> Bool {
    let (graph, buffers) = (lowering.graph, lowering.buffers)
    guard graph.outputs.indices.contains(output), graph.inputs.indices.contains(input),
      graph.type(of: graph.outputs[output]) == graph.type(of: graph.inputs[input])
    else { return false }
    var writer: Int?
    for (s, step) in lowering.steps.enumerated() {
      let target = step.outputs.firstIndex { buffers[$0.buffer].kind == .output(output) }
      let source = step.inputs.first { buffers[$0.buffer].kind == .input(input) }?.buffer
      if writer != nil && source != nil { return false }
      guard let target, writer == nil else { continue }
      writer = s
      if let source, !step.mayOverwrite(source, with: target) { return false }
    }
    return true
  }
}

extension Graph {
  fileprivate var isValid: Bool { (try? verify()) != nil }
}
