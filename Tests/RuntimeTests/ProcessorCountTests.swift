import DuetRuntime
import Testing

/// The number of threads follows what the system lets the process use.
@Suite struct ProcessorCountTests {
  private func share(_ membership: String, _ files: [String: String]) -> Double? {
    ProcessorCount.share(membership: membership) { files[$0] }
  }

  @Test func thereIsAtLeastOneProcessor() { #expect(ProcessorCount.available >= 1) }

  @Test func unifiedGroupsLimitByTheTightestAncestor() {
    let files = [
      "/a/b/cpu.max": "max 100000\n", "/a/cpu.max": "150000 100000\n", "/cpu.max": "400000 100000",
    ]
    #expect(share("0::/a/b\n", files) == 1.5)
    #expect(share("0::/\n", files) == 4)
    #expect(share("0::/elsewhere\n", ["/elsewhere/cpu.max": "max 100000"]) == nil)
  }

  @Test func olderGroupsGiveQuotaAndPeriod() {
    let membership = "5:memory:/m\n3:cpu,cpuacct:/x\n"
    let folder = "/cpu,cpuacct/x"
    #expect(
      share(
        membership,
        [folder + "/cpu.cfs_quota_us": "50000\n", folder + "/cpu.cfs_period_us": "100000\n"]) == 0.5
    )
    #expect(
      share(
        membership,
        [folder + "/cpu.cfs_quota_us": "-1\n", folder + "/cpu.cfs_period_us": "100000\n"]) == nil)
  }

  @Test(arguments: ["", "nonsense", "0::/a", "0:::", "1:cpu:/../..", ":::::"])
  func unreadableGroupsAreNoLimit(membership: String) {
    #expect(share(membership, ["/a/cpu.max": "many few", "/cpu.max": "-3 0"]) == nil)
  }
}
