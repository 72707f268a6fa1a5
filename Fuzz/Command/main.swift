import DuetPrograms
import Foundation

let options: Options
do throws(Options.Mistake) {
  options = try Options(Array(CommandLine.arguments.dropFirst()))
} catch {
  print(error.text)
  exit(2)
}

let coverage = Coverage()
let checker = Checker(modes: options.modes, coverage: options.isIsolated ? nil : coverage)

/// Whether a program, run in a process of its own, fails or ends the process.
@MainActor
func failsAlone(_ program: Program, without: Set<Int>) -> Bool {
  let process = Process()
  process.executableURL = URL(fileURLWithPath: CommandLine.arguments[0])
  process.arguments =
    options.command(program.number, calls: program.callCount, without: without) + ["--no-shrink"]
  process.standardOutput = FileHandle.nullDevice
  process.standardError = FileHandle.nullDevice
  do {
    try process.run()
  } catch {
    print("cannot start \(CommandLine.arguments[0]): \(error)")
    exit(2)
  }
  process.waitUntilExit()
  return process.terminationReason == .uncaughtSignal || process.terminationStatus != 0
}

/// Prints a program that fails, and the command that runs it again.
@MainActor
func report(_ program: Program, without: Set<Int>, _ what: String) {
  print("\nprogram \(program.number) of seed \(program.seed): \(what)")
  print(program.text)
  let words = options.command(program.number, calls: program.callCount, without: without)
  print("run again: duet-fuzz \(words.joined(separator: " "))")
}

if let only = options.only, options.isIsolated {
  let whole = options.program(only)
  let all = Set(whole.statementIDs)
  func removed(_ program: Program) -> Set<Int> {
    options.without.union(all.subtracting(program.statementIDs))
  }
  guard failsAlone(whole, without: options.without) else {
    print("program \(only) does not fail in a process of its own")
    exit(0)
  }
  let (smallest, _) = whole.shrunk { failsAlone($0, without: removed($0)) }
  report(smallest, without: removed(smallest), "fails in a process of its own")
  exit(1)
}

Watch.install()
if options.only == nil { Watch.dropWarnings() }
let start = ContinuousClock.now
var failures = 0
for number in options.numbers {
  Watch.begin(number, seed: options.seed)
  let program = options.program(number)
  if options.prints { print(program.text + "\n") }
  guard let difference = checker.difference(in: program) else { continue }
  failures += 1
  if options.shrinks {
    let again = Checker(modes: [difference.mode])
    var what = "\(difference)"
    // Where threads meet differs from run to run.
    let attempts = difference.mode == .threads ? 10 : 1
    let (smallest, without) = program.shrunk { candidate in
      for _ in 0..<attempts {
        if let found = again.difference(in: candidate) {
          what = "\(found)"
          return true
        }
      }
      return false
    }
    report(smallest, without: options.without.union(without), what)
  } else {
    report(program, without: options.without, "\(difference)")
  }
  if !options.keepsGoing { break }
}
Watch.begin(-1, seed: options.seed)
if !options.prints || options.only == nil { print(coverage.report) }
let seconds = (ContinuousClock.now - start) / .seconds(1)
print(
  "\(failures == 0 ? "all bits equal" : "\(failures) programs differ") in "
    + "\(options.numbers.count) programs, modes \(options.modes.map(\.rawValue).joined(separator: ", ")), "
    + String(format: "%.1f s", seconds))
exit(failures == 0 ? 0 : 1)
