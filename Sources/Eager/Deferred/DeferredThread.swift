// Unsafe: keeps an object in thread-specific storage, retained until the thread ends.

import DuetRuntime
import Foundation

/// What deferred mode remembers of a thread.
package final class DeferredThread {
  /// The name scope: `encoder/attention`.
  package var scope = ""
  /// How many operations were put off since the first of the writes.
  var nodeCount = 0
  /// The state changes of `updates`, which happen in sessions' runs only.
  package var updates: StateUpdates?
  /// How many programs this thread has compiled for values put off.
  package var compileCount = 0

  /// A cell whose new content is pending.
  package struct Write {
    package private(set) weak var cell: StateCell?
    /// What the cell held when everything had been evaluated.
    package let before: Tensor?
  }

  private var writes: [Write] = []
  private var places: [ObjectIdentifier: Int] = [:]

  /// After so many operations it is time to do them, where a loop comes round.
  private static let manyNodes = 500

  private static let key: pthread_key_t = {
    var key = pthread_key_t()
    pthread_key_create(&key) { pointer in
      #if canImport(Darwin)
        Unmanaged<DeferredThread>.fromOpaque(pointer).release()
      #else
        if let pointer { Unmanaged<DeferredThread>.fromOpaque(pointer).release() }
      #endif
    }
    return key
  }()

  /// This thread's, if it has any.
  package static var existing: DeferredThread? {
    pthread_getspecific(key).map {
      Unmanaged<DeferredThread>.fromOpaque($0).takeUnretainedValue()
    }
  }

  package static var current: DeferredThread {
    if let existing { return existing }
    let new = DeferredThread()
    pthread_setspecific(key, Unmanaged.passRetained(new).toOpaque())
    return new
  }

  /// Runs the body with state changes that happen at once.
  static func withoutUpdates(_ body: () -> Void) {
    guard let thread = existing, let updates = thread.updates else { return body() }
    thread.updates = nil
    defer { thread.updates = updates }
    body()
  }

  /// Forgets the writes of cells that are gone, where the first is: no loop comes round to it.
  private func dropLostWrites() {
    guard let first = writes.first, first.cell == nil else { return }
    writes.removeAll { $0.cell == nil }
    places = [:]
    for (place, write) in writes.enumerated() {
      if let cell = write.cell { places[ObjectIdentifier(cell)] = place }
    }
  }

  /// A cell gets another content.
  /// - Parameters:
  ///   - isPending: Whether the new content is pending.
  ///   - before: The old one.
  func willWrite(_ cell: StateCell, isPending: Bool, before: Tensor?) {
    dropLostWrites()
    // A loop that never looks at values is cut where it writes what it wrote first: every part is the same program.
    if nodeCount > Self.manyNodes, let first = writes.first?.cell, first === cell {
      PendingNode.evaluate(nil)
    }
    let id = ObjectIdentifier(cell)
    if let place = places[id], writes[place].cell === cell { return }
    guard isPending else { return }
    // Of what was put off before nothing may be left.
    if writes.isEmpty { nodeCount = 0 }
    places[id] = writes.count
    writes.append(Write(cell: cell, before: before.flatMap { $0.isPending ? nil : $0 }))
  }

  /// The cells whose new contents may be pending, in the order of their first writing. From here on there are none.
  package func takeWrites() -> [Write] {
    defer {
      writes = []
      places = [:]
      nodeCount = 0
    }
    return writes
  }
}
