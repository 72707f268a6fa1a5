import Duet
import DuetKernels
import Foundation

/// What is set for the whole process: threads and instruction set. Tests that change it take turns and put
/// back what they found.
public enum ProcessSettings {
  private static let turn = NSRecursiveLock()

  /// The instruction sets of this processor, the portable one first.
  public static let instructionSets: [String] = (0..<Int32(DUET_ISA_COUNT.rawValue)).compactMap {
    let isa = duet_isa(rawValue: $0)
    return duet_isa_available(isa) != 0 ? String(cString: duet_isa_name(isa)) : nil
  }

  /// Runs the body with those settings; what is nil stays as it is.
  public static func with<R>(
    threads: Int? = nil, instructionSet: String? = nil, _ body: () throws -> R
  ) rethrows -> R {
    turn.lock()
    defer { turn.unlock() }
    let before = (threadCount, duet_current_isa())
    defer {
      if threads != nil { setThreadCount(before.0) }
      if instructionSet != nil { _ = duet_use_isa(before.1) }
    }
    if let threads { setThreadCount(threads) }
    if let instructionSet {
      for code in 0..<Int32(DUET_ISA_COUNT.rawValue)
      where String(cString: duet_isa_name(duet_isa(rawValue: code))) == instructionSet {
        precondition(duet_use_isa(duet_isa(rawValue: code)) != 0, "no such instruction set here")
      }
    }
    return try body()
  }
}
