import DuetKernels
import DuetRuntime
import Foundation
import Synchronization

/// A place whose content changes: the value of a variable, a gradient, an optimiser's slot, a generator's state.
///
/// Traced functions find out which cells they use by watching reads and writes, and treat them as hidden
/// inputs and outputs. While a plan updates cells in place it holds their locks, so that others see the
/// content before or after, never in between.
public final class StateCell: @unchecked Sendable {
  // Sendable: `content` and `label` are touched only by the holder of the lock.

  private let isHeld = Atomic<Bool>(false)
  @exclusivity(unchecked) private var content: Tensor?
  private var label: String
  /// Cells in the order of their making: plans take several locks in this order.
  package let sequence: Int

  private static let counter = Atomic<Int>(0)

  /// Whether the content is a tensor's gradient.
  package let isGradient: Bool

  package init(_ value: Tensor? = nil, label: String, isGradient: Bool = false) {
    content = value
    self.isGradient = isGradient
    self.label = label
    sequence = Self.counter.add(1, ordering: .relaxed).newValue
  }

  /// The greatest sequence number so far.
  package static var lastSequence: Int { counter.load(ordering: .relaxed) }

  /// What the cell is called in printed graphs.
  package var name: String {
    get { withLock { label } }
    set { withLock { label = newValue } }
  }

  /// The content as the program sees it.
  package func read() -> Tensor? { read(asVariable: true) }

  /// The content as the program sees it, as what it is now even in a session's run: the state of a generator, whose
  /// numbers are drawn when the program draws them.
  package func readAsItIs() -> Tensor? { read(asVariable: false) }

  @inline(__always)
  private func read(asVariable: Bool) -> Tensor? {
    let value = withLock { content }
    if ThreadContext.state.pointee.flags & StateCell.watching != 0 || value?.body.storage == nil {
      return readWatched(value, asVariable)
    }
    return value
  }

  private static var watching: Int32 {
    ThreadContext.Flags.recording | ThreadContext.Flags.deferred
  }

  @inline(never)
  private func readWatched(_ value: Tensor?, _ asVariable: Bool) -> Tensor? {
    if ThreadContext.isDeferred {
      if let updates = DeferredThread.existing?.updates { return updates.read(self, value) }
      return asVariable ? value.map { Tensor(contentOf: self, $0) } : value
    }
    var value = value
    if let pending = value, pending.isPending {
      settle()
      value = pending.evaluated(for: name)
    }
    if let recorder = ThreadContext.recorder { return recorder.read(self, value) }
    return value
  }

  /// Replaces the content. Failed tensors are ignored.
  package func write(_ value: Tensor?) {
    var value = value
    if value?.body.storage == nil || ThreadContext.isDeferred {
      guard willWrite(&value) else { return }
    }
    if ThreadContext.has(ThreadContext.Flags.recording), let recorder = ThreadContext.recorder,
      !recorder.write(self, value)
    {
      return
    }
    withLock { swap(&value, &content) }
    // The old content is released here, outside the lock.
  }

  /// Sees to values that are not there yet.
  /// - Returns: Whether the cell shall get the value.
  @inline(never)
  private func willWrite(_ value: inout Tensor?) -> Bool {
    if let value, value.isFailed { return false }
    let pending = value?.body as? PendingBody
    guard ThreadContext.isDeferred else {
      if pending == nil { return true }
      value = value!.evaluated(for: name)
      return !value!.isFailed
    }
    let thread = DeferredThread.current
    if let updates = thread.updates {
      updates.write(self, value)
      return false
    }
    if let placeholder = pending?.node.placeholder {
      note(
        OpError(
          name,
          "its new value depends on the placeholder \"\(placeholder.label)\", which has none here; make the "
            + "change inside updates { }, and let a session run that"))
      return false
    }
    thread.willWrite(self, isPending: pending != nil, before: withLock { content })
    return true
  }

  // MARK: Deferred mode

  /// The content, if it is pending.
  package var pendingContent: PendingBody? { withLock { content?.body as? PendingBody } }

  /// Evaluates a pending content.
  /// - Returns: Whether there was one that is now evaluated.
  @discardableResult
  package func settle() -> Bool {
    guard let pending = pendingContent else { return false }
    guard let evaluated = Tensor(pending).evaluated(for: name).evaluatedBody else { return false }
    replace(pending, by: Tensor(evaluated))
    return true
  }

  /// Puts another content in the place of a pending one, unless the cell has been written meanwhile.
  package func replace(_ pending: PendingBody, by value: Tensor?) {
    var value = value
    withLock { if content?.body === pending { swap(&value, &content) } }
  }

  @inline(__always)
  private func withLock<R>(_ body: () -> R) -> R {
    lock()
    defer { unlock() }
    return body()
  }

  /// Waits until nobody else uses the content.
  @inline(__always)
  package func lock() {
    if isHeld.compareExchange(expected: false, desired: true, ordering: .acquiring).exchanged {
      return
    }
    lockSlowly()
  }

  @inline(__always)
  package func unlock() { isHeld.store(false, ordering: .releasing) }

  @inline(never)
  private func lockSlowly() {
    var tries = 0
    while !isHeld.compareExchange(expected: false, desired: true, ordering: .acquiring).exchanged {
      tries += 1
      if tries < 100 {
        duet_pause()
      } else if tries < 200 {
        sched_yield()
      } else {
        usleep(50)
      }
    }
  }

  /// The content, for the holder of the lock.
  package var lockedContent: Tensor? {
    @inline(__always) get { content }
    @inline(__always) set { content = newValue }
  }

  /// The address of the content if the cell is the only owner of a contiguous value with elements of its own, so that
  /// it may be overwritten; nil otherwise. For the holder of the lock.
  @inline(__always)
  var addressIfOwned: UnsafeMutableRawPointer? {
    guard content != nil, isKnownUniquelyReferenced(&content!.body) else { return nil }
    return Unmanaged.passUnretained(content!.body)._withUnsafeGuaranteedRef { body in
      guard body.isContiguous, body.storage != nil, isKnownUniquelyReferenced(&body.storage!),
        body.storage!.isWritable
      else { return nil }
      return body.pointer
    }
  }

  /// The content, uncounted. For the holder of the lock, as long as it is.
  @inline(__always)
  package var unretainedContent: Unmanaged<TensorBody>? {
    content.map { .passUnretained($0.body) }
  }
}
