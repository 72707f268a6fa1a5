import DuetRuntime
import Synchronization

/// A place whose content changes: the value of a variable, a gradient, an optimiser's slot, a generator's state.
///
/// Traced functions find out which cells they use by watching reads and writes, and treat them as hidden
/// inputs and outputs.
public final class StateCell: Sendable {
  /// What the cell is called in printed graphs.
  package let label: Mutex<String>
  private let content: Mutex<Tensor?>

  package init(_ value: Tensor? = nil, label: String) {
    content = Mutex(value)
    self.label = Mutex(label)
  }

  /// The content as the program sees it.
  package func read() -> Tensor? {
    let value = content.withLock { $0 }
    if ThreadContext.has(ThreadContext.Flags.recording) {
      ThreadContext.recorder?.didRead(self, value)
    }
    return value
  }

  /// Replaces the content. Failed tensors are ignored.
  package func write(_ value: Tensor?) {
    if let value, value.isFailed { return }
    if ThreadContext.has(ThreadContext.Flags.recording), let recorder = ThreadContext.recorder {
      content.withLock { $0 = value }
      recorder.didWrite(self, value)
      return
    }
    let old = content.withLock { content in
      let old = content
      content = value
      return old
    }
    // Released here, outside the lock.
    withExtendedLifetime(old) {}
  }

  /// Looks at or replaces the content without telling anyone: for the machinery of tracing.
  package func access<R>(_ body: (inout sending Tensor?) -> sending R) -> R {
    content.withLock(body)
  }
}
