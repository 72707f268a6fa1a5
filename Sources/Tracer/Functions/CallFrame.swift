// Unsafe: owns raw room for a plan's addresses and for arguments without a reference count of their own. Both
// are only used during a call, whose caller keeps the arguments alive.

import DuetEager
import DuetRuntime

/// What one call of a traced function fills: kept from call to call, so that a replay allocates nothing but its
/// results. A frame belongs to one running call at a time.
final class CallFrame: @unchecked Sendable {
  // Sendable: belongs to one call at a time, and changes hands in the `FramePool`, under a lock or by an atomic operation.

  /// The arguments, as trees seen in order.
  @exclusivity(unchecked) var visitor = TensorVisitor()
  /// What has to stay alive while the plan runs.
  @exclusivity(unchecked) var held = HeldBodies()
  @exclusivity(unchecked) var results: [Tensor] = []
  /// The only result, counted, if it is none of a tree.
  @exclusivity(unchecked) var result: Unmanaged<TensorBody>?
  /// Callbacks that wait for the end of the call.
  @exclusivity(unchecked) var effects: [(effect: HostEffect, tensors: [Tensor])] = []
  /// What the closure did when the replayed path was recorded, if that is kept.
  @exclusivity(unchecked) var transcript: Transcript?
  /// Why the last attempt failed, if it did, and which trace it was.
  @exclusivity(unchecked) var failure: OpError?
  @exclusivity(unchecked) var failedTrace: Trace?
  /// The results' form; a `FormBox` of the function's result type. The trace keeps it.
  @exclusivity(unchecked) var form: Unmanaged<AnyObject>?

  /// The function's traces as they were when they had that version.
  @exclusivity(unchecked) private(set) var traces: [Trace] = []
  /// The same, to go through without counting references.
  @exclusivity(unchecked)
  private(set) var plainTraces = UnsafeMutableBufferPointer<Unmanaged<Trace>>.allocate(capacity: 0)
  @exclusivity(unchecked) private(set) var version = -1

  /// The arguments' tensors in order.
  @exclusivity(unchecked) var arguments: UnsafePointer<Unmanaged<TensorBody>>
  @exclusivity(unchecked)
  private var argumentRoom = UnsafeMutableBufferPointer<Unmanaged<TensorBody>>.allocate(capacity: 8)

  @exclusivity(unchecked)
  private var room = UnsafeMutableBufferPointer<UnsafeMutableRawPointer>.allocate(capacity: 16)
  @exclusivity(unchecked)
  private var freshRoom = UnsafeMutableBufferPointer<Unmanaged<TensorBody>?>.allocate(capacity: 16)
  @exclusivity(unchecked) private var freshCount = 0
  @exclusivity(unchecked)
  private var known = UnsafeMutableBufferPointer<HeldValue>.allocate(capacity: 0)
  /// Memory for values that only exist within the call; the last chunk has room.
  @exclusivity(unchecked) private var chunks: [UnsafeMutableRawBufferPointer] = []
  /// The free part of the last chunk.
  @exclusivity(unchecked) private var free = UnsafeMutableRawPointer(bitPattern: 64)!
  @exclusivity(unchecked) private var freeCount = 0

  init() { arguments = UnsafePointer(argumentRoom.baseAddress!) }

  deinit {
    letGo()
    held.deallocate()
    plainTraces.deallocate()
    room.deallocate()
    freshRoom.deallocate()
    argumentRoom.deallocate()
    known.deallocate()
    for chunk in chunks { chunk.deallocate() }
  }

  /// Takes the traces that the function has now. Nothing of those before is in use any more.
  func use(_ traces: [Trace], version: Int) {
    letGo()
    self.traces = traces
    self.version = version
    plainTraces.deallocate()
    plainTraces = .plain(traces.map { .passUnretained($0) })
  }

  /// Room for that many values. Earlier ones are forgotten.
  @inline(__always)
  func values(_ count: Int) -> UnsafeMutablePointer<HeldValue> {
    known.makeRoom(for: count)
    return known.baseAddress!
  }

  /// New memory by output, none so far. What is put there, counted, lives until the frame lets go.
  @inline(__always)
  func fresh(_ count: Int) -> UnsafeMutablePointer<Unmanaged<TensorBody>?> {
    freshRoom.makeRoom(for: count)
    freshRoom.baseAddress!.initialize(repeating: nil, count: count)
    freshCount = count
    return freshRoom.baseAddress!
  }

  /// Memory for a value that only exists within the call.
  @inline(__always)
  func room(_ byteCount: Int) -> UnsafeMutableRawPointer {
    let size = (byteCount + 63) & ~63
    if size > freeCount { addChunk(size) }
    defer {
      free += size
      freeCount -= size
    }
    return free
  }

  @inline(never)
  private func addChunk(_ size: Int) {
    let total = chunks.reduce(0) { $0 + $1.count }
    use(.allocate(byteCount: max(size, total, 4096), alignment: 64))
  }

  private func use(_ chunk: UnsafeMutableRawBufferPointer) {
    chunks.append(chunk)
    (free, freeCount) = (chunk.baseAddress!, chunk.count)
  }

  /// Forgets an attempt to replay, but not the arguments.
  @inline(__always)
  func restart() {
    letGo()
    while results.popLast() != nil {}
    if freeCount < usedChunk || chunks.count > 1 { reuseChunks() }
  }

  /// The size of the only chunk.
  @inline(__always)
  private var usedChunk: Int { chunks.isEmpty ? 0 : chunks[0].count }

  /// The next call finds one chunk that is large enough for everything.
  @inline(never)
  private func reuseChunks() {
    if chunks.count == 1 {
      (free, freeCount) = (chunks[0].baseAddress!, chunks[0].count)
      return
    }
    let total = chunks.reduce(0) { $0 + $1.count }
    for chunk in chunks { chunk.deallocate() }
    chunks = []
    use(.allocate(byteCount: total, alignment: 64))
  }

  /// Lets go of what was held for a run.
  @inline(__always)
  func letGo() {
    held.releaseAll()
    for i in 0..<freshCount {
      if let body = freshRoom[i] { body.release() }
    }
    freshCount = 0
    if let unused = result {
      unused.release()
      result = nil
    }
  }

  /// Says that nothing is left of what was put among the new memory.
  @inline(__always)
  func forgetFresh() { freshCount = 0 }

  /// The only result, for whoever keeps it.
  @inline(__always)
  func takeResult() -> Tensor? {
    guard let body = result else { return nil }
    result = nil
    return Tensor(body.takeRetainedValue())
  }

  /// Puts the results among `results`, wherever the replay has left them.
  func collectResults() {
    if let result = takeResult() { results.append(result) }
  }

  /// Makes the callbacks that wait, in order.
  func performEffects() {
    let waiting = effects
    effects = []
    for (effect, tensors) in waiting { effect.run(tensors) }
  }

  /// Notes the tensors that the visitor has collected.
  func noteCollected() {
    argumentRoom.makeRoom(for: visitor.tensors.count)
    for i in visitor.tensors.indices {
      argumentRoom[i] = .passUnretained(visitor.tensors[i].body)
    }
    arguments = UnsafePointer(argumentRoom.baseAddress!)
  }

  /// Room for that many addresses.
  @inline(__always)
  func addresses(_ count: Int) -> UnsafeMutablePointer<UnsafeMutableRawPointer> {
    room.makeRoom(for: count)
    return room.baseAddress!
  }

  /// Lets go of the call's tensors.
  func clear() {
    visitor.clear()
    letGo()
    // One at a time costs less where there is one.
    while results.popLast() != nil {}
    if !effects.isEmpty { effects = [] }
    if transcript != nil { transcript = nil }
    if failure != nil { failure = nil }
    if failedTrace != nil { failedTrace = nil }
    form = nil
  }
}

extension UnsafeMutableBufferPointer {
  /// Takes the place of a smaller one, whose content is forgotten.
  @inline(__always)
  fileprivate mutating func makeRoom(for count: Int) {
    if self.count >= count { return }
    deallocate()
    self = .allocate(capacity: count)
  }
}
