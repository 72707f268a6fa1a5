import DuetRuntime

/// One call of a closure whose inner values are not kept for the gradient, but computed again when it is asked for.
///
/// The autograd graph is the one that the closure makes without it, so that gradients are added up in the same order.
/// Its functions only let go of what they have saved, and get it back from a second run, in which the functions come in
/// the same order. The second run sees state as it was before the first one, random generators included, and what it
/// writes is forgotten.
package final class Checkpoint: @unchecked Sendable {
  // Sendable: what changes is locked, but for `isNeeded`, which is set before anyone else has the object. Threads that run
  // `backward` through one graph at once may each run the closure, and take what any of them has computed: it is alike.

  /// What it takes to run the closure again.
  struct Call: @unchecked Sendable {
    // Sendable: constant; the closure is the user's, and is shared as the user's program shares it.

    /// The closure on its arguments.
    let run: () -> Void
    /// What it found in state cells, by their numbers.
    let contents: [Int: Tensor?]
  }

  /// Something that a run of the closure has made, and that this object has to be able to make again.
  private enum Part {
    case function(GradientFunction.Kept)
    case call(Call)
  }

  /// Where to find something that was let go of.
  struct Place {
    let checkpoint: Checkpoint
    let index: Int
  }

  private struct State {
    var call: Call?
    /// Where the call is to be found, if a checkpoint around has let go of it.
    var place: Place?
    /// What the second run has made and nobody has taken yet.
    var parts: [Int: Part] = [:]
  }

  private let state: Lock<State>
  /// How many checkpoints there are around this one, and one more.
  private let depth: Int
  /// Which of the things that the closure makes are still there after it has ended.
  private var isNeeded: [Bool] = []

  private init(_ call: Call, depth: Int) {
    state = Lock(State(call: call))
    self.depth = depth
  }

  /// Calls a closure whose inner values are not kept.
  /// - Parameters:
  ///   - body: The closure.
  ///   - again: The same, without its result.
  package static func run<R>(again: @escaping () -> Void, _ body: () -> R) -> R {
    // Without gradients nothing is kept anyway.
    guard ThreadContext.isGradEnabled else { return body() }
    let around = CheckpointRun.registering
    let run = CheckpointRun(inside: CheckpointRun.current, depth: (around?.depth ?? 0) + 1)
    let result = run.with(body)
    let checkpoint = Checkpoint(Call(run: again, contents: run.contents), depth: run.depth)
    checkpoint.letGo(of: run)
    around?.add(.checkpoint(checkpoint))
    return result
  }

  /// Lets everything that a run has made let go of what it keeps.
  private func letGo(of run: CheckpointRun) {
    isNeeded = [Bool](repeating: false, count: run.items.count)
    var items = run.takeItems()
    // Backwards: what only later things refer to is gone with them.
    while let item = items.popLast() {
      let place = Place(checkpoint: self, index: items.count)
      switch consume item {
      case .function(var function):
        if isKnownUniquelyReferenced(&function) { continue }
        isNeeded[place.index] = function.leave(to: place)
      case .checkpoint(var checkpoint):
        if isKnownUniquelyReferenced(&checkpoint) { continue }
        checkpoint.leave(to: place)
        isNeeded[place.index] = true
      }
    }
  }

  private func leave(to place: Place) {
    let old = state.withLock { state in
      defer { (state.call, state.place) = (nil, place) }
      return state.call
    }
    withExtendedLifetime(old) {}
  }

  /// What a function has let go of; nil after reporting why it cannot be had.
  func kept(_ index: Int) -> GradientFunction.Kept? {
    guard case .function(let kept) = part(index) else { return nil }
    return kept
  }

  private func part(_ index: Int) -> Part? {
    if let part = state.withLock({ $0.parts.removeValue(forKey: index) }) { return part }
    guard let parts = computedAgain() else { return nil }
    return state.withLock { state in
      state.parts = parts
      return state.parts.removeValue(forKey: index)
    }
  }

  /// Runs the closure once more.
  private func computedAgain() -> [Int: Part]? {
    let (known, place) = state.withLock { ($0.call, $0.place) }
    var call = known
    if call == nil, let place {
      guard case .call(let found) = place.checkpoint.part(place.index) else { return nil }
      call = found
      state.withLock { ($0.call, $0.place) = (found, nil) }
    }
    guard let call else { return nil }
    let run = CheckpointRun(again: call.contents, depth: depth)
    let recorder = ThreadContext.recorder
    recorder?.beginRecomputation(depth: depth)
    enableGrad { run.with(call.run) }
    recorder?.endRecomputation()
    guard run.items.count == isNeeded.count else {
      Self.noteDifference(
        "\(run.items.count) operations keep something for their gradients instead of \(isNeeded.count)"
      )
      return nil
    }
    var parts: [Int: Part] = [:]
    for (i, item) in run.takeItems().enumerated() where isNeeded[i] {
      switch item {
      case .function(let function): parts[i] = .function(function.kept)
      case .checkpoint(let checkpoint):
        parts[i] = checkpoint.state.withLock { $0.call }.map { .call($0) }
      }
    }
    return parts
  }

  /// Reports that a closure does not do the same when it is run again.
  static func noteDifference(_ difference: String) {
    note(
      OpError(
        "checkpointed",
        "the closure did something else when it was run again for the gradient: \(difference)"))
  }
}
