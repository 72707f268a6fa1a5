import DuetRuntime

/// A source of random numbers: the counter-based generator Philox4x32-10 (Salmon and others,
/// "Parallel random numbers: as easy as 1, 2, 3", 2011).
///
/// Its state is a seed and a counter. A draw depends on them alone, and moves the counter on.
/// Traced functions capture a generator by identity, like a variable.
public final class Generator: Sendable {
  /// `int64[2]`: seed and counter.
  package let state: StateCell
  // One draw at a time, so that no two threads get the same numbers.
  private let drawing = Lock(())

  /// The generator that is used where none is named. Starts with the seed 0.
  public static let global = Generator(seed: 0)

  /// A generator that begins at the start of the seed's numbers.
  public init(seed: Int) {
    state = StateCell(Tensor([seed, 0], [2]), label: "generator")
  }

  /// Goes back to the start of a seed's numbers.
  public func seed(_ seed: Int) { state.write(Tensor([seed, 0], [2])) }

  /// Where the generator is in its numbers, to be kept or saved: `int64[2]`, its seed and its counter. Set it, and the
  /// same numbers come again. Other dtypes and shapes are an error.
  public var snapshot: Tensor {
    get { state.read() ?? .failed }
    set {
      if newValue.isFailed { return }
      guard newValue.type == TensorType(.int64, [2]) else {
        return note(OpError("Generator", "a snapshot is int64[2], not \(newValue.type)"))
      }
      state.write(newValue.detached().contiguous())
    }
  }

  /// Random elements; moves the counter on by what they used up.
  func draw(_ distribution: Distribution, _ type: TensorType) -> Tensor {
    drawing.withLock { _ in
      let advance = Op.advanceRandom(blocks: distribution.blocks(for: type))
      while true {
        guard let content = state.readAsItIs() else { return .failed }
        let before = ThreadContext.recorder?.stateOfDraws(content) ?? content
        if !StateCell.isWatched {
          // Replays draw without this lock: the counter is moved on first, if it is still what it was.
          let after = apply(advance, before)
          if after.isFailed { return after }
          if !state.replace(before.body, by: after) { continue }
          return apply(.random(distribution, type), before)
        }
        let values = apply(.random(distribution, type), before)
        // Deferred mode does not put this off: draws would wait in a chain, and each be another program.
        let after =
          ThreadContext.isDeferred && before.hasElements
          ? ThreadContext.withRecorder(nil) { apply(advance, before) } : apply(advance, before)
        state.write(after)
        return values
      }
    }
  }
}
