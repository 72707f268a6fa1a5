import DuetRuntime

/// Sets how many threads a kernel may use, the calling one included. Results do not depend on it.
///
/// Starts at the number in the environment variable `DUET_NUM_THREADS`, or else at the number of processors
/// that this process may use. A number below 1 is an error, one above 256 counts as 256.
public func setThreadCount(_ count: Int) {
  guard count >= 1 else {
    return note(OpError("setThreadCount", "needs at least one thread, not \(count)"))
  }
  ThreadPool.shared.resize(to: count)
}

/// How many threads a kernel may use, the calling one included.
public var threadCount: Int { ThreadPool.shared.threadCount }
