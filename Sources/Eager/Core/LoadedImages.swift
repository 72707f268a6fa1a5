#if canImport(Runtime)
  import Runtime
  import Synchronization

  /// The program and its libraries, as reading call stacks needs them, and the lines that were found there.
  ///
  /// Finding the libraries reads the memory that they lie in, and looking up lines maps files for a moment: if one
  /// thread did the first while another ended the second, it would read what is no longer there. So both happen
  /// under one lock, and the first only once.
  enum LoadedImages {
    private struct State {
      var images: ImageMap?
      /// By the addresses of the calls.
      var locations: [[String]: SourceLocation?] = [:]
    }

    private static let state = Mutex(State())
    private static let mostLocations = 4096

    static var all: ImageMap {
      state.withLock { state in
        if let known = state.images { return known }
        let found = ImageMap.capture()
        state.images = found
        return found
      }
    }

    /// How many calls are under way, 60 at most. Nobody may ask for what lies beyond the outermost.
    static var depth: Int {
      guard let stack = try? Backtrace.capture(limit: 61, offset: 1, top: 0, images: all) else {
        return 0
      }
      return stack.frames.reduce(0) { count, _ in count + 1 }
    }

    /// The innermost line of these calls that is not the framework's own.
    static func location(in stack: Backtrace) -> SourceLocation? {
      let addresses = stack.frames.map(\.description)
      return state.withLock { state in
        if let known = state.locations[addresses] { return known }
        let symbolicated = stack.symbolicated(
          with: state.images, options: [.showInlineFrames, .showSourceLocations])
        let found = symbolicated?.frames.lazy.compactMap(SourceLocation.init(ofUser:)).first
        if state.locations.count >= mostLocations { state.locations = [:] }
        state.locations[addresses] = .some(found)
        return found
      }
    }
  }
#endif
