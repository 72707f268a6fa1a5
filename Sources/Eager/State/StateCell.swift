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

  /// The lock, who else uses the content, and its number: see `CellWord`.
  private let word = Atomic<UInt64>(0)
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
    if StateCell.isWatched || value?.body.storage == nil {
      return readWatched(value, asVariable)
    }
    return value
  }

  /// Whether there is no content, whoever is watching.
  package var isEmpty: Bool { withLock { content == nil } }

  /// Whether somebody is told of what this thread reads and writes.
  @inline(__always)
  static var isWatched: Bool {
    ThreadContext.has(
      ThreadContext.Flags.recording | ThreadContext.Flags.deferred | ThreadContext.Flags.checkpoint
        | ThreadContext.Flags.journal)
  }

  @inline(never)
  private func readWatched(_ value: Tensor?, _ asVariable: Bool) -> Tensor? {
    if let run = CheckpointRun.active {
      return run.read(self) { readForSurroundings(value, asVariable) }
    }
    return readForSurroundings(value, asVariable)
  }

  private func readForSurroundings(_ value: Tensor?, _ asVariable: Bool) -> Tensor? {
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
    if ThreadContext.has(ThreadContext.Flags.journal) { WriteJournal.current?.willWrite(self) }
    if ThreadContext.has(ThreadContext.Flags.checkpoint), !(value?.isFailed ?? false),
      !(CheckpointRun.active?.willWrite(self, value) ?? true)
    {
      return
    }
    if value?.body.storage == nil || ThreadContext.isDeferred {
      guard willWrite(&value) else { return }
    }
    if ThreadContext.has(ThreadContext.Flags.recording), let recorder = ThreadContext.recorder,
      !recorder.write(self, value)
    {
      return
    }
    lock()
    exchangeLocked(&value)
    unlock()
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

  /// Puts another content in the place of one, unless the cell has been written meanwhile. Nobody else is told.
  /// - Returns: Whether it has not.
  @discardableResult
  package func replace(_ known: TensorBody, by value: Tensor?) -> Bool {
    var value = value
    return withLock {
      guard content?.body === known else { return false }
      exchangeLocked(&value)
      return true
    }
  }

  /// - Parameter body: May give the content away.
  @inline(__always)
  private func withLock<R>(_ body: () -> R) -> R {
    lock()
    defer { unlock(marking: CellWord.shared) }
    return body()
  }

  // MARK: The lock

  /// The word of this moment. Anything else of the cell may be another moment's.
  @inline(__always)
  var currentWord: UInt64 { word.load(ordering: .relaxed) }

  /// Waits until nobody else uses the content, but for runs that only read it.
  @inline(__always)
  package func lock() { _ = lockAndLook() }

  /// As `lock`.
  /// - Returns: The word, of whose pins some may be gone by the time that it is looked at.
  @inline(__always)
  func lockAndLook() -> UInt64 {
    let seen = word.load(ordering: .relaxed)
    if seen & CellWord.lock == 0, change(seen, to: seen | CellWord.lock) {
      return seen | CellWord.lock
    }
    return lockSlowly()
  }

  /// - Parameter marks: Is put among the bits of the word.
  @inline(__always)
  func unlock(marking marks: UInt64) {
    let seen = word.load(ordering: .relaxed)
    if seen & CellWord.pins == 0 {
      word.store((seen & ~CellWord.lock) | marks, ordering: .releasing)
    } else {
      changeLocked { ($0 & ~CellWord.lock) | marks }
    }
  }

  @inline(__always)
  package func unlock() { unlock(marking: 0) }

  @inline(never)
  private func lockSlowly() -> UInt64 {
    var tries = 0
    while true {
      let seen = word.load(ordering: .relaxed)
      if seen & CellWord.lock == 0, change(seen, to: seen | CellWord.lock) {
        return seen | CellWord.lock
      }
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

  /// Changes the word if it is what it was.
  @inline(__always)
  private func change(_ seen: UInt64, to new: UInt64) -> Bool {
    word.compareExchange(
      expected: seen, desired: new, successOrdering: .acquiring, failureOrdering: .relaxed
    ).exchanged
  }

  /// Changes the word of the locked cell while pins may go away.
  @inline(never)
  private func changeLocked(_ body: (UInt64) -> UInt64) {
    var seen = word.load(ordering: .relaxed)
    while true {
      let (isDone, now) = word.compareExchange(
        expected: seen, desired: body(seen), successOrdering: .acquiringAndReleasing,
        failureOrdering: .acquiring)
      if isDone { return }
      seen = now
    }
  }

  // MARK: Pins

  /// Keeps the content alive that the cell had when its word was looked at, if nothing has changed since.
  @inline(__always)
  func pin(_ seen: UInt64, marking marks: UInt64) -> Bool {
    change(seen, to: (seen &+ CellWord.onePin) | marks)
  }

  /// As `pin`, for the holder of the lock, which ends.
  func pinAndUnlock(marking marks: UInt64) {
    changeLocked { (($0 &+ CellWord.onePin) & ~CellWord.lock) | marks }
  }

  /// Lets go of a content that was pinned when it had that number.
  @inline(__always)
  func unpin(_ body: Unmanaged<TensorBody>, number: UInt64) {
    var seen = word.load(ordering: .acquiring)
    while seen & CellWord.contents == number {
      let (isDone, now) = word.compareExchange(
        expected: seen, desired: seen &- CellWord.onePin, successOrdering: .releasing,
        failureOrdering: .acquiring)
      if isDone { return }
      seen = now
    }
    // Whoever has put another content in its place has counted a reference for this pin.
    body.release()
  }

  // MARK: For the holder of the lock

  /// The content.
  package var lockedContent: Tensor? {
    get {
      changeLocked { $0 | CellWord.shared }
      return content
    }
    set {
      var value = newValue
      exchangeLocked(&value)
    }
  }

  /// Swaps the content for another one.
  /// - Parameter isShared: Whether the other one may have another owner than the cell.
  @inline(__always)
  func exchangeLocked(_ value: inout Tensor?, isShared: Bool = true) {
    swap(&value, &content)
    // After this no run reads an old content that the caller may have to himself.
    let seen = word.load(ordering: .acquiring)
    let mark = isShared ? CellWord.shared : 0
    if seen & CellWord.pins == 0 {
      word.store(
        ((seen & ~CellWord.shared) | mark) &+ CellWord.oneContent, ordering: .relaxed)
    } else {
      handOver(value, mark)
    }
  }

  /// Gives each run that has the old content pinned a counted reference instead.
  @inline(never)
  private func handOver(_ old: Tensor?, _ mark: UInt64) {
    var counted = 0
    var seen = word.load(ordering: .relaxed)
    while true {
      let pins = Int((seen & CellWord.pins) / CellWord.onePin)
      while counted < pins {
        if let old { _ = Unmanaged.passRetained(old.body) }
        counted += 1
      }
      let (isDone, now) = word.compareExchange(
        expected: seen,
        desired: ((seen & ~(CellWord.pins | CellWord.shared)) | mark) &+ CellWord.oneContent,
        successOrdering: .acquiringAndReleasing, failureOrdering: .acquiring)
      if isDone {
        // Some runs have ended meanwhile.
        if let old { for _ in pins..<counted { Unmanaged.passUnretained(old.body).release() } }
        return
      }
      seen = now
    }
  }

  /// Whether nobody but the cell has the content, a contiguous value with elements of its own, so that it may be
  /// overwritten. It is then marked so.
  func ownsContentAlone() -> Bool {
    let seen = word.load(ordering: .acquiring)
    guard seen & CellWord.pins == 0, content != nil, isKnownUniquelyReferenced(&content!.body)
    else { return false }
    let isAlone = Unmanaged.passUnretained(content!.body)._withUnsafeGuaranteedRef { body in
      body.isContiguous && body.ownsStorageAlone()
    }
    if isAlone { word.store(seen & ~CellWord.shared, ordering: .relaxed) }
    return isAlone
  }

  /// Whether the content is of that type and at that place of the autograd graph.
  func lockedContent(is type: TensorType, at autograd: AutogradMeta?) -> Bool {
    guard let content = unretainedContent else { return false }
    return content._withUnsafeGuaranteedRef { $0.type == type && $0.autograd === autograd }
  }

  /// The content, uncounted, as long as the lock is held.
  @inline(__always)
  package var unretainedContent: Unmanaged<TensorBody>? {
    content.map { .passUnretained($0.body) }
  }
}
