// Unsafe: keeps a reference in a thread-specific value, unretained, while the object is held by the call that put it there.

import DuetRuntime
import Foundation

/// What a closure does while it runs under a checkpoint.
final class CheckpointRun {
  /// Something that has to be there again after another run, in the same order.
  enum Item {
    /// A gradient function that keeps something.
    case function(GradientFunction)
    /// A checkpoint inside.
    case checkpoint(Checkpoint)
  }

  private(set) var items: [Item] = []
  let depth: Int
  /// What the closure finds, or found, in state cells, by their numbers.
  private(set) var contents: [Int: Tensor?]
  /// Whether this is not the first run: state is as it was before that, and does not change.
  private let isAgain: Bool
  /// What the closure has written.
  private var written: [Int: Tensor?] = [:]
  /// The run around.
  private let outer: CheckpointRun?
  /// Branches and loops inside have recorders of their own, and do not count.
  private let recorder: Recorder?
  /// State cells with greater numbers were made by the closure itself.
  private let lastCell = StateCell.lastSequence
  private var isPaused = false

  /// The first run.
  init(inside outer: CheckpointRun?, depth: Int) {
    self.outer = outer
    self.depth = depth
    isAgain = false
    contents = [:]
    recorder = ThreadContext.recorder
  }

  /// Another run. Whatever else goes on has nothing to do with it.
  init(again contents: [Int: Tensor?], depth: Int) {
    outer = nil
    self.depth = depth
    isAgain = true
    self.contents = contents
    recorder = ThreadContext.recorder
  }

  // MARK: The thread's run

  private static let key: pthread_key_t = {
    var key = pthread_key_t()
    pthread_key_create(&key, nil)
    return key
  }()

  /// The innermost run of this thread.
  static var current: CheckpointRun? {
    guard ThreadContext.has(ThreadContext.Flags.checkpoint), let pointer = pthread_getspecific(key)
    else { return nil }
    return Unmanaged<CheckpointRun>.fromOpaque(pointer).takeUnretainedValue()
  }

  /// The run that what is being done belongs to, if any.
  static var active: CheckpointRun? { current?.orOuterActive }

  /// The run whose gradient functions are being made, if any.
  static var registering: CheckpointRun? {
    guard let current, current.recorder === ThreadContext.recorder, !current.isPaused else {
      return nil
    }
    return current
  }

  private var orOuterActive: CheckpointRun? {
    let recorder = ThreadContext.recorder
    var run: CheckpointRun? = self
    while let known = run, known.recorder !== recorder { run = known.outer }
    return run
  }

  /// Whether this thread does something that it has done before, to get its values.
  static var isRunningAgain: Bool {
    var run = current
    while let known = run {
      if known.isAgain { return true }
      run = known.outer
    }
    return false
  }

  func with<R>(_ body: () -> R) -> R {
    let before = pthread_getspecific(Self.key)
    pthread_setspecific(Self.key, Unmanaged.passUnretained(self).toOpaque())
    defer {
      pthread_setspecific(Self.key, before)
      withExtendedLifetime(self) {}
    }
    return ThreadContext.with(ThreadContext.Flags.checkpoint, true, body)
  }

  /// Runs the body without noting what gradient functions it makes: they belong to something else that is noted.
  static func paused<R, E: Error>(_ body: () throws(E) -> R) throws(E) -> R {
    guard let run = registering else { return try body() }
    run.isPaused = true
    defer { run.isPaused = false }
    return try body()
  }

  // MARK: What it makes

  func add(_ item: Item) { items.append(item) }

  /// All items. The run has none from then on.
  func takeItems() -> [Item] {
    defer { items = [] }
    return items
  }

  // MARK: State

  /// - Parameter ordinary: Reads the cell as the surroundings would.
  func read(_ cell: StateCell, _ ordinary: () -> Tensor?) -> Tensor? {
    let number = cell.sequence
    if number > lastCell { return readOutside(cell, ordinary) }
    if isAgain {
      if let known = written[number] ?? contents[number] { return known }
      return readOutside(cell, ordinary)
    }
    let value = readOutside(cell, ordinary)
    if contents[number] == nil && written[number] == nil {
      contents[number] = .some(value)
    }
    return value
  }

  private func readOutside(_ cell: StateCell, _ ordinary: () -> Tensor?) -> Tensor? {
    guard let outer = outer?.orOuterActive else { return ordinary() }
    return outer.read(cell, ordinary)
  }

  /// Notes that a cell is written.
  /// - Returns: Whether it shall be.
  func willWrite(_ cell: StateCell, _ value: Tensor?) -> Bool {
    if cell.sequence <= lastCell {
      if isAgain {
        written[cell.sequence] = .some(value)
        return false
      }
      written[cell.sequence] = .some(nil)
    }
    return outer?.orOuterActive?.willWrite(cell, value) ?? true
  }
}

extension ThreadContext {
  /// Whether this thread does something that it has done before, to get its values: what it tells the world it has told.
  package static var isRunningAgain: Bool { CheckpointRun.isRunningAgain }

  /// Runs the body of a branch or a loop, which a checkpoint around sees as one operation.
  package static func asOneOperation<R, E: Error>(_ body: () throws(E) -> R) throws(E) -> R {
    has(Flags.checkpoint) ? try CheckpointRun.paused(body) : try body()
  }
}
