import Duet
import DuetRuntime
import Foundation

/// What many iterations of a case leave behind: nothing, if memory is kept well.
struct Soak {
  let mode: Mode
  let steps: Int
  /// Page faults and blocks asked from the system after the first steps.
  let pageFaults: Int
  let systemAllocations: Int
  /// The allocator's live bytes after the first steps, at the end, and at most between.
  let begin, end, peak: Int

  private static let warmUp = 100

  init(_ item: Case, _ mode: Mode, steps: Int) throws {
    self.mode = mode
    self.steps = steps
    let step = try checked {
      let step = item.prepare(mode)
      step.run(Self.warmUp)
      return step
    }
    Allocator.resetPeak()
    let before = Allocator.statistics
    _ = resourceUsage()  // whose own first call may fault
    let faults = resourceUsage().ru_minflt
    step.run(steps)
    pageFaults = Int(resourceUsage().ru_minflt - faults)
    let after = Allocator.statistics
    systemAllocations = after.systemAllocations - before.systemAllocations
    (begin, end, peak) = (before.liveBytes, after.liveBytes, after.peakBytes)
  }

  /// Whether the steps left no more alive than was there, and asked the system for nothing.
  var isFlat: Bool { begin == end && systemAllocations == 0 }
}

/// Does so many steps of each case and prints what became of the memory; 1 if something stayed.
func soak(
  _ selection: [(family: String, item: Case)], _ modes: [Mode], steps: Int, printsJSON: Bool
) -> Int32 {
  var isFlat = true
  for (_, item) in selection where item.kind == .steady {
    for mode in modes {
      do {
        let soak = try Soak(item, mode, steps: steps)
        isFlat = isFlat && soak.isFlat
        print(printsJSON ? jsonLine(soak, item.name) : sentence(soak, item.name))
      } catch {
        isFlat = false
        print("\(item.name) \(mode.rawValue): failed: \(error)")
      }
      fflush(nil)
    }
  }
  return isFlat ? 0 : 1
}

private func sentence(_ soak: Soak, _ name: String) -> String {
  let perStep = Double(soak.pageFaults) / Double(soak.steps)
  return "\(name) \(soak.mode.rawValue), \(soak.steps) steps: "
    + "live bytes \(soak.begin) -> \(soak.end), at most \(soak.peak); "
    + "page faults \(soak.pageFaults) (\(String(format: "%.4f", perStep)) per step); "
    + counted(soak.systemAllocations, "block") + " asked from the system"
}
