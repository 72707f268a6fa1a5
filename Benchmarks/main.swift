import Duet
import Foundation

/// Runs what the command line asks for and gives the exit status.
func run(_ options: Options) throws(UsageError) -> Int32 {
  let families = allFamilies()
  switch options.action {
  case .help:
    print(Options.help)
    return 0
  case .list:
    for item in families.flatMap(\.cases) { print(item.name) }
    return 0
  case .end: return 0
  case .run, .soak, .resident: break
  }
  // A case without a meaning in any of the modes is left out.
  let selection = try options.selection(from: families).filter { _, item in
    item.modes.contains(where: options.modes.contains)
  }
  if let page = options.page, !FileManager.default.createFile(atPath: page, contents: nil) {
    throw UsageError("cannot write \(page)")
  }
  if let threads = options.threads { setThreadCount(threads) }
  let peers: Peers?
  if let path = options.peers {
    peers = try Peers(contentsOf: path, threads: threadCount)
  } else {
    peers = nil
  }
  switch options.action {
  case .soak(let steps):
    return soak(selection, options.modes, steps: steps, printsJSON: options.printsJSON)
  case .resident:
    do {
      print(try residentGrowth(selection[0].item, options.modes[0]))
    } catch {
      throw UsageError("\(error)")
    }
    return 0
  case .run, .list, .help, .end: break
  }

  let machine = Machine()
  let plan: SamplingPlan = options.isQuick ? .quick : options.printsJSON ? .full : .brief
  let table = Table(
    names: selection.map(\.item.name), modes: options.modes, showsLimits: options.measuresLimits,
    showsPeers: peers != nil)
  let progress = Progress(total: selection.count)
  if !options.printsJSON { print("Duet on \(machine.description)\n") }
  var limits: Limits?
  if options.measuresLimits {
    let measured = Limits(plan)
    measured.measureAll()
    limits = measured
    if options.printsJSON {
      for rate in measured.rates { print(jsonLine(rate)) }
    } else {
      print(limitsTable(measured))
    }
  }
  if !options.printsJSON { print(table.header) }
  let runner = Runner(
    plan: plan, modes: options.modes, threads: machine.threads, limits: limits)

  var outcomes: [Outcome] = []
  for (index, (family, item)) in selection.enumerated() {
    progress.show(index, item.name)
    var outcome = runner.run(item, in: family)
    outcome.peer = peers?[case: item.name]
    outcomes.append(outcome)
    progress.clear()
    if options.printsJSON {
      for line in jsonLines(outcome, modes: options.modes, threads: machine.threads) { print(line) }
    } else {
      print(table.row(outcome))
    }
    fflush(nil)
  }

  let summary = Summary(outcomes)
  if !options.printsJSON, let footer = table.footer(summary) { print("\n" + footer) }
  if let page = options.page {
    let text = HTMLPage(outcomes, summary, machine, modes: options.modes, limits: limits).text
    do {
      try text.write(toFile: page, atomically: true, encoding: .utf8)
    } catch {
      throw UsageError("cannot write \(page): \(error.localizedDescription)")
    }
  }
  return summary.isGood ? 0 : 1
}

do {
  exit(try run(Options(Array(CommandLine.arguments.dropFirst()))))
} catch {
  FileHandle.standardError.write(Data("duet-bench: \(error.message)\n".utf8))
  exit(2)
}
