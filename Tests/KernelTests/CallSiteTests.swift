import DuetEager
import DuetKernelCalls
import DuetKernels
import Testing

@Suite struct CallSiteTests {
  @Test func codeWithoutFramePointersDoesNotLeadAstray() {
    var found: DuetEager.SourceLocation?
    let line = #line + 2
    withUnsafeMutablePointer(to: &found) { found in
      duet_call_without_frame_pointer(
        {
          $0!.assumingMemoryBound(to: DuetEager.SourceLocation?.self).pointee = CallSite().location
        }, found
      )
    }
    #if canImport(Runtime)
      #expect(found?.file == "CallSiteTests.swift")
      #expect((line...(line + 2)).contains(found?.line ?? 0))
    #endif
  }

  /// A sanitizer, a profiler or a thrown error may read the unwind tables at any time.
  @Test func readersOfUnwindTablesFindTheEndOfAStackThatIsMadeUp() {
    struct Walk {
      var addresses = [UInt](repeating: 0, count: 64)
      var count: Int32 = 0
    }
    var walk = Walk()
    let madeUp: [UInt] = [0x1234567, 0x89abcde, 0xf012345]
    withUnsafeMutablePointer(to: &walk) { walk in
      duet_with_call_stack(
        madeUp, Int32(madeUp.count),
        { context in
          let walk = context!.assumingMemoryBound(to: Walk.self)
          let count = walk.pointee.addresses.withUnsafeMutableBufferPointer {
            duet_call_stack($0.baseAddress!, Int32($0.count))
          }
          walk.pointee.count = count
        }, walk)
    }
    #if os(Linux)
      #expect(walk.count <= 2, "this closure's caller, and no more")
      #expect(madeUp.allSatisfy { !walk.addresses.contains($0) })
    #endif
  }
}
