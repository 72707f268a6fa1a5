import DuetKernels

#if canImport(Runtime)
  import DuetRuntime
  import Runtime
#endif

/// A point in the program's run: the calls under way, whose source lines are looked up only when they are asked for.
package struct CallSite: Sendable {
  /// Return addresses, innermost first.
  private let addresses: [UInt]

  /// The most calls that are noted.
  private static let most: Int32 = 60

  /// The calls under way now.
  @inline(never)
  package init() {
    #if canImport(Runtime)
      addresses = Array(unsafeUninitializedCapacity: Int(Self.most)) { buffer, count in
        count = Int(duet_call_stack(buffer.baseAddress, Self.most))
      }
    #else
      addresses = []
    #endif
  }

  /// The innermost line that is not the framework's own.
  ///
  /// Slow (it reads line tables): for messages only.
  package var location: SourceLocation? {
    #if canImport(Runtime)
      // A few calls at a time: each takes milliseconds, and the user's is usually close.
      for start in stride(from: 0, to: addresses.count, by: 6) {
        let some = Array(addresses[start..<min(start + 6, addresses.count)])
        if let location = LineTables.location(in: some) { return location }
      }
    #endif
    return nil
  }
}

#if canImport(Runtime)
  /// The program and its libraries, as looking up lines needs them, and the lines that were found there.
  ///
  /// Finding the libraries reads the memory that they lie in, and looking up lines maps files for a moment: if one
  /// thread did the first while another ended the second, it would read what is no longer there. So both happen
  /// under one lock, and the first only once.
  private enum LineTables {
    private struct State {
      var images: ImageMap?
      var locations: [[UInt]: SourceLocation?] = [:]
    }

    private static let state = Lock(State())
    private static let mostLocations = 4096

    /// The innermost line of these calls that is not the framework's own.
    static func location(in addresses: [UInt]) -> SourceLocation? {
      state.withLock { state in
        if let known = state.locations[addresses] { return known }
        let images = state.images ?? ImageMap.capture()
        state.images = images
        let symbolicated = backtrace(of: addresses, images)?.symbolicated(
          with: images, options: [.showInlineFrames, .showSourceLocations])
        let found = symbolicated?.frames.lazy.compactMap(SourceLocation.init(ofUser:)).first
        if state.locations.count >= mostLocations { state.locations = [:] }
        state.locations[addresses] = .some(found)
        return found
      }
    }

    private struct Capture {
      let images: ImageMap
      var result: Backtrace?
    }

    /// A backtrace can only be captured, and capturing follows frame pointers: it is shown a stack with these calls.
    private static func backtrace(of addresses: [UInt], _ images: ImageMap) -> Backtrace? {
      var capture = Capture(images: images)
      withUnsafeMutablePointer(to: &capture) { capture in
        duet_with_call_stack(
          addresses, Int32(addresses.count),
          { context in
            let capture = context!.assumingMemoryBound(to: Capture.self)
            // Those left out are this closure, and the two frames below the list.
            capture.pointee.result = try? Backtrace.capture(
              limit: 64, offset: 3, top: 0, images: capture.pointee.images)
          }, capture)
      }
      return capture.result
    }
  }
#endif
