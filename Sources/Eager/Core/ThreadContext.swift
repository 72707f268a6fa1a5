// Unsafe: reads the thread's state through a C pointer, and object references stored there unretained. Whoever
// stores a reference keeps the object alive until it takes the reference back.

import DuetKernels
import DuetRuntime

/// What surrounds the operations of this thread: gradient mode, recorder, error handling.
package enum ThreadContext {
  @inline(__always)
  static var state: UnsafeMutablePointer<duet_thread_state> { duet_thread() }

  struct Flags {
    static let noGrad = Int32(DUET_THREAD_NO_GRAD)
    static let recording = Int32(DUET_THREAD_RECORDING)
    static let checked = Int32(DUET_THREAD_CHECKED)
    static let anomaly = Int32(DUET_THREAD_ANOMALY)
    static let deferred = Int32(DUET_THREAD_DEFERRED)
    static let noTracing = Int32(DUET_THREAD_NO_TRACING)
    /// A closure runs under a checkpoint. A bit that kernels do not know.
    static let checkpoint = Int32(1) << 16
    /// What cells hold is noted before they are written. As the one before.
    static let journal = Int32(1) << 17
    /// A closure is recorded for arguments of any sizes. As the one before.
    static let anySizes = Int32(1) << 18
  }

  @inline(__always)
  static func has(_ flag: Int32) -> Bool { state.pointee.flags & flag != 0 }

  /// Runs the body with a flag set or cleared.
  static func with<R, E: Error>(
    _ flag: Int32, _ isOn: Bool, _ body: () throws(E) -> R
  ) throws(E) -> R {
    let before = state.pointee.flags
    state.pointee.flags = isOn ? before | flag : before & ~flag
    defer { state.pointee.flags = (state.pointee.flags & ~flag) | (before & flag) }
    return try body()
  }

  /// Whether operations are differentiable on this thread at the moment.
  package static var isGradEnabled: Bool { !has(Flags.noGrad) }

  /// Whether traced functions run their closures as they are.
  package static var isTracingDisabled: Bool { has(Flags.noTracing) }

  /// Whether traced functions replay: nobody records, nothing is put off, tracing is not off, nothing has to be done
  /// again or undone, and results are not looked at one by one.
  package static var allowsReplays: Bool {
    state.pointee.flags
      & (Flags.recording | Flags.deferred | Flags.noTracing | Flags.checkpoint | Flags.anomaly
        | Flags.journal) == 0
  }

  /// Whether a closure runs under a checkpoint, which sees to state itself.
  package static var isUnderCheckpoint: Bool { has(Flags.checkpoint) }

  /// Whether a closure is recorded for arguments of any sizes: operations must not depend on those at hand.
  package static var isForAnySizes: Bool { has(Flags.anySizes) }

  /// Runs the body as what is recorded for arguments of any sizes.
  package static func forAnySizes<R, E: Error>(_ body: () throws(E) -> R) throws(E) -> R {
    try with(Flags.anySizes, true, body)
  }

  /// Whether somebody records, or operations are put off.
  package static var isRecordingOrDeferred: Bool { has(Flags.recording | Flags.deferred) }

  /// Runs the body with traced functions running their closures as they are.
  package static func withoutTracing<R, E: Error>(_ body: () throws(E) -> R) throws(E) -> R {
    try with(Flags.noTracing, true, body)
  }

  /// Whether operations of this thread are put off until somebody asks for elements.
  package static var isDeferred: Bool { has(Flags.deferred) }

  /// Puts operations of this thread off from here on, or no longer.
  package static func setDeferred(_ isDeferred: Bool) {
    if isDeferred {
      state.pointee.flags |= Flags.deferred
    } else {
      state.pointee.flags &= ~Flags.deferred
    }
  }

  /// Runs the body with operations put off, or done at once.
  package static func withDeferred<R, E: Error>(
    _ isDeferred: Bool, _ body: () throws(E) -> R
  ) throws(E) -> R {
    try with(Flags.deferred, isDeferred, body)
  }

  /// What is told of every operation of this thread, if anything is.
  package static var recorder: Recorder? {
    guard has(Flags.recording), let pointer = state.pointee.recorder else { return nil }
    return Unmanaged<Recorder>.fromOpaque(pointer).takeUnretainedValue()
  }

  /// Runs the body with another recorder, or with none. Operations are done at once meanwhile.
  package static func withRecorder<R, E: Error>(
    _ recorder: Recorder?, _ body: () throws(E) -> R
  ) throws(E) -> R {
    let before = (state.pointee.recorder, state.pointee.flags)
    state.pointee.recorder = recorder.map { Unmanaged.passUnretained($0).toOpaque() }
    let surroundings = Flags.recording | Flags.deferred
    state.pointee.flags =
      (before.1 & ~surroundings) | (recorder == nil ? 0 : Flags.recording)
    defer {
      state.pointee.recorder = before.0
      state.pointee.flags = (state.pointee.flags & ~surroundings) | (before.1 & surroundings)
    }
    let result = try body()
    withExtendedLifetime(recorder) {}
    return result
  }
}

/// Is told of everything that a thread does with tensors while it is installed.
open class Recorder {
  /// Whether tensors have no elements: what is recorded is known by type alone.
  package let isSymbolic: Bool
  /// What this is a recording of, for messages about values that have left it.
  package let origin: RecordingOrigin
  /// Operations with greater sequence numbers were done before this recorder's eyes.
  private let lastSequenceBefore: Int

  package init(isSymbolic: Bool) {
    self.isSymbolic = isSymbolic
    origin = RecordingOrigin(isSymbolic: isSymbolic)
    lastSequenceBefore = GradientFunction.lastSequence
  }

  /// A recorder of types alone that works for another one, if there is one.
  package init(for outer: Recorder?) {
    isSymbolic = true
    origin = outer?.origin ?? RecordingOrigin(isSymbolic: true)
    lastSequenceBefore = outer?.lastSequenceBefore ?? GradientFunction.lastSequence
  }

  /// Whether an operation was done before this recorder was there.
  func isFromOutside(_ function: GradientFunction) -> Bool {
    function.sequence <= lastSequenceBefore
  }

  /// An operation was done. For symbolic inputs `result` is symbolic, too.
  open func record(_ op: Op, _ inputs: [Tensor], _ result: Tensor) {}
  /// `result` has the very elements of `source`: detached, or the value of a variable.
  open func recordAlias(_ result: Tensor, of source: Tensor) {}
  /// A state cell is read. What the program gets to see: the same content, perhaps as another tensor.
  open func read(_ cell: StateCell, _ value: Tensor?) -> Tensor? { value }
  /// A state cell is written. Whether the cell shall really change.
  open func write(_ cell: StateCell, _ value: Tensor?) -> Bool { true }
  /// `backward` goes through an operation that was done before this recorder was there.
  open func didGoOutside() {}
  /// An operation could not be done, and its result is a failed tensor.
  /// - Parameter catcher: The recorder of the program that goes on with the error: the one inside of which `checked` was
  ///   called.
  open func didFail(caughtBy catcher: Recorder?) {}
  /// What is recorded now does not do the same another time.
  open func willDiffer(because reason: String) {}
  /// The program is about to see all elements of a tensor that has some, or wants to of a symbolic one. The
  /// reason why it cannot, or nil.
  open func willRead(_ tensor: Tensor, for operation: String) -> String? { nil }
  /// A callback shall see these tensors' values. Whether the recorder calls it when its time has come; if not it is
  /// called now.
  open func perform(_ effect: HostEffect, on tensors: [Tensor]) -> Bool { false }
  /// How many callbacks wait for their time.
  open var effectCount: Int { 0 }
  /// Forgets the callbacks that came after so many.
  open func dropEffects(after count: Int) {}
  /// Whether a symbolic tensor is a value of this recording. One that is not has left the function that made it.
  open func knows(_ tensor: Tensor) -> Bool { isSymbolic }
  /// What happens inside a branch or a loop is recorded by another recorder from here on.
  open func add(_ region: Recorder) {}
  /// Why a tensor that this recorder does not know cannot be used: it was made inside another branch or loop.
  open func objection(to tensor: Tensor) -> OpError? { nil }
  /// Whether a tensor stands for a value that differs from call to call.
  open func isVariable(_ tensor: Tensor) -> Bool { false }
  /// Whether branches and loops are recorded as such, from closures that are called once.
  open var recordsRegions: Bool { false }
  /// Whether values that deferred mode has put off are recorded as they are, and not evaluated first.
  open var takesPending: Bool { false }
  /// What comes is done again, to have its values once more: it is not to be merged with what was done before.
  /// - Parameter depth: How many times that is so.
  open func beginRecomputation(depth: Int) {}
  /// The end of what the last `beginRecomputation` began.
  open func endRecomputation() {}
  /// A symbolic tensor's type is all that is known; its name in printed form.
  open func name(of tensor: Tensor) -> String? { nil }
  /// What random numbers are drawn from instead of a generator's state, with the same elements.
  open func stateOfDraws(_ state: Tensor) -> Tensor { state }
  /// Results got a place in the autograd graph with a gradient that is no operation's own.
  open func didAttach(_ gradient: AttachedGradient) {}
}
