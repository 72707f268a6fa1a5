import DuetKernelCalls
import DuetTestSupport
import Testing

/// Every kernel, called directly: the same bits for every instruction set of this processor, any
/// number of threads and any place in memory, and nothing written outside of the result.
/// `Tests/KernelCalls/emulated.sh` makes the same calls on other processors.
@Suite(.serialized) struct KernelTests {
  private static let calls: Int32 = 10

  /// Kernels by the first word of their groups' names.
  static let kernels: [String] = {
    var names: [String] = []
    for group in 0..<duet_calls_group_count() {
      let name = Self.name(group).prefix { $0 != " " }
      if names.last != String(name) { names.append(String(name)) }
    }
    return names
  }()

  private static func name(_ group: Int32) -> String {
    String(cString: duet_calls_group_name(group))
  }

  @Test("a kernel gives the same bits everywhere", arguments: kernels)
  func everywhere(_ kernel: String) {
    let groups = (0..<duet_calls_group_count()).filter {
      Self.name($0).prefix { $0 != " " } == kernel
    }
    #expect(!groups.isEmpty)
    var expected: [Int32: UInt64] = [:]
    var placement: UInt64 = 0
    for set in ProcessSettings.instructionSets {
      for threads in [1, 2, 3, 7] {
        placement += 1
        ProcessSettings.with(threads: threads, instructionSet: set) {
          for group in groups {
            let outcome = duet_calls_run(group, 0, Self.calls, placement)
            let what = "\(Self.name(group)): \(set), \(threads) threads"
            #expect(outcome.overruns == 0, "\(what) wrote outside of its result")
            #expect(outcome.hash == expected[group, default: outcome.hash], "\(what) differs")
            expected[group] = expected[group] ?? outcome.hash
          }
        }
      }
    }
  }

  @Test("other calls give another hash")
  func hashesDiffer() {
    for group in 0..<duet_calls_group_count() {
      let hashes = [0, 2, 4].map { duet_calls_run(group, $0, 2, 0).hash }
      #expect(Set(hashes).count > 1, "\(Self.name(group))")
    }
  }
}
