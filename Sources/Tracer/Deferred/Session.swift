import DuetCompiler
import DuetEager
import DuetRuntime

/// Runs graphs that deferred mode has built: fetches values, feeds others, and makes state changes.
///
///     let u = placeholder(.float32, shape: [], name: "u"), v = placeholder(.float32, shape: [], name: "v")
///     let session = Session()
///     try session.run(u * v, feeding: [u: Tensor(15.0), v: Tensor(20.0)])        // 300
///
/// A run takes variables as they are at its beginning. What is computed for the same fetches, feeds and updates is put
/// together and compiled once. Runs may happen on several threads at once; those that change the same variables
/// take turns.
public final class Session: Sendable {
  private struct Key: Hashable {
    let fetches: [ObjectIdentifier]
    let feeds: [ObjectIdentifier]
    let updates: ObjectIdentifier?
  }

  private struct State {
    var programs: [Key: (program: SessionProgram, lastUse: Int)] = [:]
    var uses = 0
  }

  private let state = Lock(State())
  /// The most programs that are kept; the one that was not used for longest goes first.
  private static let limit = 64

  /// A session that has compiled nothing yet. Sessions share the program's variables, not what they compile.
  public init() {}

  /// Computes values.
  ///
  /// - Parameters:
  ///   - fetches: Pending values: a tensor, or an array, dictionary or other tree of tensors.
  ///   - updates: State changes that the run makes as well.
  ///   - feeds: Tensors for placeholders, or for any other pending values or variables' values, which are then not
  ///     computed.
  /// - Returns: A tree of the same form with the elements.
  /// - Throws: `TensorError` if a placeholder is missing or gets a tensor of another type, if there is nothing to run,
  ///   or if an operation cannot be done. No state has changed then.
  @discardableResult
  public func run<Fetches: TensorTree>(
    _ fetches: Fetches, running updates: Updates? = nil, feeding feeds: Feeds = [:]
  ) throws -> Fetches {
    rebuild(fetches, with: try run(collectTensors(fetches), updates, feeds)[...])
  }

  /// As the first form, for two trees.
  @discardableResult
  public func run<A: TensorTree, B: TensorTree>(
    _ fetches: (A, B), running updates: Updates? = nil, feeding feeds: Feeds = [:]
  ) throws -> (A, B) {
    let tensors = collectTensors(fetches.0) + collectTensors(fetches.1)
    var parts = Splitter(rest: try run(tensors, updates, feeds)[...])
    return (parts.next(fetches.0), parts.next(fetches.1))
  }

  /// As the first form, for three trees.
  @discardableResult
  public func run<A: TensorTree, B: TensorTree, C: TensorTree>(
    _ fetches: (A, B, C), running updates: Updates? = nil, feeding feeds: Feeds = [:]
  ) throws -> (A, B, C) {
    let tensors =
      collectTensors(fetches.0) + collectTensors(fetches.1) + collectTensors(fetches.2)
    var parts = Splitter(rest: try run(tensors, updates, feeds)[...])
    return (parts.next(fetches.0), parts.next(fetches.1), parts.next(fetches.2))
  }

  /// As the first form, for four trees.
  @discardableResult
  public func run<A: TensorTree, B: TensorTree, C: TensorTree, D: TensorTree>(
    _ fetches: (A, B, C, D), running updates: Updates? = nil, feeding feeds: Feeds = [:]
  ) throws -> (A, B, C, D) {
    let tensors =
      collectTensors(fetches.0) + collectTensors(fetches.1) + collectTensors(fetches.2)
      + collectTensors(fetches.3)
    var parts = Splitter(rest: try run(tensors, updates, feeds)[...])
    return (
      parts.next(fetches.0), parts.next(fetches.1), parts.next(fetches.2), parts.next(fetches.3)
    )
  }

  /// Makes state changes and fetches nothing.
  public func run(_ updates: Updates, feeding feeds: Feeds = [:]) throws {
    _ = try run([], updates, feeds)
  }

  /// What a run computes, to be looked at. Nothing needs to be fed.
  /// - Throws: `TensorError` if there is nothing to run.
  public func graph(
    of fetches: some TensorTree, running updates: Updates? = nil
  ) throws -> SessionGraph {
    let fetches = collectTensors(fetches)
    do throws(OpError) {
      try Self.check(fetches, updates)
      return try SessionGraph(fetches, updates)
    } catch {
      throw TensorError(error, at: CallSite())
    }
  }

  // MARK: Running

  private func run(_ fetches: [Tensor], _ updates: Updates?, _ feeds: Feeds) throws -> [Tensor] {
    let values: [Tensor]
    let nodes: [PendingNode]
    var program: SessionProgram
    do throws(OpError) {
      try Self.check(fetches, updates)
      nodes = try feeds.nodes()
      values = try feeds.values(nodes)
    } catch {
      throw TensorError(error, at: CallSite())
    }
    let key = Key(
      fetches: fetches.map(\.identity), feeds: nodes.map { ObjectIdentifier($0) },
      updates: updates.map { ObjectIdentifier($0) })
    do throws(OpError) {
      program = try self.program(key) { () throws(OpError) in
        try SessionProgram(fetches, updates, nodes)
      }
    } catch {
      throw TensorError(error, at: CallSite())
    }
    if let results = try program.run(values) { return results }
    // A cell's content has another form than before: another program.
    do throws(OpError) {
      program = try SessionProgram(fetches, updates, nodes)
    } catch {
      throw TensorError(error, at: CallSite())
    }
    if let results = try program.run(values) {
      keep(program, key)
      return results
    }
    throw TensorError(
      OpError("Session.run", program.whatChanged(updates)), at: CallSite())
  }

  private static func check(_ fetches: [Tensor], _ updates: Updates?) throws(OpError) {
    if ThreadContext.recorder != nil {
      throw OpError(
        "Session.run", "a closure that is being recorded would remember the results as constants")
    }
    if let symbolic = fetches.first(where: { !$0.hasElements && !$0.isPending }) {
      throw OpError(
        "Session.run",
        symbolic.isFailed
          ? "a fetched value comes from an operation that could not be done"
          : symbolic.reasonForHavingNoElements)
    }
    if updates == nil && executingEagerly && fetches.allSatisfy(\.hasElements) {
      throw OpError(
        "Session.run",
        "the session's graph is empty: the operations were done at once; set executingEagerly = false before them, "
          + "or begin with a placeholder")
    }
  }

  private func program(
    _ key: Key, _ make: () throws(OpError) -> SessionProgram
  ) throws(OpError) -> SessionProgram {
    let known = state.withLock { state -> SessionProgram? in
      state.uses += 1
      state.programs[key]?.lastUse = state.uses
      return state.programs[key]?.program
    }
    if let known { return known }
    let program = try make()
    keep(program, key)
    return program
  }

  private func keep(_ program: SessionProgram, _ key: Key) {
    // Released outside the lock.
    let dropped = state.withLock { state -> SessionProgram? in
      var dropped: SessionProgram?
      if state.programs[key] == nil, state.programs.count >= Self.limit,
        let oldest = state.programs.min(by: { $0.value.lastUse < $1.value.lastUse })
      {
        dropped = oldest.value.program
        state.programs[oldest.key] = nil
      }
      state.programs[key] = (program, state.uses)
      return dropped
    }
    withExtendedLifetime(dropped) {}
  }
}

extension Tensor {
  /// The object that is the value: tensors that are one value have one.
  fileprivate var identity: ObjectIdentifier {
    (body as? PendingBody).map { ObjectIdentifier($0.node) } ?? ObjectIdentifier(body)
  }
}
