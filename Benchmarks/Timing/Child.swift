import Foundation

/// Runs this program again in a process of its own and gives what it printed.
func runAgain(_ arguments: [String]) throws -> String {
  guard let path = Bundle.main.executablePath else { throw ChildError("no path to this program") }
  let process = Process()
  process.executableURL = URL(fileURLWithPath: path)
  process.arguments = arguments
  let output = Pipe()
  process.standardOutput = output
  try process.run()
  let data = output.fileHandleForReading.readDataToEndOfFile()
  process.waitUntilExit()
  guard process.terminationStatus == 0 else {
    throw ChildError("\(arguments.joined(separator: " ")) exits with \(process.terminationStatus)")
  }
  return String(decoding: data, as: UTF8.self)
}

/// Seconds from starting a process of this program that ends at once to its end. Without
/// Foundation's `Process`, whose own way of waiting takes longer than that.
func secondsToStart() throws -> Double {
  guard let path = Bundle.main.executablePath else { throw ChildError("no path to this program") }
  var arguments: [UnsafeMutablePointer<CChar>?] = [strdup(path), strdup("--end"), nil]
  var environment: [UnsafeMutablePointer<CChar>?] =
    ProcessInfo.processInfo.environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
  defer { for string in arguments + environment { free(string) } }
  var child: pid_t = 0
  var status: Int32 = 0
  let begin = now()
  guard posix_spawn(&child, path, nil, nil, &arguments, &environment) == 0,
    waitpid(child, &status, 0) == child, status == 0
  else { throw ChildError("\(path) --end does not end well") }
  return now() - begin
}

struct ChildError: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

/// The most memory that was resident so far, in bytes.
func peakResident() -> Int {
  #if os(Linux)
    let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
    for line in status.split(separator: "\n") where line.hasPrefix("VmHWM:") {
      if let kibibytes = line.split(whereSeparator: \.isWhitespace).dropFirst().first {
        return (Int(kibibytes) ?? 0) << 10
      }
    }
    return 0
  #else
    return Int(resourceUsage().ru_maxrss)
  #endif
}

/// Lets the peak start anew from what is resident now, where the system can do that.
func resetPeakResident() {
  #if os(Linux)
    try? "5".write(toFile: "/proc/self/clear_refs", atomically: false, encoding: .utf8)
  #endif
}

func resourceUsage() -> rusage {
  var usage = rusage()
  // RUSAGE_SELF, whose type in Swift differs between systems.
  _ = getrusage(0, &usage)
  return usage
}
