import DuetKernels
import Foundation

/// How many processors this process may use.
package enum ProcessorCount {
  /// The processors of its affinity, or as many as its control group's share of time amounts to, if that is
  /// fewer. At least 1.
  package static var available: Int {
    let allowed = Int(duet_affinity_count())
    var count = allowed > 0 ? allowed : ProcessInfo.processInfo.activeProcessorCount
    #if os(Linux)
      let membership = (try? String(contentsOfFile: "/proc/self/cgroup", encoding: .utf8)) ?? ""
      if let share = share(membership: membership, read: contents(ofFile:)) {
        count = min(count, Int(share.rounded(.up)))
      }
    #endif
    return max(1, count)
  }

  /// The smallest share, in processors, that a process's control groups and those around them allow; nil: any.
  ///
  /// - Parameters:
  ///   - membership: What `/proc/self/cgroup` holds: lines `id:controllers:path` (cgroups(7)).
  ///   - read: The content of a file below `/sys/fs/cgroup`, if it is there.
  package static func share(membership: String, read: (String) -> String?) -> Double? {
    var shares: [Double] = []
    for line in membership.split(separator: "\n") {
      let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard fields.count == 3 else { continue }
      let controllers = fields[1].split(separator: ",")
      let isUnified = fields[0] == "0" && controllers.isEmpty
      guard isUnified || controllers.contains("cpu") else { continue }
      // Inside a container the path may be the host's; the group's own files are then at the root.
      var path = fields[2].split(separator: "/").map(String.init)
      while true {
        let folder = path.map { "/" + $0 }.joined()
        if isUnified {
          shares += unified(read(folder + "/cpu.max"))
        } else {
          let root = "/" + fields[1] + folder
          shares += divided(read(root + "/cpu.cfs_quota_us"), read(root + "/cpu.cfs_period_us"))
        }
        if path.isEmpty { break }
        path.removeLast()
      }
    }
    return shares.min()
  }

  /// Version 2: `quota period`, or `max period` for no limit.
  private static func unified(_ text: String?) -> [Double] {
    let parts = (text ?? "").split(whereSeparator: \.isWhitespace)
    guard parts.count == 2 else { return [] }
    return divided(String(parts[0]), String(parts[1]))
  }

  /// Version 1: a quota of -1 stands for no limit.
  private static func divided(_ quota: String?, _ period: String?) -> [Double] {
    guard let quota = quota.flatMap(number), let period = period.flatMap(number), quota > 0,
      period > 0
    else { return [] }
    return [quota / period]
  }

  private static func number(_ text: String) -> Double? {
    Double(text.filter { !$0.isWhitespace })
  }

  private static func contents(ofFile path: String) -> String? {
    try? String(contentsOfFile: "/sys/fs/cgroup" + path, encoding: .utf8)
  }
}
