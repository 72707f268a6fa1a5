import Duet
import Foundation

/// What the figures were measured on.
struct Machine {
  let processor: String
  let processorCount = ProcessInfo.processInfo.activeProcessorCount
  let instructions = instructionSet
  let threads = threadCount

  init() {
    let info = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
    let line = info.split(separator: "\n").first { $0.hasPrefix("model name") }
    let name = line.flatMap { $0.split(separator: ":", maxSplits: 1).last }
    processor = name.map { $0.trimmingCharacters(in: .whitespaces) } ?? Self.architecture
  }

  private static var architecture: String {
    #if arch(x86_64)
      "x86-64 processor"
    #elseif arch(arm64)
      "arm64 processor"
    #else
      "unknown processor"
    #endif
  }

  var description: String {
    "\(processor), \(counted(processorCount, "core")) in use, \(instructions), "
      + counted(threads, "thread")
  }
}

/// "1 case", "2 cases".
func counted(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }
