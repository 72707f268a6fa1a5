// Unsafe: a signal handler, which only writes ready bytes and ends the process.

import DuetPrograms
import Foundation
import Synchronization

/// Says which program it was if one ends the process or does not end itself.
enum Watch {
  private static let running = Atomic<Int>(-1)
  private static let seed = Atomic<Int>(0)
  /// Where messages go while the standard error stream is put away.
  private static let output = Atomic<Int>(2)

  /// Drops what the framework writes to the standard error stream: a warning for every program that gives up
  /// replaying would hide what matters.
  static func dropWarnings() {
    output.store(Int(dup(2)), ordering: .relaxed)
    let nothing = open("/dev/null", O_WRONLY)
    dup2(nothing, 2)
    close(nothing)
  }

  static func begin(_ number: Int, seed: Int) {
    self.seed.store(seed, ordering: .relaxed)
    running.store(number, ordering: .relaxed)
  }

  static func install() {
    for code in [SIGILL, SIGTRAP, SIGSEGV, SIGBUS, SIGFPE, SIGABRT] {
      signal(code) { code in
        Watch.tell("ended by signal", Int(code))
        signal(code, SIG_DFL)
        raise(code)
      }
    }
    Thread.detachNewThread {
      var last = -1
      while true {
        sleep(120)
        let now = running.load(ordering: .relaxed)
        if now == last && now >= 0 {
          tell("has not ended within minutes; process", Int(getpid()))
          exit(1)
        }
        last = now
      }
    }
  }

  /// Writes without allocating memory.
  private static func tell(_ what: StaticString, _ code: Int) {
    func put(_ text: StaticString) {
      _ = write(Int32(output.load(ordering: .relaxed)), text.utf8Start, text.utf8CodeUnitCount)
    }
    func put(_ number: Int) {
      var divisor = 1
      while number / divisor >= 10 { divisor *= 10 }
      while divisor > 0 {
        var digit = UInt8(48 + number / divisor % 10)
        _ = write(Int32(output.load(ordering: .relaxed)), &digit, 1)
        divisor /= 10
      }
    }
    put("\nprogram ")
    put(max(0, running.load(ordering: .relaxed)))
    put(" ")
    put(what)
    put(" ")
    put(code)
    put("\nrun again: duet-fuzz --seed ")
    put(seed.load(ordering: .relaxed))
    put(" --only ")
    put(max(0, running.load(ordering: .relaxed)))
    put(" --isolated\n")
  }
}
