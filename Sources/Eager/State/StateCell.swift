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
  package func read() -> Tensor? {
    let value = withLock { content }
    if ThreadContext.has(ThreadContext.Flags.recording), let recorder = ThreadContext.recorder {
      return recorder.read(self, value)
    }
    return value
  }

  /// Replaces the content. Failed tensors are ignored.
  package func write(_ value: Tensor?) {
    if let value, value.isFailed { return }
    if ThreadContext.has(ThreadContext.Flags.recording), let recorder = ThreadContext.recorder,
      !recorder.write(self, value)
    {
      return
    }
    var old = value
    withLock { swap(&old, &content) }
    // The old content is released here, outside the lock.
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

  /// The content, if it is of that type, or if there shall be none and is none; nil if it is of another form.
  package func content(ifOf type: TensorType?, requiresGrad: Bool) -> Tensor?? {
    lock()
    defer { unlock() }
    let fits = matchesLocked(
      type != nil, type?.dtype ?? .float32, type?.shape ?? [], requiresGrad)
    return fits ? .some(content) : nil
  }

  /// Whether the content is of that form. For the holder of the lock.
  @inline(__always)
  func matchesLocked(
    _ hasContent: Bool, _ dtype: DType, _ shape: Shape, _ requiresGrad: Bool
  ) -> Bool {
    switch content {
    case nil: !hasContent
    case .some(let tensor):
      hasContent && tensor.body.dtype == dtype && tensor.body.layout.shape == shape
        && (tensor.body.autograd != nil) == requiresGrad
    }
  }

  /// Whether the content has that place in the autograd graph. For the holder of the lock.
  @inline(__always)
  func hasAutograd(_ autograd: UnsafeMutableRawPointer?) -> Bool {
    guard let own = content?.body.autograd else { return content != nil && autograd == nil }
    return Unmanaged.passUnretained(own).toOpaque() == autograd
  }

  /// The address of the content if its elements lie one behind the other. For the holder of the lock.
  @inline(__always)
  var addressIfContiguous: UnsafeMutableRawPointer? {
    guard let body = content?.body, body.isContiguous else { return nil }
    return body.pointer
  }

  /// The address of the content if the cell is the only owner of a contiguous value of that type, so that it
  /// may be overwritten; nil otherwise. For the holder of the lock.
  package func addressIfOwned(_ type: TensorType) -> UnsafeMutableRawPointer? {
    guard content != nil, isKnownUniquelyReferenced(&content!.body) else { return nil }
    let body = content!.body
    guard body.isContiguous, body.dtype == type.dtype, body.layout.shape == type.shape,
      body.storage != nil, isKnownUniquelyReferenced(&body.storage!), body.storage!.isWritable
    else { return nil }
    return body.pointer
  }
}
