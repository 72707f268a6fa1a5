import DuetEager
import DuetKernelCalls
import Testing

@Suite struct CallSiteTests {
  @Test func codeWithoutFramePointersDoesNotLeadAstray() {
    var found: DuetEager.SourceLocation?
    let line = #line + 2
    withUnsafeMutablePointer(to: &found) { found in
      duet_call_without_frame_pointer(
        { $0!.assumingMemoryBound(to: DuetEager.SourceLocation?.self).pointee = .ofCaller() }, found
      )
    }
    #if canImport(Runtime)
      #expect(found?.file == "CallSiteTests.swift")
      #expect((line...(line + 2)).contains(found?.line ?? 0))
    #endif
  }
}
